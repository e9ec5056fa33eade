//! Which components a command is for: names, patterns, `all`, accounts, roles.

use qc_tests::{SampleFleet, section};
use serde_json::json;

use crate::tools;

fn fleet() -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[("CASTOR", 81), ("POLLUX", 82)]);
    fleet.configure(&json!({
        "ACCOUNTS": {
            "CASTOR": { "account": 81, "enabled": true },
            "POLLUX": { "account": 82, "enabled": true },
        },
        "PROCESS_MANAGER": section(&json!({
            "server": { "enabled": false },
            "watchdog_stagger_seconds": 0, "brain_stagger_seconds": 0,
            "defaults": { "ready": { "log": "^ready" }, "start_seconds": 0.1 },
        })),
    }));
    fleet
}

/// Returns the names of the components that run, in the order of their names.
fn running(fleet: &SampleFleet) -> Vec<String> {
    let status = fleet.run("qc-launch", &["status", "--json"]).json();
    let components = status["components"].as_array().expect("a list");
    let runs = components.iter().filter(|one| one["state"] == "running");
    let mut names: Vec<String> =
        runs.map(|one| one["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

fn obeyed(fleet: &SampleFleet, words: &[&str]) -> String {
    let finished = fleet.run("qc-launch", words);
    assert_eq!(finished.code, 0, "{words:?} {finished:?}");
    finished.stdout
}

#[test]
fn components_are_meant_by_pattern_account_and_role() {
    let fleet = fleet();
    obeyed(&fleet, &["up", "--detach"]);
    let all = ["BRAIN_CASTOR", "BRAIN_POLLUX", "WATCHDOG_CASTOR", "WATCHDOG_POLLUX"];
    assert_eq!(running(&fleet), all);

    obeyed(&fleet, &["stop", "brain_*"]);
    assert_eq!(running(&fleet), ["WATCHDOG_CASTOR", "WATCHDOG_POLLUX"]);
    obeyed(&fleet, &["start", "--account", "castor"]);
    assert_eq!(running(&fleet), ["BRAIN_CASTOR", "WATCHDOG_CASTOR", "WATCHDOG_POLLUX"]);
    let number = fleet.account(82).to_string();
    obeyed(&fleet, &["start", "--account", &number, "--role", "brain"]);
    assert_eq!(running(&fleet), all);
    let restarted = obeyed(&fleet, &["restart", "all"]);
    assert!(all.iter().all(|name| restarted.contains(&format!("{name} runs"))), "{restarted}");

    // The launcher goes on, unlike at a `stop` of nothing in particular.
    obeyed(&fleet, &["stop", "all"]);
    assert!(running(&fleet).is_empty());
    obeyed(&fleet, &["start", "*_POLLUX"]);
    assert_eq!(running(&fleet), ["BRAIN_POLLUX", "WATCHDOG_POLLUX"]);

    let down = fleet.run("qc-shutdown", &["--name", "BRAIN_*", "--yes"]);
    assert_eq!(down.code, 0, "{down:?}");
    assert_eq!(running(&fleet), ["WATCHDOG_POLLUX"]);
    obeyed(&fleet, &["stop"]);
}

#[test]
fn what_names_no_component_is_refused_and_stops_nothing() {
    let fleet = fleet();
    obeyed(&fleet, &["up", "--detach"]);
    for (words, part) in [
        (&["stop", "BRIAN_*"][..], "no component is named by `BRIAN_*`"),
        (&["restart", "BRAIN_*", "--account", "ATLAS"], "account `ATLAS`"),
        (&["stop", "--role", "server"], "all of them together"),
        (&["start"], "no component is named"),
        (&["restart", "--role", "brian"], "the roles are brain, watchdog, server, other"),
    ] {
        let refused = fleet.run("qc-launch", words);
        assert_eq!(refused.code, 2, "{words:?} {refused:?}");
        assert!(refused.stderr.contains(part), "{words:?} {refused:?}");
        assert!(refused.stderr.contains("hint: "), "{words:?} {refused:?}");
    }
    assert_eq!(running(&fleet).len(), 4);
    let unknown = fleet.run("qc-shutdown", &["--name", "BRIAN_*", "--yes"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    obeyed(&fleet, &["stop"]);
}

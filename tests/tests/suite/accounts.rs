//! Accounts of the config: which are traded, and how they are written.

use qc_process::Ended;
use qc_tests::{Program, SampleFleet, section};
use serde_json::{Value, json};

use crate::tools;

/// Returns a fleet with one account that is traded and one that has no `enabled`.
fn half_enabled() -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 7_311), ("BOREAS", 7_312)]);
    fleet.configure(&json!({
        "ACCOUNTS": { "ATLAS": { "account": 7_311, "enabled": true }, "BOREAS": { "account": 7_312 } },
        "PROCESS_MANAGER": section(&json!({})),
    }));
    fleet
}

const NOT_TRADED: &str = "account BOREAS has no `enabled`, so it is not traded";

#[test]
fn an_account_without_enabled_is_not_traded_and_named() {
    let fleet = half_enabled();
    let checked = fleet.run("qc-launch", &["check", "--json"]);
    assert_eq!(checked.code, 0, "{checked:#?}");
    let report = checked.json();
    let checks = report["checks"].as_array().expect("checks are a list");
    let warnings: Vec<&Value> = checks.iter().filter(|it| it["verdict"] == "warning").collect();
    assert!(matches!(warnings[..], [one] if one["text"] == NOT_TRADED), "{report:#}");

    let plan = fleet.run("qc-launch", &["--dry-run"]);
    assert_eq!(plan.code, 0, "{plan:#?}");
    assert!(!plan.stdout.contains("BRAIN_BOREAS"), "{plan:#?}");

    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(NOT_TRADED)), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("started BRAIN_BOREAS")), "{lines:#?}");
}

#[test]
fn what_lives_of_an_account_without_enabled_refuses_a_start() {
    let fleet = half_enabled();
    let python = fleet.python();
    let command = ["run", "BRAIN_BOREAS", "--", python.to_str().unwrap(), "BRAIN_BOREAS.py"];
    let mut brain =
        Program::start(&fleet.tools.tool("qc-lock"), &command, fleet.root(), &[], |_| ());
    brain.wait_for("ready");
    for args in [&[][..], &["--dry-run"]] {
        let refused = fleet.run("qc-launch", args);
        assert_eq!(refused.code, 75, "{refused:#?}");
        assert!(refused.stderr.contains("BRAIN_BOREAS runs (PID "), "{refused:#?}");
    }
    let checked = fleet.run("qc-launch", &["check"]);
    assert_eq!(checked.code, 2, "{checked:#?}");
    assert!(checked.stdout.contains("BRAIN_BOREAS runs (PID "), "{checked:#?}");
    assert!(checked.stdout.contains(NOT_TRADED), "{checked:#?}");
}

/// Returns a fleet with a component of its own that works for the account.
fn with_news(more: &Value) -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 1)]);
    fleet.script("NEWS_ATLAS.py", "");
    let mut news = json!({ "script": "NEWS_ATLAS.py", "account": "ATLAS" });
    for (key, value) in more.as_object().expect("keys of a component") {
        news[key] = value.clone();
    }
    fleet.configure(&json!({
        "ACCOUNTS": { "ATLAS": { "account": 1, "enabled": true } },
        "PROCESS_MANAGER": section(&json!({ "components": { "NEWS_ATLAS": news } })),
    }));
    fleet
}

#[test]
fn a_component_with_an_account_takes_the_brains_place_unless_it_only_reads() {
    let fleet = with_news(&json!({}));
    for args in [&["check"][..], &["--dry-run"], &[]] {
        let refused = fleet.run("qc-launch", args);
        assert_eq!(refused.code, 2, "{args:?}: {refused:#?}");
        let said = refused.stdout + &refused.stderr;
        assert!(said.contains("BRAIN_ATLAS and NEWS_ATLAS ask for one lock"), "{args:?}: {said}");
        assert!(said.contains("`\"shared_account\": true`"), "{args:?}: {said}");
    }

    let fleet = with_news(&json!({ "shared_account": true }));
    let mut launch = fleet.launch(&[], |_| ());
    // It does not wait.
    launch.wait_for("started NEWS_ATLAS");
    launch.wait_for("started BRAIN_ATLAS");
    let seen = fleet.run("qc-ps", &["--check"]);
    assert_eq!(seen.code, 0, "{seen:#?}");
    launch.ask_to_stop(&fleet.tools);
    assert_eq!(launch.finish().0, Ended::Code(0));
}

#[test]
fn an_account_on_paper_runs_beside_the_one_that_trades_it() {
    let live = SampleFleet::new(tools(), &[("ATLAS", 1)]);
    let paper = live.elsewhere(&[("ATLAS", 1)]);
    live.script("BRAIN_ATLAS.py", "say QC_PAPER");
    paper.script("BRAIN_ATLAS.py", "say QC_PAPER");
    let entry = json!({ "account": 1, "enabled": true, "paper": true });
    let section = section(&json!({ "server": { "enabled": false } }));
    paper.configure(&json!({ "ACCOUNTS": { "ATLAS": entry }, "PROCESS_MANAGER": section }));
    let checked = paper.run("qc-launch", &["check"]);
    assert!(checked.stdout.contains("ATLAS is traded on paper"), "{checked:#?}");

    let fleets = [&live, &paper];
    let mut launches = fleets.map(|fleet| fleet.launch(&[], |_| ()));
    launches.iter_mut().for_each(|launch| drop(launch.wait_for("started BRAIN_ATLAS")));
    for (fleet, is_paper) in fleets.into_iter().zip([false, true]) {
        let logs = fleet.run("qc-launch", &["logs", "BRAIN_ATLAS"]).stdout;
        assert_eq!(logs.contains("QC_PAPER is 1 "), is_paper, "{logs}");
        let seen = fleet.run("qc-ps", &["--check"]);
        assert_eq!(seen.code, 0, "{seen:#?}");
        let seen = fleet.run("qc-ps", &[]);
        assert_eq!(seen.stdout.contains("on paper"), is_paper, "{seen:#?}");
        let status = fleet.run("qc-launch", &["status"]);
        assert_eq!(status.stdout.contains("on paper"), is_paper, "{status:#?}");
    }
    // One of each: a second one on paper is one too many.
    let third = live.elsewhere(&[("ATLAS", 1)]);
    third.configure(&json!({ "ACCOUNTS": { "ATLAS": entry }, "PROCESS_MANAGER": section }));
    let refused = third.run("qc-launch", &["--dry-run"]);
    assert_eq!(refused.code, 75, "{refused:#?}");
    for (fleet, launch) in fleets.into_iter().zip(launches) {
        launch.ask_to_stop(&fleet.tools);
        assert_eq!(launch.finish().0, Ended::Code(0));
    }
}

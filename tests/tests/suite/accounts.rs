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

//! `qc-lock`'s questions: list, status, clear, history, and the command line of the old module.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, diff};
use qc_lock_core::{LockDir, Request};
use qc_tests::Program;
use serde_json::{Value, json};

use crate::tools;

fn qc_lock(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(tools().tool("qc-lock"));
    command.env_remove("QC_ROOT").env_remove("QC_LOCK_DIR").arg("--lock-dir").arg(dir).args(args);
    command
}

/// A folder with a lock that this test holds, a stale record and a corrupt one.
fn three_locks() -> (tempfile::TempDir, qc_lock_core::Lock) {
    let dir = tempfile::tempdir().unwrap();
    let lock = LockDir::new(dir.path()).acquire(&Request::new("HELD".parse().unwrap())).unwrap();
    let mut stale = serde_json::to_value(lock.record()).unwrap();
    stale["name"] = json!("STALE");
    stale["started"] = json!(1);
    stale["resources"] = json!(["name/stale"]);
    fs::write(dir.path().join("STALE.lock"), stale.to_string()).unwrap();
    fs::write(dir.path().join("CORRUPT.lock"), "{").unwrap();
    (dir, lock)
}

#[test]
fn the_old_command_line_does_what_the_new_one_does() {
    for (list, clear_stale, clear_all) in
        [("--list", "--clear-stale", "--clear-all"), ("list", "clear-stale", "clear-all")]
    {
        let (dir, lock) = three_locks();
        let all = contains("CORRUPT").and(contains("HELD")).and(contains("STALE"));
        qc_lock(dir.path(), &[list]).assert().code(0).stdout(all);
        let cleared =
            contains("Cleared STALE (stale").and(contains("Cleared 2 stale locks, kept 1."));
        qc_lock(dir.path(), &[clear_stale]).assert().code(0).stdout(cleared);
        let kept = contains("Kept HELD (held by PID").and(contains("Cleared 0 locks, kept 1."));
        qc_lock(dir.path(), &[clear_all]).assert().code(0).stdout(kept);
        lock.release().unwrap();
        qc_lock(dir.path(), &[list]).assert().code(0).stdout(diff("No active locks.\n"));
    }
}

#[test]
fn facts_are_printed_as_json_of_version_one() {
    let (dir, _lock) = three_locks();
    let json = |args: &[&str]| -> Value {
        let output = qc_lock(dir.path(), &[args, &["--json"]].concat()).assert().code(0);
        let value: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        assert_eq!(value["version"], 1, "{args:?}: {value}");
        value
    };
    let list = json(&["list"]);
    let states: Vec<&Value> =
        list["locks"].as_array().unwrap().iter().map(|lock| &lock["state"]).collect();
    assert_eq!(states, ["corrupt", "held", "stale"]);
    let held = &json(&["status", "held"])["lock"];
    assert_eq!(held["pid"], std::process::id());
    assert_eq!(held["resources"], json!(["name/held"]));
    assert_eq!(json(&["status", "FREE"])["lock"], Value::Null);
    let cleared = json(&["clear-stale"]);
    assert_eq!(cleared["cleared"].as_array().unwrap().len(), 2);
    assert_eq!(cleared["kept"][0]["name"], "HELD");
    let history = json(&["history"]);
    let events: Vec<&Value> =
        history["entries"].as_array().unwrap().iter().map(|entry| &entry["event"]).collect();
    assert_eq!(events, ["acquired", "cleared", "cleared"]);
}

#[test]
fn the_history_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let locks = LockDir::new(dir.path());
    let request = |name: &str| Request::new(name.parse().unwrap());
    let held = locks.acquire(&request("HELD")).unwrap();
    let follow = |args: &[&str]| {
        let args = [&["--lock-dir", dir.path().to_str().unwrap(), "history"], args].concat();
        Program::start(&tools().tool("qc-lock"), &args, dir.path(), &[], |_| ())
    };
    let mut shown = follow(&["--follow"]);
    let mut json = follow(&["-f", "--json", "--name", "HELD"]);
    shown.wait_for("acquired    HELD  PID ");
    json.wait_for(r#""event":"acquired","name":"HELD""#);
    drop(locks.acquire(&request("OTHER")).unwrap());
    locks.acquire(&request("HELD")).unwrap_err();
    shown.wait_for("released    OTHER  PID ");
    shown.wait_for("held by PID ");
    let line = json.wait_for("held by PID ");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["event"], "blocked");
    drop(held);
    shown.wait_for("released    HELD  PID ");
    for follower in [shown, json] {
        follower.kill();
        let (_, lines) = follower.finish();
        assert!(!lines.concat().contains("could not be read"), "{lines:#?}");
    }
}

#[test]
fn the_history_is_shown_by_name_and_by_age() {
    let (dir, lock) = three_locks();
    lock.release().unwrap();
    let shown = contains("acquired").and(contains("released")).and(contains("PID"));
    qc_lock(dir.path(), &["history", "--name", "held", "--since", "1h"])
        .assert()
        .code(0)
        .stdout(shown);
    let nothing = || diff("No history.\n");
    qc_lock(dir.path(), &["history", "--name", "OTHER"]).assert().code(0).stdout(nothing());
    qc_lock(dir.path(), &["history", "--since", "0s"]).assert().code(0).stdout(nothing());
}

//! The manners that all tools share: colours, hints, times, and names that hold anything.

use std::fs;
use std::path::Path;
use std::process::Command;

use qc_tests::{Finished, SampleFleet, run};
use serde_json::Value;

use crate::tools;

const ONE: [(&str, u64); 1] = [("ORION", 7_300_001)];

/// Runs a tool in `dir` with one more environment variable.
fn run_with(tool: &str, args: &[&str], dir: &Path, (name, value): (&str, &str)) -> Finished {
    let mut command = Command::new(tools().tool(tool));
    run(command.args(args).current_dir(dir).env(name, value), "")
}

#[test]
fn color_always_wins_over_no_color() {
    let fleet = SampleFleet::new(tools(), &ONE);
    for (tool, args) in [
        ("qc-launch", &["check", "--color"][..]),
        ("qc-ps", &["--terminals", "--color"]),
        ("qc-ps", &["--color"]),
    ] {
        let colored = |choice: &str| {
            let args = [args, &[choice]].concat();
            let printed = run_with(tool, &args, fleet.root(), ("NO_COLOR", "1"));
            printed.stdout.contains("\x1b[")
        };
        let is_empty = tool == "qc-ps";
        assert!(colored("always") || is_empty, "{tool} {args:?}");
        assert!(!colored("auto") && !colored("never"), "{tool} {args:?}");
    }
}

#[test]
fn a_mistake_after_a_subcommand_names_its_help() {
    let dir = tempfile::tempdir().unwrap();
    for (tool, args, help) in [
        ("qc-launch", &["logs", "--bad"][..], "see `qc-launch logs --help`"),
        ("qc-launch", &["--bad"], "see `qc-launch --help`"),
        ("qc-launch", &["logs", "BRAIN_A", "-n", "many"], "see `qc-launch logs --help`"),
        ("qc-launch", &["autostart", "--bad"], "see `qc-launch autostart --help`"),
        ("qc-lock", &["history", "--since", "soon"], "see `qc-lock history --help`"),
        ("qc-ps", &["--bad"], "see `qc-ps --help`"),
    ] {
        let refused = tools().run(tool, args, dir.path(), "");
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.trim_end().ends_with(help), "{args:?}: {refused:?}");
    }
}

#[test]
fn times_are_local_in_text_and_rfc_3339_in_json() {
    let fleet = SampleFleet::new(tools(), &ONE);
    // A time that no time zone shows as it is written.
    let latch = r#"{"version":1,"reason":"pause","since":"2026-11-28T22:37:24.5+00:30"}"#;
    fs::create_dir_all(fleet.locks().path()).unwrap();
    fs::write(fleet.locks().path().join("LATCH"), latch).unwrap();
    let written = "2026-11-28T22:37:24";
    let local = qc_lock_core::local_time("2026-11-28T22:37:24.5+00:30");
    assert!(!local.contains('T') && local.len() == 19, "{local}");
    let shown = fleet.run("qc-ps", &[]);
    assert!(shown.stdout.contains(&local) && !shown.stdout.contains(written), "{shown:?}");
    let refused = fleet.run("qc-lock", &["run", "A", "--", "never-run"]);
    assert!(refused.stderr.contains(&local) && !refused.stderr.contains(written), "{refused:?}");
    let json: Value = fleet.run("qc-ps", &["--json"]).json();
    assert_eq!(json["latch"]["since"], "2026-11-28T22:37:24.5+00:30");
}

/// Windows allows no control character in a name.
#[cfg(unix)]
#[test]
fn a_name_with_a_newline_or_an_escape_cannot_forge_a_line() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("a\nOK: all is well\x1b[2J");
    let missing = tools().run("qc-ps", &["--root", root.to_str().unwrap()], parent.path(), "");
    assert_eq!((missing.code, missing.stderr.lines().count()), (2, 2), "{missing:?}");
    assert!(missing.stderr.contains(r"a\nOK: all is well\u{1b}[2J"), "{missing:?}");
    fs::create_dir(&root).unwrap();
    let fleet = SampleFleet::in_folder(tools(), &ONE, &root);
    let forged = |line: &str| line.starts_with("OK: all") || line.contains('\x1b');
    for (tool, args) in [
        ("qc-launch", &["check"][..]),
        ("qc-launch", &["--dry-run"]),
        ("qc-launch", &["init"]),
        ("qc-launch", &["logs", "BRAIN_ORION"]),
        ("qc-launch", &["autostart", "status"]),
        ("qc-ps", &[]),
        ("qc-ps", &["--check"]),
        ("qc-shutdown", &["--dry-run"]),
        ("qc-lock", &["list"]),
    ] {
        let printed = fleet.run(tool, args);
        assert!(!printed.stdout.lines().any(forged), "{tool} {args:?}: {printed:?}");
        assert!(!printed.stderr.lines().any(forged), "{tool} {args:?}: {printed:?}");
    }
    // Any user who may write the folder can write a record, a latch or the history.
    let locks = fleet.locks();
    fs::create_dir_all(locks.path()).unwrap();
    let evil = r"x\nOK: all is well\u001b[2J";
    let latch = format!(
        r#"{{"version":1,"reason":"{evil}","by":"{evil}","host":"{evil}","since":"{evil}"}}"#
    );
    fs::write(locks.path().join("LATCH"), latch).unwrap();
    let record = format!(
        r#"{{"pid":1,"name":"A","account":"{evil}","timestamp":"{evil}","host":"{evil}"}}"#
    );
    fs::write(locks.path().join("A.lock"), record).unwrap();
    let entry = format!(
        r#"{{"time":"{evil}","event":"acquired","name":"{evil}","detail":"{evil}","by":"{evil}","by_pid":1}}"#
    );
    fs::write(locks.path().join("history.jsonl"), entry + "\n").unwrap();
    for (tool, args) in [
        ("qc-lock", &["list"][..]),
        ("qc-lock", &["history"]),
        ("qc-lock", &["run", "A", "--", "never-run"]),
        ("qc-lock", &["clear-stale"]),
        ("qc-ps", &[]),
        ("qc-ps", &["--check"]),
        ("qc-launch", &["check"]),
        ("qc-launch", &["unlatch"]),
        ("qc-shutdown", &["--dry-run"]),
    ] {
        let printed = fleet.run(tool, args);
        assert!(!printed.stdout.lines().any(forged), "{tool} {args:?}: {printed:?}");
        assert!(!printed.stderr.lines().any(forged), "{tool} {args:?}: {printed:?}");
    }
}

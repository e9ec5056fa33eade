//! `qc-lock run`: the command's own life under a lock.

use qc_process::{Ended, LOCKS_ARE_INHERITED, Process, identity_of};
use qc_tests::{Program, SampleFleet};

use crate::tools;

/// A folder whose Python runs one script with these directives.
fn fleet(directives: &str) -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11)]);
    fleet.script("script.py", directives);
    fleet
}

/// Starts `qc-lock run` with the script, beside the test.
fn start(fleet: &SampleFleet, options: &[&str]) -> Program {
    let python = fleet.python();
    let command = ["BRAIN_ATLAS", "--", python.to_str().unwrap(), "script.py"];
    let args = [&["run"], options, &command].concat();
    Program::start(&fleet.tools.tool("qc-lock"), &args, fleet.root(), &[], |_| ())
}

#[test]
fn the_exit_code_is_the_commands_own() {
    for code in [0, 1, 7, 75, 124] {
        let fleet = fleet(&format!("exit {code}"));
        let (ended, lines) = start(&fleet, &[]).finish();
        assert_eq!(ended, Ended::Code(code), "{lines:?}");
        assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
    }
}

#[test]
fn a_command_that_was_killed_is_reported_as_a_shell_would() {
    let fleet = fleet("");
    let mut wrapper = start(&fleet, &[]);
    wrapper.wait_for("ready");
    let lock = fleet.locks().status(&"BRAIN_ATLAS".parse().unwrap()).unwrap().unwrap();
    let command = identity_of(lock.pid.unwrap()).unwrap();
    Process::open(&command).unwrap().unwrap().kill().unwrap();
    // Windows knows no signals: there the code is the one that the killer gave.
    let code = if LOCKS_ARE_INHERITED { 128 + 9 } else { 1 };
    assert_eq!(wrapper.finish().0, Ended::Code(code));
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
}

#[test]
fn a_request_to_stop_reaches_the_command() {
    let fleet = fleet("");
    let mut wrapper = start(&fleet, &[]);
    wrapper.wait_for("ready");
    wrapper.ask_to_stop(&fleet.tools);
    let (ended, lines) = wrapper.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("cleaned up"), "{lines:?}");
}

#[test]
fn a_held_lock_is_waited_for_as_long_as_asked() {
    let fleet = fleet("exit 0");
    let locks = fleet.locks();
    let held = locks.acquire(&qc_lock_core::Request::new("BRAIN_ATLAS".parse().unwrap())).unwrap();

    for (options, code) in [(&[][..], 75), (&["--wait", "100ms"], 75), (&["-E", "9"], 9)] {
        let (ended, lines) = start(&fleet, options).finish();
        assert_eq!(ended, Ended::Code(code), "{options:?}: {lines:?}");
        let pid = format!("is held by PID {}", std::process::id());
        assert!(lines[0].contains(&pid), "{options:?}: {lines:?}");
    }
    let waiting = start(&fleet, &["--wait", "60s"]);
    held.release().unwrap();
    let (ended, lines) = waiting.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:?}");
}

#[test]
fn a_command_that_cannot_be_run_frees_the_lock() {
    let fleet = fleet("");
    let missing = fleet.run("qc-lock", &["run", "BRAIN_ATLAS", "--", "no-such-program"]);
    assert_eq!(missing.code, 127, "{missing:?}");
    let told = &missing.stderr;
    assert!(told.contains("it is in no folder of PATH ("), "{missing:?}");
    assert!(told.contains("); write its full path"), "{missing:?}");
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
}

#[test]
fn a_command_of_the_current_folder_is_named_with_what_to_write() {
    let fleet = fleet("");
    let missing = fleet.run("qc-lock", &["run", "BRAIN_ATLAS", "--", "script.py"]);
    assert_eq!(missing.code, 127, "{missing:?}");
    let write = format!("write {}", std::path::Path::new(".").join("script.py").display());
    assert!(missing.stderr.contains(&write), "{missing:?}");
}

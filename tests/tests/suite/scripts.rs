//! The drop-in batch files, run by the system's own `cmd`. On Linux there is none, and nothing of
//! this module exists.

use std::fs;
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::Command;

use qc_process::{Liveness, liveness};
use qc_tests::{Finished, Program, SampleFleet, run};

use crate::tools;

/// A fleet with the tools and the scripts in its folder, as a trader has it.
fn installed() -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11)]);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scripts");
    for script in ["SAFE_SHUTDOWN.bat", "MASTER_LAUNCH.bat", "SAFE_START.bat"] {
        fs::copy(scripts.join(script), fleet.root().join(script)).unwrap();
    }
    for tool in ["qc-ps", "qc-shutdown", "qc-launch"] {
        fs::copy(fleet.tools.tool(tool), fleet.root().join(format!("{tool}.exe"))).unwrap();
    }
    fleet
}

/// Runs a script from another folder, as a double click or a shortcut may.
fn script(fleet: &SampleFleet, name: &str, args: &[&str], input: &str) -> Finished {
    let mut command = Command::new(fleet.root().join(name));
    run(command.args(args).current_dir(std::env::temp_dir()).env("QC_NO_PAUSE", "1"), input)
}

#[test]
fn safe_shutdown_asks_and_passes_the_exit_code_on() {
    let fleet = installed();
    let mut brain = Program::start(&fleet.python(), &["BRAIN_ATLAS.py"], fleet.root(), &[], |_| ());
    brain.wait_for("ready");
    for (args, input, code) in [(&["--dry-run"][..], "", 0), (&[], "no\n", 4), (&[], "", 4)] {
        let shutdown = script(&fleet, "SAFE_SHUTDOWN.bat", args, input);
        assert_eq!(shutdown.code, code, "{args:?} {input:?}: {shutdown:?}");
        assert!(shutdown.stdout.contains("BRAIN_ATLAS (PID "), "{args:?} {input:?}: {shutdown:?}");
        assert_eq!(liveness(brain.identity()), Liveness::Alive, "{args:?} {input:?}");
    }
    let shutdown = script(&fleet, "SAFE_SHUTDOWN.bat", &["--timeout", "20s"], "YES\n");
    assert_eq!(shutdown.code, 0, "{shutdown:?}");
    assert!(shutdown.stdout.contains("Open trades were NOT closed"), "{shutdown:?}");
    let (_, lines) = brain.finish();
    assert_eq!(lines.last().map(String::as_str), Some("cleaned up"), "{lines:?}");
}

#[test]
fn master_launch_refuses_beside_a_running_fleet() {
    let fleet = installed();
    let plan = script(&fleet, "MASTER_LAUNCH.bat", &["--dry-run"], "");
    assert_eq!(plan.code, 0, "{plan:?}");
    assert!(plan.stdout.contains("BRAIN_ATLAS (account "), "{plan:?}");
    let mut brain = Program::start(&fleet.python(), &["BRAIN_ATLAS.py"], fleet.root(), &[], |_| ());
    brain.wait_for("ready");
    let refused = script(&fleet, "MASTER_LAUNCH.bat", &["--no-adopt"], "");
    assert_eq!(refused.code, 75, "{refused:?}");
    assert!(refused.stderr.contains("BRAIN_ATLAS (PID "), "{refused:?}");
}

#[test]
fn a_missing_program_is_said() {
    let fleet = installed();
    fs::remove_file(fleet.root().join("qc-shutdown.exe")).unwrap();
    let shutdown = script(&fleet, "SAFE_SHUTDOWN.bat", &[], "YES\n");
    assert_eq!(shutdown.code, 127, "{shutdown:?}");
    assert!(shutdown.stderr.contains("qc-shutdown.exe"), "{shutdown:?}");
}

#[test]
fn words_may_stand_in_quotes() {
    let fleet = installed();
    let elsewhere = SampleFleet::new(tools(), &[("BOREAS", 12)]);
    let root = elsewhere.root().display();
    // The command line, the account that is seen, and whether a key is waited for.
    for (line, account, pauses) in [
        (r#""--no-pause" --dry-run"#.to_owned(), "ATLAS", false),
        (r#"--dry-run "--no-pause""#.to_owned(), "ATLAS", false),
        (r#""--dry-run""#.to_owned(), "ATLAS", true),
        (format!(r#"--dry-run "--root" "{root}" --no-pause"#), "BOREAS", false),
        (format!(r#"--root "{root}" --dry-run"#), "BOREAS", true),
    ] {
        for name in ["MASTER_LAUNCH.bat", "SAFE_SHUTDOWN.bat"] {
            let mut command = Command::new(fleet.root().join(name));
            let done = run(command.raw_arg(&line).env_remove("QC_NO_PAUSE"), "\n");
            assert_eq!(done.code, 0, "{name} {line}: {done:?}");
            // Nothing runs that could be shut down.
            let shows_account = done.stdout.contains(&format!("BRAIN_{account}"));
            assert_eq!(shows_account, name == "MASTER_LAUNCH.bat", "{name} {line}: {done:?}");
            assert_eq!(done.stdout.contains("any key"), pauses, "{name} {line}: {done:?}");
        }
    }
}

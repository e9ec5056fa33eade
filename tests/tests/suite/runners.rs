//! Brains that are run by something else than a plain `python BRAIN_X.py`: a script that the config
//! names as their command, a line of code, the dynamic loader, themselves in another folder.

use std::fs;
use std::path::Path;

use qc_process::{Process, identity_of};
use qc_tests::{Finished, Program, SampleFleet, python};
use serde_json::{Value, json};

use crate::tools;

/// The account of each test: tests of one machine see each other's brains.
const COMMAND: [(&str, u64); 1] = [("COMMAND", 7_311_001)];
const AGAIN_ELSEWHERE: [(&str, u64); 1] = [("AGAIN", 7_311_002)];
const IMPORTED: [(&str, u64); 1] = [("IMPORTED", 7_311_003)];
#[cfg(unix)]
const LOADED: [(&str, u64); 1] = [("LOADED", 7_311_004)];

/// A brain that runs until it is asked.
const WAITING: &str = "import time\nprint('ready', flush=True)\ntime.sleep(100)\n";

/// Starts the brain and waits for it, as a script that the config names.
const RUNNER: &str = "import os, subprocess, sys
environment = {**os.environ, 'PYTHONPATH': os.getcwd()}
try:
    # Wine hands no redirected output down by itself.
    command = [sys.executable, *sys.argv[1:], 'BRAIN_COMMAND.py']
    sys.exit(subprocess.call(command, env=environment, stdout=sys.stdout, stderr=sys.stderr))
except KeyboardInterrupt:
    pass
";

/// A brain that once starts itself again as a module, from another folder, and ends.
const AGAIN: &str = "import os, subprocess, sys, time
if 'AGAIN' in os.environ:
    print('ready %d' % os.getpid(), flush=True)
    time.sleep(100)
environment = {**os.environ, 'AGAIN': '1', 'PYTHONPATH': os.getcwd()}
subprocess.Popen([sys.executable, '-m', 'BRAIN_AGAIN'], cwd=os.environ['ELSEWHERE'], env=environment)
";

const DROP_IN: &str = include_str!("../../../scripts/process_lock.py");

/// Takes the brain's lock as the drop-in does, and waits.
const LOCKED: &str = "import time
from process_lock import ProcessLock
with ProcessLock('BRAIN_COMMAND'):
    print('ready', flush=True)
    time.sleep(100)
";

fn own(fleet: &SampleFleet) -> Vec<Value> {
    fleet.processes().into_iter().filter(|row| row["state"] != "foreign").collect()
}

/// A fleet whose brain is started by `python runner.py`.
fn with_runner(python: &Path, args: &[&str], script: &str) -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &COMMAND);
    fs::write(fleet.root().join("runner.py"), RUNNER).unwrap();
    fs::write(fleet.root().join("BRAIN_COMMAND.py"), script).unwrap();
    fs::write(fleet.root().join("process_lock.py"), DROP_IN).unwrap();
    let command: Vec<&str> =
        [python.to_str().unwrap(), "runner.py"].into_iter().chain(args.iter().copied()).collect();
    let brain = json!({
        "command": command, "ready": { "log": "^ready" },
    });
    fleet.configure(&json!({
        "ACCOUNTS": { "COMMAND": { "account": COMMAND[0].1, "enabled": true } },
        "PROCESS_MANAGER": {
            "server": { "enabled": false }, "watchdog_stagger_seconds": 0,
            "brain_stagger_seconds": 0, "restart_cooldown_seconds": 0,
            "components": { "BRAIN_COMMAND": brain },
        },
    }));
    fleet
}

#[test]
fn a_command_and_the_brain_that_it_runs_are_one_and_are_adopted() {
    let Some(python) = python() else { return };
    for (args, script) in [(&[][..], WAITING), (&["-u"], LOCKED)] {
        let fleet = with_runner(python, args, script);
        let mut launch = fleet.launch(&[], |_| ());
        let has_come = |line: &str| line.contains("BRAIN_COMMAND is ready");
        let has_gone = |line: &str| line.contains("BRAIN_COMMAND ended");
        let line = launch.wait_until("its start", |line| has_come(line) || has_gone(line));
        let log = || fleet.run("qc-launch", &["logs", "BRAIN_COMMAND"]);
        assert!(has_come(&line), "{line} {:?}", log());
        let check = fleet.run("qc-ps", &["--check"]);
        assert_eq!(check.code, 0, "{check:?}");
        launch.kill();
        drop(launch);
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for("adopted BRAIN_COMMAND");
        let stopped = fleet.run("qc-launch", &["stop", "BRAIN_COMMAND"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        let left: Vec<Value> = own(&fleet)
            .into_iter()
            .filter(|row| row["role"] == "brain" && row["pids"] != json!([]))
            .collect();
        assert_eq!(left, Vec::<Value>::new(), "{stopped:?}");
        let stopped = fleet.run("qc-shutdown", &["--yes"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
    }
}

#[test]
fn a_brain_that_has_started_itself_again_from_elsewhere_is_stopped() {
    let Some(python) = python() else { return };
    let fleet = SampleFleet::new(tools(), &AGAIN_ELSEWHERE);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(fleet.root().join("BRAIN_AGAIN.py"), AGAIN).unwrap();
    let locks = fleet.root().join(".locks");
    let env = [
        ("QC_COMPONENT", "BRAIN_AGAIN"),
        ("QC_COMPONENT_LOCKS", locks.to_str().unwrap()),
        ("ELSEWHERE", elsewhere.path().to_str().unwrap()),
    ];
    let mut first = Program::start(python, &["BRAIN_AGAIN.py"], fleet.root(), &env, |_| ());
    let line = first.wait_for("ready");
    let pid: u32 = line.trim().trim_start_matches("ready ").parse().unwrap();
    let again = identity_of(pid).unwrap();
    let rows = own(&fleet);
    let shown: Vec<_> = rows.iter().map(|row| (&row["component"], &row["pids"])).collect();
    assert_eq!(shown, [(&json!("BRAIN_AGAIN"), &json!([pid]))], "{rows:#?}");
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    let is_left = Process::open(&again).unwrap().is_some();
    if let Some(left) = Process::open(&again).unwrap() {
        let _ = left.kill();
    }
    assert!(!is_left && stopped.code == 0, "{stopped:?}");
    assert_eq!(own(&fleet), Vec::<Value>::new());
}

#[test]
fn a_brain_that_code_imports_is_that_brain() {
    let Some(python) = python() else { return };
    let fleet = SampleFleet::new(tools(), &IMPORTED);
    fs::write(fleet.root().join("BRAIN_IMPORTED.py"), WAITING).unwrap();
    for args in [
        &["-c", "__import__('BRAIN_IMPORTED')"][..],
        &["-c", "import importlib; importlib.import_module('BRAIN_IMPORTED')"],
        &["-c", "exec(open('BRAIN_IMPORTED.py').read())"],
        &["-m", "timeit", "-n", "1", "import BRAIN_IMPORTED"],
        &["-m", "unittest", "BRAIN_IMPORTED"],
    ] {
        let mut brain = Program::start(python, args, fleet.root(), &[], |_| ());
        brain.wait_for("ready");
        is_the_brain_and_stopped(&fleet, "BRAIN_IMPORTED", args);
    }
}

fn is_the_brain_and_stopped(fleet: &SampleFleet, brain: &str, args: &[&str]) -> Finished {
    let rows = own(fleet);
    assert_eq!(rows.len(), 1, "{args:?}: {rows:#?}");
    assert_eq!(rows[0]["component"], brain, "{args:?}");
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{args:?}: {stopped:?}");
    assert_eq!(own(fleet), Vec::<Value>::new(), "{args:?}");
    stopped
}

/// Windows loads programs itself.
#[cfg(unix)]
#[test]
fn a_brain_that_the_dynamic_loader_runs_is_that_brain_and_may_clean_up() {
    use std::process::Command;

    let Some(python) = python() else { return };
    let found =
        Command::new("sh").args(["-c", "ls /lib*/ld-*.so* /lib/*/ld-*.so* 2>/dev/null"]).output();
    let found = String::from_utf8(found.unwrap().stdout).unwrap();
    let can_run = |loader: &&str| {
        let run = Command::new(loader).arg(python).args(["-c", "pass"]).output();
        run.is_ok_and(|output| output.status.success())
    };
    let Some(loader) = found.lines().find(can_run) else {
        return qc_tests::cannot_test("a dynamic loader", "no loader here runs the Python");
    };
    let fleet = SampleFleet::new(tools(), &LOADED);
    let brain = "import time\ntry:\n    print('ready', flush=True)\n    time.sleep(100)\nfinally:\n    open('clean', 'w').close()\n";
    fs::write(fleet.root().join("BRAIN_LOADED.py"), brain).unwrap();
    for args in [&["BRAIN_LOADED.py"][..], &["-m", "BRAIN_LOADED"]] {
        let args: Vec<&str> =
            [python.to_str().unwrap()].into_iter().chain(args.iter().copied()).collect();
        let mut brain = Program::start(Path::new(loader), &args, fleet.root(), &[], |_| ());
        brain.wait_for("ready");
        let stopped = is_the_brain_and_stopped(&fleet, "BRAIN_LOADED", &args);
        let cleaned = fs::remove_file(fleet.root().join("clean"));
        assert!(cleaned.is_ok(), "it was not asked to end: {args:?} {stopped:?}");
    }
}

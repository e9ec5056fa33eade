//! Components whose command is a wrapper: what they run is asked to stop itself, may clean up, and is
//! awaited. The wrappers here are those of Unix; on Windows, Ctrl-C reaches all of a console.

use std::fs;
use std::ops::Deref;
use std::path::Path;

use qc_process::{Ended, Identity, Liveness, Process, identity_of, liveness};
use qc_tests::{Finished, Program, SampleFleet, python};
use serde_json::{Value, json};

use crate::tools;

/// A brain that notes its start and its clean-up, each by its pid.
const BRAIN: &str = "
import os, sys, time
print('ready %d' % os.getpid(), flush=True)
try:
    while True: time.sleep(0.05)
finally:
    time.sleep(0.3)
    open('clean-%d' % os.getpid(), 'w').close()
";

/// A fleet that is ended with what runs in it, also when a test fails: its Python lies elsewhere.
struct Wrapped(SampleFleet);

impl Deref for Wrapped {
    type Target = SampleFleet;

    fn deref(&self) -> &SampleFleet {
        &self.0
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        self.run("qc-shutdown", &["--yes", "--timeout", "1s"]);
    }
}

/// A fleet whose brain is run by `command`, in which `PYTHON` stands for the interpreter.
fn fleet(account: u64, command: &[&str]) -> Option<(Wrapped, Program)> {
    fleet_of(account, command, BRAIN)
}

fn fleet_of(account: u64, command: &[&str], script: &str) -> Option<(Wrapped, Program)> {
    let python = python()?;
    let fleet = Wrapped(SampleFleet::new(tools(), &[("ATLAS", account)]));
    let python = python.to_string_lossy();
    let command: Vec<String> = command.iter().map(|word| word.replace("PYTHON", &python)).collect();
    let brain = json!({ "command": command, "ready": { "log": "^ready" } });
    let accounts: Value = json!({ "ATLAS": { "account": account, "enabled": true } });
    fleet.configure(&json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": {
        "server": { "enabled": false }, "watchdog_stagger_seconds": 0, "brain_stagger_seconds": 0,
        "restart_cooldown_seconds": 0, "components": { "BRAIN_ATLAS": brain },
    } }));
    write(fleet.root(), script);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("BRAIN_ATLAS is ready");
    Some((fleet, launch))
}

/// The shell's part of a script that runs the brain and goes on after it.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "PYTHON BRAIN_ATLAS.py; echo brain ended"];

/// The Python that was started last.
fn worker(fleet: &SampleFleet) -> Identity {
    let log = fleet.run("qc-launch", &["logs", "BRAIN_ATLAS"]).stdout;
    let pid = log.lines().rev().find_map(|line| line.strip_prefix("ready "));
    identity_of(pid.unwrap_or_else(|| panic!("{log}")).trim().parse().unwrap()).unwrap()
}

fn has_cleaned_up(fleet: &SampleFleet, worker: &Identity) -> bool {
    fleet.root().join(format!("clean-{}", worker.pid)).exists()
}

fn assert_ok(finished: &Finished) {
    assert_eq!(finished.code, 0, "{finished:?}");
}

fn stop(fleet: &SampleFleet, launch: Program) {
    assert_ok(&fleet.run("qc-launch", &["stop"]));
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    let locks = fleet.run("qc-lock", &["list"]);
    assert_eq!(locks.stdout, "No active locks.\n");
}

#[test]
fn what_a_wrapper_runs_cleans_up_and_is_gone_when_the_component_is_said_not_to_run() {
    let wrappers: [&[&str]; 5] = [
        &SHELL,
        &["/bin/bash", "-c", "cd . && (PYTHON BRAIN_ATLAS.py 2>&1 | cat); true"],
        &["timeout", "100", "PYTHON", "BRAIN_ATLAS.py"],
        &["/bin/sh", "-c", "nohup PYTHON BRAIN_ATLAS.py; echo brain ended"],
        &["/bin/sh", "-c", "while :; do PYTHON BRAIN_ATLAS.py; done"],
    ];
    for (account, wrapper) in (7_420_001..).zip(wrappers) {
        let Some((fleet, launch)) = fleet(account, wrapper) else { return };
        let before = worker(&fleet);
        assert_ok(&fleet.run("qc-ps", &["--check"]));
        let stopped = fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]);
        assert_ok(&stopped);
        assert_eq!(liveness(&before), Liveness::Dead, "{wrapper:?} {stopped:?}");
        assert!(has_cleaned_up(&fleet, &before), "{wrapper:?}");
        // Nothing of it has been left: it starts anew, and so it does by a restart.
        assert_ok(&fleet.run("qc-launch", &["start", "BRAIN_ATLAS"]));
        let second = worker(&fleet);
        assert_ok(&fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]));
        assert_eq!(liveness(&second), Liveness::Dead, "{wrapper:?}");
        assert!(has_cleaned_up(&fleet, &second), "{wrapper:?}");
        let third = worker(&fleet);
        stop(&fleet, launch);
        assert_eq!(liveness(&third), Liveness::Dead, "{wrapper:?}");
        assert!(has_cleaned_up(&fleet, &third), "{wrapper:?}");
    }
}

#[test]
fn a_watchdog_is_not_stopped_before_what_the_wrapper_of_its_brain_runs() {
    let Some((fleet, mut launch)) = fleet(7_420_011, &SHELL) else { return };
    let brain = worker(&fleet);
    let stopped = fleet.run("qc-launch", &["stop", "WATCHDOG_ATLAS"]);
    assert_ok(&stopped);
    launch.wait_for("BRAIN_ATLAS ended when asked");
    launch.wait_for("WATCHDOG_ATLAS ended when asked");
    assert!(has_cleaned_up(&fleet, &brain));
    stop(&fleet, launch);
}

#[test]
fn a_wrapper_that_dies_alone_leads_to_no_second_copy() {
    let Some((fleet, mut launch)) = fleet(7_420_021, &SHELL) else { return };
    let before = worker(&fleet);
    let status = fleet.run("qc-launch", &["status", "--json"]).json();
    let components = status["components"].as_array().unwrap();
    let brain = components.iter().find(|one| one["name"] == "BRAIN_ATLAS").unwrap();
    let shell = identity_of(u32::try_from(brain["pid"].as_u64().unwrap()).unwrap()).unwrap();
    assert_ne!(shell, before);
    Process::open(&shell).unwrap().unwrap().kill().unwrap();
    launch.wait_for("BRAIN_ATLAS has left PID");
    launch.wait_for("started BRAIN_ATLAS");
    assert_eq!(liveness(&before), Liveness::Dead);
    assert!(has_cleaned_up(&fleet, &before));
    launch.wait_for("BRAIN_ATLAS is ready");
    stop(&fleet, launch);
}

#[test]
fn an_adopted_wrapper_is_stopped_with_what_it_runs() {
    let Some((fleet, launch)) = fleet(7_420_031, &SHELL) else { return };
    let before = worker(&fleet);
    launch.kill();
    drop(launch);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("adopted BRAIN_ATLAS");
    let stopped = fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]);
    assert_ok(&stopped);
    assert_eq!(liveness(&before), Liveness::Dead, "{stopped:?}");
    assert!(has_cleaned_up(&fleet, &before));
    stop(&fleet, launch);
}

/// A brain that ends with success when it is asked to, so that a shell goes on.
const QUIET: &str = "
import os, time
print('ready %d' % os.getpid(), flush=True)
try:
    while True: time.sleep(0.05)
except KeyboardInterrupt: pass
";

/// A fleet whose brain a shell starts again as soon as it has ended, adopted by a second launcher; and
/// what follows the brain's log.
fn adopted(account: u64, again: &str) -> Option<(Wrapped, Program, Program)> {
    let (fleet, launch) = fleet_of(account, &["/bin/sh", "-c", again], QUIET)?;
    launch.kill();
    drop(launch);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("adopted BRAIN_ATLAS");
    let args = ["logs", "BRAIN_ATLAS", "-f", "-n", "1000"];
    let tool = fleet.tools.tool("qc-launch");
    let mut log = Program::start(&tool, &args, fleet.root(), &[], |_| ());
    log.wait_for("ready");
    Some((fleet, launch, log))
}

/// Returns which of all Pythons that the brain's log shows still run.
fn living(fleet: &SampleFleet) -> Vec<u32> {
    let log = fleet.run("qc-launch", &["logs", "BRAIN_ATLAS", "-n", "1000"]).stdout;
    let pids = log.lines().filter_map(|line| line.strip_prefix("ready ")?.trim().parse().ok());
    pids.filter(|&pid| identity_of(pid).is_ok()).collect()
}

#[test]
fn no_watchdog_is_stopped_before_an_adopted_wrapper_that_starts_its_program_again() {
    let wrappers = [
        "while :; do PYTHON BRAIN_ATLAS.py; done",
        "while :; do PYTHON BRAIN_ATLAS.py; sleep 0.2; done",
        "PYTHON BRAIN_ATLAS.py; PYTHON BRAIN_ATLAS.py",
        "trap '' INT TERM; while :; do PYTHON BRAIN_ATLAS.py; done",
    ];
    for (account, again) in (7_420_051..).zip(wrappers) {
        let Some((fleet, mut launch, _log)) = adopted(account, again) else { return };
        assert_eq!(living(&fleet).len(), 1, "{again}");
        let stopped = fleet.run("qc-launch", &["stop", "WATCHDOG_ATLAS"]);
        assert_ok(&stopped);
        assert_eq!(living(&fleet), [0; 0], "{again} {stopped:?}");
        launch.wait_for("WATCHDOG_ATLAS ended when asked");
        stop(&fleet, launch);
    }
}

#[test]
fn what_an_adopted_wrapper_starts_again_is_the_component() {
    let again = "while :; do PYTHON BRAIN_ATLAS.py; sleep 0.2; done";
    let Some((fleet, launch, mut log)) = adopted(7_420_061, again) else { return };
    let first = worker(&fleet);
    Process::open(&first).unwrap().unwrap().kill().unwrap();
    let is_first = format!("ready {}", first.pid);
    log.wait_until("another Python", |line| line.starts_with("ready") && line != is_first);
    let second = worker(&fleet);
    let status = fleet.run("qc-launch", &["status", "--json"]).json();
    let components = status["components"].as_array().unwrap();
    let brains: Vec<&Value> = components.iter().filter(|it| it["name"] == "BRAIN_ATLAS").collect();
    assert_eq!(brains.len(), 1, "{status}");
    let state = (&brains[0]["state"], &brains[0]["adopted"], &brains[0]["restarts"]);
    assert_eq!(state, (&json!("running"), &json!(true), &json!(0)), "{status}");
    let check = fleet.run("qc-ps", &["--check"]);
    assert_ok(&check);
    assert_ok(&fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]));
    assert_eq!(liveness(&second), Liveness::Dead);
    assert_eq!(living(&fleet), [worker(&fleet).pid]);
    stop(&fleet, launch);
    assert_eq!(living(&fleet), [0; 0]);
}

#[test]
fn a_program_that_ignores_everything_is_killed_behind_its_wrapper_and_told_as_killed() {
    let Some((fleet, mut launch)) = fleet(7_420_041, &SHELL) else { return };
    let deaf = BRAIN.replace(
        "print(",
        "import signal\nfor one in (signal.SIGINT, signal.SIGTERM): signal.signal(one, signal.SIG_IGN)\nprint(",
    );
    let text = fs::read_to_string(fleet.root().join("MASTER_CONFIG.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["PROCESS_MANAGER"]["stop_timeout_seconds"] = json!(1);
    fleet.configure(&config);
    assert_ok(&fleet.run("qc-launch", &["reload"]));
    write(fleet.root(), &deaf);
    assert_ok(&fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]));
    let brain = worker(&fleet);
    let stopped = fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]);
    assert_ok(&stopped);
    assert_eq!(liveness(&brain), Liveness::Dead, "{stopped:?}");
    launch.wait_for("BRAIN_ATLAS was KILLED");
    stop(&fleet, launch);
}

/// A program that runs the script that it is given.
const RUNNER: &str = "import subprocess, sys
try:
    sys.exit(subprocess.call([sys.executable] + sys.argv[1:]))
except KeyboardInterrupt:
    pass
";

fn write(root: &Path, brain: &str) {
    fs::write(root.join("BRAIN_ATLAS.py"), brain).unwrap();
    fs::write(root.join("run.py"), RUNNER).unwrap();
}

#[test]
fn what_a_wrapper_runs_through_others_is_one_instance_and_adopted() {
    let wrappers: [&[&str]; 5] = [
        &["/bin/bash", "-c", "echo S | xargs PYTHON BRAIN_ATLAS.py"],
        &["PYTHON", "run.py", "BRAIN_ATLAS.py"],
        &["/bin/bash", "-c", "PYTHON run.py BRAIN_ATLAS.py; true"],
        &["/bin/bash", "-c", "PYTHON BRAIN_ATLAS.py & wait"],
        &["/bin/bash", "-c", "(PYTHON BRAIN_ATLAS.py; true) & wait"],
    ];
    for (account, wrapper) in (7_420_071..).zip(wrappers) {
        let Some((fleet, launch)) = fleet(account, wrapper) else { return };
        let before = worker(&fleet);
        let check = fleet.run("qc-ps", &["--check"]);
        assert_eq!(check.code, 0, "{wrapper:?} {check:?}");
        launch.kill();
        drop(launch);
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for("adopted BRAIN_ATLAS");
        assert_ok(&fleet.run("qc-ps", &["--check"]));
        let stopped = fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]);
        assert_ok(&stopped);
        assert_eq!(liveness(&before), Liveness::Dead, "{wrapper:?} {stopped:?}");
        stop(&fleet, launch);
    }
}

#[test]
fn components_on_one_script_are_told_apart_by_their_wrappers() {
    let Some(python) = python() else { return };
    let python = python.to_string_lossy();
    let fleet = Wrapped(SampleFleet::new(tools(), &[]));
    let component = |arguments: &str, signal: &str| {
        let line = format!("{python} feed.py {arguments}; true");
        let stop = json!({ "signal": signal });
        json!({ "command": ["/bin/bash", "-c", line], "ready": { "log": "^ready" }, "stop": stop })
    };
    fleet.configure(&json!({ "ACCOUNTS": {}, "PROCESS_MANAGER": {
        "server": { "enabled": false },
        "components": { "GOLD": component("gold", "SIGTERM"), "OIL": component("oil", "SIGUSR1") },
    } }));
    let feed = "import os, signal, sys, time
def note(number, _):
    open('asked-' + sys.argv[1], 'w').write(signal.Signals(number).name)
    sys.exit(0)
for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(one, note)
print('ready', flush=True)
while True:
    time.sleep(0.1)
";
    fs::write(fleet.root().join("feed.py"), feed).unwrap();
    let mut launch = fleet.launch(&[], |_| ());
    // Both start at once.
    launch.wait_for(" is ready");
    launch.wait_for(" is ready");
    assert_ok(&fleet.run("qc-ps", &["--check"]));
    for (name, file, signal) in [("GOLD", "gold", "SIGTERM"), ("OIL", "oil", "SIGUSR1")] {
        assert_ok(&fleet.run("qc-launch", &["stop", name]));
        let asked = fs::read_to_string(fleet.root().join(format!("asked-{file}"))).unwrap();
        assert_eq!(asked, signal, "{name}");
    }
    stop(&fleet, launch);
}

#[test]
fn a_component_and_a_shell_that_runs_the_same_script_are_told_apart_by_the_arguments() {
    let Some(python) = python() else { return };
    let python = python.to_string_lossy();
    let fleet = Wrapped(SampleFleet::new(tools(), &[]));
    let configure = |arguments: &str| {
        let line = format!("{python} BRAIN_FEED.py gold; true");
        let ready = json!({ "log": "^ready" });
        fleet.configure(&json!({ "ACCOUNTS": {}, "PROCESS_MANAGER": {
            "server": { "enabled": false },
            "components": {
                "GOLD": { "command": ["/bin/bash", "-c", line], "ready": ready },
                "OIL": { "command": [python, "BRAIN_FEED.py", arguments], "ready": ready },
            },
        } }));
    };
    configure("gold");
    fs::write(fleet.root().join("BRAIN_FEED.py"), BRAIN).unwrap();
    for args in [&["check"][..], &["--dry-run"], &[]] {
        let refused = fleet.run("qc-launch", args);
        assert_eq!(refused.code, 2, "{refused:?}");
        let text = format!("{}{}", refused.stdout, refused.stderr);
        assert!(text.contains("OIL and GOLD run one script with the same arguments"), "{text}");
    }
    configure("oil");
    assert_ok(&fleet.run("qc-launch", &["check"]));
    let mut launch = fleet.launch(&[], |_| ());
    // Both start at once.
    launch.wait_for(" is ready");
    launch.wait_for(" is ready");
    assert_ok(&fleet.run("qc-ps", &["--check"]));
    launch.kill();
    drop(launch);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("adopted GOLD");
    launch.wait_for("adopted OIL");
    assert_ok(&fleet.run("qc-ps", &["--check"]));
    stop(&fleet, launch);
}

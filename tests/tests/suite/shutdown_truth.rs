//! `qc-shutdown` says what has happened: stages, kills, what comes again, what was left and why.

use std::fs;
use std::path::Path;

use qc_process::{Liveness, LocalStream, liveness};
use qc_tests::{
    Finished, Program, SampleFleet, cannot_test, copy_program, python, section, suspend,
};
use serde_json::json;

use crate::shutdown::{by_hand, shutdown};
use crate::tools;
use crate::view::await_suspended;

const ONE: [(&str, u64); 1] = [("ATLAS", 41)];

/// Runs its arguments again as often as they end; Ctrl-C at a shared console does not reach it.
const LOOP: &str = "import signal, subprocess, sys, time
signal.signal(signal.SIGINT, lambda *_: None)
while True:
    subprocess.run(sys.argv[2:])
    time.sleep(float(sys.argv[1]))
";

/// The old launcher: asked to stop, it ends its children at once, watchdogs first.
const OLD_LAUNCHER: &str = "import subprocess, sys, time
lines = [[sys.argv[1], 'BRAIN_ATLAS.py'], [sys.argv[1], 'STOPLOSS_WATCHDOG_V2.py', '--account', 'ATLAS']]
children = [subprocess.Popen(line) for line in lines]
try:
    while True: time.sleep(0.2)
except KeyboardInterrupt:
    for child in reversed(children): child.kill()
";

fn launch(fleet: &SampleFleet) -> Program {
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    launch
}

/// Starts the fleet with an old launcher, until its two children are ready.
fn start_old_launcher(fleet: &SampleFleet, python: &Path) -> Program {
    fs::write(fleet.root().join("MASTER_LAUNCH.py"), OLD_LAUNCHER).unwrap();
    let brain = fleet.python();
    let args = ["MASTER_LAUNCH.py", brain.to_str().unwrap()];
    let mut old = Program::start(python, &args, fleet.root(), &[], |_| ());
    old.wait_for("ready");
    old.wait_for("ready");
    old
}

/// Starts the fleet's brain in a loop of a real Python.
pub(crate) fn start_loop(fleet: &SampleFleet, python: &Path, pause: &str) -> Program {
    fs::write(fleet.root().join("loop.py"), LOOP).unwrap();
    let brain = fleet.python();
    let args = ["loop.py", pause, brain.to_str().unwrap(), "BRAIN_ATLAS.py"];
    let mut again = Program::start(python, &args, fleet.root(), &[], |_| ());
    again.wait_for("ready");
    again
}

fn assert_contains(finished: &Finished, texts: &[&str]) {
    for text in texts {
        assert!(finished.stdout.contains(text), "no `{text}`: {finished:#?}");
    }
}

#[test]
fn a_loop_that_starts_a_brain_again_is_named_and_no_watchdog_ends_before_it() {
    let Some(python) = python() else { return };
    for (pause, args) in
        [("0", &["--yes"][..]), ("0.1", &["--yes"]), ("0.1", &["--yes", "--account", "ATLAS"])]
    {
        let fleet = SampleFleet::new(tools(), &ONE);
        let again = start_loop(&fleet, python, pause);
        let watchdog = by_hand(&fleet, &["STOPLOSS_WATCHDOG_V2.py", "--account", "ATLAS"]);
        let stopped = shutdown(&fleet, args);
        assert_eq!(stopped.code, 1, "{stopped:#?}");
        let pid = again.identity().pid;
        assert_contains(
            &stopped,
            &[
                &format!("starts it again as often as it is stopped; stop PID {pid} first"),
                &format!("Stop what starts them again (PID {pid}) first"),
                "it protects BRAIN_ATLAS (PID ",
            ],
        );
        assert!(!stopped.stdout.contains("has stopped."), "{stopped:#?}");
        assert_eq!(liveness(watchdog.identity()), Liveness::Alive, "{stopped:#?}");
        again.kill();
        drop(again);
        let stopped = shutdown(&fleet, &["--yes"]);
        assert_eq!(stopped.code, 0, "{stopped:#?}");
        assert_contains(&stopped, &["All automation has stopped."]);
    }
}

#[test]
fn each_stage_has_its_heading_and_what_was_asked_ended_when_asked() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let _launch = launch(&fleet);
    let planned = shutdown(&fleet, &["--dry-run", "--json"]).json();
    let stages = planned["plan"].as_array().unwrap();
    let planned: Vec<&str> = stages.iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(planned, ["brain", "watchdog", "server", "orchestrator"]);
    let stopped = shutdown(&fleet, &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    assert_contains(
        &stopped,
        &["  1. brains\n", "  4. orchestrator, told first to start nothing again\n"],
    );
    let (_, after) = stopped.stdout.split_once("Stopping ").expect("a heading");
    let lines: Vec<String> = format!("Stopping {after}")
        .lines()
        .take(8)
        .map(|line| line.split_once(" (PID ").map_or(line, |(name, _)| name).trim().to_owned())
        .collect();
    assert_eq!(
        lines,
        [
            "Stopping brains ...",
            "BRAIN_ATLAS",
            "Stopping watchdogs ...",
            "WATCHDOG_ATLAS",
            "Stopping server ...",
            "quantum_server",
            "Stopping orchestrator ...",
            "MASTER_LAUNCH",
        ],
        "{stopped:#?}"
    );
    assert_eq!(stopped.stdout.matches("ended when asked, after ").count(), 4, "{stopped:#?}");
    assert!(!stopped.stdout.contains("by itself"), "{stopped:#?}");
    assert_contains(&stopped, &["4 ended gracefully, 0 had to be killed."]);
}

#[test]
fn what_the_orchestrator_had_to_kill_is_reported_as_killed() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.configure(&json!({
        "ACCOUNTS": { "ATLAS": { "account": 41, "enabled": true } },
        "PROCESS_MANAGER": section(&json!({ "stop_timeout_seconds": 1 })),
    }));
    for deaf in ["BRAIN_ATLAS.py", "STOPLOSS_WATCHDOG_V2.py"] {
        fleet.script(deaf, "ignore stop");
    }
    let _launch = launch(&fleet);
    let stopped = shutdown(&fleet, &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    for name in ["BRAIN_ATLAS", "WATCHDOG_ATLAS"] {
        let mut lines = stopped.stdout.lines();
        let is_killed =
            |line: &str| line.starts_with(&format!("  {name} (PID ")) && line.contains("KILLED");
        assert!(lines.any(is_killed), "{stopped:#?}");
    }
    assert_contains(&stopped, &["2 ended gracefully, 2 had to be killed."]);
}

#[test]
fn what_was_killed_behind_a_wrapper_is_reported_as_killed() {
    let fleet = SampleFleet::new(tools(), &ONE);
    // It starts the brain and waits for it, as `timeout` and `uv run` do.
    let wrapper = fleet.tools.tool("qc-lock");
    let brain = fleet.python();
    let account = fleet.account(41).to_string();
    let command = [wrapper.to_str().unwrap(), "run", "WRAPPER", "--account", &account, "--"];
    let command = [&command[..], &[brain.to_str().unwrap(), "BRAIN_ATLAS.py"]].concat();
    fleet.configure(&json!({
        "ACCOUNTS": { "ATLAS": { "account": 41, "enabled": true } },
        "PROCESS_MANAGER": section(&json!({
            "stop_timeout_seconds": 1, "components": { "BRAIN_ATLAS": { "command": command } },
        })),
    }));
    fleet.script("BRAIN_ATLAS.py", "ignore stop");
    for args in [&["--yes", "--name", "BRAIN_ATLAS"][..], &["--yes"]] {
        let _launch = launch(&fleet);
        let stopped = shutdown(&fleet, args);
        assert_eq!(stopped.code, 0, "{stopped:#?}");
        let lines = stopped.stdout.lines();
        let ends: Vec<&str> = lines.filter(|one| one.starts_with("  BRAIN_ATLAS (PID ")).collect();
        let are_killed = ends.iter().all(|end| end.contains("): KILLED after "));
        assert!(!ends.is_empty() && are_killed, "{args:?} {stopped:#?}");
        shutdown(&fleet, &["--yes"]);
    }
}

#[test]
fn an_old_launcher_goes_before_the_brains_which_go_before_their_watchdogs() {
    let Some(python) = python() else { return };
    let fleet = SampleFleet::new(tools(), &ONE);
    let _old = start_old_launcher(&fleet, python);
    let stopped = shutdown(&fleet, &["--yes", "--json"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    let report = stopped.json();
    let results = report["results"].as_array().unwrap();
    let ends: Vec<[&str; 2]> = results
        .iter()
        .map(|one| ["role", "outcome"].map(|key| one[key].as_str().unwrap()))
        .collect();
    let in_order = [["orchestrator", "killed"], ["brain", "stopped"], ["watchdog", "stopped"]];
    if cfg!(windows) {
        // The two share the old launcher's console, and Ctrl-C reaches all that do.
        assert_eq!(ends[0], in_order[0], "{report:#}");
        assert!(ends[1..].contains(&in_order[1]), "{report:#}");
        let watchdog = ends[1..].iter().find(|end| end[0] == "watchdog").expect("it is told");
        assert!(["stopped", "by_itself"].contains(&watchdog[1]), "{report:#}");
    } else {
        assert_eq!(ends, in_order, "{report:#}");
    }
}

#[test]
fn an_old_launcher_is_killed_for_a_part_as_the_plan_says() {
    let Some(python) = python() else { return };
    let fleet = SampleFleet::new(tools(), &ONE);
    let old = start_old_launcher(&fleet, python);
    let part = ["--name", "BRAIN_ATLAS"];
    let planned = shutdown(&fleet, &[&["--dry-run"], &part[..]].concat());
    assert_contains(&planned, &["  1. orchestrator\n", "): killed, because when asked it ends"]);
    assert!(!planned.stdout.contains("is told"), "{planned:#?}");
    let stopped = shutdown(&fleet, &[&["--yes", "--json"], &part[..]].concat());
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    let report = stopped.json();
    assert_eq!(report["told"], json!([]), "{report:#}");
    let roles = |list: &str| -> Vec<String> {
        let list = report[list].as_array().unwrap();
        list.iter().map(|one| one["role"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(roles("plan"), ["orchestrator", "brain"], "{report:#}");
    assert_eq!(roles("results"), ["orchestrator", "brain"], "{report:#}");
    assert_eq!(report["results"][0]["outcome"], "killed", "{report:#}");
    assert_eq!(liveness(old.identity()), Liveness::Dead);
}

#[test]
fn a_busy_control_channel_is_tried_again_and_kills_no_orchestrator() {
    const CLIENTS: usize = 40;
    let fleet = SampleFleet::new(tools(), &ONE);
    let launch = launch(&fleet);
    let locks = fleet.root().join(".locks");
    let connect = || LocalStream::connect(&locks).expect("the launcher serves");
    let clients: Vec<LocalStream> = (0..CLIENTS).map(|_| connect()).collect();
    let tool = fleet.tools.tool("qc-shutdown");
    let args = ["--yes", "--name", "BRAIN_ATLAS"];
    let stop = Program::start(&tool, &args, fleet.root(), &[], |_| ());
    // It is refused, or has a place of its own; either way they go away in the end.
    std::thread::sleep(std::time::Duration::from_millis(500));
    drop(clients);
    let (ended, lines) = stop.finish();
    assert_eq!(ended.code(), 0, "{lines:#?}");
    assert_eq!(liveness(launch.identity()), Liveness::Alive, "{lines:#?}");
    let names: Vec<String> =
        fleet.processes().iter().map(|row| row["component"].as_str().unwrap().to_owned()).collect();
    assert!(!names.contains(&"BRAIN_ATLAS".to_owned()), "{names:?}");
    shutdown(&fleet, &["--yes"]);
}

#[test]
fn beside_a_copy_by_hand_each_stage_is_told_as_it_was() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let launched = launch(&fleet);
    let _copy = by_hand(&fleet, &["BRAIN_ATLAS.py"]);
    let stopped = shutdown(&fleet, &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    let at = |text: &str| {
        stopped.stdout.rfind(text).unwrap_or_else(|| panic!("no `{text}`: {stopped:#?}"))
    };
    let stages = ["Stopping brains", "Stopping watchdogs", "  WATCHDOG_ATLAS (", "Stopping orch"];
    assert!(stages.map(at).is_sorted(), "{stopped:#?}");
    assert!(!stopped.stdout.contains("by itself"), "{stopped:#?}");
    assert_eq!(launched.finish().0.code(), 0);
}

#[test]
fn a_watchdog_that_runs_it_is_obeyed_and_its_orchestrator_starts_no_brain_again() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let tool = fleet.tools.tool("qc-shutdown");
    let words = format!("await limit\nrun {} --yes", tool.display());
    fleet.script("STOPLOSS_WATCHDOG_V2.py", &words);
    let mut launch = launch(&fleet);
    fs::write(fleet.root().join("limit"), "").unwrap();
    launch.wait_for("BRAIN_ATLAS ended when asked");
    launch.wait_for("WATCHDOG_ATLAS");
    assert_eq!(liveness(launch.identity()), Liveness::Alive);
    let status = fleet.run("qc-launch", &["status", "--json"]).json();
    let components = status["components"].as_array().unwrap();
    let brain = components.iter().find(|one| one["name"] == "BRAIN_ATLAS").unwrap();
    assert_eq!(brain["state"], "stopped", "{status:#}");
    let logs = fleet.tools.tool("qc-launch");
    let args = ["logs", "WATCHDOG_ATLAS", "--follow"];
    let mut logs = Program::start(&logs, &args, fleet.root(), &[], |_| ());
    let said = logs.wait_for("does not start BRAIN_ATLAS");
    assert!(said.contains("again until `qc-launch start` asks for it"), "{said}");
    fs::remove_file(fleet.root().join("limit")).unwrap();
    shutdown(&fleet, &["--yes"]);
}

#[test]
fn what_a_watchdog_has_stopped_stays_stopped_when_its_launcher_starts_again() {
    // A name of its own: a brain of another test whose account can't be read for a moment is a finding.
    let fleet = SampleFleet::new(tools(), &[("KASTOR", 41)]);
    let tool = fleet.tools.tool("qc-shutdown");
    let words = format!("await limit\nrun {} --yes --role brain", tool.display());
    fleet.script("STOPLOSS_WATCHDOG_V2.py", &words);
    let mut launched = fleet.launch(&[], |_| ());
    launched.wait_for("started BRAIN_KASTOR");
    let brain = fleet.locks().status(&"BRAIN_KASTOR".parse().unwrap()).unwrap();
    fs::write(fleet.root().join("limit"), "").unwrap();
    let logs = fleet.tools.tool("qc-launch");
    let args = ["logs", "WATCHDOG_KASTOR", "--follow"];
    let mut logs = Program::start(&logs, &args, fleet.root(), &[], |_| ());
    logs.wait_for("No start of the launcher starts BRAIN_KASTOR");
    drop(logs);
    // The launcher goes down hard: what it knew is gone, and the computer may have started anew.
    fs::remove_file(fleet.root().join("limit")).unwrap();
    drop(launched);
    assert_eq!(shutdown(&fleet, &["--yes"]).code, 0);
    let identity = brain.and_then(|lock| lock.evidence.holder).expect("it had run");
    assert_eq!(liveness(&identity), Liveness::Dead);

    let why = "WATCHDOG_KASTOR has run qc-shutdown";
    let checked = fleet.run("qc-launch", &["check"]);
    assert_eq!(checked.code, 0, "{checked:#?}");
    assert_contains(&checked, &["BRAIN_KASTOR stays stopped", why]);
    let plan = fleet.run("qc-launch", &["--dry-run"]);
    assert_eq!(plan.code, 0, "{plan:#?}");
    assert!(!plan.stdout.contains("BRAIN_KASTOR.py"), "{plan:#?}");
    let account = fleet.account(41).to_string();
    let run = ["run", "BRAIN_KASTOR", "--account", &account, "--", "hostname"];
    let refused = fleet.run("qc-lock", &run);
    assert_eq!(refused.code, 75, "{refused:#?}");
    assert!(refused.stderr.contains("qc-launch start brain_kastor"), "{refused:#?}");

    fleet.script("STOPLOSS_WATCHDOG_V2.py", "");
    let mut again = fleet.launch(&[], |_| ());
    again.wait_for("started WATCHDOG_KASTOR");
    let status = fleet.run("qc-launch", &["status"]);
    assert_contains(&status, &["stopped", why]);
    let seen = fleet.run("qc-ps", &["--check"]);
    assert_eq!(seen.code, 3, "{seen:#?}");
    let seen = fleet.run("qc-ps", &["--check", "--allow-stopped"]);
    assert_eq!(seen.code, 0, "{seen:#?}");
    // Nor does a reload start it, by which it comes back into the config.
    let config = fs::read_to_string(fleet.root().join("MASTER_CONFIG.json")).unwrap();
    let other = config.replace("\"enabled\":true", "\"enabled\":false");
    assert_ne!(config, other);
    for (config, then) in [(other, "WATCHDOG_KASTOR ended"), (config, "started WATCHDOG_KASTOR")] {
        fleet.configure_as(&config);
        let reloaded = fleet.run("qc-launch", &["reload"]);
        assert_eq!(reloaded.code, 0, "{reloaded:#?}");
        again.wait_for(then);
    }
    assert_contains(&fleet.run("qc-launch", &["status"]), &["stopped", why]);
    assert_eq!(fleet.run("qc-launch", &["start", "BRAIN_KASTOR"]).code, 0);
    again.wait_for("started BRAIN_KASTOR");
    assert_eq!(fleet.locks().scoped_latches(), []);
    assert_eq!(shutdown(&fleet, &["--yes"]).code, 0);
}

#[test]
fn after_unlatch_a_running_launcher_restarts_a_brain_again_that_has_run_it() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let tool = fleet.tools.tool("qc-shutdown");
    fleet.script("BRAIN_ATLAS.py", "spawn ask.py\nawait crash\nexit 1");
    let ask = format!("await limit\nrun {} --yes --account ATLAS", tool.display());
    fleet.script("ask.py", &ask);
    let mut launch = launch(&fleet);
    let limit = fleet.root().join("limit");
    fs::write(&limit, "").unwrap();
    launch.wait_for("asked not to start BRAIN_ATLAS again");
    while fleet.locks().scoped_latches().len() < 2 {}
    let account = fleet.account(41).to_string();
    let run = ["run", "BRAIN_SECOND", "--account", &account, "--", "hostname"];
    let refused = fleet.run("qc-lock", &run);
    assert_eq!(refused.code, 75, "{refused:#?}");
    let unlatched = fleet.run("qc-launch", &["unlatch", "--yes"]);
    assert_contains(&unlatched, &["To trade account", "Starts are allowed again"]);
    assert_eq!(fleet.locks().scoped_latches(), []);
    fs::remove_file(&limit).unwrap();
    fs::write(fleet.root().join("crash"), "").unwrap();
    launch.wait_for("BRAIN_ATLAS ended with exit code 1; restarting");
}

#[test]
fn what_a_component_of_another_fleet_has_stopped_stays_stopped() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let other = SampleFleet::new(tools(), &[("GUARD", 43)]);
    let _launch = launch(&fleet);
    let locks = other.locks().path().display().to_string();
    let environment = [("QC_COMPONENT", "WATCHDOG_GUARD"), ("QC_COMPONENT_LOCKS", &*locks)];
    let root = fleet.root().display().to_string();
    let tool = fleet.tools.tool("qc-shutdown");
    let args = ["--yes", "--root", &root];
    let (ended, lines) = Program::start(&tool, &args, other.root(), &environment, |_| ()).finish();
    assert_eq!(ended, qc_process::Ended::Code(0), "{lines:?}");
    let checked = fleet.run("qc-launch", &["check"]);
    assert_contains(&checked, &["BRAIN_ATLAS stays stopped: WATCHDOG_GUARD has run qc-shutdown"]);
}

#[test]
fn a_brain_that_runs_it_is_obeyed_and_not_started_again_itself() {
    for (args, others) in
        [("", "stopped"), (" --keep-watchdogs", "stopped"), (" --account ATLAS", "running")]
    {
        let fleet = SampleFleet::new(tools(), &[("ATLAS", 41), ("BETA", 42)]);
        let tool = fleet.tools.tool("qc-shutdown");
        fleet.script("BRAIN_ATLAS.py", &format!("await limit\nrun {} --yes{args}", tool.display()));
        let mut launch = launch(&fleet);
        launch.wait_for("started BRAIN_BETA");
        fs::write(fleet.root().join("limit"), "").unwrap();
        launch.wait_for("BRAIN_ATLAS ended with exit code 0; it is not started again");
        let said = fleet.run("qc-launch", &["logs", "BRAIN_ATLAS"]).stdout;
        let promise = said.lines().find(|line| line.contains("does not start BRAIN_ATLAS"));
        assert!(promise.is_some_and(|it| !it.contains("quantum_server")), "{args}: {said}");
        assert!(!said.contains("Nothing that is to be stopped"), "{args}: {said}");
        let status = fleet.run("qc-launch", &["status", "--json"]).json();
        let components = status["components"].as_array().unwrap();
        let state = |name: &str| {
            let one = components.iter().find(|one| one["name"] == name);
            one.unwrap()["state"].as_str().unwrap().to_owned()
        };
        assert_eq!(state("BRAIN_ATLAS"), "stopped", "{args}: {status:#}");
        assert_eq!(state("WATCHDOG_ATLAS"), "running", "{args}: {status:#}");
        assert_eq!(state("BRAIN_BETA"), others, "{args}: {status:#}");
        let started = fleet.run("qc-launch", &["start", "BRAIN_ATLAS"]);
        assert!(started.stdout.contains("BRAIN_ATLAS runs") || started.code != 0, "{started:#?}");
        launch.wait_for("started BRAIN_ATLAS");
        shutdown(&fleet, &["--yes"]);
    }
}

#[test]
fn a_watchdog_that_starts_it_and_ends_does_not_come_again() {
    let Some(python) = python() else { return };
    for args in ["", " --account ATLAS", " --role watchdog brain"] {
        let fleet = SampleFleet::new(tools(), &ONE);
        let accounts = json!({ "ATLAS": { "account": 41, "enabled": true } });
        let command = [python.to_str().unwrap(), "STOPLOSS_WATCHDOG_V2.py", "--account", "ATLAS"];
        let components = json!({ "WATCHDOG_ATLAS": { "command": command } });
        let more = json!({ "restart_cooldown_seconds": 0.2, "components": components });
        let manager = section(&more);
        fleet.configure(&json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": manager }));
        let watchdog = format!(
            "import os, subprocess, sys, time
while True:
    time.sleep(0.05)
    if os.path.exists('limit'):
        os.remove('limit')
        out = open('report', 'w')
        subprocess.Popen([{:?}, '--yes'] + {args:?}.split(), stdout=out, stderr=out)
        sys.exit(0)
",
            fleet.tools.tool("qc-shutdown")
        );
        fs::write(fleet.root().join("STOPLOSS_WATCHDOG_V2.py"), watchdog).unwrap();
        let mut launch = launch(&fleet);
        fs::write(fleet.root().join("limit"), "").unwrap();
        launch.wait_for("BRAIN_ATLAS ended when asked");
        let is_done = || {
            let report = fs::read_to_string(fleet.root().join("report")).unwrap_or_default();
            report.contains("has stopped.").then_some(report)
        };
        let report = (0..600).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            is_done()
        });
        let report = report.expect("the command ends");
        assert!(report.contains("does not start BRAIN_ATLAS"), "{args}: {report}");
        assert!(!report.contains("by itself"), "{args}: {report}");
        // Several times its cool-down.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let status = fleet.run("qc-launch", &["status", "--json"]).json();
        for one in status["components"].as_array().unwrap() {
            let is_meant = args.is_empty() || one["role"] != "server";
            assert!(!is_meant || one["state"] == "stopped", "{args}: {status:#} {report}");
        }
        shutdown(&fleet, &["--yes"]);
    }
}

/// Starts a second program, which outlives it and runs a command.
const BETWEEN: &str = "import subprocess, sys
subprocess.Popen([sys.executable, 'late.py'] + sys.argv[1:])
";

/// Runs a command once the program that has started this one is gone for certain.
const LATE: &str = "import subprocess, sys, time
time.sleep(1)
with open('report.new', 'w') as out:
    subprocess.call(sys.argv[1:], stdout=out, stderr=out)
import os
os.rename('report.new', 'report')
";

#[test]
fn a_watchdog_whose_shell_has_ended_is_obeyed_and_spared_with_its_launcher() {
    let Some(python) = python() else { return };
    for args in ["", " --account ATLAS"] {
        let fleet = SampleFleet::new(tools(), &ONE);
        let accounts = json!({ "ATLAS": { "account": 41, "enabled": true } });
        let command = [python.to_str().unwrap(), "STOPLOSS_WATCHDOG_V2.py", "--account", "ATLAS"];
        let components = json!({ "WATCHDOG_ATLAS": { "command": command } });
        let manager = section(&json!({ "components": components }));
        fleet.configure(&json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": manager }));
        fs::write(fleet.root().join("between.py"), BETWEEN).unwrap();
        fs::write(fleet.root().join("late.py"), LATE).unwrap();
        let watchdog = format!(
            "import os, subprocess, sys, time
while True:
    time.sleep(0.05)
    if os.path.exists('limit'):
        os.remove('limit')
        subprocess.call([sys.executable, 'between.py', {:?}, '--yes'] + {args:?}.split())
",
            fleet.tools.tool("qc-shutdown")
        );
        fs::write(fleet.root().join("STOPLOSS_WATCHDOG_V2.py"), watchdog).unwrap();
        let mut launch = launch(&fleet);
        fs::write(fleet.root().join("limit"), "").unwrap();
        launch.wait_for("BRAIN_ATLAS ended when asked");
        let report = (0..600).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            fs::read_to_string(fleet.root().join("report")).ok()
        });
        let report = report.expect("the command ends");
        assert!(report.contains("does not start BRAIN_ATLAS"), "{args}: {report}");
        assert!(!report.contains("All automation has stopped."), "{args}: {report}");
        let spared = "runs on, because this command was started from it";
        let mut lines = report.lines();
        let is_spared = |line: &str| line.contains("WATCHDOG_ATLAS") && line.contains(spared);
        assert!(lines.any(is_spared), "{args}: {report}");
        assert_eq!(liveness(launch.identity()), Liveness::Alive, "{args}: {report}");
        let status = fleet.run("qc-launch", &["status", "--json"]).json();
        let components = status["components"].as_array().unwrap();
        for (name, state) in [("BRAIN_ATLAS", "stopped"), ("WATCHDOG_ATLAS", "running")] {
            let one = components.iter().find(|one| one["name"] == name).unwrap();
            assert_eq!((&one["state"], &one["restarts"]), (&json!(state), &json!(0)), "{report}");
        }
        shutdown(&fleet, &["--yes"]);
    }
}

#[test]
fn what_does_not_run_now_is_not_started_later_either() {
    let fleet = SampleFleet::new(tools(), &ONE);
    // It fails, and would be started again.
    fleet.script("BRAIN_ATLAS.py", "exit 1");
    let mut launch = launch(&fleet);
    launch.wait_for("restarting in");
    let stopped = shutdown(&fleet, &["--yes", "--name", "BRAIN_ATLAS"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    assert_contains(&stopped, &["does not start BRAIN_ATLAS again until `qc-launch start`"]);
    let status = fleet.run("qc-launch", &["status", "--json"]).json();
    let components = status["components"].as_array().unwrap();
    let brain = components.iter().find(|one| one["name"] == "BRAIN_ATLAS").unwrap();
    assert_eq!(brain["state"], "stopped", "{status:#}");
    shutdown(&fleet, &["--yes"]);
}

#[test]
fn a_brain_that_asks_keeps_its_watchdog() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let watchdog = by_hand(&fleet, &["STOPLOSS_WATCHDOG_V2.py", "--account", "ATLAS"]);
    let tool = fleet.tools.tool("qc-shutdown");
    fleet.script("BRAIN_ATLAS.py", &format!("run {} --yes", tool.display()));
    let brain = Program::start(&fleet.python(), &["BRAIN_ATLAS.py"], fleet.root(), &[], |_| ());
    let (_, lines) = brain.finish();
    let said = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(said("runs on: it protects BRAIN_ATLAS (PID "), "{lines:#?}");
    assert!(!said("All automation has stopped."), "{lines:#?}");
    assert_eq!(liveness(watchdog.identity()), Liveness::Alive, "{lines:#?}");
}

/// Starts a program under a lock of the fleet, and returns it once it runs.
fn under_lock(fleet: &SampleFleet, name: &str, program: &Path) -> Program {
    let account = fleet.account(41).to_string();
    let args = ["run", name, "--account", &account, "--", program.to_str().unwrap(), "odd"];
    let mut held = Program::start(&fleet.tools.tool("qc-lock"), &args, fleet.root(), &[], |_| ());
    held.wait_for("ready");
    held
}

#[test]
fn the_holder_of_a_brains_lock_is_stopped_before_its_watchdog_whatever_it_looks_like() {
    for args in [
        &["--yes", "--json"][..],
        &["--yes", "--json", "--account", "ATLAS"],
        &["--yes", "--json", "--name", "WATCHDOG_ATLAS"],
    ] {
        let fleet = SampleFleet::new(tools(), &ONE);
        let watchdog = by_hand(&fleet, &["STOPLOSS_WATCHDOG_V2.py", "--account", "ATLAS"]);
        let brain = under_lock(&fleet, "BRAIN_ATLAS", &fleet.tools.stand_in());
        let stopped = shutdown(&fleet, args);
        assert_eq!(stopped.code, 0, "{stopped:#?}");
        let report = stopped.json();
        let results = report["results"].as_array().unwrap();
        let ended: Vec<(&str, &str)> = results
            .iter()
            .map(|one| (one["component"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
            .collect();
        assert_eq!(ended, [("BRAIN_ATLAS", "stopped"), ("WATCHDOG_ATLAS", "stopped")], "{args:?}");
        brain.finish();
        assert_eq!(liveness(watchdog.identity()), Liveness::Dead);
    }
}

#[test]
fn a_terminal_under_a_brains_lock_is_named_and_neither_it_nor_its_watchdog_is_stopped() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let watchdog = by_hand(&fleet, &["STOPLOSS_WATCHDOG_V2.py", "--account", "ATLAS"]);
    let terminal = fleet.root().join(format!("terminal64{}", std::env::consts::EXE_SUFFIX));
    copy_program(&fleet.tools.stand_in(), &terminal);
    let held = under_lock(&fleet, "BRAIN_ATLAS", &terminal);
    for args in [&["--yes"][..], &["--yes", "--account", "ATLAS"]] {
        let stopped = shutdown(&fleet, args);
        assert_eq!(stopped.code, 1, "{stopped:#?}");
        assert_contains(
            &stopped,
            &["it is a trading terminal, which is never stopped", "it protects BRAIN_ATLAS (PID "],
        );
        assert!(!stopped.stdout.contains("has stopped."), "{stopped:#?}");
        assert_eq!(liveness(watchdog.identity()), Liveness::Alive, "{stopped:#?}");
        assert_eq!(liveness(held.identity()), Liveness::Alive, "{stopped:#?}");
    }
}

#[test]
fn a_loop_that_pauses_is_named_as_what_may_start_it_again() {
    let Some(python) = python() else { return };
    let fleet = SampleFleet::new(tools(), &ONE);
    let again = start_loop(&fleet, python, "60");
    let stopped = shutdown(&fleet, &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    let pid = again.identity().pid;
    assert_contains(
        &stopped,
        &[
            &format!("WARNING: PID {pid} ("),
            "started BRAIN_ATLAS and runs on: it may start it again",
        ],
    );
}

/// A brain that ends when it is asked, and its helper, which keeps its lock and ignores every request.
#[cfg(unix)]
const WITH_HELPER: &str = "
import subprocess, sys, time
helper = subprocess.Popen([sys.executable, 'helper.py'], close_fds=False, stdout=subprocess.PIPE)
helper.stdout.readline()
with open('helper.new', 'w') as file: file.write(str(helper.pid))
import os; os.rename('helper.new', 'helper.pid')
print('ready', flush=True)
while True: time.sleep(0.1)
";

#[cfg(unix)]
const HELPER: &str = "
import signal, time
for one in signal.SIGINT, signal.SIGTERM, signal.SIGHUP: signal.signal(one, signal.SIG_IGN)
print('ready', flush=True)
while True: time.sleep(0.1)
";

#[cfg(unix)]
#[test]
fn a_brain_that_ended_when_asked_is_not_called_killed_because_of_its_helper() {
    let Some(python) = python() else { return };
    for (tool, args) in [
        ("qc-launch", &["stop"][..]),
        ("qc-launch", &["stop", "BRAIN_ATLAS"]),
        ("qc-shutdown", &["--yes"]),
    ] {
        let fleet = SampleFleet::new(tools(), &ONE);
        let brain = json!({ "command": [python, "BRAIN_ATLAS.py"], "ready": { "log": "^ready" } });
        let more = json!({ "stop_timeout_seconds": 2, "components": { "BRAIN_ATLAS": brain } });
        fleet.configure(&json!({
            "ACCOUNTS": { "ATLAS": { "account": 41, "enabled": true } },
            "PROCESS_MANAGER": section(&more),
        }));
        fs::write(fleet.root().join("BRAIN_ATLAS.py"), WITH_HELPER).unwrap();
        fs::write(fleet.root().join("helper.py"), HELPER).unwrap();
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for("BRAIN_ATLAS is ready");
        let helper = fs::read_to_string(fleet.root().join("helper.pid")).unwrap();
        let brain = fleet.locks().list().unwrap().into_iter().find(|it| it.name == "BRAIN_ATLAS");
        let brain = brain.unwrap().pid.unwrap();
        let stopped = fleet.run(tool, args);
        assert_eq!(stopped.code, 0, "{stopped:#?}");
        let is_killed = |pid: &str| {
            let of = |line: &str| line.contains(&format!("(PID {pid})")) && line.contains("KILLED");
            stopped.stdout.lines().any(of)
        };
        assert!(!is_killed(&brain.to_string()), "{tool} {args:?}: {stopped:#?}");
        if tool == "qc-launch" {
            assert!(is_killed(&helper), "{tool} {args:?}: {stopped:#?}");
            assert_contains(&stopped, &["the helper ", "helper.py of BRAIN_ATLAS (PID "]);
        }
        shutdown(&fleet, &["--yes"]);
        let (_, lines) = launch.finish();
        let told = |line: &&String| line.contains("BRAIN_ATLAS ended when asked; ");
        let line = lines.iter().find(told).unwrap_or_else(|| panic!("{lines:#?}"));
        assert!(line.contains(&format!("helper.py (PID {helper})")), "{line}");
        assert!(!lines.iter().any(|line| line.contains("BRAIN_ATLAS was KILLED")), "{lines:#?}");
    }
}

#[test]
fn what_the_launcher_has_ended_as_left_over_was_asked() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("quantum_server.py", "spawn engine.py\nsleep 500\nexit 0");
    fleet.script("engine.py", "");
    let account = json!({ "ATLAS": { "account": 41, "enabled": true } });
    let server = json!({ "restart": { "when": "on-failure" } });
    let more = json!({ "components": { "quantum_server": server } });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&more) }));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("quantum_server has finished");
    launch.wait_for("started BRAIN_ATLAS");
    let stopped = shutdown(&fleet, &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    assert_contains(&stopped, &["quantum_server has left ", " engine.py (PID "]);
    assert!(!stopped.stdout.contains("ended by itself"), "{stopped:#?}");
    assert_eq!(stopped.stdout.matches("ended when asked").count(), 4, "{stopped:#?}");
}

#[test]
fn a_suspended_process_that_was_killed_is_said_to_have_been_suspended() {
    for is_launched in [true, false] {
        let fleet = SampleFleet::new(tools(), &ONE);
        let account = json!({ "ATLAS": { "account": 41, "enabled": true } });
        let more = section(&json!({ "stop_timeout_seconds": 1 }));
        fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": more }));
        let (_running, brain) = match is_launched {
            true => {
                let launch = launch(&fleet);
                let record = fleet.locks().record(&"BRAIN_ATLAS".parse().unwrap()).unwrap();
                (launch, record.identity())
            }
            false => {
                let brain = by_hand(&fleet, &["BRAIN_ATLAS.py"]);
                let identity = brain.identity().clone();
                (brain, identity)
            }
        };
        if !suspend(&brain) {
            return cannot_test("a suspended brain", "nothing here suspends a process");
        }
        if !await_suspended(&brain) {
            return;
        }
        let stopped = shutdown(&fleet, &["--yes"]);
        assert_eq!(stopped.code, 0, "{stopped:#?}");
        assert_contains(&stopped, &["it could not be asked: it was suspended"]);
        assert_eq!(liveness(&brain), Liveness::Dead);
    }
}

/// Windows deletes no folder with guards in it.
#[cfg(unix)]
#[test]
fn a_launcher_without_its_locks_runs_on_and_starts_nothing_again() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let mut launch = launch(&fleet);
    let brain = fleet.locks().record(&"BRAIN_ATLAS".parse().unwrap()).unwrap().identity();
    fs::remove_dir_all(fleet.locks().path()).unwrap();
    let stopped = shutdown(&fleet, &["--yes", "--account", "ATLAS"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    let pid = launch.identity().pid;
    assert_contains(
        &stopped,
        &[
            &format!("MASTER_LAUNCH (PID {pid}) runs on without its lock and can't be told"),
            "No start of the launcher starts BRAIN_ATLAS",
        ],
    );
    launch.wait_for("GAVE UP BRAIN_ATLAS");
    assert_eq!(liveness(&brain), Liveness::Dead);
    assert_eq!(liveness(launch.identity()), Liveness::Alive);
    let all = shutdown(&fleet, &["--yes"]);
    assert_eq!(all.code, 0, "{all:#?}");
    assert_eq!(liveness(launch.identity()), Liveness::Dead);
}

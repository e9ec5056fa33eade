//! The programs that a run of a component has left behind are ended before the next one starts: a
//! helper may keep the lock, a worker may trade.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use qc_process::{Identity, LOCKS_ARE_INHERITED, Liveness, Process, list, liveness, wait_any};
use qc_tests::{Program, SampleFleet, run, section};
use serde_json::{Value, json};

use crate::tools;

#[cfg(unix)]
mod released;

/// A fleet of one brain, which comes back at once.
fn fleet(script: &str) -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[("LARISSA", 31)]);
    let account = json!({ "LARISSA": { "account": 31, "enabled": true } });
    let more = json!({ "restart_cooldown_seconds": 0, "stop_timeout_seconds": 1 });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&more) }));
    fleet.script("BRAIN_LARISSA.py", script);
    fleet
}

/// A fleet whose brain is a script of a real Python; `None` without one.
fn with_brain(script: &str) -> Option<SampleFleet> {
    let python = qc_tests::python()?;
    let fleet = fleet("");
    let account = json!({ "LARISSA": { "account": 31, "enabled": true } });
    let brain = json!({ "command": [python, "BRAIN_LARISSA.py"] });
    let more = json!({ "restart_cooldown_seconds": 0, "components": { "BRAIN_LARISSA": brain } });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&more) }));
    std::fs::write(fleet.root().join("BRAIN_LARISSA.py"), script).unwrap();
    Some(fleet)
}

/// The same with a brain that starts `worker.py`.
fn with_worker(brain: &str, worker: &str) -> Option<SampleFleet> {
    let fleet = with_brain(brain)?;
    std::fs::write(fleet.root().join("worker.py"), worker).unwrap();
    Some(fleet)
}

/// Starts the fleet, and returns the brain that runs and what it has started, once both do.
fn launched(fleet: &SampleFleet, helper: &str) -> (Program, Identity, Identity) {
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_LARISSA");
    let helper = awaited(fleet, helper);
    (launch, brain(fleet), helper)
}

/// Returns the process that works in the fleet's folder and was called with this word.
fn find(fleet: &SampleFleet, word: &str) -> Option<Identity> {
    let root = std::fs::canonicalize(fleet.root()).unwrap();
    let is_here = |path: &Path| std::fs::canonicalize(path).is_ok_and(|it| it.starts_with(&root));
    let listing = list().unwrap();
    let mut processes = listing.processes.into_iter().filter(|one| {
        one.current_dir.as_deref().is_some_and(is_here)
            && one.args.iter().take(2).any(|it| it.rsplit(['/', '\\']).next() == Some(word))
    });
    processes.next().map(|one| one.identity)
}

fn awaited(fleet: &SampleFleet, word: &str) -> Identity {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match find(fleet, word) {
            Some(found) => return found,
            None => assert!(Instant::now() < deadline, "{word} does not run"),
        }
    }
}

/// Returns the brain that holds its lock.
fn brain(fleet: &SampleFleet) -> Identity {
    let record = fleet.locks().record(&"BRAIN_LARISSA".parse().unwrap());
    record.expect("the brain holds its lock").identity()
}

/// Waits until a living process holds a lock, and returns it.
#[cfg(unix)]
fn held(fleet: &SampleFleet, name: &str) -> Identity {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let record = fleet.locks().record(&name.parse().unwrap());
        // A wrapper names itself until it has started its program.
        match record.filter(|record| record.wrapper_pid.is_some_and(|it| it != record.pid)) {
            Some(record) => return record.identity(),
            None => assert!(Instant::now() < deadline, "nothing holds {name}"),
        }
    }
}

fn kill(process: &Identity) {
    let process = Process::open(process).unwrap().expect("it runs");
    process.kill().unwrap();
    assert_eq!(wait_any(&[&process], Duration::from_secs(10)).unwrap(), [0]);
}

fn is_alive(process: &Identity) -> bool {
    liveness(process) == Liveness::Alive
}

fn status(fleet: &SampleFleet) -> Value {
    let status = fleet.run("qc-launch", &["status", "--json"]).json();
    let components = status["components"].as_array().expect("a list");
    components.iter().find(|one| one["name"] == "BRAIN_LARISSA").expect("it is known").clone()
}

/// The name that the copies of the stand-in have here.
fn program(name: &str) -> String {
    if cfg!(windows) { format!("{name}.exe") } else { name.into() }
}

#[test]
fn a_helper_that_keeps_the_lock_of_a_crashed_brain_is_ended_and_the_brain_comes_back() {
    let name = program("log-shipper");
    let fleet = fleet(&format!("start {name}"));
    let (mut launch, first, helper) = launched(&fleet, &name);
    kill(&first);
    if !LOCKS_ARE_INHERITED {
        launch.wait_for("started BRAIN_LARISSA");
        assert!(is_alive(&helper), "it holds nothing and trades nothing");
        return;
    }
    let pid = helper.pid;
    launch.wait_for(&format!("BRAIN_LARISSA has left {name} (PID {pid}) behind, which is asked"));
    launch.wait_for(&format!("{name} (PID {pid}), left behind by BRAIN_LARISSA, ended when asked"));
    launch.wait_for("started BRAIN_LARISSA");
    assert!(!is_alive(&helper));
    assert_eq!(status(&fleet)["restarts"], 1);
    let history = fleet.locks().history().unwrap().entries;
    let is_its_end = |one: &qc_lock_core::Entry| {
        one.pid == Some(pid) && one.event == qc_lock_core::Event::Stopped
    };
    assert!(history.iter().any(is_its_end), "{history:#?}");
}

#[test]
fn a_worker_that_does_not_listen_is_killed_before_the_brain_comes_back() {
    let fleet = fleet("spawn engine.py");
    fleet.script("engine.py", "ignore stop");
    let (mut launch, first, engine) = launched(&fleet, "engine.py");
    kill(&first);
    let pid = engine.pid;
    launch.wait_for(&format!("engine.py (PID {pid}) behind, which is asked to stop"));
    launch.wait_for(&format!("engine.py (PID {pid}), left behind by BRAIN_LARISSA, was KILLED"));
    launch.wait_for("started BRAIN_LARISSA");
    assert!(!is_alive(&engine));
}

#[test]
fn a_worker_of_a_brain_that_has_ended_well_is_ended_when_the_brain_is_started_again() {
    let fleet = fleet("spawn engine.py\nsleep 500\nexit 0");
    fleet.script("engine.py", "");
    let account = json!({ "LARISSA": { "account": 31, "enabled": true } });
    let more =
        json!({ "components": { "BRAIN_LARISSA": { "restart": { "when": "on-failure" } } } });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&more) }));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("BRAIN_LARISSA has finished");
    let engine = awaited(&fleet, "engine.py");
    fleet.script("BRAIN_LARISSA.py", "");
    assert_eq!(fleet.run("qc-launch", &["start", "BRAIN_LARISSA"]).code, 0);
    launch.wait_for(&format!("engine.py (PID {}), left behind by BRAIN_LARISSA", engine.pid));
    assert!(!is_alive(&engine));
    assert!(is_alive(&brain(&fleet)));
}

#[test]
fn what_an_earlier_fleet_has_left_behind_is_ended_at_the_first_start() {
    let fleet = fleet("spawn engine.py");
    fleet.script("engine.py", "");
    let (launch, first, engine) = launched(&fleet, "engine.py");
    launch.kill();
    let _ = launch.finish();
    // On Windows it has ended with its wrapper, which has ended with the launcher.
    if is_alive(&first) {
        kill(&first);
    }
    assert!(is_alive(&engine));
    fleet.script("BRAIN_LARISSA.py", "");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for(&format!("engine.py (PID {}), left behind by BRAIN_LARISSA", engine.pid));
    launch.wait_for("started BRAIN_LARISSA");
    assert!(!is_alive(&engine));
}

#[test]
fn a_terminal_that_has_inherited_the_lock_is_never_ended_and_blocks_the_brain_until_it_ends() {
    let name = program("terminal64");
    let fleet = fleet(&format!("start {name}"));
    let (mut launch, first, terminal) = launched(&fleet, &name);
    kill(&first);
    if LOCKS_ARE_INHERITED {
        let pid = terminal.pid;
        let why = format!("its lock is kept open by {name} (PID {pid}), a trading terminal");
        launch.wait_for(&format!("BLOCKED BRAIN_LARISSA: {why}, which is never stopped"));
        let brain = status(&fleet);
        assert_eq!(brain["state"], "blocked", "{brain:#}");
        assert!(brain["detail"].as_str().unwrap().contains(&why), "{brain:#}");
        assert!(is_alive(&terminal));
        // Nothing of qc ends it.
        assert_eq!(run(Command::new("kill").args(["-9", &pid.to_string()]), "").code, 0);
    }
    launch.wait_for("started BRAIN_LARISSA");
    assert_eq!(is_alive(&terminal), !LOCKS_ARE_INHERITED);
}

#[test]
fn a_copy_of_another_component_is_not_ended_and_blocks_only_what_it_keeps_open() {
    let fleet = fleet("spawn BRAIN_DESPINA.py");
    fleet.script("BRAIN_DESPINA.py", "");
    let (mut launch, first, copy) = launched(&fleet, "BRAIN_DESPINA.py");
    kill(&first);
    if LOCKS_ARE_INHERITED {
        launch.wait_for("BLOCKED BRAIN_LARISSA: its lock is kept open by ");
        assert!(is_alive(&copy));
        kill(&copy);
    }
    launch.wait_for("started BRAIN_LARISSA");
    assert_eq!(is_alive(&copy), !LOCKS_ARE_INHERITED);
}

/// Makes a lock whose holder has ended while a copy of the stand-in with this name has it open.
#[cfg(unix)]
fn left_open(fleet: &SampleFleet, name: &str) -> Identity {
    std::fs::copy(fleet.tools.stand_in(), fleet.root().join(name)).unwrap();
    let account = fleet.account(31).to_string();
    let args = ["run", "BRAIN_LARISSA", "--account", &account, "--", "sh", "-c"];
    let words = [&args[..], &["\"./$0\" & exec sleep 300", name]].concat();
    let wrapper = Program::start(&fleet.tools.tool("qc-lock"), &words, fleet.root(), &[], |_| ());
    let helper = awaited(fleet, name);
    let holder = brain(fleet);
    wrapper.kill();
    kill(&holder);
    helper
}

#[cfg(unix)]
#[test]
fn what_keeps_a_lock_open_is_named_with_the_command_that_ends_it() {
    let fleet = fleet("");
    let helper = left_open(&fleet, "log-shipper");
    let open = format!("PID {} (log-shipper)", helper.pid);
    let command =
        "`qc-lock release-left BRAIN_LARISSA` shows what that is and ends what it may end";
    let account = fleet.account(31).to_string();
    let run = ["run", "BRAIN_LARISSA", "--account", &account, "--", "never-run"];
    let refused = fleet.run("qc-lock", &run);
    assert_eq!(refused.code, 75, "{refused:?}");
    for shown in [
        refused.stderr,
        fleet.run("qc-lock", &["status", "BRAIN_LARISSA"]).stdout,
        fleet.run("qc-lock", &["list"]).stdout,
        fleet.run("qc-ps", &[]).stdout,
    ] {
        assert!(shown.contains(&open) && shown.contains(command), "{shown}");
    }
    let locks = fleet.run("qc-lock", &["list", "--json"]).json();
    assert_eq!(locks["locks"][0]["open_in"][0]["pid"], helper.pid, "{locks:#}");

    let other = fleet.elsewhere(&[("LARISSA", 31)]);
    let refused = other.run("qc-lock", &run);
    assert_eq!(refused.code, 75, "{refused:?}");
    let there = "`qc-lock release-left BRAIN_LARISSA --root ";
    assert!(refused.stderr.contains(&open) && refused.stderr.contains(there), "{refused:?}");
    let machine = fleet.run("qc-lock", &["list", "--machine"]).stdout;
    assert!(machine.contains(&format!("{} (log-shipper)", helper.pid)), "{machine}");
    assert!(is_alive(&helper));
}

#[cfg(unix)]
#[test]
fn what_keeps_a_lock_open_is_ended_when_that_is_confirmed() {
    let fleet = fleet("");
    let helper = left_open(&fleet, "log-shipper");
    let release = ["release-left", "BRAIN_LARISSA"];
    let unasked = fleet.run("qc-lock", &release);
    assert_eq!(unasked.code, 2, "{unasked:?}");
    assert!(unasked.stderr.contains("--yes"), "{unasked:?}");
    assert!(is_alive(&helper));
    let released = fleet.run("qc-lock", &[&release[..], &["--yes"]].concat());
    assert_eq!(released.code, 0, "{released:?}");
    let ended = format!("log-shipper (PID {}) ended when asked", helper.pid);
    assert!(released.stdout.contains(&ended), "{released:?}");
    assert!(!is_alive(&helper));
    let history = fleet.run("qc-lock", &["history"]).stdout;
    let written = history.lines().find(|line| line.contains("kept the lock open"));
    assert!(written.is_some_and(|line| line.contains("[qc-lock ")), "{history}");
    let again = fleet.run("qc-lock", &release);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("is not kept open"), "{again:?}");
    let again = fleet.run("qc-lock", &[&release[..], &["--json"]].concat());
    let answer = "{\n  \"version\": 1,\n  \"name\": \"BRAIN_LARISSA\",\n  \"left\": [],\n  \
                  \"goes_on\": []\n}\n";
    assert_eq!(again.stdout.replace('\r', ""), answer);
    let free = fleet.run("qc-lock", &["run", "BRAIN_LARISSA", "--", "never-run"]);
    assert_eq!(free.code, 127, "the lock is free, and there is no such program: {free:?}");
}

#[cfg(unix)]
#[test]
fn what_keeps_a_lock_open_is_ended_beside_a_launcher_that_waits_for_the_lock() {
    let fleet = fleet("");
    let helper = left_open(&fleet, "log-shipper");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("BLOCKED BRAIN_LARISSA: its lock is kept open by");
    let released = fleet.run("qc-lock", &["release-left", "BRAIN_LARISSA", "--yes"]);
    assert_eq!(released.code, 0, "{released:?}");
    launch.wait_for("started BRAIN_LARISSA");
    assert!(!is_alive(&helper) && is_alive(&brain(&fleet)));
}

#[cfg(unix)]
#[test]
fn a_living_holder_of_the_same_account_is_never_ended_as_what_keeps_it_open() {
    for elsewhere in [false, true] {
        let fleet = fleet("");
        let other = SampleFleet::new(tools(), &[("LARISSA", 31)]);
        let account = fleet.account(31).to_string();
        let place = if elsewhere { other.root() } else { fleet.root() };
        // The brain has ended without a word, and another program trades its account.
        let lock = fleet.tools.tool("qc-lock");
        let run = |name: &str, root: &Path| {
            let words = ["run", name, "--account", &account, "--", "sleep", "300"];
            Program::start(&lock, &words, root, &[], |_| ())
        };
        let first = run("BRAIN_LARISSA", fleet.root());
        let dead = held(&fleet, "BRAIN_LARISSA");
        first.kill();
        kill(&dead);
        let wrapper = run("TRADER", place);
        let trader = held(if elsewhere { &other } else { &fleet }, "TRADER");
        wrapper.kill();
        let refused = fleet.run("qc-lock", &["release-left", "BRAIN_LARISSA", "--yes"]);
        assert!(is_alive(&trader), "{refused:?}");
        assert!(!refused.stdout.contains("ended when asked"), "{refused:?}");
        let stopped = fleet.run("qc-shutdown", &["--name", "BRAIN_LARISSA", "--yes"]);
        assert!(is_alive(&trader), "{stopped:?}");
        kill(&trader);
    }
}

#[cfg(unix)]
#[test]
fn a_terminal_that_keeps_a_lock_open_is_not_ended() {
    let fleet = fleet("");
    let terminal = left_open(&fleet, "terminal64");
    let kept = fleet.run("qc-lock", &["release-left", "BRAIN_LARISSA", "--yes"]);
    assert_eq!(kept.code, 1, "{kept:?}");
    assert!(kept.stdout.contains("a trading terminal, which is never ended"), "{kept:?}");
    assert!(is_alive(&terminal));
    run(Command::new("kill").args(["-9", &terminal.pid.to_string()]), "");
}

/// On Windows no process inherits a lock.
#[cfg(unix)]
#[test]
fn a_stop_names_the_terminal_that_still_keeps_the_lock() {
    let fleet = fleet("start terminal64");
    let (_launch, _, terminal) = launched(&fleet, "terminal64");
    let stop = || fleet.run("qc-launch", &["stop", "BRAIN_LARISSA"]);
    let stopped = stop();
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let said = format!("PID {} (terminal64) keeps it open", terminal.pid);
    assert!(stopped.stdout.contains("lock BRAIN_LARISSA is not free"), "{stopped:?}");
    assert!(stopped.stdout.contains(&said), "{stopped:?}");
    assert!(is_alive(&terminal));
    run(Command::new("kill").args(["-9", &terminal.pid.to_string()]), "");
    let again = stop();
    assert!(!again.stdout.contains("is not free"), "{again:?}");
    let lock = fleet.locks().status(&"BRAIN_LARISSA".parse().unwrap()).unwrap();
    assert_eq!(lock, None, "{again:?}");
}

#[test]
fn a_living_holder_is_not_ended() {
    let fleet = fleet("");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_LARISSA");
    let holder = brain(&fleet);
    let refused = fleet.run("qc-lock", &["release-left", "BRAIN_LARISSA", "--yes"]);
    assert_eq!(refused.code, 75, "{refused:?}");
    assert!(refused.stderr.contains(&format!("PID {}, which lives", holder.pid)), "{refused:?}");
    assert!(is_alive(&holder));
}

/// A fleet whose brain has ended well and has left a worker behind.
fn finished(script: &str) -> (SampleFleet, Program, Identity) {
    let fleet = fleet(script);
    fleet.script("engine.py", "");
    let account = json!({ "LARISSA": { "account": 31, "enabled": true } });
    let brain = json!({ "restart": { "when": "on-failure" } });
    let more = json!({ "components": { "BRAIN_LARISSA": brain } });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&more) }));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("BRAIN_LARISSA has finished");
    let engine = awaited(&fleet, "engine.py");
    (fleet, launch, engine)
}

#[test]
fn a_shutdown_names_and_stops_what_components_have_left_behind() {
    let (fleet, launch, engine) = finished("spawn engine.py\nsleep 500\nexit 0");
    let (pid, named) = (engine.pid, "WARNING: BRAIN_LARISSA has left ");
    let dry = fleet.run("qc-shutdown", &["--dry-run"]);
    let text = format!("engine.py (PID {pid}) behind, which is stopped, too");
    assert!(dry.stdout.contains(named) && dry.stdout.contains(&text), "{dry:?}");
    assert!(is_alive(&engine));
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stdout.contains(&text), "{stopped:?}");
    assert!(!is_alive(&engine));
    let _ = launch.finish();
}

#[test]
fn a_shutdown_of_a_part_stops_what_that_has_left_behind_and_nothing_else() {
    let (fleet, _launch, engine) = finished("spawn engine.py\nsleep 500\nexit 0");
    let other = fleet.run("qc-shutdown", &["--yes", "--name", "WATCHDOG_LARISSA"]);
    assert_eq!(other.code, 0, "{other:?}");
    assert!(is_alive(&engine));
    let stopped = fleet.run("qc-shutdown", &["--yes", "--name", "BRAIN_LARISSA"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(!is_alive(&engine));
}

#[test]
fn a_launcher_that_stops_ends_what_its_components_have_left_behind() {
    let (fleet, mut launch, engine) = finished("spawn engine.py\nsleep 500\nexit 0");
    launch.ask_to_stop(&fleet.tools);
    launch.wait_for(&format!("engine.py (PID {}), left behind by BRAIN_LARISSA", engine.pid));
    let (_, lines) = launch.finish();
    assert!(!is_alive(&engine), "{lines:?}");
}

/// A fleet whose brain starts a worker through a program that ends at once.
fn with_orphan(worker: &str) -> SampleFleet {
    let fleet = fleet("spawn starter.py");
    fleet.script("starter.py", "detach engine.py\nexit 0");
    fleet.script("engine.py", worker);
    fleet
}

#[test]
fn a_stop_by_name_ends_what_the_last_run_of_the_component_has_left_behind() {
    let fleet = with_orphan("ignore stop");
    let (_launch, first, engine) = launched(&fleet, "engine.py");
    let stopped = fleet.run("qc-launch", &["stop", "BRAIN_LARISSA"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let named = format!("engine.py (PID {}) behind", engine.pid);
    let killed = format!("(PID {}, left behind by its last run) was KILLED", engine.pid);
    for text in [named, killed, "BRAIN_LARISSA does not run".into()] {
        assert!(stopped.stdout.contains(&text), "no `{text}`: {stopped:?}");
    }
    assert!(!is_alive(&first) && !is_alive(&engine));
}

#[test]
fn a_stop_of_its_watchdog_ends_what_a_brain_has_left_behind_before_the_watchdog() {
    let fleet = with_orphan("");
    let (launch, _first, engine) = launched(&fleet, "engine.py");
    let watchdog = fleet.locks().record(&"WATCHDOG_LARISSA".parse().unwrap()).unwrap().identity();
    let stopped = fleet.run("qc-launch", &["stop", "WATCHDOG_LARISSA"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let place = |text: &str| stopped.stdout.find(text).unwrap_or_else(|| panic!("{stopped:?}"));
    let ended = place(&format!("(PID {}, left behind by its last run) ", engine.pid));
    assert!(ended < place("WATCHDOG_LARISSA does not run"), "{stopped:?}");
    assert!(!is_alive(&engine) && !is_alive(&watchdog));
    let (_, lines) = {
        launch.ask_to_stop(&fleet.tools);
        launch.finish()
    };
    let line = |text: &str| lines.iter().position(|line| line.contains(text));
    assert!(
        line("BRAIN_LARISSA ended when asked") < line("WATCHDOG_LARISSA ended when asked"),
        "{lines:?}"
    );
}

#[test]
fn a_stop_by_name_ends_what_a_component_has_left_behind_that_does_not_run() {
    let (fleet, _launch, engine) = finished("detach engine.py\nsleep 500\nexit 0");
    let stopped = fleet.run("qc-launch", &["stop", "BRAIN_LARISSA"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(!is_alive(&engine), "{stopped:?}");
}

#[test]
fn a_reload_that_disables_an_account_ends_what_its_brain_has_left_behind() {
    let fleet = with_orphan("");
    let (mut launch, first, engine) = launched(&fleet, "engine.py");
    let account = json!({ "LARISSA": { "account": 31, "enabled": false } });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&json!({})) }));
    let reloaded = fleet.run("qc-launch", &["reload"]);
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    let pid = engine.pid;
    // On Windows it has no console by which it could be asked.
    launch.wait_for(&format!("engine.py (PID {pid}), left behind by BRAIN_LARISSA, "));
    assert!(!is_alive(&first) && !is_alive(&engine));
}

/// A brain that becomes a daemon and closes all that it has inherited, the lock with it.
#[cfg(unix)]
const DAEMON: &str = "
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.closerange(0, 256)
open('daemon-%d' % os.getpid(), 'w').close()
while True: time.sleep(0.1)
";

#[cfg(unix)]
#[test]
fn a_brain_that_becomes_a_daemon_without_its_lock_runs_once_and_is_stopped_with_the_fleet() {
    let Some(fleet) = with_brain(DAEMON) else { return };
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_LARISSA");
    let daemon = await_daemon(&fleet);
    // Its parents may have been in the way before.
    let pid = daemon.pid.to_string();
    launch.wait_until("the daemon blocks it", |line| {
        // Beside it, its parent may still be seen.
        line.contains("BLOCKED BRAIN_LARISSA: another copy runs") && line.contains(&pid)
    });
    let stopped = fleet.run("qc-shutdown", &["--yes", "--timeout", "3s"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(!is_alive(&daemon), "{stopped:?}");
    assert!(find(&fleet, "BRAIN_LARISSA.py").is_none());
    assert_eq!(daemons(&fleet).len(), 1, "it ran more than once");
}

/// A brain that becomes a daemon as libraries make one: nothing open, a title over its command line, no
/// variables, a session that is not its launcher's.
#[cfg(unix)]
const HIDDEN_DAEMON: &str = "
import ctypes, os, sys, time
if os.fork():
    while not any(it.startswith('daemon-') for it in os.listdir(FOLDER)): time.sleep(0.02)
    os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.chdir('/')
os.closerange(0, 4096)
begin, end = [int(it) for it in open('/proc/self/stat').read().rsplit(')', 1)[1].split()[45:49:3]]
title = TITLE[:end - begin - 1]
ctypes.memset(begin, 0, end - begin)
ctypes.memmove(begin, title, len(title))
with open(os.path.join(FOLDER, 'daemon-%d' % os.getpid()), 'w'): pass
while True: time.sleep(0.1)
";

#[cfg(unix)]
fn hidden_daemon(fleet: &SampleFleet, title: &str) {
    let Some(python) = qc_tests::python() else { return };
    let account = json!({ "LARISSA": { "account": 31, "enabled": true } });
    let brain = json!({ "command": [python, "BRAIN_LARISSA.py"] });
    let more = json!({ "restart_cooldown_seconds": 0, "components": { "BRAIN_LARISSA": brain } });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&more) }));
    let folder = format!("FOLDER = {:?}\nTITLE = b'{title}'\n", fleet.root().to_str().unwrap());
    std::fs::write(fleet.root().join("BRAIN_LARISSA.py"), folder + HIDDEN_DAEMON).unwrap();
}

/// Windows programs don't fork, and can't change their command lines.
#[cfg(unix)]
#[test]
fn a_daemon_without_files_variables_and_command_line_runs_once_and_is_stopped_with_the_fleet() {
    if qc_tests::python().is_none() {
        return;
    }
    // A short title leaves empty words behind it; a long one leaves none.
    for title in ["t", "trades the first account all day and all night long, with no end"] {
        let fleet = fleet("");
        hidden_daemon(&fleet, title);
        let mut launch = fleet.launch(&[], |_| ());
        let daemon = await_daemon(&fleet);
        assert!(qc_process::inspect::variables_of(daemon.pid, ["QC_COMPONENT"]).is_none());
        let pid = format!("(PID {})", daemon.pid);
        launch.wait_until("the daemon blocks it", |line| {
            line.contains("BLOCKED BRAIN_LARISSA: its last run goes on as ") && line.contains(&pid)
        });
        // Other programs know it, too.
        launch.kill();
        let _ = launch.finish();
        let shown = fleet.run("qc-ps", &[]);
        let goes_on = "the last run of BRAIN_LARISSA goes on as ";
        assert!(shown.stdout.contains(goes_on) && shown.stdout.contains(&pid), "{shown:?}");
        let checked = fleet.run("qc-launch", &["check"]);
        assert!(checked.stdout.contains(goes_on) && checked.code == 2, "{checked:?}");
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_until("the daemon blocks it again", |line| {
            line.contains("BLOCKED BRAIN_LARISSA: its last run goes on as ") && line.contains(&pid)
        });
        let stopped = fleet.run("qc-shutdown", &["--yes", "--timeout", "3s"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        assert!(!is_alive(&daemon), "{stopped:?}");
        assert_eq!(daemons(&fleet).len(), 1, "it ran more than once");
    }
}

/// A brain that starts a worker without its variables, and without anything that it has open.
#[cfg(unix)]
const CLEAN: &str = "
import os, subprocess, sys, time
subprocess.Popen([sys.executable, 'worker.py'], env={'X': '1'}, process_group=0) \\
    if sys.version_info >= (3, 11) else \\
    subprocess.Popen([sys.executable, 'worker.py'], env={'X': '1'}, preexec_fn=os.setpgrp)
while True: time.sleep(0.1)
";

const WORKER: &str = "
import os, time
open('daemon-%d' % os.getpid(), 'w').close()
while True: time.sleep(0.1)
";

/// Windows has no sessions; the worker without variables below is known there.
#[cfg(unix)]
#[test]
fn a_worker_of_a_crashed_brains_session_is_ended_whatever_its_environment() {
    let Some(fleet) = with_worker(CLEAN, WORKER) else { return };
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_LARISSA");
    let worker = await_daemon(&fleet);
    kill(&brain(&fleet));
    launch.wait_for(&format!("worker.py (PID {}), left behind by BRAIN_LARISSA", worker.pid));
    launch.wait_for("started BRAIN_LARISSA");
    assert!(!is_alive(&worker));
}

/// A brain that starts a worker without its variables and files, and outside of its session. A Python on
/// Windows does not start without the one variable.
const APART: &str = "
import os, subprocess, sys, time
env = {name: value for name, value in os.environ.items() if name.upper() == 'SYSTEMROOT'}
nothing = subprocess.DEVNULL
subprocess.Popen([sys.executable, 'worker.py'], env=env, start_new_session=True,
    stdin=nothing, stdout=nothing, stderr=nothing)
while True: time.sleep(0.1)
";

#[test]
fn a_worker_without_variables_is_known_after_a_crash_of_the_launcher_and_stopped_with_the_fleet() {
    let Some(fleet) = with_worker(APART, WORKER) else { return };
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_LARISSA");
    let (first, worker) = (brain(&fleet), await_daemon(&fleet));
    assert!(qc_process::inspect::variables_of(worker.pid, ["QC_COMPONENT"]).is_none());
    launch.kill();
    let _ = launch.finish();
    // On Windows it has ended with its wrapper, which has ended with the launcher.
    if is_alive(&first) {
        kill(&first);
    }
    let left = format!("worker.py (PID {})", worker.pid);
    let other = fleet.run("qc-shutdown", &["--dry-run", "--name", "WATCHDOG_LARISSA"]);
    assert!(!other.stdout.contains(&left), "{other:?}");
    let dry = fleet.run("qc-shutdown", &["--dry-run"]);
    assert!(dry.stdout.contains(&left), "{dry:?}");
    let behind = format!("{left} behind, which goes on");
    let shown = fleet.run("qc-ps", &[]);
    let way_out = "`qc-shutdown --name BRAIN_LARISSA` stops it";
    assert!(shown.stdout.contains(&behind) && shown.stdout.contains(way_out), "{shown:?}");
    let findings = fleet.run("qc-ps", &["--json"]).json()["findings"].clone();
    let is_it = |one: &Value| one["kind"] == "left-over" && one["pids"] == json!([worker.pid]);
    assert!(findings.as_array().unwrap().iter().any(is_it), "{findings:#}");
    let checked = fleet.run("qc-launch", &["check"]);
    assert!(checked.stdout.contains(&left), "{checked:?}");
    assert!(is_alive(&worker));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for(&format!("{left}, left behind by BRAIN_LARISSA"));
    launch.wait_for("started BRAIN_LARISSA");
    assert!(!is_alive(&worker));
    let stopped = fleet.run("qc-shutdown", &["--yes", "--timeout", "3s"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let _ = launch.finish();
    let shown = fleet.run("qc-ps", &[]);
    assert!(!shown.stdout.contains("behind"), "{shown:?}");
}

#[test]
fn a_worker_without_variables_in_a_session_of_its_own_is_ended_before_the_brain_comes_back() {
    let Some(fleet) = with_worker(APART, WORKER) else { return };
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_LARISSA");
    let worker = await_daemon(&fleet);
    kill(&brain(&fleet));
    launch.wait_for(&format!("worker.py (PID {}), left behind by BRAIN_LARISSA", worker.pid));
    launch.wait_for("started BRAIN_LARISSA");
    assert!(!is_alive(&worker));
}

/// A worker that starts another one of itself when it is asked to stop.
#[cfg(unix)]
const HYDRA: &str = "
import os, signal, time
def again(*_):
    if os.fork(): os._exit(0)
signal.signal(signal.SIGTERM, again)
open('daemon-%d' % os.getpid(), 'w').close()
while True: time.sleep(0.05)
";

/// Windows programs don't fork.
#[cfg(unix)]
#[test]
fn a_worker_that_starts_itself_again_when_it_is_asked_is_killed_the_second_time() {
    let Some(fleet) = with_worker(CLEAN, HYDRA) else { return };
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_LARISSA");
    let worker = await_daemon(&fleet);
    kill(&brain(&fleet));
    launch.wait_for(&format!("worker.py (PID {}) behind, which is asked to stop", worker.pid));
    launch.wait_for("behind, which comes again, and is killed");
    launch.wait_for("was KILLED");
    launch.wait_for("started BRAIN_LARISSA");
}

/// Windows lets no folder be moved that a process works in.
#[cfg(unix)]
#[test]
fn a_worker_is_known_in_its_moved_folder_and_not_by_a_copy_in_the_old_place() {
    let fleet = with_orphan("");
    let (launch, first, engine) = launched(&fleet, "engine.py");
    launch.kill();
    let _ = launch.finish();
    kill(&first);
    let (root, moved) = (fleet.root(), fleet.root().with_extension("moved"));
    std::fs::rename(root, &moved).unwrap();
    let copied = Command::new("cp").arg("-a").arg(&moved).arg(root).status().unwrap();
    assert!(copied.success());
    let shutdown = |root: &Path| {
        let root = root.to_str().unwrap();
        fleet.tools.run("qc-shutdown", &["--yes", "--root", root], Path::new("/"), "")
    };
    let copy = shutdown(root);
    assert!(is_alive(&engine), "{copy:?}");
    let own = shutdown(&moved);
    assert!(own.stdout.contains(&format!("engine.py (PID {})", engine.pid)), "{own:?}");
    assert!(!is_alive(&engine));
    std::fs::remove_dir_all(&moved).unwrap();
}

/// Windows has no such limit.
#[cfg(unix)]
#[test]
fn a_component_that_a_hard_limit_keeps_from_its_mark_says_so() {
    let fleet = fleet("");
    let tool = fleet.tools.tool("qc-launch");
    let args = ["--locks=10:10", tool.to_str().unwrap()];
    let mut launch = Program::start(Path::new("prlimit"), &args, fleet.root(), &[], |_| ());
    launch.wait_for("BRAIN_LARISSA has no mark, so what it leaves behind is known only while");
    launch.wait_for("started BRAIN_LARISSA");
}

/// Returns the pids that daemons have noted.
fn daemons(fleet: &SampleFleet) -> Vec<u32> {
    let files = std::fs::read_dir(fleet.root()).unwrap().flatten();
    let pid =
        |file: std::fs::DirEntry| file.file_name().to_str()?.strip_prefix("daemon-")?.parse().ok();
    files.filter_map(pid).collect()
}

fn await_daemon(fleet: &SampleFleet) -> Identity {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match daemons(fleet)[..] {
            [pid, ..] => return qc_process::identity_of(pid).unwrap(),
            [] => assert!(Instant::now() < deadline, "there is no daemon"),
        }
    }
}

/// A brain that starts a worker without its variables and with all that it has open, and a program that
/// may be any program.
#[cfg(unix)]
const STARTER: &str = "
import os, subprocess, sys, time
if not os.path.exists('life'):
    open('life', 'w').close()
    subprocess.Popen([sys.executable, 'worker.py'], env={'X': '1'}, start_new_session=True, close_fds=False)
    other = subprocess.Popen(['sleep', '300'])
    with open('other.new', 'w') as file: file.write(str(other.pid))
    os.rename('other.new', 'other')
while True: time.sleep(0.1)
";

#[cfg(unix)]
#[test]
fn what_keeps_a_lock_without_the_components_variables_is_stopped_with_the_fleet_and_nothing_else() {
    let Some(fleet) = with_brain(STARTER) else { return };
    std::fs::write(fleet.root().join("worker.py"), "import time\nwhile True: time.sleep(0.1)")
        .unwrap();
    let (mut launch, first, worker) = launched(&fleet, "worker.py");
    let other = fleet.root().join("other");
    let other = wait_for_text(&other).parse().unwrap();
    let other = qc_process::identity_of(other).unwrap();
    kill(&first);
    launch.wait_for(&format!("worker.py (PID {})", worker.pid));
    assert!(is_alive(&other), "it keeps no lock and trades nothing");
    let stopped = fleet.run("qc-shutdown", &["--yes", "--timeout", "3s"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(!is_alive(&worker), "{stopped:?}");
    assert!(is_alive(&other), "{stopped:?}");
    kill(&other);
}

#[cfg(unix)]
fn wait_for_text(path: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) => return text,
            Err(_) => assert!(Instant::now() < deadline, "there is no {}", path.display()),
        }
    }
}

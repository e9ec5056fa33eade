//! No start beside another copy: a restart, a start by hand, a reload and the first start look alike.

use std::fs;
use std::time::{Duration, Instant};

use qc_process::{Liveness, Process, identity_of, liveness, own_identity};
use qc_tests::{Program, SampleFleet, cannot_test, own_key, python, section};
use serde_json::{Value, json};

use crate::shutdown_truth::start_loop;
use crate::tools;

const ONE: [(&str, u64); 1] = [("ATLAS", 11)];
#[cfg(unix)]
const TWO: [(&str, u64); 2] = [("ATLAS", 11), ("BOREAS", 12)];

fn started(fleet: &SampleFleet) -> Program {
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    launch
}

/// Starts a script as at a terminal, without a lock.
fn by_hand(fleet: &SampleFleet, script: &str) -> Program {
    let mut copy = Program::start(&fleet.python(), &[script], fleet.root(), &[], |_| ());
    copy.wait_for("ready");
    copy
}

fn status(fleet: &SampleFleet, name: &str) -> Value {
    let status = fleet.run("qc-launch", &["status", "--json"]).json();
    let components = status["components"].as_array().expect("a list");
    components.iter().find(|one| one["name"] == name).expect("it is known").clone()
}

/// Returns the pids of what runs as this component.
fn running(fleet: &SampleFleet, name: &str) -> Vec<u64> {
    let rows = fleet.processes();
    let of_name = rows.iter().filter(|row| row["component"] == name);
    of_name.map(|row| row["pids"].as_array().unwrap().last().unwrap().as_u64().unwrap()).collect()
}

#[test]
fn a_component_that_hands_over_to_a_copy_is_blocked_until_that_one_ends() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let account = json!({ "ATLAS": { "account": 11, "enabled": true } });
    let manager = section(&json!({ "restart_cooldown_seconds": 0 }));
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": manager }));
    fleet.script("BRAIN_ATLAS.py", "hand over");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("BLOCKED BRAIN_ATLAS: another copy runs: BRAIN_ATLAS runs (PID ");
    let pids = running(&fleet, "BRAIN_ATLAS");
    let [pid] = pids[..] else { panic!("{pids:?}") };
    let brain = status(&fleet, "BRAIN_ATLAS");
    assert_eq!(brain["state"], "blocked", "{brain:#}");
    assert!(brain["detail"].as_str().unwrap().contains(&pid.to_string()), "{brain:#}");

    fleet.script("BRAIN_ATLAS.py", "");
    let copy = qc_process::identity_of(u32::try_from(pid).unwrap()).unwrap();
    assert_ne!(copy, *own_identity());
    Process::open(&copy).unwrap().expect("it runs").kill().unwrap();
    launch.wait_for("BRAIN_ATLAS was blocked by a program that has ended; restarting");
    launch.wait_for("started BRAIN_ATLAS");
    assert_eq!(running(&fleet, "BRAIN_ATLAS").len(), 1);
}

#[test]
fn a_stop_of_a_bot_that_has_restarted_itself_leaves_no_lock_behind() {
    for name in ["BRAIN_ATLAS", "WATCHDOG_ATLAS"] {
        let fleet = SampleFleet::new(tools(), &ONE);
        fleet.script("BRAIN_ATLAS.py", "hand over");
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for("BLOCKED BRAIN_ATLAS: another copy runs: BRAIN_ATLAS runs (PID ");
        let stopped = fleet.run("qc-launch", &["stop", name]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        assert_eq!(running(&fleet, "BRAIN_ATLAS"), [0; 0], "{stopped:?}");
        assert_eq!(liveness(launch.identity()), Liveness::Alive);
        let checked = fleet.run("qc-ps", &["--check", "--json"]).json();
        let findings = checked["findings"].as_array().unwrap();
        assert!(findings.iter().all(|one| one["kind"] != "stale"), "{name}: {checked:#}");
        let lock = fleet.locks().status(&"BRAIN_ATLAS".parse().unwrap()).unwrap();
        assert_eq!(lock, None, "{name}");
    }
}

#[test]
fn the_reason_of_a_block_names_only_the_copies_that_still_run() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let _launch = started(&fleet);
    assert_eq!(fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]).code, 0);
    let (first, second) = (by_hand(&fleet, "BRAIN_ATLAS.py"), by_hand(&fleet, "BRAIN_ATLAS.py"));
    let refused = fleet.run("qc-launch", &["start", "BRAIN_ATLAS"]);
    let named = |pid: u32, text: &str| text.contains(&pid.to_string());
    let (one, other) = (first.identity().pid, second.identity().pid);
    assert!(named(one, &refused.stderr) && named(other, &refused.stderr), "{refused:?}");
    first.kill();
    let _ = first.finish();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let brain = status(&fleet, "BRAIN_ATLAS");
        assert_eq!(brain["state"], "blocked", "{brain:#}");
        let detail = brain["detail"].as_str().unwrap();
        assert!(named(other, detail), "{detail}");
        if !named(one, detail) {
            return;
        }
        assert!(Instant::now() < deadline, "{detail}");
    }
}

#[test]
fn a_copy_started_by_hand_keeps_a_start_away_and_no_third_one_comes_in_between() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let mut launch = started(&fleet);
    assert_eq!(fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]).code, 0);
    let copy = by_hand(&fleet, "BRAIN_ATLAS.py");
    let refused = fleet.run("qc-launch", &["start", "BRAIN_ATLAS"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("without its lock"), "{refused:?}");
    assert!(refused.stderr.contains("is blocked"), "{refused:?}");
    let third = fleet.run("qc-lock", &["run", "BRAIN_ATLAS", "--", "never-run"]);
    assert_eq!(third.code, 75, "{third:?}");

    copy.kill();
    launch.wait_for("started BRAIN_ATLAS");
    assert_eq!(status(&fleet, "BRAIN_ATLAS")["restarts"], 0, "a first start is no restart");
}

#[test]
fn a_blocked_component_can_be_stopped_and_its_lock_is_free_then() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let mut launch = started(&fleet);
    assert_eq!(fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]).code, 0);
    let copy = by_hand(&fleet, "BRAIN_ATLAS.py");
    assert_eq!(fleet.run("qc-launch", &["start", "BRAIN_ATLAS"]).code, 1);
    assert_eq!(fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]).code, 0);
    assert_eq!(status(&fleet, "BRAIN_ATLAS")["state"], "stopped");
    let other = fleet.run("qc-lock", &["run", "BRAIN_ATLAS", "--", "never-run"]);
    assert_eq!(other.code, 127, "the lock is free, and there is no such program: {other:?}");
    copy.kill();
    let _ = copy.finish();
    assert_eq!(fleet.run("qc-launch", &["start", "BRAIN_ATLAS"]).code, 0);
    launch.wait_for("started BRAIN_ATLAS");
}

#[test]
fn a_reload_that_adds_a_component_beside_a_living_copy_does_not_start_it() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11), ("BOREAS", 12)]);
    let config = |keys: &[(&str, u64)]| {
        let account = |number: u64| json!({ "account": number, "enabled": true });
        let accounts = keys.iter().map(|(key, number)| ((*key).to_owned(), account(*number)));
        let accounts: serde_json::Map<String, Value> = accounts.collect();
        json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": section(&json!({})) })
    };
    fleet.configure(&config(&[("ATLAS", 11)]));
    let mut launch = started(&fleet);
    let _copy = by_hand(&fleet, "BRAIN_BOREAS.py");
    fleet.configure(&config(&[("ATLAS", 11), ("BOREAS", 12)]));
    let reloaded = fleet.run("qc-launch", &["reload"]);
    assert_eq!(reloaded.code, 1, "{reloaded:?}");
    let why = "BRAIN_BOREAS is blocked: another copy runs: BRAIN_BOREAS runs (PID ";
    assert!(reloaded.stderr.contains(why), "{reloaded:?}");
    launch.wait_for("BLOCKED BRAIN_BOREAS");
    assert_eq!(running(&fleet, "BRAIN_BOREAS").len(), 1);
}

#[test]
fn a_reload_does_not_stop_what_it_could_not_start_again() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let mut launch = started(&fleet);
    let first = status(&fleet, "BRAIN_ATLAS")["pid"].clone();
    let reload_with = |value: &str| {
        let account = json!({ "ATLAS": { "account": 11, "enabled": true } });
        let brain = json!({ "BRAIN_ATLAS": { "env": { "MODE": value } } });
        let manager = section(&json!({ "components": brain }));
        fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": manager }));
        fleet.run("qc-launch", &["reload"])
    };
    let copy = by_hand(&fleet, "BRAIN_ATLAS.py");
    let reloaded = reload_with("beside a copy");
    assert_eq!(reloaded.code, 1, "{reloaded:?}");
    assert!(reloaded.stderr.contains("BRAIN_ATLAS is blocked: another copy runs"), "{reloaded:?}");
    assert!(reloaded.stderr.contains("runs on as it was started"), "{reloaded:?}");
    assert!(!reloaded.stdout.contains("restarting"), "{reloaded:?}");
    assert_eq!(status(&fleet, "BRAIN_ATLAS")["pid"], first);
    copy.kill();

    fs::write(fleet.root().join(".locks").join("LATCH"), "").unwrap();
    let reloaded = reload_with("latched");
    assert_eq!(reloaded.code, 1, "{reloaded:?}");
    assert!(reloaded.stderr.contains("is blocked: every start is forbidden"), "{reloaded:?}");
    assert_eq!(status(&fleet, "BRAIN_ATLAS")["pid"], first);
    fs::remove_file(fleet.root().join(".locks").join("LATCH")).unwrap();

    let reloaded = reload_with("free");
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    launch.wait_for("started BRAIN_ATLAS");
    assert_ne!(status(&fleet, "BRAIN_ATLAS")["pid"], first);
}

#[test]
fn what_a_reload_could_not_restart_is_shown_and_takes_its_new_settings_later() {
    const SHOWN: &str = "its next restart applies its new settings";
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("BRAIN_ATLAS.py", "say MODE");
    let mut launch = started(&fleet);
    let reload_with = |value: &str| {
        let account = json!({ "ATLAS": { "account": 11, "enabled": true } });
        let brain = json!({ "BRAIN_ATLAS": { "env": { "MODE": value } } });
        let more = json!({ "components": brain, "restart_cooldown_seconds": 0.1 });
        fleet.configure(&json!({
            "ACCOUNTS": account, "TRADING_SETTINGS": { "WATCHDOG_LIMIT": 2.5 },
            "PROCESS_MANAGER": section(&more),
        }));
        fleet.run("qc-launch", &["reload"])
    };
    let refuse = |value: &str| {
        let copy = by_hand(&fleet, "BRAIN_ATLAS.py");
        let reloaded = reload_with(value);
        assert_eq!(reloaded.code, 1, "{reloaded:?}");
        assert!(reloaded.stderr.contains("its next restart"), "{reloaded:?}");
        let again = fleet.run("qc-launch", &["reload"]);
        assert_eq!(again.code, 1, "it is still in the way: {again:?}");
        copy.kill();
        drop(copy);
        for tool in [&["qc-ps"][..], &["qc-launch", "status"]] {
            let shown = fleet.run(tool[0], &tool[1..]);
            let mut lines = shown.stdout.lines();
            // Other tests have a brain of this name.
            let is_own = |line: &&str| line.contains("BRAIN_ATLAS") && !line.contains("foreign");
            let line = lines.find(is_own).expect("it is shown");
            assert!(line.contains("running") && line.contains(SHOWN), "{shown:?}");
        }
        assert_eq!(fleet.run("qc-ps", &["--check"]).code, 0);
    };
    let says = |launch: &mut Program, value: &str| {
        launch.wait_for("started BRAIN_ATLAS");
        let said = (0..600).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let logs = fleet.run("qc-launch", &["logs", "BRAIN_ATLAS"]).stdout;
            logs.contains(&format!("MODE is {value} in ")).then_some(())
        });
        said.expect("it has its new settings");
        assert_eq!(status(&fleet, "BRAIN_ATLAS")["detail"], Value::Null);
    };

    refuse("reloaded");
    let reloaded = fleet.run("qc-launch", &["reload"]);
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    assert!(reloaded.stdout.contains("restarting BRAIN_ATLAS"), "{reloaded:?}");
    says(&mut launch, "reloaded");
    let reloaded = fleet.run("qc-launch", &["reload"]);
    assert!(reloaded.stdout.contains("nothing has changed"), "{reloaded:?}");

    refuse("crashed");
    let pid = u32::try_from(status(&fleet, "BRAIN_ATLAS")["pid"].as_u64().unwrap()).unwrap();
    let brain = Process::open(&identity_of(pid).unwrap()).unwrap().unwrap();
    brain.kill().unwrap();
    says(&mut launch, "crashed");
}

#[test]
fn a_brain_of_the_account_in_another_folder_refuses_the_check_and_the_start_alike() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let other = fleet.elsewhere(&[("OTHER", 11)]);
    let copy = by_hand(&other, "BRAIN_OTHER.py");
    let why = "for the same account";
    let check = fleet.run("qc-launch", &["check"]);
    assert_eq!((check.code, check.stdout.contains(why)), (2, true), "{check:?}");
    for args in [&["--dry-run"][..], &[]] {
        let refused = fleet.run("qc-launch", args);
        assert_eq!((refused.code, refused.stderr.contains(why)), (75, true), "{refused:?}");
    }
    copy.kill();
}

#[test]
fn exit_code_75_alone_is_not_taken_for_a_held_lock() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("BRAIN_ATLAS.py", "exit 75");
    let mut launch = fleet.launch(&[], |_| ());
    let line = launch.wait_for("GAVE UP BRAIN_ATLAS");
    assert!(line.contains("it ended with exit code 75"), "{line}");
    assert!(!line.contains("held"), "{line}");
}

#[test]
fn a_lock_of_a_name_that_no_component_needs_blocks_nothing() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let lock = fleet.locks();
    let request = qc_lock_core::Request::new("NIGHTLY_BACKUP".parse().unwrap());
    let held = lock.acquire(&request).unwrap();
    assert_eq!(fleet.run("qc-launch", &["check"]).code, 0);
    assert_eq!(fleet.run("qc-launch", &["--dry-run"]).code, 0);
    held.release().unwrap();
}

#[test]
fn a_latch_is_an_error_of_the_check_and_refuses_a_dry_run_as_it_refuses_a_start() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.locks().set_latch("the broker is down").unwrap();
    for (args, code) in [(["check"], 2), (["--dry-run"], 75), (["up"], 75)] {
        let refused = fleet.run("qc-launch", &args);
        assert_eq!(refused.code, code, "{refused:?}");
        let said = refused.stdout + &refused.stderr;
        assert!(said.contains("the broker is down") && said.contains("unlatch"), "{said}");
    }
}

#[test]
fn a_script_with_a_record_of_its_own_gets_guards_and_no_record() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let account = json!({ "ATLAS": { "account": 11, "enabled": true } });
    let own = json!({ "components": { "BRAIN_ATLAS": { "own_record": true } } });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&own) }));
    let _launch = started(&fleet);
    let record = fleet.root().join(".locks").join("BRAIN_ATLAS.lock");
    assert!(!record.exists());
    let second = fleet.run("qc-lock", &["run", "BRAIN_ATLAS", "--", "never-run"]);
    assert_eq!(second.code, 75, "{second:?}");
}

/// A brain that becomes a daemon in two forks, and says that it has.
#[cfg(unix)]
const DAEMON: &str = "import os, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open('daemons', 'a') as file:
    file.write(f'{os.getpid()}\\n')
time.sleep(100)
";

// Windows has no forks; there, a program that hands over to a copy of itself is the like of it.
#[cfg(unix)]
#[test]
fn a_component_that_becomes_a_daemon_in_two_forks_runs_once_and_is_waited_for() {
    let Some(python) = qc_tests::python() else { return };
    let fleet = SampleFleet::new(tools(), &ONE);
    let account = json!({ "ATLAS": { "account": 11, "enabled": true } });
    let command = json!([python, "BRAIN_ATLAS.py"]);
    let brain = json!({ "BRAIN_ATLAS": { "command": command } });
    let more = json!({ "restart_cooldown_seconds": 0, "components": brain });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&more) }));
    let script = fleet.root().join("BRAIN_ATLAS.py");
    fs::write(&script, DAEMON).unwrap();
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("BLOCKED BRAIN_ATLAS: another copy runs: BRAIN_ATLAS runs (PID ");
    // The fork in the middle may be the one that was seen: when it ends, the daemon is.
    let pid = loop {
        let detail = status(&fleet, "BRAIN_ATLAS")["detail"].to_string();
        if let [pid] = running(&fleet, "BRAIN_ATLAS")[..]
            && detail.contains(&pid.to_string())
        {
            break u32::try_from(pid).unwrap();
        }
    };
    let daemons = fs::read_to_string(fleet.root().join("daemons")).unwrap();
    assert_eq!(daemons, format!("{pid}\n"), "one daemon, and no more");

    fs::write(&script, "import time\ntime.sleep(100)\n").unwrap();
    let daemon = qc_process::identity_of(pid).unwrap();
    Process::open(&daemon).unwrap().expect("it runs").kill().unwrap();
    launch.wait_for("BRAIN_ATLAS was blocked by a program that has ended; restarting");
    launch.wait_for("started BRAIN_ATLAS");
    assert_eq!(running(&fleet, "BRAIN_ATLAS").len(), 1);
}

#[cfg(unix)]
#[test]
fn a_daemon_that_outlives_its_launcher_blocks_its_component_and_no_other() {
    let Some(python) = qc_tests::python() else { return };
    let fleet = SampleFleet::new(tools(), &TWO);
    let accounts = json!({
        "ATLAS": { "account": 11, "enabled": true },
        "BOREAS": { "account": 12, "enabled": true },
    });
    let brain = json!({ "BRAIN_ATLAS": { "command": [python, "BRAIN_ATLAS.py"] } });
    let more = json!({ "restart_cooldown_seconds": 0, "components": brain });
    fleet.configure(&json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": section(&more) }));
    fs::write(fleet.root().join("BRAIN_ATLAS.py"), DAEMON).unwrap();
    let mut launch = fleet.launch(&[], |_| ());
    // By its command line, or by its mark while it is between its forks.
    launch.wait_for("BLOCKED BRAIN_ATLAS: ");
    launch.wait_for("started BRAIN_BOREAS");
    let other = running(&fleet, "BRAIN_BOREAS");
    launch.kill();
    drop(launch);
    let daemons = fs::read_to_string(fleet.root().join("daemons")).unwrap();
    let pid: u32 = daemons.trim().parse().expect("one daemon");

    let planned = fleet.run("qc-launch", &["--dry-run"]);
    assert_eq!(planned.code, 0, "{planned:?}");
    let blocked = format!("BLOCKED BRAIN_ATLAS: another copy runs: BRAIN_ATLAS runs (PID {pid})");
    let folder = fs::canonicalize(fleet.root()).unwrap();
    let folder = folder.file_name().unwrap().to_str().unwrap();
    let line = planned.stdout.lines().find(|line| line.starts_with(&blocked));
    assert!(line.is_some_and(|line| line.contains(folder)), "{planned:?}");

    let mut second = fleet.launch(&[], |_| ());
    let line = second.wait_for(&blocked);
    assert!(line.contains("without its lock") && line.contains(folder), "{line}");
    assert_eq!(status(&fleet, "BRAIN_ATLAS")["state"], "blocked");
    for name in ["WATCHDOG_ATLAS", "WATCHDOG_BOREAS", "BRAIN_BOREAS", "quantum_server"] {
        assert_eq!(status(&fleet, name)["state"], "running", "{name}");
    }
    assert_eq!(running(&fleet, "BRAIN_BOREAS"), other, "it was adopted");

    fs::write(fleet.root().join("BRAIN_ATLAS.py"), "import time\ntime.sleep(100)\n").unwrap();
    let daemon = identity_of(pid).unwrap();
    Process::open(&daemon).unwrap().expect("it runs").kill().unwrap();
    second.wait_for("started BRAIN_ATLAS");
    assert_eq!(running(&fleet, "BRAIN_ATLAS").len(), 1);
    assert_eq!(status(&fleet, "BRAIN_ATLAS")["restarts"], 0, "a first start is no restart");
}

#[test]
fn a_copy_started_by_hand_before_the_fleet_blocks_its_component_and_no_other() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let copy = by_hand(&fleet, "BRAIN_ATLAS.py");
    let pid = copy.identity().pid;
    let started = fleet.run("qc-launch", &["up", "--detach"]);
    assert_eq!(started.code, 1, "{started:?}");
    let blocked = format!("it is blocked: another copy runs: BRAIN_ATLAS runs (PID {pid})");
    let said = format!("{}{}", started.stdout, started.stderr);
    assert!(said.contains(&blocked), "{started:?}");
    assert_eq!(status(&fleet, "WATCHDOG_ATLAS")["state"], "running");
    assert_eq!(status(&fleet, "BRAIN_ATLAS")["state"], "blocked");
    assert_eq!(liveness(copy.identity()), Liveness::Alive);
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(liveness(copy.identity()), Liveness::Dead);
}

#[test]
fn a_start_that_would_begin_nothing_is_refused() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let only = json!({ "ATLAS": { "account": 11, "enabled": true } });
    let off = json!({ "enabled": false });
    let more = json!({ "server": off, "components": { "WATCHDOG_ATLAS": off } });
    fleet.configure(&json!({ "ACCOUNTS": only, "PROCESS_MANAGER": section(&more) }));
    let copy = by_hand(&fleet, "BRAIN_ATLAS.py");
    let refused = fleet.run("qc-launch", &[]);
    assert_eq!(refused.code, 75, "{refused:?}");
    let listed = format!("BRAIN_ATLAS (PID {}) without its lock", copy.identity().pid);
    assert!(refused.stderr.contains("nothing was started"), "{refused:?}");
    assert!(refused.stderr.contains(&listed), "{refused:?}");
}

#[test]
fn a_copy_under_the_lock_of_another_folder_is_refused_by_the_account_of_its_record() {
    let (fleet, other) =
        (SampleFleet::new(tools(), &ONE), SampleFleet::new(tools(), &[("OTHER", 12)]));
    let account = fleet.account(11);
    let (tool, number) = (fleet.tools.tool("qc-lock"), account.to_string());
    let python = other.python();
    let words = ["run", "--account", &number, "BRAIN_OTHER", "--", python.to_str().unwrap()];
    let words = [&words[..], &["BRAIN_OTHER.py"]].concat();
    let mut holder = Program::start(&tool, &words, other.root(), &[], |_| ());
    holder.wait_for("ready");
    let locks = other.locks().list().unwrap();
    let pid = locks.iter().find(|lock| lock.name == "BRAIN_OTHER").and_then(|lock| lock.pid);
    let pid = format!("PID {}", pid.expect("its record names it"));
    let folder = fs::canonicalize(other.root()).unwrap();
    let folder = folder.file_name().unwrap().to_str().unwrap();
    for args in [&["check"][..], &["--dry-run"], &[]] {
        let refused = fleet.run("qc-launch", args);
        assert_eq!(refused.code, if args == ["check"] { 2 } else { 75 }, "{refused:?}");
        let said = format!("{}{}", refused.stdout, refused.stderr);
        for text in ["BRAIN_OTHER", &pid, folder, "for the same account"] {
            assert!(said.contains(text), "no {text} in {said}");
        }
    }
    for copy in running(&other, "BRAIN_OTHER") {
        let copy = qc_process::identity_of(u32::try_from(copy).unwrap()).unwrap();
        Process::open(&copy).unwrap().expect("it runs").kill().unwrap();
    }
    let _ = holder.finish();
    assert_eq!(fleet.run("qc-launch", &["--dry-run"]).code, 0);
}

#[test]
fn a_terminal_that_the_config_allows_to_be_shared_starts_two_brains_and_is_no_finding() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11), ("BOREAS", 12)]);
    let terminal = fleet.root().join("mt5").join("terminal64.exe");
    fs::create_dir(terminal.parent().unwrap()).unwrap();
    fs::write(&terminal, "").unwrap();
    let configure = |is_allowed: bool| {
        let account =
            |number: u64| json!({ "account": number, "enabled": true, "terminal_path": terminal });
        let accounts = json!({ "ATLAS": account(11), "BOREAS": account(12) });
        let manager = section(&json!({ "allow_shared_terminal": is_allowed }));
        fleet.configure(&json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": manager }));
    };
    configure(false);
    let refused = fleet.run("qc-launch", &["--dry-run"]);
    assert_eq!((refused.code, refused.stderr.contains("terminal")), (2, true), "{refused:?}");

    configure(true);
    assert_eq!(fleet.run("qc-launch", &["check"]).code, 0);
    let mut launch = started(&fleet);
    launch.wait_for("started BRAIN_BOREAS");
    let view = fleet.run("qc-ps", &["--check", "--json"]);
    assert_eq!((view.code, &view.json()["findings"]), (0, &json!([])), "{view:?}");
}

#[test]
fn a_stop_by_name_ends_copies_too_and_no_watchdog_before_a_copy_of_its_brain() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let launch = started(&fleet);
    let stop = |name: &str| fleet.run("qc-launch", &["stop", name]);
    assert_eq!(stop("BRAIN_ATLAS").code, 0);
    let copy = by_hand(&fleet, "BRAIN_ATLAS.py");
    let stopped = stop("WATCHDOG_ATLAS");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let pid = copy.identity().pid;
    let line =
        format!("BRAIN_ATLAS (PID {pid}, not started by qc-launch) ended when asked, after ");
    let (_, after) = stopped.stdout.split_once(&line).unwrap_or_else(|| panic!("{stopped:?}"));
    assert!(after.contains("WATCHDOG_ATLAS does not run"), "{stopped:?}");
    assert_eq!(liveness(copy.identity()), Liveness::Dead);

    let copy = by_hand(&fleet, "BRAIN_ATLAS.py");
    let blocked = fleet.run("qc-launch", &["start", "WATCHDOG_ATLAS", "BRAIN_ATLAS"]);
    assert_eq!(blocked.code, 1, "{blocked:?}");
    assert_eq!(status(&fleet, "BRAIN_ATLAS")["state"], "blocked");
    let stopped = stop("BRAIN_ATLAS");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stdout.contains("BRAIN_ATLAS does not run"), "{stopped:?}");
    assert_eq!(liveness(copy.identity()), Liveness::Dead);
    assert_eq!(running(&fleet, "BRAIN_ATLAS").len(), 0);
    assert_eq!(status(&fleet, "BRAIN_ATLAS")["state"], "stopped");
    launch.ask_to_stop(&fleet.tools);
    launch.finish();
}

/// Starts a brain by hand that leaves the folder it was started in, and that `PWD` names.
fn that_leaves(fleet: &SampleFleet, name: &str, pwd: &str) -> Program {
    let script = format!("BRAIN_{name}.py");
    fleet.script(&script, "leave");
    let mut copy =
        Program::start(&fleet.python(), &[&script], fleet.root(), &[("PWD", pwd)], |_| ());
    copy.wait_for("ready");
    copy
}

#[test]
fn a_brain_that_has_left_its_folder_is_known_by_the_one_it_was_started_in() {
    if cfg!(windows) {
        return cannot_test("the first folder of a process", "Windows has no PWD");
    }
    let key = own_key();
    let fleet = SampleFleet::new(tools(), &[(&key, 11)]);
    let root = fleet.root().to_str().unwrap();
    let copy = that_leaves(&fleet, &key, root);
    let rows = fleet.processes();
    let name = format!("BRAIN_{key}");
    let row = rows.iter().find(|row| row["component"] == *name).expect("listed");
    assert_eq!(row["state"], "rogue", "{row:#}");
    assert_eq!(row["account"], fleet.account(11).to_string(), "{row:#}");
    let refused = fleet.run("qc-launch", &["up", "--no-adopt"]);
    assert_eq!(refused.code, 75, "{refused:?}");
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stdout.contains("All automation has stopped"), "{stopped:?}");
    assert_eq!(liveness(copy.identity()), Liveness::Dead);
}

#[test]
fn a_brain_whose_folder_nothing_shows_is_named_and_its_watchdog_stays() {
    // It may be of any fleet with a brain of this name, so no other test has one.
    let key = own_key();
    let (brain, watchdog) = (format!("BRAIN_{key}"), format!("WATCHDOG_{key}"));
    let fleet = SampleFleet::new(tools(), &[(&key, 11)]);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for(&format!("started {brain}"));
    assert_eq!(fleet.run("qc-launch", &["stop", &brain]).code, 0);
    let copy = that_leaves(&fleet, &key, "/");
    let pid = copy.identity().pid;
    let refused = fleet.run("qc-launch", &["start", &brain]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let why = format!("{brain} runs (PID {pid}), and its folder can't be told");
    assert!(refused.stderr.contains(&why), "{refused:?}");
    let checked = fleet.run("qc-ps", &["--check"]);
    assert_eq!(checked.code, 3, "{checked:?}");
    assert!(checked.stdout.contains("and its folder can't be told: PID"), "{checked:?}");

    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 1, "{stopped:?}");
    let named = format!("{brain} (PID {pid}): its folder can't be told");
    assert!(stopped.stdout.contains(&named), "{stopped:?}");
    assert!(!stopped.stdout.contains("has stopped"), "{stopped:?}");
    assert_eq!(liveness(copy.identity()), Liveness::Alive);
    assert_eq!(running(&fleet, &watchdog).len(), 1, "it protects the brain");

    copy.kill();
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
}

#[test]
fn a_stop_by_name_names_a_copy_that_comes_back_and_leaves_its_watchdog() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let Some(python) = python() else { return };
    let launch = started(&fleet);
    assert_eq!(fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]).code, 0);
    let again = start_loop(&fleet, python, "0.05");
    let stopped = fleet.run("qc-launch", &["stop", "WATCHDOG_ATLAS"]);
    assert_eq!(stopped.code, 1, "{stopped:?}");
    let text = "started again as often as it is stopped: BRAIN_ATLAS (PID ";
    assert!(stopped.stderr.contains(text), "{stopped:?}");
    assert!(!stopped.stdout.contains("does not run"), "{stopped:?}");
    assert_eq!(status(&fleet, "WATCHDOG_ATLAS")["state"], "running", "{stopped:?}");
    again.kill();
    drop(again);
    let stopped = fleet.run("qc-launch", &["stop", "WATCHDOG_ATLAS"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(running(&fleet, "BRAIN_ATLAS").len(), 0);
    launch.ask_to_stop(&fleet.tools);
    launch.finish();
}

#[test]
fn a_stop_by_name_says_what_had_to_be_killed() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let account = json!({ "ATLAS": { "account": 11, "enabled": true } });
    let manager = section(&json!({ "stop_timeout_seconds": 1 }));
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": manager }));
    fleet.script("BRAIN_ATLAS.py", "ignore stop");
    let launch = started(&fleet);
    let pid = status(&fleet, "BRAIN_ATLAS")["pid"].clone();
    let stopped = fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let line = format!("BRAIN_ATLAS (PID {pid}) was KILLED: it did not end when asked\n");
    assert!(stopped.stdout.contains(&line), "{stopped:?}");
    launch.ask_to_stop(&fleet.tools);
    launch.finish();
}

#[test]
fn a_brain_under_a_lock_of_another_name_is_the_component_of_its_script() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let launch = started(&fleet);
    assert_eq!(fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]).code, 0);
    let python = fleet.python();
    let words = ["run", "BRAIN_TEST", "--", python.to_str().unwrap(), "BRAIN_ATLAS.py"];
    let tool = fleet.tools.tool("qc-lock");
    let mut held = Program::start(&tool, &words, fleet.root(), &[], |_| ());
    held.wait_for("ready");
    let refused = fleet.run("qc-launch", &["start", "BRAIN_ATLAS"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("BRAIN_ATLAS is blocked: another copy runs"), "{refused:?}");
    assert_eq!(running(&fleet, "BRAIN_ATLAS").len(), 1);
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(running(&fleet, "BRAIN_ATLAS").len(), 0, "{stopped:?}");
    held.finish();
    launch.finish();
}

#[test]
fn nothing_is_stopped_for_a_restart_that_could_not_be_made() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let _launch = started(&fleet);
    let pids = || ["BRAIN_ATLAS", "WATCHDOG_ATLAS"].map(|name| status(&fleet, name)["pid"].clone());
    let before = pids();
    fleet.locks().set_latch("the broker is down").unwrap();
    for (name, why) in [
        ("BRAIN_ATLAS", "BRAIN_ATLAS is not restarted, and runs on: every start is forbidden"),
        ("WATCHDOG_ATLAS", "_ATLAS is not restarted, and runs on: every start is forbidden"),
    ] {
        let refused = fleet.run("qc-launch", &["restart", name]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains(why), "{refused:?}");
        assert!(refused.stderr.contains("qc-launch unlatch"), "{refused:?}");
    }
    fleet.locks().unlatch().unwrap();
    let script = fleet.root().join("STOPLOSS_WATCHDOG_V2.py");
    let away = fleet.root().join("away.py");
    fs::rename(&script, &away).unwrap();
    let refused = fleet.run("qc-launch", &["restart", "WATCHDOG_ATLAS"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let why = "WATCHDOG_ATLAS is not restarted, and runs on: its script ";
    assert!(refused.stderr.contains(why), "{refused:?}");
    assert_eq!(pids(), before);
    fs::rename(&away, &script).unwrap();
    let copy = by_hand(&fleet, "BRAIN_ATLAS.py");
    let refused = fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("runs on: another copy runs"), "{refused:?}");
    assert_eq!(pids(), before);
    copy.kill();
    drop(copy);
    assert_eq!(fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]).code, 0);
    assert_ne!(pids()[0], before[0]);
}

#[test]
fn a_watchdog_that_is_restarted_with_its_brain_ends_after_it() {
    for names in [["BRAIN_ATLAS", "WATCHDOG_ATLAS"], ["WATCHDOG_ATLAS", "BRAIN_ATLAS"]] {
        let fleet = SampleFleet::new(tools(), &ONE);
        let launch = started(&fleet);
        let restarted = fleet.run("qc-launch", &[&["restart"][..], &names].concat());
        assert_eq!(restarted.code, 0, "{restarted:?}");
        launch.ask_to_stop(&fleet.tools);
        let (_, lines) = launch.finish();
        let line = |text: &str| lines.iter().position(|line| line.contains(text)).expect("a line");
        let starts = |name: &str| {
            let text = format!("started {name} ");
            let all = lines.iter().enumerate().filter(|(_, line)| line.contains(&text));
            all.map(|(at, _)| at).nth(1).expect("a second start")
        };
        assert!(
            line("BRAIN_ATLAS ended when asked") < line("WATCHDOG_ATLAS ended when asked"),
            "{lines:#?}"
        );
        assert!(starts("WATCHDOG_ATLAS") < starts("BRAIN_ATLAS"), "{lines:#?}");
    }
}

#[test]
fn a_start_behind_a_blocked_watchdog_says_what_it_waits_for() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let _launch = started(&fleet);
    assert_eq!(fleet.run("qc-launch", &["stop", "WATCHDOG_ATLAS"]).code, 0);
    let args = ["STOPLOSS_WATCHDOG_V2.py", "--account", "ATLAS"];
    let mut copy = Program::start(&fleet.python(), &args, fleet.root(), &[], |_| ());
    copy.wait_for("ready");
    let blocked = fleet.run("qc-launch", &["start", "WATCHDOG_ATLAS"]);
    assert_eq!(blocked.code, 1, "{blocked:?}");
    let tool = fleet.tools.tool("qc-launch");
    let mut start = Program::start(&tool, &["start", "BRAIN_ATLAS"], fleet.root(), &[], |_| ());
    let said = start.wait_for("waiting: BRAIN_ATLAS is waiting");
    assert!(said.contains("; WATCHDOG_ATLAS is blocked: "), "{said}");
    assert!(said.contains(&format!("PID {}", copy.identity().pid)), "{said}");
    copy.kill();
    start.wait_for("BRAIN_ATLAS runs");
}

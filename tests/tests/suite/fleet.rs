//! The day of a fleet: start, duplicates, crashes, stop.

use std::fs;

use qc_lock_core::LockState;
use qc_process::{Ended, Identity, Liveness, Process, SHUTDOWN_HINT, identity_of, liveness};
use qc_tests::{Program, SampleFleet};
use serde_json::{Value, json};

use crate::tools;

const TWO: [(&str, u64); 2] = [("ATLAS", 11), ("BOREAS", 12)];
const ONE: [(&str, u64); 1] = [("ATLAS", 11)];

fn start(fleet: &SampleFleet) -> Program {
    start_until(fleet, "started BRAIN_BOREAS")
}

fn start_until(fleet: &SampleFleet, text: &str) -> Program {
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for(text);
    launch
}

/// Starts one script by hand, without a lock, and waits until it runs.
fn by_hand(fleet: &SampleFleet, script: &str) -> Program {
    let mut program = Program::start(&fleet.python(), &[script], fleet.root(), &[], |_| ());
    program.wait_for("ready");
    program
}

/// Returns the process that holds the lock `name`.
fn holder(fleet: &SampleFleet, name: &str) -> Identity {
    let lock = fleet
        .locks()
        .status(&name.parse().unwrap())
        .unwrap()
        .unwrap_or_else(|| panic!("{name} is not locked"));
    assert_eq!(lock.state, LockState::Held, "{lock:?}");
    identity_of(lock.pid.unwrap()).unwrap()
}

fn kill(identity: &Identity) {
    Process::open(identity).unwrap().expect("it has ended").kill().unwrap();
}

fn assert_nothing_left(fleet: &SampleFleet) {
    assert_eq!(fleet.processes(), Vec::<Value>::new());
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
}

#[test]
fn a_fleet_starts_in_order_and_stops_in_order() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let launch = start(&fleet);
    let rows: Vec<String> = fleet
        .processes()
        .iter()
        .map(|row| format!("{} {}", row["component"], row["state"]))
        .collect();
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert!(rows.iter().all(|row| row.ends_with("\"running\"")), "{rows:?}");

    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    let position = |words: &str| {
        lines
            .iter()
            .position(|line| line.contains(words))
            .unwrap_or_else(|| panic!("{words}: {lines:#?}"))
    };
    assert!(position("started quantum_server") < position("starting WATCHDOG_ATLAS"), "{lines:#?}");
    assert!(position("started WATCHDOG_BOREAS") < position("started BRAIN_ATLAS"), "{lines:#?}");
    assert!(
        position("BRAIN_BOREAS ended when asked") < position("WATCHDOG_ATLAS ended when asked"),
        "{lines:#?}"
    );
    assert!(
        position("WATCHDOG_BOREAS ended when asked") < position("quantum_server ended when asked"),
        "{lines:#?}"
    );
    assert_nothing_left(&fleet);
}

/// A fleet of one account, whose components are ready when the stand-in says so.
fn ready_when_it_says_so() -> Value {
    json!({
        "ACCOUNTS": { "ATLAS": { "account": 11, "enabled": true } },
        "TRADING_SETTINGS": { "WATCHDOG_LIMIT": 2.5 },
        "PROCESS_MANAGER": {
            "server_settle_seconds": 0, "watchdog_stagger_seconds": 0, "brain_stagger_seconds": 0,
            "defaults": { "ready": { "log": "^ready" } },
        },
    })
}

#[test]
fn output_goes_to_a_log_of_its_own() {
    let fleet = SampleFleet::new(tools(), &ONE);
    // Python needs a moment until it hears a request to stop.
    fleet.configure(&ready_when_it_says_so());
    let launch = start_until(&fleet, "BRAIN_ATLAS is ready");
    launch.ask_to_stop(&fleet.tools);
    let (_, lines) = launch.finish();
    let logs = fs::read_dir(fleet.root().join("orchestrator_logs")).unwrap();
    let logs: Vec<_> = logs.map(|log| log.unwrap()).collect();
    let read = |name: &str| {
        let log =
            logs.iter().find(|log| log.file_name().to_string_lossy().starts_with(name)).unwrap();
        fs::read_to_string(log.path()).unwrap().replace("\r\n", "\n")
    };
    assert!(read("BRAIN_ATLAS_").contains("cleaned up\n"));
    assert!(read("WATCHDOG_ATLAS_").contains("--account ATLAS --limit 2.5\n"));
    assert_eq!(read("orchestrator_"), lines.join("\n") + "\n");
}

#[test]
fn a_second_copy_is_refused_whoever_starts_it() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let _launch = start(&fleet);
    let brain = holder(&fleet, "BRAIN_ATLAS");
    let own = fleet.account(11).to_string();
    for (name, account) in [("BRAIN_ATLAS", &*own), ("brain_atlas", "99"), ("BRAIN_OTHER", &own)] {
        let copy = fleet.run("qc-lock", &["run", name, "--account", account, "--", "never-run"]);
        assert_eq!(copy.code, 75, "{name}: {copy:?}");
        assert!(copy.stderr.contains(&format!("held by PID {}", brain.pid)), "{name}: {copy:?}");
        assert!(copy.stderr.contains(SHUTDOWN_HINT), "{name}: {copy:?}");
    }
    let second = fleet.run("qc-launch", &[]);
    assert_eq!(second.code, 75, "{second:?}");
    assert!(second.stderr.contains("lock `MASTER_LAUNCH` is held by PID"), "{second:?}");
    assert_eq!(fleet.processes().len(), 6);
}

#[test]
fn a_killed_brain_is_restarted_under_its_lock() {
    // Accounts of its own: a copy of another test that trades the same one would be a finding.
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 7_400_001), ("BOREAS", 7_400_002)]);
    let mut launch = start(&fleet);
    let before = holder(&fleet, "BRAIN_ATLAS");
    kill(&before);
    let line = launch.wait_for("; restarting ");
    // Windows does not tell a kill from an exit code.
    let how =
        if cfg!(windows) { "BRAIN_ATLAS ended with exit code" } else { "BRAIN_ATLAS was KILLED" };
    assert!(line.contains(how), "{line}");
    launch.wait_for("started BRAIN_ATLAS");
    assert_ne!(holder(&fleet, "BRAIN_ATLAS"), before);
    assert_eq!(fleet.processes().len(), 6);
    let check = fleet.run("qc-ps", &["--check"]);
    assert_eq!(check.code, 0, "{check:?}");
}

#[test]
fn a_fleet_outlives_its_launcher_locked_and_a_new_one_refuses_beside_it() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let launch = start(&fleet);
    let brain = holder(&fleet, "BRAIN_ATLAS");
    launch.kill();
    drop(launch);
    assert_eq!(liveness(&brain), Liveness::Alive);
    assert_eq!(holder(&fleet, "BRAIN_ATLAS"), brain);
    let copy = fleet.run("qc-lock", &["run", "BRAIN_ATLAS", "--", "never-run"]);
    assert_eq!(copy.code, 75, "{copy:?}");

    let second = fleet.run("qc-launch", &["--no-adopt"]);
    assert_eq!(second.code, 75, "{second:?}");
    for name in
        ["quantum_server", "WATCHDOG_ATLAS", "WATCHDOG_BOREAS", "BRAIN_ATLAS", "BRAIN_BOREAS"]
    {
        assert!(second.stderr.contains(&format!("{name} (PID ")), "{name}: {second:?}");
    }
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_nothing_left(&fleet);
}

#[test]
fn stale_locks_are_reported_and_no_reason_to_refuse() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let record = json!({
        "pid": std::process::id(), "name": "BRAIN_ATLAS", "account": "11", "timestamp": "2026-01-02T03:04:05+00:00",
        "host": qc_process::here().name, "version": 1, "started": 1, "boot_id": qc_process::here().boot_id,
        "pid_namespace": qc_process::here().pid_namespace, "resources": ["name/brain_atlas"],
    });
    fs::create_dir_all(fleet.locks().path()).unwrap();
    fs::write(fleet.locks().path().join("BRAIN_ATLAS.lock"), record.to_string()).unwrap();
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("reclaimed stale lock BRAIN_ATLAS");
    launch.wait_for("started BRAIN_ATLAS");
}

#[test]
fn a_component_that_keeps_ending_is_given_up() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.configure(&json!({
        "ACCOUNTS": { "ATLAS": { "account": 11, "enabled": true } },
        "PROCESS_MANAGER": {
            "server_settle_seconds": 0, "watchdog_stagger_seconds": 0, "brain_stagger_seconds": 0,
            "max_restarts": 2, "restart_cooldown_seconds": 0,
        },
    }));
    for script in ["quantum_server.py", "STOPLOSS_WATCHDOG_V2.py", "BRAIN_ATLAS.py"] {
        fleet.script(script, "exit 3");
    }
    let (ended, lines) = fleet.launch(&[], |_| ()).finish();
    assert_eq!(ended, Ended::Code(1), "{lines:#?}");
    let starts = lines.iter().filter(|line| line.contains("started quantum_server")).count();
    assert_eq!(starts, 3, "{lines:#?}");
    let given_up = "GAVE UP quantum_server: it ended with exit code 3 after 2 restarts";
    assert!(lines.iter().any(|line| line.contains(given_up)), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("nothing is left to supervise")), "{lines:#?}");
    assert_nothing_left(&fleet);
}

#[test]
fn only_the_wanted_accounts_are_started() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let plan = fleet.run("qc-launch", &["--dry-run", "--accounts", "BOREAS"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    assert!(
        plan.stdout.contains("BRAIN_BOREAS") && !plan.stdout.contains("BRAIN_ATLAS"),
        "{plan:?}"
    );
    assert_nothing_left(&fleet);
    let mut launch = fleet.launch(&["--accounts", "BOREAS"], |_| ());
    launch.wait_for("started BRAIN_BOREAS");
    let names: Vec<String> =
        fleet.processes().iter().map(|row| row["component"].to_string()).collect();
    assert_eq!(
        names,
        [r#""MASTER_LAUNCH""#, r#""BRAIN_BOREAS""#, r#""WATCHDOG_BOREAS""#, r#""quantum_server""#]
    );
}

#[test]
fn shutdown_asks_first_and_does_nothing_without_a_yes() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let brain = by_hand(&fleet, "BRAIN_ATLAS.py");
    for (args, input, code) in [
        (&["--dry-run"][..], "", 0),
        (&[], "", 4),
        (&[], "no\n", 4),
        (&[], "yes\n", 4),
        (&["--json", "--dry-run"], "", 0),
    ] {
        let shutdown = fleet.run_with("qc-shutdown", args, input);
        assert_eq!(shutdown.code, code, "{args:?} {input:?}: {shutdown:?}");
        let warned =
            shutdown.stdout.contains("open trades are NOT closed") || args.contains(&"--json");
        assert!(
            warned && shutdown.stdout.contains("BRAIN_ATLAS"),
            "{args:?} {input:?}: {shutdown:?}"
        );
        assert_eq!(liveness(brain.identity()), Liveness::Alive, "{args:?} {input:?}");
    }
    let shutdown = fleet.run_with("qc-shutdown", &[], "YES\n");
    assert_eq!(shutdown.code, 0, "{shutdown:?}");
    let (_, lines) = brain.finish();
    assert_eq!(lines.last().map(String::as_str), Some("cleaned up"), "{lines:?}");
}

#[test]
fn what_does_not_listen_is_killed_at_the_timeout_and_said_so() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("BRAIN_ATLAS.py", "ignore stop");
    let deaf = by_hand(&fleet, "BRAIN_ATLAS.py");
    let server = by_hand(&fleet, "quantum_server.py");
    let shutdown = fleet.run("qc-shutdown", &["--force", "--timeout", "2s", "--json"]);
    assert_eq!(shutdown.code, 0, "{shutdown:?}");
    let results = shutdown.json()["results"].clone();
    assert_eq!(
        (&results[0]["component"], &results[0]["outcome"]),
        (&json!("BRAIN_ATLAS"), &json!("killed"))
    );
    assert_eq!(
        (&results[1]["component"], &results[1]["outcome"]),
        (&json!("quantum_server"), &json!("stopped"))
    );
    let (_, lines) = deaf.finish();
    assert!(lines.iter().any(|line| line == "asked to stop"), "{lines:?}");
    let (_, lines) = server.finish();
    assert_eq!(lines.last().map(String::as_str), Some("cleaned up"), "{lines:?}");
}

#[test]
fn a_terminal_and_another_fleet_are_never_touched() {
    let terminal = format!("terminal64{}", if cfg!(windows) { ".exe" } else { "" });
    let fleet = SampleFleet::new(tools(), &ONE);
    let other = SampleFleet::new(tools(), &ONE);
    let stranger = by_hand(&other, "BRAIN_ATLAS.py");
    fleet.script("BRAIN_ATLAS.py", &format!("start {terminal}"));
    let mut brain = Program::start(&fleet.python(), &["BRAIN_ATLAS.py"], fleet.root(), &[], |_| ());
    let line = brain.wait_for("started terminal64");
    let pid = line.rsplit(' ').next().unwrap().parse().unwrap();
    let terminal = identity_of(pid).unwrap();
    brain.wait_for("ready BRAIN_ATLAS.py");

    let refused = Process::open(&terminal).unwrap_err();
    assert!(refused.to_string().contains("trading terminal"), "{refused}");
    let shutdown = fleet.run("qc-shutdown", &["--yes", "--timeout", "5s"]);
    assert_eq!(shutdown.code, 0, "{shutdown:?}");
    assert!(!shutdown.stdout.contains(&pid.to_string()), "{shutdown:?}");
    assert_eq!(liveness(&terminal), Liveness::Alive);
    assert_eq!(liveness(stranger.identity()), Liveness::Alive);
}

#[test]
fn duplicates_and_unlocked_components_are_shown_and_found() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let first = by_hand(&fleet, "BRAIN_ATLAS.py");
    let second = by_hand(&fleet, "BRAIN_ATLAS.py");
    let check = fleet.run("qc-ps", &["--check"]);
    assert_eq!(check.code, 3, "{check:?}");
    let mut pids = [first.identity().pid, second.identity().pid];
    pids.sort_unstable();
    let twice = format!(
        "BRAIN_ATLAS runs 2 times (account {}): PIDs {}, {}",
        fleet.account(11),
        pids[0],
        pids[1]
    );
    assert!(check.stdout.contains(&twice), "{check:?}");
    assert!(
        check.stdout.contains(&format!("BRAIN_ATLAS runs without its lock: PID {}", pids[0])),
        "{check:?}"
    );

    let table = fleet.run("qc-ps", &[]);
    assert_eq!(table.stdout.matches("DUPLICATE").count(), 2, "{table:?}");
    let legacy = fleet.run("qc-ps", &["--format", "legacy"]);
    let line = format!("PID: {} | ", pids[0]);
    let line = legacy
        .stdout
        .lines()
        .find(|one| one.starts_with(&line))
        .unwrap_or_else(|| panic!("{legacy:?}"));
    assert!(line.ends_with("BRAIN_ATLAS.py"), "{line}");
    let refused = fleet.run("qc-launch", &["--no-adopt"]);
    assert_eq!(refused.code, 75, "{refused:?}");
    for pid in pids {
        assert!(refused.stderr.contains(&format!("BRAIN_ATLAS (PID {pid})")), "{refused:?}");
    }
}

#[test]
fn with_the_old_module_the_scripts_lock_themselves() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fs::write(fleet.root().join("process_lock.py"), "class ProcessLock: ...\n").unwrap();
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("process_lock.py here is the old module");
    launch.wait_for("started BRAIN_ATLAS");
    assert!(fleet.locks().status(&"BRAIN_ATLAS".parse().unwrap()).unwrap().is_none());
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
}

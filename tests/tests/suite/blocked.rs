//! No start beside another copy: a restart, a start by hand, a reload and the first start look alike.

use qc_process::{Process, own_identity};
use qc_tests::{Program, SampleFleet, section};
use serde_json::{Value, json};

use crate::tools;

const ONE: [(&str, u64); 1] = [("ATLAS", 11)];

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
    launch.wait_for("BRAIN_ATLAS was blocked by another copy, which has ended; restarting");
    launch.wait_for("started BRAIN_ATLAS");
    assert_eq!(running(&fleet, "BRAIN_ATLAS").len(), 1);
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
    assert!(refused.stderr.contains("it is blocked"), "{refused:?}");
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
    assert_eq!(fleet.run("qc-launch", &["reload"]).code, 0);
    launch.wait_for("BLOCKED BRAIN_BOREAS");
    assert_eq!(running(&fleet, "BRAIN_BOREAS").len(), 1);
}

#[test]
fn a_brain_of_the_account_in_another_folder_refuses_the_check_and_the_start_alike() {
    let (fleet, other) =
        (SampleFleet::new(tools(), &ONE), SampleFleet::new(tools(), &[("OTHER", 11)]));
    let same = json!({ "OTHER": { "account": fleet.account(11), "enabled": true } });
    other.configure(&json!({ "ACCOUNTS": same, "PROCESS_MANAGER": section(&json!({})) }));
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
fn a_latch_refuses_the_check_and_the_dry_run_and_names_the_way_out() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.locks().set_latch("the broker is down").unwrap();
    for args in [["check"], ["--dry-run"]] {
        let refused = fleet.run("qc-launch", &args);
        assert_eq!(refused.code, 2, "{refused:?}");
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

//! Speakers of protocol version 1 beside those of today, each as the holder and as the asker:
//! `process_lock.py` as it was before there were guards of the machine.

use std::process::Command;

use qc_tests::{Attempt, Contender, SampleLocks, Speaker, cannot_test, own_account, python, run};

use super::{NAME, askers, finish, holders, sample};

/// Returns the command by which version 1 takes a lock.
///
/// # Panics
/// Without a Python.
fn command(locks: &SampleLocks, name: &str, account: Option<&str>) -> Command {
    locks.version_1(name, account).expect("there is a Python")
}

/// Lets version 1 take a lock and keep it.
fn hold(locks: &SampleLocks, name: &str, account: Option<&str>) -> Contender {
    let mut holder = Contender::start(&mut command(locks, name, account));
    assert!(holder.holds().is_some(), "version 1 can't hold {name}: {:?}", holder.seen());
    holder
}

/// Lets version 1 take a lock and release it.
fn attempt(locks: &SampleLocks, name: &str, account: Option<&str>) -> Attempt {
    let finished = run(&mut command(locks, name, account), "");
    match finished.code {
        0 => Attempt::Taken { reclaimed: 0 },
        75 => Attempt::Refused(finished.stdout + &finished.stderr),
        _ => panic!("version 1 fails to ask for {name}: {finished:?}"),
    }
}

/// Returns whether there is no Python, which is printed.
fn has_no_python() -> bool {
    let is_missing = python().is_none();
    if is_missing {
        cannot_test("version 1 of the protocol", "there is no Python");
    }
    is_missing
}

#[test]
fn a_holder_of_version_1_refuses_everybody_in_its_folder() {
    if has_no_python() {
        return;
    }
    let locks = sample();
    let held = hold(&locks, NAME, Some(own_account()));
    for asker in askers() {
        locks.attempt(asker, NAME, None).names(held.pid());
        for name in ["BRAIN_OTHER", "TRADER_OTHER"] {
            locks.attempt(asker, name, Some(own_account())).names(held.pid());
        }
        assert_eq!(locks.attempt(asker, "WATCHDOG_VECTOR", Some(own_account())).taken(), 0);
    }
    finish(held);
    for asker in askers() {
        assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 0);
    }
}

#[test]
fn version_1_is_refused_by_everybody_in_its_folder() {
    if has_no_python() {
        return;
    }
    for holder in holders() {
        for (name, refused) in [(NAME, NAME), (NAME, "BRAIN_OTHER"), ("TRADER", "BRAIN_OTHER")] {
            let locks = sample();
            let held = locks.hold(holder, name, Some(own_account()));
            attempt(&locks, refused, Some(own_account())).names(held.pid());
            attempt(&locks, name, None).names(held.pid());
            attempt(&locks, "WATCHDOG_VECTOR", Some(own_account())).taken();
            assert!(held.works());
            finish(held);
            attempt(&locks, refused, Some(own_account())).taken();
        }
    }
}

#[test]
fn each_version_reclaims_the_lock_of_a_dead_holder_of_the_other() {
    if has_no_python() {
        return;
    }
    for other in Speaker::all() {
        let locks = sample();
        let mut dead = hold(&locks, NAME, Some(own_account()));
        dead.kill();
        assert_eq!(locks.attempt(other, NAME, Some(own_account())).taken(), 1, "{other:?}");

        let mut dead = locks.hold(other, NAME, Some(own_account()));
        dead.kill();
        attempt(&locks, NAME, Some(own_account())).taken();
        assert!(!locks.record(NAME).exists(), "{other:?}");
    }
}

#[test]
fn without_its_guards_a_record_refuses_the_other_version() {
    if has_no_python() {
        return;
    }
    for other in Speaker::all() {
        let locks = sample();
        let held = locks.hold(other, NAME, Some(own_account()));
        // Windows deletes none that is held.
        let _ = std::fs::remove_dir_all(locks.dir().join(".guards"));
        attempt(&locks, NAME, None).names(held.pid());
        attempt(&locks, "BRAIN_OTHER", Some(own_account())).names(held.pid());
        finish(held);

        let held = hold(&locks, NAME, Some(own_account()));
        let _ = std::fs::remove_dir_all(locks.dir().join(".guards"));
        locks.attempt(other, NAME, None).names(held.pid());
        locks.attempt(other, "BRAIN_OTHER", Some(own_account())).names(held.pid());
        finish(held);
    }
}

#[test]
fn a_latch_of_all_starts_refuses_version_1() {
    if has_no_python() {
        return;
    }
    let locks = sample();
    locks.locks().set_latch("the broker is down").unwrap();
    let text = attempt(&locks, NAME, None).refused();
    assert!(text.contains("the broker is down"), "{text}");
    locks.locks().unlatch().unwrap();
    attempt(&locks, NAME, None).taken();
}

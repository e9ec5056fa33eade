//! Two contenders, interleaved on purpose: one waits before each step of taking its lock, one step
//! after the other; meanwhile the files are deleted, and the second one asks. Whatever
//! happens, at most one of them holds the lock, and afterwards it is free.
//!
//! The model explores all interleavings of the protocol; this walks through those of the programs.

use std::fs;
use std::io::ErrorKind;
use std::sync::Mutex;
use std::thread;

use qc_lock_core::{LockError, Request};
use qc_tests::{Contender, SampleLocks, Speaker, WAITS, own_account, python};

use crate::tools;

const NAME: &str = "BRAIN_ATLAS";

/// How many are tried at a time: most of them wait.
const AT_A_TIME: usize = 8;

/// An outsider's deletion while one contender waits: its object, and how it is done.
type Deletion = (&'static str, fn(&SampleLocks));

/// Not both: where the guards *and* the record of a holder are deleted, as Unix allows, nothing
/// is left that would tell of it.
const DELETIONS: [Deletion; 3] =
    [("nothing", |_| ()), ("each record", delete_records), ("each guard", delete_guards)];

fn delete_records(locks: &SampleLocks) {
    if locks.dir().exists() {
        locks.delete_records();
    }
}

fn delete_guards(locks: &SampleLocks) {
    // Windows deletes none that is open.
    let _ = fs::remove_dir_all(locks.dir().join(".guards"));
}

fn request() -> Request {
    let account = own_account().parse().expect("an account");
    Request::new(NAME.parse().expect("a lock name")).account(account)
}

/// Lets `who` wait before its step number `step`, if it has as many until it holds the lock.
fn waiting(locks: &SampleLocks, who: Speaker, step: usize) -> Option<Contender> {
    let fault = format!("wait {step}");
    let mut command = locks.command_with_fault(who, &fault, NAME, Some(own_account()));
    let mut contender = Contender::start(&mut command);
    let line = contender.next_line().unwrap_or_else(|| panic!("{who:?} says nothing"));
    line.starts_with(WAITS).then_some(contender)
}

/// The calls before which a Python may have the record open.
const WITH_RECORD_OPEN: [&str; 5] = ["open_osfhandle", "fstat", "open file", "close file", "lstat"];

/// Returns whether the second contender may fail with `error` while the first one waits. Wine, unlike
/// Windows, does not replace a file that is open, however it is shared.
fn is_refusal(error: &LockError, who: Speaker, seen: &str) -> bool {
    match error {
        LockError::Held { .. } => true,
        LockError::Record { source, .. } => {
            cfg!(windows)
                && matches!(who, Speaker::Python)
                && source.kind() == ErrorKind::PermissionDenied
                && WITH_RECORD_OPEN.iter().any(|call| seen.ends_with(call))
        }
        _ => false,
    }
}

/// One round; returns how it went.
fn round(who: Speaker, dead: bool, step: usize, (what, delete): Deletion) -> String {
    let locks = SampleLocks::new(tools());
    if dead {
        locks.leave_dead(NAME, Some(own_account()));
    }
    let Some(mut first) = waiting(&locks, who, step) else {
        // The command of a wrapper may speak before the wrapper reaches its last steps.
        return format!("{who:?} holds the lock before step {step}");
    };
    let seen = first.seen()[0].clone();
    let step = format!("{who:?} {seen} and {what} is deleted");
    delete(&locks);
    let second = locks.locks().acquire(&request());
    first.tell("go on");
    let first_holds = first.holds().is_some();
    assert!(!(first_holds && second.is_ok()), "{step}: both hold the lock");
    if let Err(error) = &second {
        assert!(is_refusal(error, who, &seen), "{step}: {error:?}");
    }
    let holders = (first_holds, second.is_ok());
    // A holder keeps others out, also when its record is deleted.
    if first_holds || second.is_ok() {
        for _ in 0..2 {
            let third = locks.attempt(Speaker::Tool, NAME, Some(own_account()));
            third.refused();
            if what != "each guard" {
                delete_records(&locks);
            }
        }
    }
    drop(second);
    let finished = first.finish();
    // A wrapper whose guard was deleted says so instead of trying once more.
    let told = finished.code == 1 && finished.stderr.contains("a guard of the lock was deleted");
    assert!([0, 75].contains(&finished.code) || told, "{step}: {finished:?}");
    let last = locks.locks().acquire(&request());
    last.unwrap_or_else(|error| panic!("{step}: {error:?}")).release().expect("it is given back");
    format!("{step}: {holders:?}")
}

fn walk(who: Speaker, dead: bool) {
    let steps = (1..)
        .find(|&step| {
            let locks = SampleLocks::new(tools());
            if dead {
                locks.leave_dead(NAME, Some(own_account()));
            }
            waiting(&locks, who, step).is_none()
        })
        .expect("it ends");
    assert!(steps > 15, "{who:?} has only {steps} steps");
    let rounds = (1..steps).flat_map(|step| DELETIONS.map(|deletion| (step, deletion)));
    let rounds = Mutex::new(rounds);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = rounds.lock().expect("no other thread has failed").next();
                    let Some((step, deletion)) = next else { break };
                    println!("{}", round(who, dead, step, deletion));
                }
            });
        }
    });
}

#[test]
fn the_library_is_never_one_of_two_holders() {
    for dead in [false, true] {
        walk(Speaker::Library, dead);
    }
}

#[test]
fn a_wrapper_is_never_one_of_two_holders() {
    walk(Speaker::Tool, true);
}

#[test]
fn a_python_is_never_one_of_two_holders() {
    if python().is_some() {
        walk(Speaker::Python, true);
    }
}

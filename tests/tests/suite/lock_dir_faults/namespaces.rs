//! Containers: the same kernel and the same lock directory, but a pid means another process in
//! each, or none. What one of them has written is taken for dead by another only with the very
//! guard in hand that its holder had.

use std::process::Command;

use qc_lock_core::{LockState, Request};
use qc_tests::{Contender, SampleLocks, Speaker, cannot_test};

use super::{Answer, NAME, ask, wrapped};
use crate::tools;

/// Runs a program in a PID namespace of its own, with the `/proc` that goes with it. What is in
/// there ends with it.
const CONTAINER: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// Tells whether there can be containers here.
fn can_contain() -> bool {
    let why = match wrapped(&CONTAINER, &Command::new("true")).output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("no program `unshare`: {error}"),
    };
    cannot_test("locks between PID namespaces", &why);
    false
}

/// `who` takes the lock in a container of its own, and keeps it.
fn hold_inside(locks: &SampleLocks, who: Speaker) -> Contender {
    let command = locks.command(who, NAME, None);
    let mut held = Contender::start(&mut wrapped(&CONTAINER, &command));
    let line = held.next_line();
    assert!(line.is_some_and(|line| line.starts_with("held by PID ")), "{:?}", held.finish());
    held
}

/// Everybody asks, in a container of their own or not, and is refused.
fn all_are_refused(locks: &SampleLocks, inside: bool, what: &str) {
    for asker in Speaker::all() {
        let answer = ask(locks, asker, if inside { &CONTAINER } else { &[] });
        answer.refused(what, "PID ");
        assert!(locks.record(NAME).exists(), "{asker:?} {what}: the record is gone");
    }
}

fn state(locks: &SampleLocks) -> Option<LockState> {
    let found = locks.locks().status(&NAME.parse().expect("a lock name"));
    found.expect("it can be read").map(|lock| lock.state)
}

#[test]
fn a_holder_in_a_container_is_never_stale_outside_or_in_another() {
    if !can_contain() {
        return;
    }
    for holder in Speaker::all() {
        let locks = SampleLocks::new(tools());
        let held = hold_inside(&locks, holder);
        assert_eq!(state(&locks), Some(LockState::Foreign));
        for inside in [false, true] {
            all_are_refused(&locks, inside, "asks for the lock of a container");
        }
        held.crash();
        // Its first process had pid 1, as the next one's has. The record alone does not tell.
        assert_eq!(locks.qc_lock(&["clear-stale"]).code, 0);
        assert_eq!(state(&locks), Some(LockState::Foreign), "it was taken for stale");
        ask(&locks, holder, &CONTAINER).taken("asks in the next container");
    }
}

#[test]
fn a_container_that_has_crashed_needs_no_hand() {
    if !can_contain() {
        return;
    }
    for holder in Speaker::all() {
        for asker in Speaker::all() {
            for inside in [&[][..], &CONTAINER] {
                let locks = SampleLocks::new(tools());
                hold_inside(&locks, holder).crash();
                ask(&locks, asker, inside).taken("asks after the container has crashed");
            }
        }
    }
}

/// A new guard proves nothing: the holder may live and have the deleted one.
#[test]
fn another_guard_than_the_holders_frees_no_lock_of_a_container() {
    if !can_contain() {
        return;
    }
    for holder in Speaker::all() {
        let locks = SampleLocks::new(tools());
        let held = hold_inside(&locks, holder);
        std::fs::remove_dir_all(locks.dir().join(".guards")).expect("guards can be deleted");
        for inside in [false, true] {
            all_are_refused(&locks, inside, "asks with a new guard");
        }
        held.crash();
        all_are_refused(&locks, false, "asks with a new guard after the crash");
    }
}

#[test]
fn a_holder_outside_is_never_stale_in_a_container() {
    if !can_contain() {
        return;
    }
    for holder in Speaker::all() {
        let locks = SampleLocks::new(tools());
        let mut held = locks.hold(holder, NAME, None);
        all_are_refused(&locks, true, "asks from a container");
        held.kill();
        ask(&locks, holder, &CONTAINER).taken("asks from a container after a crash outside");
    }
}

/// A record without a boot id may be of this boot or not; its process decides.
#[test]
fn a_boot_that_nobody_can_tell_makes_no_record_stale() {
    for asker in Speaker::all() {
        let locks = SampleLocks::new(tools());
        let request = Request::new(NAME.parse().expect("a lock name"));
        let lock = locks.locks().acquire(&request).expect("it is free");
        let mut record = serde_json::to_value(lock.record()).expect("a record is JSON");
        drop(lock);
        for unknown in ["unknown", "machine-unknown", ""] {
            record["boot_id"] = unknown.into();
            locks.write(NAME, &record);
            let Answer { finished, .. } = ask(&locks, asker, &[]);
            assert_eq!(finished.code, 75, "{asker:?} {unknown:?}: {finished:?}");
        }
        record["host"] = "ELSEWHERE".into();
        locks.write(NAME, &record);
        ask(&locks, asker, &[]).refused("asks for a lock of nobody knows which boot", "PID ");
    }
}

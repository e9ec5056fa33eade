//! The same, literally at every system call: strace kills the holder when it is about to make its
//! first, second, third call of each kind, until it ends by itself. Linux only.

use std::process::Command;

use qc_tests::{SampleLocks, Speaker, own_account, python, run};

use super::{Askers, NAME, SITUATIONS, check_left_behind, wrap};
use crate::tools;
use crate::tracing::{calls, can_trace, traced};

/// Kills what `command` makes at each system call from the first that mentions the lock directory
/// on; returns how many that were.
fn walk(
    command: impl Fn(&SampleLocks) -> Command,
    mut check: impl FnMut(&SampleLocks, &mut Command, &str) -> i32,
) -> usize {
    let locks = SampleLocks::new(tools());
    let dir = locks.dir();
    let mut kills = 0;
    for (name, before) in calls(&command(&locks), dir.to_str().expect("a path in Unicode")) {
        for number in before + 1.. {
            let locks = SampleLocks::new(tools());
            SITUATIONS[1].1(&locks);
            let trace = format!("trace={name}");
            let inject = format!("inject={name}:signal=SIGKILL:when={number}");
            let options = ["-o", "/dev/null", "-e", &trace, "-e", &inject];
            let what = format!("killed at {name} number {number}");
            println!("{what}");
            // -1 is an end by signal: strace ends as the program did.
            if check(&locks, &mut traced(&options, &command(&locks)), &what) != -1 {
                break;
            }
            kills += 1;
        }
    }
    kills
}

#[test]
fn a_holder_killed_at_any_system_call_leaves_a_free_lock() {
    if !can_trace("a holder killed at every single system call") {
        return;
    }
    let sample = SampleLocks::new(tools());
    let mut askers = Askers::new(&sample);
    for who in [Speaker::Library, Speaker::Python] {
        if who == Speaker::Python && python().is_none() {
            continue;
        }
        let kills = walk(
            |locks| locks.command(who, NAME, Some(own_account())),
            |locks, command, what| {
                let finished = run(command, "");
                check_left_behind(locks, &mut askers, &format!("{who:?} {what}"));
                assert!([-1, 0].contains(&finished.code), "{who:?} {what}: {finished:?}");
                finished.code
            },
        );
        println!("{who:?} killed at {kills} system calls");
        assert!(kills > 80, "{who:?}: only {kills}");
    }
}

#[test]
fn a_wrapper_or_command_killed_at_any_system_call_leaves_nothing_unlocked() {
    if !can_trace("a wrapper killed at every single system call") {
        return;
    }
    let sample = SampleLocks::new(tools());
    let mut askers = Askers::new(&sample);
    let kills = walk(
        |locks| locks.command(Speaker::Tool, NAME, Some(own_account())),
        |locks, command, what| {
            let finished = wrap(locks, command, what);
            check_left_behind(locks, &mut askers, what);
            // The number of an end by signal is the wrapper's or, passed on by it, the command's.
            if finished.code == 0 { 0 } else { -1 }
        },
    );
    println!("qc-lock run killed at {kills} system calls");
    assert!(kills > 150, "only {kills}");
}

//! A virus scanner that opens every file as soon as it is there, and blocks every other use of it for
//! 300 ms. Linux does not block a file for that; there the rest is tested all the same.

use std::fs;
use std::time::Duration;

use qc_lock_core::LockState;
use qc_tests::{Contender, SampleLocks, Scanner, Speaker, own_account, python};

use super::NAME;
use crate::tools;

/// A lock directory that is scanned from its first file on.
fn scanned() -> (SampleLocks, Scanner) {
    let locks = empty();
    let scanner = Scanner::of(&locks.dir());
    (locks, scanner)
}

fn empty() -> SampleLocks {
    let locks = SampleLocks::new(tools());
    fs::create_dir_all(locks.dir().join(".guards")).unwrap();
    locks
}

/// Lets a holder release its lock; there are no complaints, and nothing stays.
#[track_caller]
fn finish(held: Contender, locks: &SampleLocks, scanner: &Scanner) {
    let finished = held.finish();
    assert_eq!((finished.code, &*finished.stderr), (0, ""), "{finished:?}");
    let is_left = |name: &str| name.ends_with(".lock") || name.ends_with(".tmp");
    let files = fs::read_dir(locks.dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = files.filter(|name| is_left(&name.to_string_lossy())).collect();
    assert!(left.is_empty(), "{left:?}");
    scanner.start_over();
}

#[test]
fn a_scanner_of_each_new_file_stops_nobody_and_lets_no_duplicate_in() {
    let (locks, scanner) = scanned();
    let dir = locks.dir();
    let dir = dir.to_str().unwrap();
    for round in 0..2 {
        for holder in Speaker::all() {
            println!("round {round}: {holder:?} holds");
            let held = locks.hold(holder, NAME, Some(own_account()));
            scanner.start_over();
            for asker in Speaker::all() {
                println!("{asker:?} asks");
                locks.attempt(asker, "brain_Atlas", None).names(held.pid());
                locks.attempt(asker, "BRAIN_OTHER", Some(own_account())).names(held.pid());
                locks.attempt(asker, &format!("FREE_{round}"), None).taken();
            }
            scanner.start_over();
            let list = locks.qc_lock(&["list", "--json"]).json();
            assert_eq!(list["locks"].as_array().unwrap().len(), 1, "{list}");
            assert_eq!(list["locks"][0]["pid"], held.pid(), "{list}");
            scanner.start_over();
            let status = locks.qc_lock(&["status", NAME, "--json"]).json();
            assert_eq!(status["lock"]["pid"], held.pid(), "{status}");
            scanner.start_over();
            if let Some(list) = locks.drop_in(&["--list", "--json", "--lock-dir", dir]) {
                assert_eq!(list.json()["locks"][0]["pid"], held.pid(), "{list:?}");
            }
            finish(held, &locks, &scanner);
        }
    }
    let history = locks.qc_lock(&["history", "--json"]).json();
    assert_eq!(history["unreadable"], 0, "{history}");
    let speakers = Speaker::all().len();
    let count = |event: &str| {
        let entries = history["entries"].as_array().unwrap();
        entries.iter().filter(|entry| entry["event"] == event).count()
    };
    // In each of two rounds each holds once, and each asks each three times.
    let taken = 2 * (speakers + speakers * speakers);
    let refused = 2 * 2 * speakers * speakers;
    assert_eq!(
        ["acquired", "released", "blocked", "reclaimed"].map(count),
        [taken, taken, refused, 0]
    );
    println!("{} files were scanned", scanner.opened());
    assert!(scanner.opened() > taken, "the scanner opened {} files", scanner.opened());
}

#[test]
fn what_the_dead_leave_is_reclaimed_and_cleared_under_a_scanner() {
    let (locks, scanner) = scanned();
    let dir = locks.dir();
    let dir = dir.to_str().unwrap();
    for holder in Speaker::all() {
        for asker in Speaker::all() {
            println!("{holder:?} dies, {asker:?} asks");
            let mut dead = locks.hold(holder, NAME, Some(own_account()));
            scanner.start_over();
            dead.kill();
            assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 1);
            scanner.start_over();
        }
        println!("{holder:?} dies, its record is cleared");
        for by_drop_in in [false, true] {
            locks.hold(holder, NAME, Some(own_account())).kill();
            scanner.start_over();
            assert_eq!(locks.locks().list().unwrap()[0].state, LockState::Stale);
            let cleared = match by_drop_in {
                true => locks.drop_in(&["--clear-stale", "--lock-dir", dir]),
                false => Some(locks.qc_lock(&["clear-stale"])),
            };
            // Without a Python the next holder reclaims it.
            let Some(cleared) = cleared else { break };
            assert_eq!((cleared.code, &*cleared.stderr), (0, ""), "{cleared:?}");
            assert!(cleared.stdout.contains("Cleared 1 stale lock"), "{cleared:?}");
            assert!(locks.locks().list().unwrap().is_empty());
        }
    }
    assert!(scanner.opened() > 0);
}

#[test]
fn one_of_many_wins_under_a_scanner() {
    let (locks, scanner) = scanned();
    let all = Speaker::all();
    for round in 0..2 {
        let contenders =
            (0..6).map(|number| locks.contend(all[number % all.len()], NAME, Some(own_account())));
        let mut contenders: Vec<Contender> = contenders.collect();
        scanner.start_over();
        for contender in &mut contenders {
            contender.tell("go");
        }
        let (mut winners, mut losers) = (Vec::new(), Vec::new());
        for mut contender in contenders {
            match contender.holds() {
                Some(_) => winners.push(contender),
                None => losers.push(contender),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: {:?}", locks.qc_lock(&["history"]));
        for loser in losers {
            let finished = loser.finish();
            assert_eq!(finished.code, 75, "round {round}: {finished:?}");
        }
        finish(winners.remove(0), &locks, &scanner);
    }
}

#[test]
fn a_lock_that_a_script_takes_over_is_kept_under_a_scanner() {
    if python().is_none() {
        return;
    }
    let (locks, scanner) = scanned();
    let dir = locks.dir();
    let args = ["lock", dir.to_str().unwrap(), NAME, own_account()];
    for _ in 0..2 {
        let mut held = locks.under_tool(NAME, Some(own_account()), 0, &args);
        let pid = held.holds().unwrap();
        scanner.start_over();
        for asker in Speaker::all() {
            locks.attempt(asker, NAME, Some(own_account())).names(pid);
        }
        finish(held, &locks, &scanner);
    }
}

/// One scan that follows another, or a slow one: longer than any wait where access is denied.
#[test]
fn a_scan_that_takes_longer_stops_nobody_either() {
    let locks = empty();
    let scanner = Scanner::looking(&locks.dir(), Duration::from_millis(700));
    for speaker in Speaker::all() {
        let held = locks.hold(speaker, NAME, Some(own_account()));
        scanner.start_over();
        locks.attempt(speaker, NAME, Some(own_account())).names(held.pid());
        finish(held, &locks, &scanner);
    }
}

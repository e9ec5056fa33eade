//! A lock directory where not every program finds it: on a path with spaces and letters of many
//! languages, and on one that is longer than what Windows took for decades.

use std::path::{Path, PathBuf};

use qc_lock_core::LockDir;
use qc_tests::{SampleLocks, Speaker, own_account, python};

use super::NAME;
use crate::tools;

/// The most characters of a path that Windows takes from a program that does nothing about it.
const MAX_PATH: usize = 260;

/// Goes through a lock's life there, whoever holds and whoever asks.
fn check(below: &Path) {
    let locks = SampleLocks::below(below, tools());
    let dir = locks.dir();
    let dir = dir.to_str().unwrap();
    for holder in Speaker::all() {
        println!("{holder:?} holds");
        let held = locks.hold(holder, NAME, Some(own_account()));
        assert!(locks.record(NAME).exists());
        for asker in Speaker::all() {
            println!("{asker:?} asks");
            locks.attempt(asker, NAME, None).names(held.pid());
            locks.attempt(asker, "BRAIN_OTHER", Some(own_account())).names(held.pid());
        }
        let list = locks.qc_lock(&["list", "--json"]).json();
        assert_eq!(list["locks"][0]["pid"], held.pid(), "{list}");
        if let Some(list) = locks.drop_in(&["--list", "--json", "--lock-dir", dir]) {
            assert_eq!(list.json()["locks"][0]["pid"], held.pid(), "{list:?}");
        }
        let finished = held.finish();
        assert_eq!((finished.code, &*finished.stderr), (0, ""), "{finished:?}");
        assert!(!locks.record(NAME).exists());

        locks.hold(holder, NAME, Some(own_account())).kill();
        for asker in Speaker::all() {
            let dead = usize::from(asker == Speaker::all()[0]);
            assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), dead);
        }
        locks.leave_dead(NAME, Some(own_account()));
        let cleared = locks.qc_lock(&["clear-stale"]);
        assert!(cleared.stdout.contains("Cleared 1 stale lock"), "{cleared:?}");
        if python().is_some() {
            locks.leave_dead(NAME, Some(own_account()));
            let cleared = locks.drop_in(&["--clear-stale", "--lock-dir", dir]).unwrap();
            assert!(cleared.stdout.contains("Cleared 1 stale lock"), "{cleared:?}");
        }
    }
    assert_eq!(LockDir::new(dir).history().unwrap().unreadable, 0);
}

#[test]
fn locks_work_on_a_path_with_spaces_and_letters_of_many_languages() {
    check(Path::new("Börse & Söhne/Торговля 取引 📈/it's 100% (1)"));
}

#[test]
fn locks_work_on_a_path_of_more_than_260_characters() {
    // No part is too long for any file system.
    let below: PathBuf = (0..8).map(|number| format!("{number} {}", "long ü".repeat(8))).collect();
    let length = below.to_str().unwrap().chars().count();
    assert!(length > MAX_PATH, "{length}");
    check(&below);
}

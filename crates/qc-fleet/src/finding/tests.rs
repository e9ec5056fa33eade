use std::path::Path;

use qc_lock_core::LockEntry;
use qc_process::Listing;

use super::*;
use crate::snapshot::tests::{fleet, lock, process, snapshot};

fn texts(snapshot: &Snapshot, root: &Path) -> Vec<String> {
    snapshot.findings(&fleet(root), false).into_iter().map(|finding| finding.text).collect()
}

#[test]
fn duplicates_and_rogues_are_found() {
    let root = tempfile::tempdir().unwrap();
    let processes = vec![
        process(root.path(), 10, 1, "python BRAIN_A.py"),
        process(root.path(), 11, 1, "python BRAIN_A.py"),
        process(root.path(), 12, 1, "python BRAIN_B.py"),
    ];
    let locks = vec![lock("BRAIN_A", 10, LockState::Held), lock("BRAIN_B", 12, LockState::Held)];
    let seen = snapshot(root.path(), processes, locks);
    assert_eq!(
        texts(&seen, root.path()),
        ["BRAIN_A runs 2 times (account 1): PIDs 10, 11", "BRAIN_A runs without its lock: PID 11"]
    );
    assert_eq!(seen.states(), [State::Duplicate, State::Duplicate, State::Orphan]);
}

#[test]
fn two_names_for_one_account_or_terminal_are_duplicates() {
    let root = tempfile::tempdir().unwrap();
    let processes = || {
        vec![
            process(root.path(), 10, 1, "python BRAIN_A.py"),
            process(root.path(), 11, 1, "python BRAIN_COPY.py"),
            process(root.path(), 12, 1, "python STOPLOSS_WATCHDOG_V2.py --account A"),
        ]
    };
    let copy = |account: Option<&str>, resource: &str| LockEntry {
        account: account.map(str::to_owned),
        resources: vec![resource.into()],
        ..lock("BRAIN_COPY", 11, LockState::Held)
    };
    let brain = LockEntry {
        resources: vec!["terminal/c:/mt5/brain".into()],
        ..lock("BRAIN_A", 10, LockState::Held)
    };
    let watchdog = lock("WATCHDOG_A", 12, LockState::Held);
    for (copy, expected) in [
        (copy(Some("1"), ""), "account 1 has 2 brains, BRAIN_A and BRAIN_COPY: PIDs 10, 11"),
        (
            copy(Some("7"), "terminal/c:/mt5/brain"),
            "terminal c:/mt5 has 2 brains, BRAIN_A and BRAIN_COPY: PIDs 10, 11",
        ),
    ] {
        let locks = vec![brain.clone(), watchdog.clone(), copy];
        let seen = snapshot(root.path(), processes(), locks);
        assert_eq!(texts(&seen, root.path()), [expected]);
        assert_eq!(seen.states(), [State::Duplicate, State::Duplicate, State::Orphan]);
    }
}

#[test]
fn a_component_that_runs_for_another_account_than_the_configs_is_found() {
    let root = tempfile::tempdir().unwrap();
    let of = |account: Option<&str>| LockEntry {
        account: account.map(str::to_owned),
        ..lock("BRAIN_A", 10, LockState::Held)
    };
    let changed = "BRAIN_A runs for account 7, and the config says 1: PID 10; \
                       `qc-launch reload` applies the config";
    for (held, expected) in
        [(Some("7"), vec![changed]), (Some("1"), vec![]), (Some("001"), vec![]), (None, vec![])]
    {
        let brain = process(root.path(), 10, 1, "python BRAIN_A.py");
        let seen = snapshot(root.path(), vec![brain], vec![of(held)]);
        assert_eq!(texts(&seen, root.path()), expected, "{held:?}");
    }
}

#[test]
fn a_copy_elsewhere_is_found_where_it_trades_an_account_of_ours() {
    let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copy = process(elsewhere.path(), 13, 1, "python BRAIN_B.py");
    let mut seen = snapshot(root.path(), vec![copy], Vec::new());
    let expected = |account: &str, way: &str| {
        let folder = elsewhere.path().display();
        format!("BRAIN_B (account {account}) runs from another folder {folder}: PID 13; {way}")
    };
    let end = "end PID 13; its folder is the root of no fleet now";
    for (account, expected) in [
        (Some("2"), Some(expected("2", end))),
        (Some("99"), None),
        (None, Some(expected("unknown", end))),
    ] {
        seen.instances[0].account = account.map(str::to_owned);
        assert_eq!(texts(&seen, root.path()), Vec::from_iter(expected), "{account:?}");
        assert_eq!(seen.states(), [State::Foreign]);
    }
    std::fs::write(elsewhere.path().join(crate::CONFIG_FILE), "{}").unwrap();
    let command = format!("`qc-shutdown --root \"{}\"` stops it there", elsewhere.path().display());
    assert_eq!(texts(&seen, root.path()), [expected("unknown", &command)]);
}

#[test]
fn an_orphan_is_wrong_where_there_is_or_was_an_orchestrator() {
    let root = tempfile::tempdir().unwrap();
    let held = || lock("BRAIN_A", 20, LockState::Held);
    let brain = || process(root.path(), 20, 1, "python BRAIN_A.py");
    let orphan = "BRAIN_A is not supervised by a launcher: PID 20";
    let left =
        "lock MASTER_LAUNCH was left behind: its holder PID 9 has ended without giving it back";

    let by_hand = snapshot(root.path(), vec![brain()], vec![held()]);
    assert_eq!(texts(&by_hand, root.path()), [""; 0]);
    assert_eq!(by_hand.states(), [State::Orphan]);
    let after_crash = by_hand.findings(&fleet(root.path()), true);
    assert_eq!(after_crash.iter().map(|one| &*one.text).collect::<Vec<_>>(), [orphan]);

    let crashed = vec![held(), lock("MASTER_LAUNCH", 9, LockState::Stale)];
    let crashed = snapshot(root.path(), vec![brain()], crashed);
    assert_eq!(texts(&crashed, root.path()), [orphan, left]);

    let launcher = process(root.path(), 10, 1, "qc-launch");
    let beside = vec![held(), lock("MASTER_LAUNCH", 10, LockState::Held)];
    let beside = snapshot(root.path(), vec![launcher, brain()], beside);
    assert_eq!(texts(&beside, root.path()), [orphan]);
    assert_eq!(beside.states(), [State::Running, State::Orphan]);
}

#[test]
fn what_could_not_be_read_is_never_passed_over() {
    let root = tempfile::tempdir().unwrap();
    for (unreadable, hides_others, expected) in [
        (0, false, None),
        (1, false, Some("at least 1 run; 1 process could not be read")),
        (3, true, Some("at least 1 run; 3 processes could not be read")),
        (0, true, Some("at least 1 run; the processes of other users are hidden (hidepid)")),
    ] {
        let processes = vec![process(root.path(), 10, 1, "python BRAIN_A.py")];
        let listing = Listing { processes, unreadable, hides_others };
        let locks = vec![lock("BRAIN_A", 10, LockState::Held)];
        let seen = Snapshot::assemble(&fleet(root.path()), listing, locks);
        assert_eq!(texts(&seen, root.path()), Vec::from_iter(expected));
    }
}

#[test]
fn a_healthy_fleet_has_no_findings() {
    let root = tempfile::tempdir().unwrap();
    let processes = vec![
        process(root.path(), 9, 1, "qc-launch"),
        process(root.path(), 10, 9, "python BRAIN_A.py"),
    ];
    let locks =
        vec![lock("MASTER_LAUNCH", 9, LockState::Held), lock("BRAIN_A", 10, LockState::Held)];
    let seen = snapshot(root.path(), processes, locks);
    assert_eq!(texts(&seen, root.path()), [""; 0]);
    assert_eq!(seen.states(), [State::Running, State::Running]);
}

#[test]
fn locks_that_nobody_on_the_list_holds_are_stale_or_held_elsewhere() {
    for (state, expected) in [
        (LockState::Stale, State::Stale),
        (LockState::Corrupt, State::Stale),
        (LockState::Held, State::Elsewhere),
        (LockState::Legacy, State::Elsewhere),
        (LockState::Foreign, State::Elsewhere),
    ] {
        assert_eq!(State::of_lock(&lock("X", 1, state)), expected);
    }
}

#[test]
fn a_config_that_was_not_taken_over_makes_no_duplicates() {
    let root = tempfile::tempdir().unwrap();
    let processes = vec![
        process(root.path(), 10, 1, "python BRAIN_A.py"),
        process(root.path(), 11, 1, "python BRAIN_B.py"),
    ];
    let of = |name: &str, pid: u32, account: &str| LockEntry {
        account: Some(account.into()),
        resources: vec![format!("account/{account}/brain")],
        ..lock(name, pid, LockState::Held)
    };
    // By the config, A has account 1 and B has account 2.
    for (held, expected) in [(["2", "1"], 0), (["2", "2"], 1)] {
        let locks = vec![of("BRAIN_A", 10, held[0]), of("BRAIN_B", 11, held[1])];
        let seen = snapshot(root.path(), processes.clone(), locks);
        let found = seen.findings(&fleet(root.path()), false);
        let doubled = found.iter().filter(|one| one.kind == FindingKind::Duplicate).count();
        assert_eq!(doubled, expected, "{held:?}: {found:?}");
    }
}

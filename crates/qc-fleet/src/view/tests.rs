//! The merged view of each situation.

use std::path::Path;

use qc_control::{ComponentStatus, StateWord, Status};
use qc_lock_core::{LockEntry, LockState};
use qc_process::ProcessInfo;

use super::*;
use crate::snapshot::tests::{lock, lock_of, process, snapshot};

/// Components as `name role state pid`; pid 0 for none.
type Components<'a> = &'a [(&'a str, &'a str, StateWord, u32)];

fn fleet(root: &Path, section: &str) -> Fleet {
    let config = root.join(crate::CONFIG_FILE);
    let text = format!(
        r#"{{"ACCOUNTS": {{"A": {{"account": 1, "enabled": true}}, "B": {{"account": 2}}}},
            "PROCESS_MANAGER": {{"server": {{"enabled": false}}{section}}}}}"#
    );
    std::fs::write(&config, text).unwrap();
    for script in ["BRAIN_A.py", "STOPLOSS_WATCHDOG_V2.py"] {
        std::fs::write(root.join(script), "").unwrap();
    }
    Fleet::load(&config).unwrap()
}

fn answers(components: Components<'_>) -> Launcher {
    let component = |&(name, role, state, pid): &(&str, &str, StateWord, u32)| ComponentStatus {
        name: name.into(),
        role: role.into(),
        account: Some("1".into()),
        state,
        detail: None,
        until: None,
        pid: (pid > 0).then_some(pid),
        since: "2026-11-28T22:37:24+00:00".into(),
        restarts: 0,
        adopted: false,
        generation: 1,
        log: None,
        stayed_up: true,
    };
    let components = components.iter().map(component).collect();
    Launcher::Answers(Status { pid: 9, components, ..Status::default() })
}

/// Returns `name state` for each component, and the kinds of findings.
fn judge(
    root: &Path,
    section: &str,
    launcher: Launcher,
    processes: Vec<ProcessInfo>,
    locks: Vec<LockEntry>,
    past: Past,
) -> (Vec<String>, Vec<FindingKind>) {
    let fleet = fleet(root, section);
    let mut snapshot = snapshot(root, processes, locks);
    if let Some(status) = launcher.status() {
        snapshot.learn_supervised(status);
    }
    let view = FleetView::new(&fleet, &Look { snapshot, launcher, past }, false);
    let states = view.components.iter().map(|one| format!("{} {}", one.name, one.state.as_str()));
    (states.collect(), view.findings.iter().map(|one| one.kind).collect())
}

fn brain(root: &Path) -> ProcessInfo {
    process(root, 20, 9, "python BRAIN_A.py")
}

fn watchdog(root: &Path) -> ProcessInfo {
    process(root, 30, 9, "python STOPLOSS_WATCHDOG_V2.py --account A")
}

fn held() -> Vec<LockEntry> {
    vec![lock("BRAIN_A", 20, LockState::Held), lock("WATCHDOG_A", 30, LockState::Held)]
}

#[test]
fn the_launchers_word_counts_for_what_it_supervises() {
    use FindingKind::{BackingOff, Blocked, GaveUp, Stopped};
    use StateWord as Word;
    let cases = [
        (Word::Running, "running", vec![]),
        (Word::Starting, "starting", vec![]),
        (Word::Stopping, "stopping", vec![]),
        (Word::Waiting, "waiting", vec![]),
        (Word::Finished, "finished", vec![]),
        (Word::BackingOff, "backing-off", vec![BackingOff]),
        (Word::Blocked, "blocked", vec![Blocked]),
        (Word::GaveUp, "gave-up", vec![GaveUp]),
        (Word::Stopped, "stopped", vec![Stopped]),
    ];
    for (word, expected, findings) in cases {
        let root = tempfile::tempdir().unwrap();
        let is_live = matches!(word, Word::Running | Word::Starting | Word::Stopping);
        let pid = if is_live { 20 } else { 0 };
        let components =
            [("WATCHDOG_A", "watchdog", Word::Running, 30), ("BRAIN_A", "brain", word, pid)];
        let mut processes = vec![watchdog(root.path())];
        processes.extend(is_live.then(|| brain(root.path())));
        let locks = held().into_iter().filter(|lock| is_live || lock.name != "BRAIN_A").collect();
        let launcher = answers(&components);
        let (states, found) = judge(root.path(), "", launcher, processes, locks, Past::default());
        let brain = format!("BRAIN_A {expected}");
        assert!(states.contains(&brain), "{word}: {states:?}");
        assert!(states.contains(&"BRAIN_B not traded".to_owned()), "{word}: {states:?}");
        assert_eq!(found, findings, "{word}");
    }
}

#[test]
fn a_copy_that_the_launcher_does_not_supervise_hides_nothing() {
    let root = tempfile::tempdir().unwrap();
    const BLOCKED: Components<'_> = &[
        ("WATCHDOG_A", "watchdog", StateWord::Running, 30),
        ("BRAIN_A", "brain", StateWord::Blocked, 0),
    ];
    let processes = vec![brain(root.path()), watchdog(root.path())];
    let locks = vec![lock("WATCHDOG_A", 30, LockState::Held)];
    let fleet = fleet(root.path(), "");
    let mut snapshot = snapshot(root.path(), processes, locks);
    let launcher = answers(BLOCKED);
    snapshot.learn_supervised(launcher.status().unwrap());
    let past = Past::default();
    let view = FleetView::new(&fleet, &Look { snapshot, launcher, past }, false);
    let rows: Vec<(&str, &str)> =
        view.rows.iter().map(|row| (row.component.as_str(), row.state.as_str())).collect();
    for row in [("BRAIN_A", "rogue"), ("BRAIN_A", "blocked"), ("WATCHDOG_A", "running")] {
        assert!(rows.contains(&row), "{row:?}: {rows:?}");
    }
    let kinds: Vec<FindingKind> = view.findings.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [FindingKind::Rogue, FindingKind::Blocked]);
}

#[test]
fn a_brain_without_its_watchdog_is_unguarded_unless_the_config_expects_none() {
    const UP: Components<'_> = &[("BRAIN_A", "brain", StateWord::Running, 20)];
    let cases = [
        ("", "BRAIN_A unguarded"),
        (r#", "components": {"WATCHDOG_A": {"enabled": false}}"#, "BRAIN_A running"),
    ];
    for (section, expected) in cases {
        let root = tempfile::tempdir().unwrap();
        let locks = vec![lock("BRAIN_A", 20, LockState::Held)];
        let processes = vec![brain(root.path())];
        let (states, found) =
            judge(root.path(), section, answers(UP), processes, locks, Past::default());
        assert!(states.contains(&expected.to_owned()), "{section}: {states:?}");
        let is_found = found.contains(&FindingKind::Unguarded);
        assert_eq!(is_found, expected.ends_with("unguarded"), "{section}");
    }
}

#[test]
fn without_a_launcher_its_last_end_tells_stopped_from_missing() {
    for (end, expected, kind) in [
        (LastEnd::Never, "BRAIN_A stopped", FindingKind::Stopped),
        (LastEnd::Clean, "BRAIN_A stopped", FindingKind::Stopped),
        (LastEnd::Crashed, "BRAIN_A missing", FindingKind::Missing),
    ] {
        let root = tempfile::tempdir().unwrap();
        let past = Past { launcher: end, ..Past::default() };
        let (states, found) =
            judge(root.path(), "", Launcher::Absent, Vec::new(), Vec::new(), past);
        assert!(states.contains(&expected.to_owned()), "{end:?}: {states:?}");
        assert_eq!(found, [kind, kind], "{end:?}: the watchdog and the brain");
    }
}

#[test]
fn a_lock_that_is_held_elsewhere_is_neither_missing_nor_stopped() {
    let root = tempfile::tempdir().unwrap();
    let locks = vec![lock("BRAIN_A", 7, LockState::Foreign)];
    let past = Past { launcher: LastEnd::Crashed, ..Past::default() };
    let (states, found) = judge(root.path(), "", Launcher::Absent, Vec::new(), locks, past);
    assert!(states.contains(&"BRAIN_A elsewhere".to_owned()), "{states:?}");
    assert_eq!(found, [FindingKind::Missing], "only the watchdog");
}

#[test]
fn another_program_under_a_lock_neither_trades_nor_guards() {
    let root = tempfile::tempdir().unwrap();
    let sleep = process(root.path(), 40, 1, "sleep 100");
    let locks = vec![lock("BRAIN_A", 20, LockState::Held), lock_of("WATCHDOG_A", &sleep)];
    let processes = vec![brain(root.path()), sleep];
    let past = Past { launcher: LastEnd::Crashed, ..Past::default() };
    let (states, found) = judge(root.path(), "", Launcher::Absent, processes, locks, past);
    assert!(states.contains(&"WATCHDOG_A missing".to_owned()), "{states:?}");
    assert!(states.contains(&"BRAIN_A unguarded".to_owned()), "{states:?}");
    assert_eq!(found, [FindingKind::Unguarded, FindingKind::Missing, FindingKind::Orphan]);

    let sleep = process(root.path(), 40, 1, "sleep 100");
    let locks = vec![lock_of("BRAIN_A", &sleep)];
    let past = Past::default();
    let (states, found) = judge(root.path(), "", Launcher::Absent, vec![sleep], locks, past);
    assert!(states.contains(&"BRAIN_A missing".to_owned()), "{states:?}");
    assert_eq!(found, [FindingKind::Missing, FindingKind::Stopped]);
}

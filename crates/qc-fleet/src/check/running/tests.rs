use qc_lock_core::{LockEntry, LockState};
use qc_process::Listing;

use crate::Snapshot;
use crate::check::tests::enabled;
use crate::check::{Verdict, running, worst};
use crate::snapshot::tests::{lock, process};

#[test]
fn what_runs_is_adopted_only_once_and_under_its_lock() {
    use Verdict::{Error, Ok};
    let root = tempfile::tempdir().unwrap();
    let fleet = crate::snapshot::tests::fleet(root.path());
    let brain = |pid| process(root.path(), pid, 1, "python BRAIN_A.py");
    let held = |name: &str, pid| LockEntry {
        account: Some("1".into()),
        ..lock(name, pid, LockState::Held)
    };
    let cases = [
        (vec![], vec![], vec![(Ok, "nothing of the fleet runs")]),
        (
            vec![brain(10)],
            vec![held("BRAIN_A", 10)],
            vec![(Ok, "BRAIN_A runs (PID 10) under its lock")],
        ),
        (vec![brain(10)], vec![], vec![(Error, "BRAIN_A runs (PID 10) without its lock")]),
        (
            vec![brain(10), brain(11)],
            vec![held("BRAIN_A", 10)],
            vec![
                (Error, "BRAIN_A runs (PID 10), one of 2 copies"),
                (Error, "BRAIN_A runs (PID 11), one of 2 copies"),
            ],
        ),
        (
            vec![process(root.path(), 10, 1, "python BRAIN_GONE.py")],
            vec![lock("BRAIN_GONE", 10, LockState::Held)],
            vec![(Error, "BRAIN_GONE runs (PID 10) and is not among what is to be started")],
        ),
        (
            vec![process(root.path(), 10, 1, "qc-launch")],
            vec![held("MASTER_LAUNCH", 10)],
            vec![(Error, "MASTER_LAUNCH runs (PID 10) and supervises the fleet")],
        ),
        (vec![], vec![held("BRAIN_A", 10)], vec![(Error, "lock BRAIN_A is held by PID 10")]),
        (vec![], vec![held("OTHER", 10)], vec![(Ok, "nothing of the fleet runs")]),
        (
            vec![],
            vec![held("MASTER_LAUNCH", 10)],
            vec![(Error, "lock MASTER_LAUNCH is held by PID 10")],
        ),
        (
            vec![],
            vec![lock("BRAIN_A", 10, LockState::Foreign)],
            vec![(Error, "lock BRAIN_A is held by PID 10")],
        ),
        (
            vec![],
            vec![lock("BRAIN_A", 10, LockState::Stale)],
            vec![(Ok, "nothing of the fleet runs")],
        ),
    ];
    for (processes, locks, expected) in cases {
        let snapshot =
            Snapshot::assemble(&fleet, Listing { processes, ..Listing::default() }, locks);
        let judged = |adopt| running(&fleet, &enabled(&fleet), &snapshot, adopt);
        let found: Vec<_> =
            judged(true).into_iter().map(|check| (check.verdict, check.text)).collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(verdict, text)| (verdict, text.to_owned())).collect();
        assert_eq!(found, expected);
        let is_clear = expected[0].1.starts_with("nothing");
        assert_eq!(worst(&judged(false)), if is_clear { Ok } else { Error }, "{expected:?}");
    }
}

//! Whether an orchestrator looks after what runs.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use qc_call::call_of;
use qc_lock_core::LockEntry;
use qc_process::ProcessInfo;

use crate::matching::Match;
use crate::{Fleet, Role};

/// The orchestrators that are alive.
#[derive(Debug)]
pub(crate) struct Orchestrators<'a> {
    processes: &'a [ProcessInfo],
    /// By the folder of another fleet; those of this one by `None`.
    running: HashMap<Option<PathBuf>, Running>,
    /// Whether something that is not on the list holds the lock of this fleet's orchestrator.
    is_one_hidden: bool,
}

/// The orchestrators of one fleet.
#[derive(Debug, Default)]
struct Running {
    /// Their positions in the list.
    positions: HashSet<usize>,
    /// When the youngest of those started that take over what runs already; `None` without one.
    /// `qc-launch` does, or it refuses to start; the old `MASTER_LAUNCH.py` does not.
    adopted_before: Option<u64>,
}

impl<'a> Orchestrators<'a> {
    /// `roots` tells of each process the folder of the other fleet that it belongs to.
    pub(crate) fn new(
        fleet: &Fleet,
        processes: &'a [ProcessInfo],
        found: &[Option<Match>],
        roots: &[Option<PathBuf>],
        locks: &[LockEntry],
    ) -> Self {
        let mut running: HashMap<Option<PathBuf>, Running> = HashMap::new();
        for (position, found) in found.iter().enumerate() {
            if found.as_ref().is_none_or(|one| one.role != Role::Orchestrator) {
                continue;
            }
            let of_fleet = running.entry(roots[position].clone()).or_default();
            of_fleet.positions.insert(position);
            let process = &processes[position];
            if call_of(process).is_none() {
                let started = Some(process.identity.started);
                of_fleet.adopted_before = of_fleet.adopted_before.max(started);
            }
        }
        let is_seen = |lock: &LockEntry| {
            let mut ours = running.get(&None).into_iter().flat_map(|ours| &ours.positions);
            ours.any(|&one| Some(processes[one].identity.pid) == lock.pid)
        };
        let is_one_hidden = locks.iter().any(|lock| {
            lock.name.eq_ignore_ascii_case(fleet.orchestrator.as_str())
                && lock.state.is_live()
                && !is_seen(lock)
        });
        Self { processes, running, is_one_hidden }
    }

    /// Whether an orchestrator of its own fleet supervises the process at `head`, which descends
    /// from `ancestors`. One that it started itself is its own for sure. One that is older than an
    /// orchestrator may have been adopted by it, which only the orchestrator itself could tell. The
    /// locks of other fleets are not looked at, so there one that can't be seen can't be ruled out.
    pub(crate) fn supervise(
        &self,
        head: usize,
        root: &Option<PathBuf>,
        ancestors: &[usize],
    ) -> Option<bool> {
        let may_be_hidden = root.is_none() && self.is_one_hidden;
        let Some(Running { positions, adopted_before }) = self.running.get(root) else {
            return (root.is_none() && !may_be_hidden).then_some(false);
        };
        let started = self.processes[head].identity.started;
        if positions.contains(&head) || ancestors.iter().any(|one| positions.contains(one)) {
            Some(true)
        } else if may_be_hidden || adopted_before.is_some_and(|since| started <= since) {
            None
        } else {
            Some(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use qc_lock_core::LockState;

    use crate::snapshot::tests::{lock, process, snapshot};

    /// Processes as `pid parent arguments`, started in the order of their pids.
    type Lines = &'static [(u32, u32, &'static str)];

    #[test]
    fn an_orphan_is_what_no_living_orchestrator_started_or_adopted() {
        let cases: [(&str, Lines, Option<u32>, Option<bool>); 9] = [
            ("no orchestrator", &[(20, 1, "python BRAIN_A.py")], None, Some(false)),
            ("its own", &[(10, 1, "qc-launch"), (20, 10, "python BRAIN_A.py")], None, Some(true)),
            (
                "through a wrapper",
                &[
                    (10, 1, "qc-launch"),
                    (15, 10, "qc-launch hold BRAIN_A -- python BRAIN_A.py"),
                    (20, 15, "python BRAIN_A.py"),
                ],
                None,
                Some(true),
            ),
            (
                "started by hand beside it",
                &[(10, 1, "qc-launch"), (20, 1, "python BRAIN_A.py")],
                None,
                Some(false),
            ),
            (
                "older than it: adopted, or not",
                &[(20, 1, "python BRAIN_A.py"), (30, 1, "qc-launch")],
                None,
                None,
            ),
            (
                "the parent's pid belongs to a new orchestrator",
                &[(20, 30, "python BRAIN_A.py"), (30, 1, "qc-launch")],
                None,
                None,
            ),
            (
                "older than the old orchestrator, which adopts nothing",
                &[(20, 1, "python BRAIN_A.py"), (30, 1, "python MASTER_LAUNCH.py")],
                None,
                Some(false),
            ),
            ("an orchestrator that can't be seen", &[(20, 1, "python BRAIN_A.py")], Some(9), None),
            (
                "a question to the orchestrator",
                &[(10, 1, "qc-launch status"), (20, 10, "python BRAIN_A.py")],
                None,
                Some(false),
            ),
        ];
        for (what, processes, holder, expected) in cases {
            let root = tempfile::tempdir().unwrap();
            let processes = processes.iter();
            let processes =
                processes.map(|&(pid, parent, line)| process(root.path(), pid, parent, line));
            let locks = holder.map(|pid| lock("MASTER_LAUNCH", pid, LockState::Held));
            let seen = snapshot(root.path(), processes.collect(), locks.into_iter().collect());
            let brain = seen.instances.iter().find(|one| one.component == "BRAIN_A").unwrap();
            assert_eq!(brain.supervised, expected, "{what}");
        }
    }

    #[test]
    fn in_another_folder_its_own_orchestrator_counts() {
        // The folder with a config is above that of the script, and is named in several ways.
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let brains = other.path().join("brains");
        std::fs::create_dir(&brains).unwrap();
        std::fs::write(other.path().join("MASTER_CONFIG.json"), "{}").unwrap();
        let launch = |pid, dir| process(dir, pid, 1, "qc-launch");
        let at = || process(&brains, 10, 1, "qc-launch --root ..");
        let cases = [
            ("its own", vec![at()], 10, Some(true)),
            ("started by hand beside it", vec![at()], 1, Some(false)),
            ("older than it", vec![launch(30, other.path())], 1, None),
            ("only one here, which started it", vec![launch(10, root.path())], 10, None),
            ("none that is seen", Vec::new(), 1, None),
        ];
        for (what, mut processes, parent, expected) in cases {
            processes.push(process(&brains, 20, parent, "python BRAIN_A.py"));
            let seen = snapshot(root.path(), processes, Vec::new());
            let brain = seen.instances.iter().find(|one| one.component == "BRAIN_A").unwrap();
            assert_eq!(brain.supervised, expected, "{what}");
            let roots: Vec<_> =
                seen.instances.iter().filter_map(|one| one.other_root.as_ref()).collect();
            assert!(roots.windows(2).all(|two| two[0] == two[1]), "{what}: {roots:?}");
        }
    }
}

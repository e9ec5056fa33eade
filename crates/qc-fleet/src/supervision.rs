//! Whether an orchestrator looks after what runs.

use std::collections::HashSet;

use qc_lock_core::LockEntry;
use qc_process::ProcessInfo;

use crate::matching::{Match, Place, call_of};
use crate::{Fleet, Role};

/// The orchestrators of this fleet that are alive.
#[derive(Debug)]
pub(crate) struct Orchestrators<'a> {
    processes: &'a [ProcessInfo],
    /// Their positions in the list.
    running: HashSet<usize>,
    /// When the youngest of those started that take over what runs already; `None` without one.
    /// `qc-launch` does, or it refuses to start; the old `MASTER_LAUNCH.py` does not.
    adopted_before: Option<u64>,
    /// Whether something that is not on the list holds the orchestrator's lock.
    is_one_hidden: bool,
}

impl<'a> Orchestrators<'a> {
    pub(crate) fn new(
        fleet: &Fleet,
        processes: &'a [ProcessInfo],
        found: &[Option<Match>],
        locks: &[LockEntry],
    ) -> Self {
        let is_orchestrator = |found: &Option<Match>| {
            found
                .as_ref()
                .is_some_and(|one| one.role == Role::Orchestrator && one.place == Place::Fleet)
        };
        let running: HashSet<usize> =
            (0..found.len()).filter(|&one| is_orchestrator(&found[one])).collect();
        let adopting = running.iter().filter(|&&one| call_of(&processes[one]).is_none());
        let adopted_before = adopting.map(|&one| processes[one].identity.started).max();
        let is_seen = |lock: &LockEntry| {
            running.iter().any(|&one| Some(processes[one].identity.pid) == lock.pid)
        };
        let is_one_hidden = locks.iter().any(|lock| {
            lock.name.eq_ignore_ascii_case(fleet.orchestrator.as_str())
                && lock.state.is_live()
                && !is_seen(lock)
        });
        Self { processes, running, adopted_before, is_one_hidden }
    }

    /// Whether one of them supervises the process at `head`, which descends from `ancestors`. One
    /// that it started itself is its own for sure. One that is older than an orchestrator may have
    /// been adopted by it, which only the orchestrator itself could tell.
    pub(crate) fn supervise(&self, head: usize, ancestors: &[usize]) -> Option<bool> {
        let started = self.processes[head].identity.started;
        if self.running.contains(&head) || ancestors.iter().any(|one| self.running.contains(one)) {
            Some(true)
        } else if self.is_one_hidden || self.adopted_before.is_some_and(|since| started <= since) {
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
}

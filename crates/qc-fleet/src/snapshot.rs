//! What runs right now: processes, folded into one instance per program, with their locks.

use std::io;

use qc_lock_core::{LockEntry, LockState};
use qc_process::{Listing, ProcessInfo};

use crate::matching::{Match, Place, match_process};
use crate::{Fleet, Role, shown_command};

/// One running copy of a component: usually one process, with a virtual environment's stub two.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The component's name.
    pub component: String,
    /// What it does.
    pub role: Role,
    /// The key of its account.
    pub account_key: Option<String>,
    /// Its account, by the config or its lock.
    pub account: Option<String>,
    /// Where its script lies.
    pub place: Place,
    /// Its processes; the last one does the work.
    pub processes: Vec<ProcessInfo>,
    /// The lock that one of its processes holds.
    pub lock: Option<LockEntry>,
    /// The command of the process that does the work, as it may be shown.
    pub command: String,
}

/// Instances, locks, and what could not be seen.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What runs, ordered by role and name.
    pub instances: Vec<Instance>,
    /// All locks.
    pub locks: Vec<LockEntry>,
    /// How many processes could not be read.
    pub unreadable: usize,
}

impl Instance {
    /// Returns the process that does the work.
    pub fn main(&self) -> Option<&ProcessInfo> {
        self.processes.last()
    }

    /// Returns all its pids.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.identity.pid).collect()
    }
}

impl Snapshot {
    /// Looks at this machine.
    ///
    /// # Errors
    /// If the system's process list can't be read.
    pub fn take(fleet: &Fleet, locks: Vec<LockEntry>) -> io::Result<Self> {
        Ok(Self::assemble(fleet, qc_process::list()?, locks))
    }

    /// Puts together what was seen.
    pub fn assemble(fleet: &Fleet, listing: Listing, locks: Vec<LockEntry>) -> Self {
        let matched = listing.processes.into_iter().filter_map(|process| {
            let found = match_process(fleet, &process)?;
            Some((found, process))
        });
        let mut instances: Vec<Instance> = fold(matched.collect());
        for instance in &mut instances {
            let pids = instance.pids();
            let held =
                |lock: &&LockEntry| matches!(lock.state, LockState::Held | LockState::Legacy);
            let mine: Vec<&LockEntry> = locks
                .iter()
                .filter(held)
                .filter(|lock| lock.pid.is_some_and(|pid| pids.contains(&pid)))
                .collect();
            let named =
                mine.iter().find(|lock| lock.name.eq_ignore_ascii_case(&instance.component));
            instance.lock = named.or(mine.first()).map(|&lock| lock.clone());
            let component = fleet.component(&instance.component);
            let words = instance.main().map_or(&[][..], |main| &main.args);
            instance.command = match component {
                Some(component) => component.shown_command_of(words),
                None => shown_command(words),
            };
            let known = component.and_then(|component| component.account.as_ref());
            instance.account = match known.filter(|_| instance.place == Place::Fleet) {
                Some(account) => Some(account.to_string()),
                None => instance.lock.as_ref().and_then(|lock| lock.account.clone()),
            };
        }
        instances.sort_by(|a, b| {
            (a.role, &a.component, a.pids()).cmp(&(b.role, &b.component, b.pids()))
        });
        Self { instances, locks, unreadable: listing.unreadable }
    }

    /// Returns the same without one process and its lock: the one that looks.
    pub fn without_process(mut self, pid: u32) -> Self {
        self.instances.retain(|instance| !instance.pids().contains(&pid));
        self.locks.retain(|lock| lock.pid != Some(pid));
        self
    }

    /// Returns the instances whose scripts lie in the fleet's folder.
    pub fn own(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.place == Place::Fleet)
    }

    /// Returns the locks of which no running instance is known to be the holder.
    pub fn loose_locks(&self) -> impl Iterator<Item = &LockEntry> {
        let attached = |lock: &LockEntry| {
            self.instances
                .iter()
                .any(|instance| lock.pid.is_some_and(|pid| instance.pids().contains(&pid)))
        };
        self.locks.iter().filter(move |lock| !attached(lock))
    }
}

/// Joins a process with the one it started, where both run the same script with the same
/// arguments: a virtual environment's `python.exe` and the interpreter behind it.
fn fold(mut matched: Vec<(Match, ProcessInfo)>) -> Vec<Instance> {
    matched.sort_by_key(|(_, process)| process.since);
    let mut instances: Vec<Instance> = Vec::new();
    // A child can share its parent's start second, so parents are looked up among all.
    let is_stub_of = |stub: &(Match, ProcessInfo), child: &(Match, ProcessInfo)| {
        child.1.parent == Some(stub.1.identity.pid)
            && child.1.identity != stub.1.identity
            && child.1.since >= stub.1.since
            && child.0 == stub.0
            && child.1.args.get(1..) == stub.1.args.get(1..)
    };
    let has_stub =
        |child: &(Match, ProcessInfo)| matched.iter().any(|stub| is_stub_of(stub, child));
    for first in matched.iter().filter(|one| !has_stub(one)) {
        let mut chain = vec![first];
        // A stub starts one interpreter. A second child is a second copy.
        while let Some(next) =
            matched.iter().find(|child| chain.last().is_some_and(|stub| is_stub_of(stub, child)))
        {
            chain.push(next);
        }
        instances
            .push(instance(&first.0, chain.iter().map(|(_, process)| process.clone()).collect()));
    }
    let folded: Vec<_> =
        instances.iter().flat_map(|one| one.processes.iter().map(|p| p.identity.clone())).collect();
    let others = matched.iter().filter(|(_, process)| !folded.contains(&process.identity));
    let others: Vec<Instance> =
        others.map(|(found, process)| instance(found, vec![process.clone()])).collect();
    instances.extend(others);
    instances
}

fn instance(found: &Match, processes: Vec<ProcessInfo>) -> Instance {
    Instance {
        component: found.component.clone(),
        role: found.role,
        account_key: found.account_key.clone(),
        account: None,
        place: found.place,
        processes,
        lock: None,
        command: String::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use qc_process::Identity;

    use super::*;

    pub(crate) fn fleet(root: &Path) -> Fleet {
        let config = root.join("MASTER_CONFIG.json");
        std::fs::write(&config, r#"{"ACCOUNTS": {"A": {"account": 1}, "B": {"account": 2}}}"#)
            .unwrap();
        Fleet::load(&config).unwrap()
    }

    pub(crate) fn process(root: &Path, pid: u32, parent: u32, line: &str) -> ProcessInfo {
        ProcessInfo {
            identity: Identity { pid, started: pid.into(), boot_id: "boot".into() },
            parent: Some(parent),
            name: "python".into(),
            args: line.split(' ').map(str::to_owned).collect(),
            exe: None,
            current_dir: Some(root.into()),
            user: None,
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(pid.into()),
            cpu_time: Duration::ZERO,
            memory_bytes: 0,
        }
    }

    pub(crate) fn lock(name: &str, pid: u32, state: LockState) -> LockEntry {
        LockEntry {
            name: name.into(),
            state,
            pid: Some(pid),
            account: None,
            host: None,
            since: None,
            program: None,
            resources: Vec::new(),
        }
    }

    pub(crate) fn snapshot(
        root: &Path,
        processes: Vec<ProcessInfo>,
        locks: Vec<LockEntry>,
    ) -> Snapshot {
        Snapshot::assemble(&fleet(root), Listing { processes, unreadable: 0 }, locks)
    }

    #[test]
    fn a_stub_and_its_interpreter_are_one_instance() {
        let root = tempfile::tempdir().unwrap();
        let processes = vec![
            process(root.path(), 10, 1, r"C:\f\Scripts\python.exe BRAIN_A.py"),
            process(root.path(), 11, 10, r"C:\Python312\python.exe BRAIN_A.py"),
        ];
        let snapshot = snapshot(root.path(), processes, vec![lock("BRAIN_A", 11, LockState::Held)]);
        assert_eq!(snapshot.instances.len(), 1);
        assert_eq!(snapshot.instances[0].pids(), [10, 11]);
        assert!(snapshot.instances[0].lock.is_some());
        assert_eq!(snapshot.instances[0].account.as_deref(), Some("1"));
        assert_eq!(snapshot.loose_locks().count(), 0);
    }

    #[test]
    fn a_second_copy_is_never_folded() {
        let root = tempfile::tempdir().unwrap();
        let line = "python BRAIN_A.py";
        let processes = vec![
            process(root.path(), 10, 1, line),
            process(root.path(), 11, 10, line),
            process(root.path(), 12, 10, line),
            process(root.path(), 13, 1, line),
        ];
        let pids: Vec<Vec<u32>> = snapshot(root.path(), processes, Vec::new())
            .instances
            .iter()
            .map(Instance::pids)
            .collect();
        assert_eq!(pids, [vec![10, 11], vec![12], vec![13]]);
    }

    #[test]
    fn a_parent_pid_that_was_used_again_does_not_fold() {
        let root = tempfile::tempdir().unwrap();
        let line = "python BRAIN_A.py";
        let processes = vec![process(root.path(), 20, 1, line), process(root.path(), 11, 20, line)];
        assert_eq!(snapshot(root.path(), processes, Vec::new()).instances.len(), 2);
    }
}

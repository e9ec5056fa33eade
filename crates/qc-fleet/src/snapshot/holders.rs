//! The holders of locks.

use std::collections::HashMap;
use std::path::Path;

use qc_lock_core::{LOCK_FOLDER, LockEntry, LockState};
use qc_process::ProcessInfo;

use crate::evidence::{ProcessProbe, identity_in};
use crate::matching::{Match, Place};
use crate::{Fleet, Instance, Role, same_folder};

/// Living locks by the pid of their holders.
#[derive(Debug)]
pub(super) struct Holders<'a> {
    by_pid: HashMap<u32, Vec<&'a LockEntry>>,
    /// The folder of the locks, as far as a lock shows it.
    folder: Option<&'a Path>,
}

impl<'a> Holders<'a> {
    pub(super) fn new(locks: &'a [LockEntry]) -> Self {
        let mut holders: HashMap<u32, Vec<&LockEntry>> = HashMap::new();
        for lock in locks {
            if let (LockState::Held | LockState::Legacy, Some(pid)) = (lock.state, lock.pid) {
                holders.entry(pid).or_default().push(lock);
            }
        }
        let folder = locks.iter().find_map(|lock| lock.evidence.guard.as_ref()?.parent()?.parent());
        Self { by_pid: holders, folder }
    }

    /// Whether `folder` holds the locks of the fleet in `root`.
    pub(super) fn is_of_fleet(&self, folder: &Path, root: &Path) -> bool {
        let is_it = |own: &Path| same_folder(folder, own);
        self.folder.is_some_and(is_it) || is_it(&root.join(LOCK_FOLDER))
    }

    /// Returns the living locks that name the process with this PID.
    pub(super) fn of_pid(&self, pid: u32) -> impl Iterator<Item = &'a LockEntry> {
        self.by_pid.get(&pid).into_iter().flatten().copied()
    }

    /// The instance's own lock, or else one that it holds under another name.
    pub(super) fn lock_of(&self, instance: &Instance) -> Option<&'a LockEntry> {
        let members = instance.processes.iter().chain(&instance.wrappers).chain(&instance.workers);
        let mine: Vec<&LockEntry> = members
            .filter_map(|one| self.by_pid.get(&one.identity.pid))
            .flatten()
            .copied()
            .collect();
        let named = mine.iter().find(|lock| lock.name.eq_ignore_ascii_case(&instance.component));
        named.or(mine.first()).copied()
    }

    /// Whether the process holds the lock of the component that it looks like.
    pub(super) fn holds(&self, process: &ProcessInfo, component: &str) -> bool {
        let held = self.by_pid.get(&process.identity.pid).into_iter().flatten();
        held.into_iter().any(|lock| lock.name.eq_ignore_ascii_case(component))
    }

    /// Whether it holds the guard of that lock. In a copy of the lock directory the records of its
    /// original name living processes, too.
    pub(super) fn has_guard_of(
        &self,
        process: &ProcessInfo,
        component: &str,
        probe: &dyn ProcessProbe,
    ) -> bool {
        let held = self.by_pid.get(&process.identity.pid).into_iter().flatten();
        let mut own = held.filter(|lock| lock.name.eq_ignore_ascii_case(component));
        own.any(|lock| probe.holds(lock))
    }

    /// Returns the component whose lock this process holds, if that says more than its command line
    /// does, which `found` tells. A process that holds several is the one it looks like.
    pub(super) fn component_of(
        &self,
        process: &ProcessInfo,
        found: Option<&Match>,
        fleet: &Fleet,
        probe: &dyn ProcessProbe,
    ) -> Option<Match> {
        let held = self.by_pid.get(&process.identity.pid)?;
        let is_at_home = found.is_some_and(|found| found.place == Place::Fleet);
        if found.is_some_and(|found| is_at_home && self.holds(process, &found.component)) {
            return None;
        }
        let is_held =
            |lock: &LockEntry| identity_in(lock) == Some(&process.identity) && probe.holds(lock);
        let looks_like = |lock: &&LockEntry| {
            found.is_some_and(|found| lock.name.eq_ignore_ascii_case(&found.component))
        };
        // The script of a component is that component, whatever name the user has given to a lock.
        let is_of_config = |name: &str| {
            fleet.component(name).is_some()
                || name.eq_ignore_ascii_case(fleet.orchestrator.as_str())
        };
        let is_known = found.is_some_and(|found| is_at_home && is_of_config(&found.component));
        let counts = |lock: &&&LockEntry| !is_known || is_of_config(&lock.name);
        let first = held.iter().filter(|lock| looks_like(lock));
        let rest = held.iter().filter(|lock| !looks_like(lock));
        first
            .chain(rest)
            .filter(counts)
            .find_map(|lock| component_named(fleet, &lock.name).filter(|_| is_held(lock)))
    }
}

/// Returns the component that a lock of this name is for. One that is not in the config is known by
/// the usual form of its name; without a config, every lock is one.
fn component_named(fleet: &Fleet, name: &str) -> Option<Match> {
    let found = |component: String, role, account_key| Match {
        component,
        role,
        account_key,
        place: Place::Fleet,
        folder: None,
        is_vague: false,
        is_by_name: false,
    };
    if name.eq_ignore_ascii_case(fleet.orchestrator.as_str()) {
        return Some(found(fleet.orchestrator.to_string(), Role::Orchestrator, None));
    }
    if let Some(one) = fleet.component(name) {
        return Some(found(one.name.to_string(), one.role, one.account_key.clone()));
    }
    let role = role_of(name);
    let key = match role {
        Role::Brain | Role::Watchdog => name.split_once('_').map(|(_, key)| key.to_uppercase()),
        Role::Orchestrator | Role::Server | Role::Other => None,
    };
    let is_usual = role != Role::Other || !fleet.is_from_config;
    is_usual.then(|| found(name.to_owned(), role, key))
}

/// Returns the usual role of a lock of this name.
fn role_of(name: &str) -> Role {
    match name.to_ascii_lowercase().as_str() {
        "master_launch" => Role::Orchestrator,
        "quantum_server" => Role::Server,
        name if name.starts_with("brain_") => Role::Brain,
        name if name.starts_with("watchdog_") => Role::Watchdog,
        _ => Role::Other,
    }
}

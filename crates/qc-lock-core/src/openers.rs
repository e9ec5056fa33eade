//! The processes that have the guards of a lock open without a known living holder: mostly a
//! program that an ended holder had started, and that has inherited them. The one place that finds
//! them.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::Path;

use qc_process::{file, machine_openers, visible};
use serde::Serialize;

use crate::resource::guard_file;
use crate::{LockDir, LockEntry, LockName, LockState, Request, Resource};

/// A process that has a guard open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opener {
    /// Its pid.
    pub pid: u32,
    /// The name of its program, as the system has it.
    pub program: String,
}

/// Names these processes: `PID 12 (sleep), PID 13 (tail)`.
pub fn openers_text(openers: &[Opener]) -> String {
    let text = |one: &Opener| format!("PID {} ({})", one.pid, visible(&one.program));
    openers.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Names the command that helps where these processes keep the lock `name` open, of the fleet in
/// `folder` if that is another one.
pub fn release_advice(name: &str, folder: Option<&str>, openers: &[Opener]) -> String {
    let is_lock = |one: &Opener| one.program.starts_with("qc-lock");
    let is_launcher = |one: &Opener| one.program.starts_with("qc-launch");
    let root = folder.map(|folder| format!(" --root \"{}\"", visible(folder)));
    let root = root.unwrap_or_default();
    if openers.iter().any(is_lock) {
        // It waits for the program that it has started.
        format!("`qc-ps --tree{root}` shows what runs under it")
    } else if !openers.is_empty() && openers.iter().all(is_launcher) {
        format!("`qc-launch status{root}` shows what the launcher waits for")
    } else {
        let name = visible(name);
        format!("`qc-lock release-left {name}{root}` shows what that is and ends what it may end")
    }
}

impl LockDir {
    /// Returns the name of the lock whose left-over holders have the guard of `resource` open, which
    /// are `openers`: a record lists it, or they have the guard of its name open, too.
    pub(crate) fn name_of_openers(
        &self,
        resource: &Resource,
        openers: &[Opener],
    ) -> Option<String> {
        let entries = self.list().unwrap_or_default();
        let lists = |entry: &&LockEntry| {
            !entry.state.is_live() && entry.resources.iter().any(|one| one == resource.as_str())
        };
        if let Some(entry) = entries.iter().find(lists) {
            return Some(entry.name.clone());
        }
        let unrecorded = self.openers_without_record(&entries).into_iter();
        let mut theirs =
            unrecorded.filter(|(_, of_name)| of_name.iter().any(|one| openers.contains(one)));
        theirs.next().map(|(name, _)| name)
    }

    /// Returns the processes that have any guard of `request` open, without this one, as far as the
    /// system shows them. None on Windows, where no process inherits a guard.
    pub fn openers(&self, request: &Request) -> Vec<Opener> {
        let guards = request.resources().into_iter().map(|one| one.guard_file()).collect();
        self.openers_of(vec![guards]).pop().unwrap_or_default()
    }

    /// Returns the same for the guard of one resource.
    pub(crate) fn openers_of_resource(&self, resource: &Resource) -> Vec<Opener> {
        self.openers_of(vec![vec![resource.guard_file()]]).pop().unwrap_or_default()
    }

    /// Returns the processes that have the guards of the lock `name` open: those that its record lists,
    /// if there is one, which is `entry`.
    pub fn openers_of_lock(&self, name: &LockName, entry: Option<&LockEntry>) -> Vec<Opener> {
        let listed = entry.map(guards_of).unwrap_or_default();
        let guards = listed.into_iter().chain([Resource::name(name).guard_file()]).collect();
        self.openers_of(vec![guards]).pop().unwrap_or_default()
    }

    /// Adds to those locks whose holders have ended who still has their guards open.
    pub fn with_openers(&self, mut entries: Vec<LockEntry>) -> Vec<LockEntry> {
        let is_left = |one: &&mut LockEntry| !one.state.is_live();
        let left: Vec<Vec<String>> =
            entries.iter_mut().filter(is_left).map(|one| guards_of(one)).collect();
        if left.is_empty() {
            return entries;
        }
        let found = self.openers_of(left);
        for (entry, openers) in entries.iter_mut().filter(is_left).zip(found) {
            entry.open_in = openers;
        }
        entries
    }

    /// Returns the keys of locks without a record among `entries` whose guards are open all the same, and
    /// in whom: a helper may have outlived a holder that has given its lock back.
    pub fn openers_without_record(&self, entries: &[LockEntry]) -> Vec<(String, Vec<Opener>)> {
        let recorded: HashSet<String> =
            entries.iter().map(|entry| entry.name.to_ascii_lowercase()).collect();
        let guards = file::list_directory(&self.store.guard_at("")).unwrap_or_default();
        let key = |guard: &OsString| Some(guard.to_str()?.strip_prefix("name@")?.to_owned());
        let mut keys: Vec<String> = guards.iter().filter_map(key).collect();
        keys.retain(|key| !recorded.contains(key));
        keys.sort();
        let groups = keys.iter().map(|key| vec![format!("name@{key}")]).collect();
        let found = keys.into_iter().zip(self.openers_of(groups));
        found.filter(|(_, openers)| !openers.is_empty()).collect()
    }

    /// Returns for each group of guards who has any of them open, in the folder or on the machine.
    fn openers_of(&self, groups: Vec<Vec<String>>) -> Vec<Vec<Opener>> {
        let guards: Vec<&str> = groups.iter().flatten().map(String::as_str).collect();
        let paths: Vec<_> = guards.iter().map(|guard| self.store.guard_at(guard)).collect();
        let here = file::openers(&paths.iter().map(|path| path.as_path()).collect::<Vec<&Path>>());
        let mut open: HashMap<&str, Vec<(u32, String)>> = HashMap::new();
        for (guard, found) in
            guards.iter().zip(here).chain(guards.iter().zip(machine_openers(&guards)))
        {
            open.entry(*guard).or_default().extend(found);
        }
        let of_group = |group: &Vec<String>| {
            let all = group.iter().filter_map(|guard| open.get(guard.as_str())).flatten();
            sorted(all.cloned())
        };
        groups.iter().map(of_group).collect()
    }
}

/// Returns who has the guard of a resource open that another folder holds on this machine.
pub(crate) fn openers_on_machine(resource: &Resource) -> Vec<Opener> {
    sorted(machine_openers(&[&resource.guard_file()]).into_iter().flatten())
}

/// Makes a list of processes, each once, without this one.
fn sorted(open: impl IntoIterator<Item = (u32, String)>) -> Vec<Opener> {
    let own = std::process::id();
    let openers = open.into_iter().filter(|(pid, _)| *pid != own);
    let mut openers: Vec<Opener> = openers.map(|(pid, program)| Opener { pid, program }).collect();
    openers.sort_by_key(|one| one.pid);
    openers.dedup_by_key(|one| one.pid);
    openers
}

/// Returns the guards of a lock, whose name may be that of no lock.
fn guards_of(entry: &LockEntry) -> Vec<String> {
    let listed = entry.resources.iter().map(|one| guard_file(one));
    match entry.state {
        LockState::Stale | LockState::Corrupt => listed.collect(),
        LockState::Held | LockState::Foreign | LockState::Legacy => Vec::new(),
    }
}

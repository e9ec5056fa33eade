//! What runs right now: processes, folded into one instance per program, with their locks.

mod holders;
mod roots;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use qc_lock_core::{Latch, LockEntry, Record};
use qc_process::Listing;

use self::holders::Holders;
use self::roots::OtherRoots;
use crate::fold::{Folded, fold};
use crate::matching::{Match, Matcher, Place};
use crate::root::{CONFIG_FILE, find_root};
use crate::supervision::Orchestrators;
use crate::{Fleet, Instance, Role};

/// Instances, locks, and what could not be seen.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What runs, ordered by role and name.
    pub instances: Vec<Instance>,
    /// All locks.
    pub locks: Vec<LockEntry>,
    /// How many processes could not be read.
    pub unreadable: usize,
    /// What forbids every start, if something does.
    pub latch: Option<Latch>,
    /// Whether the system shows only part of the processes, see [`Listing::hides_others`].
    pub hides_others: bool,
}

impl Snapshot {
    /// Looks at this machine.
    ///
    /// # Errors
    /// If the system's process list can't be read.
    pub fn take(fleet: &Fleet, locks: Vec<LockEntry>) -> io::Result<Self> {
        let matcher = Matcher::new(fleet);
        let listing = qc_process::list_wanted(&|args| matcher.may_find(args))?;
        let mut snapshot = Self::assemble(fleet, listing, locks);
        snapshot.learn_foreign_accounts();
        Ok(snapshot)
    }

    /// Puts together what was seen.
    pub fn assemble(fleet: &Fleet, listing: Listing, locks: Vec<LockEntry>) -> Self {
        let Listing { processes, unreadable, hides_others } = listing;
        let mut matcher = Matcher::new(fleet);
        let found: Vec<Option<Match>> = processes.iter().map(|one| matcher.find(one)).collect();
        let folded = fold(&processes, &found);
        let mut roots = OtherRoots::new(&fleet.root);
        let roots: Vec<Option<PathBuf>> =
            found.iter().map(|one| roots.root_of(one.as_ref()?)).collect();
        let orchestrators = Orchestrators::new(fleet, &processes, &found, &roots, &locks);
        let holders = Holders::new(&locks);
        let one = |folded: &Folded| {
            let head = *folded.chain.first()?;
            let found = found[head].clone()?;
            let take = |which: &[usize]| which.iter().map(|&one| processes[one].clone()).collect();
            let mut instance = Instance {
                account_key: found.account_key,
                place: found.place,
                folder: found.folder,
                other_root: roots[head].clone(),
                wrappers: take(&folded.wrappers),
                workers: take(&folded.workers),
                supervised: orchestrators.supervise(head, &roots[head], &folded.ancestors),
                ..Instance::new(found.component, found.role, take(&folded.chain))
            };
            instance.lock = holders.lock_of(&instance).cloned();
            instance.know(fleet);
            Some(instance)
        };
        let mut instances: Vec<Instance> = folded.iter().filter_map(one).collect();
        instances.sort_by_cached_key(|one| (one.role, one.component.clone(), one.pids()));
        Self { instances, locks, unreadable, latch: None, hides_others }
    }

    /// Adds what forbids every start.
    pub fn with_latch(self, latch: Option<Latch>) -> Self {
        Self { latch, ..self }
    }

    /// Adds the living processes that `records` name and that are on the list as no component: what
    /// is known of a fleet whose config can't be read.
    pub fn with_holders(mut self, records: &[Record]) -> Self {
        for record in records {
            let identity = record.identity();
            let is_known = self.instances.iter().any(|one| one.includes(record.pid));
            let is_here = record.is_local(qc_process::here());
            let process = qc_process::describe(record.pid).ok().flatten();
            let Some(process) = process.filter(|one| one.identity == identity) else { continue };
            if is_known || !is_here {
                continue;
            }
            let (name, role) = (record.name.clone(), role_of(&record.name));
            let account = record.account.clone();
            self.instances.push(Instance { account, ..Instance::new(name, role, vec![process]) });
        }
        self
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
            lock.pid.is_some_and(|pid| self.instances.iter().any(|one| one.includes(pid)))
        };
        self.locks.iter().filter(move |lock| !attached(lock))
    }

    /// Learns which accounts the instances of other fleets trade, from the configs of those.
    fn learn_foreign_accounts(&mut self) {
        let mut fleets: HashMap<PathBuf, Option<Fleet>> = HashMap::new();
        for instance in self.instances.iter_mut().filter(|one| one.place == Place::Foreign) {
            let Some(folder) = instance.folder.clone() else { continue };
            let fleet = fleets.entry(folder).or_insert_with_key(|folder| foreign_fleet(folder));
            if let Some(fleet) = fleet {
                instance.know_component(fleet);
            }
        }
    }
}

/// What a lock of this name is usually for.
fn role_of(name: &str) -> Role {
    match name.to_ascii_lowercase().as_str() {
        "master_launch" => Role::Orchestrator,
        "quantum_server" => Role::Server,
        name if name.starts_with("brain_") => Role::Brain,
        name if name.starts_with("watchdog_") => Role::Watchdog,
        _ => Role::Other,
    }
}

/// Reads the config that a script in `folder` belongs to. One that can't be read tells nothing.
fn foreign_fleet(folder: &Path) -> Option<Fleet> {
    Fleet::load(&find_root(folder)?.join(CONFIG_FILE)).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use qc_lock_core::{LockEvidence, LockState, Terminal};
    use qc_process::{Identity, ProcessInfo};

    use super::*;
    use crate::call::program_stem;

    pub(crate) fn fleet(root: &Path) -> Fleet {
        let config = root.join("MASTER_CONFIG.json");
        std::fs::write(&config, r#"{"ACCOUNTS": {"A": {"account": 1, "enabled": true}, "B": {"account": 2, "enabled": true}}}"#)
            .unwrap();
        Fleet::load(&config).unwrap()
    }

    pub(crate) fn process(root: &Path, pid: u32, parent: u32, line: &str) -> ProcessInfo {
        ProcessInfo {
            identity: Identity { pid, started: pid.into(), boot_id: "boot".into() },
            parent: Some(parent),
            name: program_stem(line.split(' ').next().unwrap()),
            args: line.split(' ').map(str::to_owned).collect(),
            exe: None,
            current_dir: Some(root.into()),
            is_stub: false,
            is_fork: false,
            session: None,
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
            evidence: LockEvidence::default(),
        }
    }

    pub(crate) fn snapshot(
        root: &Path,
        processes: Vec<ProcessInfo>,
        locks: Vec<LockEntry>,
    ) -> Snapshot {
        Snapshot::assemble(&fleet(root), Listing { processes, ..Listing::default() }, locks)
    }

    #[test]
    fn a_stub_and_its_interpreter_are_one_instance() {
        let root = tempfile::tempdir().unwrap();
        let stub = process(root.path(), 10, 1, "python BRAIN_A.py");
        let stub = ProcessInfo { is_stub: true, exe: Some("venv/python".into()), ..stub };
        let interpreter = process(root.path(), 11, 10, "python BRAIN_A.py");
        let interpreter = ProcessInfo { exe: Some("base/python".into()), ..interpreter };
        let processes = vec![stub, interpreter];
        let snapshot = snapshot(root.path(), processes, vec![lock("BRAIN_A", 11, LockState::Held)]);
        assert_eq!(snapshot.instances.len(), 1);
        assert_eq!(snapshot.instances[0].pids(), [10, 11]);
        assert!(snapshot.instances[0].lock.is_some());
        assert_eq!(snapshot.instances[0].account.as_deref(), Some("1"));
        assert_eq!(snapshot.loose_locks().count(), 0);
    }

    #[test]
    fn a_lock_that_a_wrapper_holds_is_its_programs() {
        let root = tempfile::tempdir().unwrap();
        let processes = vec![
            process(root.path(), 10, 1, "sh -c python BRAIN_A.py & python BRAIN_A.py"),
            process(root.path(), 11, 10, "python BRAIN_A.py"),
            process(root.path(), 12, 10, "python BRAIN_A.py"),
        ];
        let snapshot = snapshot(root.path(), processes, vec![lock("BRAIN_A", 10, LockState::Held)]);
        let locked: Vec<(Vec<u32>, bool)> =
            snapshot.instances.iter().map(|one| (one.pids(), one.lock.is_some())).collect();
        assert_eq!(locked, [(vec![11], true), (vec![12], false)]);
        assert_eq!(snapshot.loose_locks().count(), 0);
    }

    #[test]
    fn an_account_and_a_terminal_are_known_from_the_lock_where_the_config_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let processes = vec![process(root.path(), 10, 1, "python BRAIN_GONE.py")];
        let held = LockEntry {
            account: Some("7".into()),
            resources: vec!["account/7/brain".into(), "terminal/c:/mt5/brain".into()],
            ..lock("BRAIN_GONE", 10, LockState::Held)
        };
        let snapshot = snapshot(root.path(), processes, vec![held]);
        let instance = &snapshot.instances[0];
        assert_eq!(instance.account.as_deref(), Some("7"));
        assert_eq!(instance.terminal.as_ref().map(Terminal::as_str), Some("c:/mt5"));
    }

    #[test]
    fn a_copy_in_another_fleet_trades_the_account_of_that_fleet() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(
            other.path().join(CONFIG_FILE),
            r#"{"ACCOUNTS": {"A": {"account": 99, "enabled": true}}}"#,
        )
        .unwrap();
        let processes = vec![process(other.path(), 10, 1, "python BRAIN_A.py")];
        let mut snapshot = snapshot(root.path(), processes, Vec::new());
        assert_eq!(snapshot.instances[0].account, None);
        snapshot.learn_foreign_accounts();
        assert_eq!(snapshot.instances[0].account.as_deref(), Some("99"));
        assert_eq!(snapshot.own().count(), 0);
    }
}

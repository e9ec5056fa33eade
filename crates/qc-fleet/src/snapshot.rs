//! The processes that run right now, folded into one instance per program, with their locks.

mod holders;
mod identify;
mod machine;
mod moved;
mod origin;
mod roots;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use qc_call::{is_wrapper, is_wrapper_of_qc, without_false_title};
use qc_lock_core::{LOCK_FOLDER, Latch, LockDir, LockEntry};
use qc_process::inspect::user_of;
use qc_process::{Identity, Listing, MachineHolder, ProcessInfo, Sought};

pub(crate) use self::machine::{is_named, is_of};

use self::holders::Holders;
use self::identify::{Identified, identify};
use self::moved::mark_moved;
pub use self::moved::{MovedFleet, moved_fleets};
use self::roots::OtherRoots;
use crate::evidence::{Evidence, Machine, ProcessProbe, identity_in};
use crate::grouping::{ProcessGroup, group_processes};
use crate::left_over::left_behind;
use crate::matching::{Matcher, Place};
use crate::program::{contradiction, untouchable};
use crate::root::{CONFIG_FILE, find_root};
use crate::supervision::Orchestrators;
use crate::{Component, Fleet, Instance, LeftOver, Role};

/// Instances, locks, and what could not be seen.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The running instances, ordered by role and name.
    pub instances: Vec<Instance>,
    /// All locks.
    pub locks: Vec<LockEntry>,
    /// The command lines of the programs of qc that hold a lock for another one, or are about to.
    pub holding: Vec<Vec<String>>,
    /// The holders of an account or a terminal of this machine for another folder, as they describe
    /// themselves.
    pub elsewhere: Vec<MachineHolder>,
    /// How many processes could not be read.
    pub unreadable: usize,
    /// The latch that forbids every start, if there is one.
    pub latch: Option<Latch>,
    /// The latches that forbid only some starts.
    pub latches: Vec<Latch>,
    /// The programs that components have left behind of which nothing runs otherwise.
    pub left_behind: Vec<LeftOver>,
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
        let holders: Vec<u32> =
            locks.iter().filter_map(|lock| Some(identity_in(lock)?.pid)).collect();
        let listing = qc_process::list_sought(&Sought {
            args: &|args| matcher.may_find(args) || is_wrapper_of_qc(args),
            name: &|name| matcher.may_be_program(name),
            pids: &holders,
            // A shell's Python may have changed its title.
            starters: &is_wrapper,
        })?;
        let holders = machine::look();
        let mut snapshot = Self::assemble(fleet, listing, locks);
        snapshot.learn_suspended();
        snapshot.elsewhere = machine::elsewhere(holders, &snapshot, fleet);
        snapshot.learn_foreign_accounts();
        Ok(snapshot)
    }

    /// Looks only at the processes with these pids, and at no locks.
    ///
    /// # Errors
    /// If the system's process list can't be read.
    pub fn of(fleet: &Fleet, pids: &[u32]) -> io::Result<Self> {
        let mut snapshot = Self::assemble(fleet, qc_process::list_of(pids)?, Vec::new());
        snapshot.learn_foreign_accounts();
        Ok(snapshot)
    }

    /// Puts together what was seen.
    pub fn assemble(fleet: &Fleet, listing: Listing, locks: Vec<LockEntry>) -> Self {
        Self::assemble_with(fleet, listing, locks, &Machine)
    }

    /// Puts together what was seen; `probe` looks closer at the few processes that need it.
    pub(crate) fn assemble_with(
        fleet: &Fleet,
        listing: Listing,
        locks: Vec<LockEntry>,
        probe: &dyn ProcessProbe,
    ) -> Self {
        let Listing { processes, unreadable, hides_others } = listing;
        let processes: Vec<ProcessInfo> = processes.into_iter().map(without_false_title).collect();
        let holders = Holders::new(&locks);
        let Identified { mut found, by_lock, unclear } =
            identify(fleet, &processes, &holders, probe);
        let up_to = wrappers_of(&processes, &locks);
        let groups = group_processes(&processes, &mut found, &up_to, probe);
        let mut roots = OtherRoots::new(&fleet.root);
        let roots: Vec<Option<PathBuf>> =
            found.iter().map(|one| roots.root_of(one.as_ref()?)).collect();
        let orchestrators = Orchestrators::new(fleet, &processes, &found, &roots, &locks);
        let lineage = if by_lock.is_empty() { Vec::new() } else { probe.lineage() };
        let one = |groups: &ProcessGroup| {
            let head = *groups.chain.first()?;
            let found = found[head].clone()?;
            let take = |which: &[usize]| which.iter().map(|&one| processes[one].clone()).collect();
            let mut instance = Instance {
                account_key: found.account_key,
                place: found.place,
                folder: found.folder,
                other_root: roots[head].clone(),
                wrappers: take(&groups.wrappers),
                workers: take(&groups.workers),
                supervised: orchestrators.supervise(head, &roots[head], &groups.ancestors),
                ..Instance::new(found.component, found.role, take(&groups.chain))
            };
            instance.lock = holders.lock_of(&instance).cloned();
            let mut members = groups.wrappers.iter().chain(&groups.chain);
            if members.any(|one| by_lock.contains(one)) {
                judge_by_lock(&mut instance, fleet, &lineage);
            }
            instance.know(fleet);
            Some(instance)
        };
        let mut instances: Vec<Instance> = groups.iter().filter_map(one).collect();
        mark_moved(&mut instances, fleet, &holders, probe);
        instances.sort_by_cached_key(|one| (one.role, one.component.clone(), one.pids()));
        let holding = processes.iter().filter(|one| is_wrapper_of_qc(&one.args));
        let holding = holding.map(|one| one.args.clone()).collect();
        let unreadable = unreadable + unclear;
        let (elsewhere, latch, latches, left_behind) = (Vec::new(), None, Vec::new(), Vec::new());
        Self {
            instances,
            locks,
            holding,
            elsewhere,
            unreadable,
            latch,
            latches,
            left_behind,
            hides_others,
        }
    }

    /// Adds what forbids starts.
    pub fn with_latches(self, locks: &LockDir) -> Self {
        Self { latch: locks.latch(), latches: locks.scoped_latches(), ..self }
    }

    /// Returns the same with what the components have left behind of which nothing runs.
    ///
    /// # Errors
    /// If the system's process list can't be read.
    pub fn with_left_behind(self, fleet: &Fleet, locks: &LockDir) -> io::Result<Self> {
        Ok(Self { left_behind: left_behind(fleet, locks.path(), &self)?, ..self })
    }

    /// Returns what forbids the starts of `component`, and not every start.
    pub fn latch_of(&self, component: &Component) -> Option<&Latch> {
        // Hardly ever is there one.
        let request = (!self.latches.is_empty()).then(|| component.request())?;
        self.latches.iter().find(|latch| latch.is_of(&request))
    }

    /// Returns the same without one process and its lock: the one that looks.
    pub fn without_process(mut self, pid: u32) -> Self {
        self.instances.retain(|instance| !instance.includes(pid));
        self.locks.retain(|lock| lock.pid != Some(pid));
        self
    }

    /// Returns the instances whose scripts lie in the fleet's folder.
    pub fn own(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.place == Place::Fleet)
    }

    /// Returns the instances without a lock that are this fleet's, or may be.
    pub(crate) fn rogues(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|one| one.place != Place::Foreign && one.lock.is_none())
    }

    /// Returns the locks of which no running instance is known to be the holder.
    pub fn loose_locks(&self) -> impl Iterator<Item = &LockEntry> {
        let attached = |lock: &LockEntry| {
            lock.pid.is_some_and(|pid| self.instances.iter().any(|one| one.includes(pid)))
        };
        self.locks.iter().filter(move |lock| !attached(lock))
    }

    /// Learns which instances the system has suspended.
    fn learn_suspended(&mut self) {
        let mains = self.instances.iter().filter_map(|one| Some(one.main()?.identity.pid));
        let suspended = qc_process::suspended(&mains.collect::<Vec<u32>>());
        for instance in &mut self.instances {
            let main = instance.main().map(|main| main.identity.pid);
            instance.is_suspended = main.is_some_and(|pid| suspended.contains(&pid));
        }
    }

    /// Learns which accounts the instances of other fleets trade, from the configs and the
    /// locks there.
    fn learn_foreign_accounts(&mut self) {
        let mut fleets: HashMap<PathBuf, Option<Fleet>> = HashMap::new();
        let mut locks: HashMap<PathBuf, Vec<LockEntry>> = HashMap::new();
        for instance in self.instances.iter_mut().filter(|one| one.place == Place::Foreign) {
            let user = instance.main().and_then(|one| user_of(one.identity.pid));
            // Where the system shows no users, all are taken for one.
            instance.of_another_user = user != user_of(std::process::id());
            let Some(folder) = instance.folder.clone() else { continue };
            let fleet = fleets.entry(folder).or_insert_with_key(|folder| foreign_fleet(folder));
            if let Some(fleet) = fleet {
                instance.know_component(fleet);
            }
            let Some(root) = instance.other_root.clone() else { continue };
            let locks = locks.entry(root).or_insert_with_key(|root| locks_in(root));
            let is_its = |lock: &&LockEntry| {
                let holder = identity_in(lock).filter(|_| lock.state.is_live());
                let mut processes = instance.processes.iter();
                holder.is_some_and(|holder| processes.any(|one| one.identity == *holder))
            };
            if let Some(lock) = locks.iter().find(is_its).cloned() {
                instance.know_foreign_lock(&lock);
            }
        }
    }
}

/// Returns of each holder the pid of the program that holds its lock for it.
fn wrappers_of<'a>(processes: &[ProcessInfo], locks: &'a [LockEntry]) -> HashMap<usize, u32> {
    let wrapped = |lock: &'a LockEntry| Some((identity_in(lock)?, lock.evidence.wrapper_pid?));
    let held: HashMap<&Identity, u32> = locks.iter().filter_map(wrapped).collect();
    let of = |(position, process): (usize, &ProcessInfo)| {
        Some((position, *held.get(&process.identity)?))
    };
    processes.iter().enumerate().filter_map(of).collect()
}

/// Puts in what it means that only its lock says what it is.
fn judge_by_lock(instance: &mut Instance, fleet: &Fleet, lineage: &[Identity]) {
    instance.evidence = Evidence::Lock;
    let component = fleet.component(&instance.component);
    // A program that holds the lock for it is stopped with it, not as a program of qc.
    let wrappers = instance.wrappers.iter().filter(|one| !is_wrapper_of_qc(&one.args));
    let all = wrappers.chain(&instance.processes);
    let untouchable = all.filter_map(|one| untouchable(one, instance.role, lineage)).next();
    instance.untouchable = untouchable;
    let main = instance.processes.last().filter(|_| instance.role != Role::Orchestrator);
    instance.looks_like = main.and_then(|main| contradiction(component, main));
}

/// Returns the locks of another fleet. Those that can't be listed tell nothing.
fn locks_in(root: &Path) -> Vec<LockEntry> {
    LockDir::new(root.join(LOCK_FOLDER)).list().unwrap_or_default()
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

    use super::*;
    use qc_call::program_stem;

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
            open_in: Vec::new(),
            evidence: LockEvidence::default(),
        }
    }

    /// The evidence about made-up processes.
    #[derive(Debug, Default)]
    pub(crate) struct Shown {
        /// Guards that are free.
        pub(crate) free: Vec<u32>,
        /// Whether processes have loaded Python, by their pids.
        pub(crate) python: HashMap<u32, bool>,
        pub(crate) others: Vec<u32>,
        /// Those that have ended since they were listed.
        pub(crate) ended: Vec<u32>,
        pub(crate) elsewhere: HashMap<u32, PathBuf>,
        pub(crate) lineage: Vec<Identity>,
        /// First folders, by pid.
        pub(crate) first: HashMap<u32, PathBuf>,
        /// The folders of locks that environments name, by pid.
        pub(crate) origin: HashMap<u32, PathBuf>,
        /// The folders of locks that were moved since, by pid.
        pub(crate) moved: HashMap<u32, PathBuf>,
        /// The only folder that has files; all have without it.
        pub(crate) only_in: Option<PathBuf>,
    }

    impl ProcessProbe for Shown {
        fn holds(&self, lock: &LockEntry) -> bool {
            lock.pid.is_none_or(|pid| !self.free.contains(&pid))
        }

        fn locks_elsewhere(&self, process: &ProcessInfo, _root: &Path) -> Option<PathBuf> {
            self.elsewhere.get(&process.identity.pid).cloned()
        }

        fn loads_python(&self, process: &ProcessInfo) -> Option<bool> {
            self.python.get(&process.identity.pid).copied()
        }

        fn has_ended(&self, process: &ProcessInfo) -> bool {
            self.ended.contains(&process.identity.pid)
        }

        fn is_of_another_user(&self, process: &ProcessInfo) -> bool {
            self.others.contains(&process.identity.pid)
        }

        fn first_folder(&self, process: &ProcessInfo) -> Option<PathBuf> {
            self.first.get(&process.identity.pid).cloned()
        }

        fn locks_of_origin(&self, process: &ProcessInfo) -> Option<PathBuf> {
            self.origin.get(&process.identity.pid).cloned()
        }

        fn moved_locks(&self, process: &ProcessInfo, _component: &str) -> Option<PathBuf> {
            self.moved.get(&process.identity.pid).cloned()
        }

        fn sees_file(&self, _process: &ProcessInfo, file: &Path) -> bool {
            self.only_in.as_deref().is_none_or(|folder| file.parent() == Some(folder))
        }

        fn lineage(&self) -> Vec<Identity> {
            self.lineage.clone()
        }
    }

    /// A lock whose record names `holder` for all time.
    pub(crate) fn lock_of(name: &str, holder: &ProcessInfo) -> LockEntry {
        let evidence =
            LockEvidence { holder: Some(holder.identity.clone()), ..LockEvidence::default() };
        LockEntry { evidence, ..lock(name, holder.identity.pid, LockState::Held) }
    }

    pub(crate) fn snapshot(
        root: &Path,
        processes: Vec<ProcessInfo>,
        locks: Vec<LockEntry>,
    ) -> Snapshot {
        let listing = Listing { processes, ..Listing::default() };
        Snapshot::assemble_with(&fleet(root), listing, locks, &Shown::default())
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

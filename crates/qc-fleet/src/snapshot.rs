//! What runs right now: processes, folded into one instance per program, with their locks.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use qc_lock_core::{Latch, LockEntry, LockState, Record, Terminal};
use qc_process::{Listing, ProcessInfo};

use crate::fold::{Folded, fold};
use crate::matching::{Match, Matcher, Place};
use crate::root::{CONFIG_FILE, find_root, same_folder};
use crate::supervision::Orchestrators;
use crate::{Component, Fleet, Role, shown_command};

/// One running copy of a component: usually one process, with a virtual environment's stub two.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The component's name.
    pub component: String,
    /// What it does.
    pub role: Role,
    /// The key of its account.
    pub account_key: Option<String>,
    /// Its account, by the config of the fleet whose script it is, or by its lock.
    pub account: Option<String>,
    /// Its terminal, by the config or by its lock.
    pub terminal: Option<Terminal>,
    /// Where its script lies.
    pub place: Place,
    /// The folder of its script; `None` if the process does not let us see it.
    pub folder: Option<PathBuf>,
    /// The folder of the other fleet that it belongs to, spelt the same for all that do; `None` for
    /// this fleet.
    pub other_root: Option<PathBuf>,
    /// The programs that started it and wait for it, such as a shell or `qc-lock run`, the
    /// outermost first. They are not the program itself: they are neither counted nor stopped.
    pub wrappers: Vec<ProcessInfo>,
    /// Its processes; the last one does the work.
    pub processes: Vec<ProcessInfo>,
    /// Pythons that it started to work for it, such as those of `multiprocessing`.
    pub workers: Vec<ProcessInfo>,
    /// The lock that one of its processes holds, or that one of its wrappers holds for it.
    pub lock: Option<LockEntry>,
    /// The command of the process that does the work, as it may be shown.
    pub command: String,
    /// The commands of its wrappers, processes and workers, as they may be shown.
    pub commands: Vec<String>,
    /// Whether a living orchestrator of its fleet supervises it; `None` where that can't be told.
    pub supervised: Option<bool>,
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
    /// What forbids every start, if something does.
    pub latch: Option<Latch>,
    /// Whether the system shows only part of the processes, see [`Listing::hides_others`].
    pub hides_others: bool,
}

impl Instance {
    /// Returns the process that does the work.
    pub fn main(&self) -> Option<&ProcessInfo> {
        self.processes.last()
    }

    /// Returns the pids of its own processes.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.identity.pid).collect()
    }

    /// Whether `pid` is one of its processes, wrappers or workers.
    pub fn includes(&self, pid: u32) -> bool {
        let mut all = self.wrappers.iter().chain(&self.processes).chain(&self.workers);
        all.any(|one| one.identity.pid == pid)
    }
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
        let mut roots = OtherRoots { own: &fleet.root, by_folder: HashMap::new() };
        let roots: Vec<Option<PathBuf>> =
            found.iter().map(|one| roots.root_of(one.as_ref()?)).collect();
        let orchestrators = Orchestrators::new(fleet, &processes, &found, &roots, &locks);
        let holders = Holders::new(&locks);
        let one = |folded: &Folded| {
            let head = *folded.chain.first()?;
            let found = found[head].clone()?;
            let take = |which: &[usize]| which.iter().map(|&one| processes[one].clone()).collect();
            let mut instance = Instance {
                component: found.component,
                role: found.role,
                account_key: found.account_key,
                account: None,
                terminal: None,
                place: found.place,
                folder: found.folder,
                other_root: roots[head].clone(),
                wrappers: take(&folded.wrappers),
                processes: take(&folded.chain),
                workers: take(&folded.workers),
                lock: None,
                command: String::new(),
                commands: Vec::new(),
                supervised: orchestrators.supervise(head, &roots[head], &folded.ancestors),
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
            self.instances.push(Instance {
                component: record.name.clone(),
                role: role_of(&record.name),
                account_key: None,
                account: record.account.clone(),
                terminal: None,
                place: Place::Fleet,
                folder: None,
                other_root: None,
                wrappers: Vec::new(),
                processes: vec![process],
                workers: Vec::new(),
                lock: None,
                command: String::new(),
                commands: Vec::new(),
                supervised: None,
            });
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

/// The folders of other fleets, by those of their scripts.
struct OtherRoots<'a> {
    own: &'a Path,
    by_folder: HashMap<PathBuf, PathBuf>,
}

impl OtherRoots<'_> {
    /// The nearest folder with a config, as an orchestrator finds its own. Without one, or with the
    /// one of this fleet, the script's folder stands for itself.
    fn root_of(&mut self, found: &Match) -> Option<PathBuf> {
        let folder = found.folder.as_ref().filter(|_| found.place == Place::Foreign)?;
        if let Some(root) = self.by_folder.get(folder) {
            return Some(root.clone());
        }
        let root = find_root(folder).filter(|root| !same_folder(root, self.own));
        let root = root.unwrap_or_else(|| folder.clone());
        let known = self.by_folder.values().find(|known| same_folder(known, &root)).cloned();
        let root = known.unwrap_or(root);
        self.by_folder.insert(folder.clone(), root.clone());
        Some(root)
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

impl Instance {
    fn know(&mut self, fleet: &Fleet) {
        let component = fleet.component(&self.component);
        let wrappers = self.wrappers.iter().map(|one| shown_wrapper(component, &one.args));
        let own = self.processes.iter().map(|one| shown_process(component, &one.args));
        self.commands = wrappers.chain(own).collect();
        self.command = self.commands.last().cloned().unwrap_or_default();
        let workers = self.workers.iter().map(|one| shown_wrapper(component, &one.args));
        self.commands.extend(workers);
        if self.place == Place::Fleet {
            self.know_component(fleet);
        }
        let Some(lock) = &self.lock else { return };
        self.account = self.account.take().or_else(|| lock.account.clone());
        let terminal = |resource: &String| {
            let (path, _role) = resource.strip_prefix("terminal/")?.rsplit_once('/')?;
            Some(Terminal::new(path))
        };
        self.terminal = self.terminal.take().or_else(|| lock.resources.iter().find_map(terminal));
    }

    fn know_component(&mut self, fleet: &Fleet) {
        if let Some(component) = fleet.component(&self.component) {
            self.account = component.account.as_ref().map(ToString::to_string);
            self.terminal = component.terminal.clone();
        }
    }
}

fn shown_process(component: Option<&Component>, args: &[String]) -> String {
    component.map_or_else(|| shown_command(args), |component| component.shown_command_of(args))
}

/// A wrapper's or worker's command ends in that of the component. Where it does not, a shell has all of it in
/// one word, and the values of variables in it can't be told from the rest.
fn shown_wrapper(component: Option<&Component>, args: &[String]) -> String {
    match component {
        Some(component) if component.has_variables() && !component.ends(args) => {
            format!("{} ***", args.first().map(String::as_str).unwrap_or_default())
        }
        _ => shown_process(component, args),
    }
}

/// Living locks by the pid of their holders.
struct Holders<'a>(HashMap<u32, Vec<&'a LockEntry>>);

impl<'a> Holders<'a> {
    fn new(locks: &'a [LockEntry]) -> Self {
        let mut holders: HashMap<u32, Vec<&LockEntry>> = HashMap::new();
        for lock in locks {
            if let (LockState::Held | LockState::Legacy, Some(pid)) = (lock.state, lock.pid) {
                holders.entry(pid).or_default().push(lock);
            }
        }
        Self(holders)
    }

    /// The instance's own lock, or else one that it holds under another name.
    fn lock_of(&self, instance: &Instance) -> Option<&'a LockEntry> {
        let members = instance.processes.iter().chain(&instance.wrappers).chain(&instance.workers);
        let mine: Vec<&LockEntry> =
            members.filter_map(|one| self.0.get(&one.identity.pid)).flatten().copied().collect();
        let named = mine.iter().find(|lock| lock.name.eq_ignore_ascii_case(&instance.component));
        named.or(mine.first()).copied()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use qc_process::Identity;

    use super::*;
    use crate::call::program_stem;

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
        std::fs::write(other.path().join(CONFIG_FILE), r#"{"ACCOUNTS": {"A": {"account": 99}}}"#)
            .unwrap();
        let processes = vec![process(other.path(), 10, 1, "python BRAIN_A.py")];
        let mut snapshot = snapshot(root.path(), processes, Vec::new());
        assert_eq!(snapshot.instances[0].account, None);
        snapshot.learn_foreign_accounts();
        assert_eq!(snapshot.instances[0].account.as_deref(), Some("99"));
        assert_eq!(snapshot.own().count(), 0);
    }
}

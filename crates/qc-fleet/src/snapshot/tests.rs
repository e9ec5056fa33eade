use std::path::Path;
use std::time::{Duration, SystemTime};

use qc_call::program_stem;
use qc_lock_core::{LockEvidence, LockState, Terminal};

use super::*;
use crate::CONFIG_FILE;

pub(crate) fn fleet(root: &Path) -> Fleet {
    let config = root.join("MASTER_CONFIG.json");
    std::fs::write(&config, r#"{"ACCOUNTS": {"A": {"account": 1, "enabled": true}, "B": {"account": 2, "enabled": true}}}"#)
        .unwrap();
    Fleet::load(&config).unwrap()
}

pub(crate) fn process(root: &Path, pid: u32, parent: u32, line: &str) -> ProcessInfo {
    let identity = Identity { pid, started: pid.into(), boot_id: "boot".into() };
    ProcessInfo {
        parent: Some(parent),
        name: program_stem(line.split(' ').next().unwrap()),
        current_dir: Some(root.into()),
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(pid.into()),
        ..ProcessInfo::new(identity, line.split(' ').map(str::to_owned).collect())
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
    /// The processes that have ended since they were listed.
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

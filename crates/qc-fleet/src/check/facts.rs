//! Gathering what [`check`](super::check) judges.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_process::{MachineReach, Volume, listener, machine_reach, machine_unusable, volume};

use super::executables::{self, ProgramFiles};
use super::{near_file, sync};
use crate::{Component, Fleet, Snapshot, Variables};

/// The launcher of the old suite.
pub(super) const OLD_LAUNCHER: &str = "MASTER_LAUNCH.py";

/// The scripts of the old suite that start and stop the whole fleet.
const OLD_SCRIPTS: [&str; 2] = ["SAFE_SHUTDOWN.py", OLD_LAUNCHER];

/// The facts about this machine.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The running processes and the locks.
    pub snapshot: Snapshot,
    /// The missing files and folders.
    pub missing: HashSet<PathBuf>,
    /// The names of files that missing scripts were probably meant to be.
    pub near: HashMap<PathBuf, String>,
    /// The files of the programs.
    pub programs: ProgramFiles,
    /// The scripts of the old suite in the fleet's folder.
    pub old_scripts: Vec<&'static str>,
    /// The ports of components at which something listens.
    pub ports: Vec<BusyPort>,
    /// Whether the scripts lock with the old module.
    pub has_old_module: bool,
    /// How far a lock on an account reaches.
    pub reach: MachineReach,
    /// The things that stand in the place of files of the machine's guards and can't be locked.
    pub unusable_guards: Vec<PathBuf>,
    /// The folder of the locks.
    pub lock_dir: Folder,
    /// The folder of the logs.
    pub logs: Folder,
}

/// A port that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyPort {
    /// The port.
    pub number: u16,
    /// The process that listens, if the system says so.
    pub pid: Option<u32>,
    /// Its program, if it can be seen.
    pub program: Option<String>,
}

impl BusyPort {
    /// Returns who uses it, in words.
    pub fn user(&self) -> String {
        match (&self.program, self.pid) {
            (Some(program), Some(pid)) => format!("{program} (PID {pid})"),
            (None, Some(pid)) => format!("PID {pid}"),
            _ => "a program that the system does not name".into(),
        }
    }
}

/// A folder that is written to.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// The disk it lies on.
    pub volume: Option<Volume>,
    /// The service that copies it to other machines.
    pub synced_by: Option<String>,
    /// Why it can't be written to.
    pub unwritable: Option<String>,
}

impl Facts {
    /// Looks for all that matters for a start of `components`, beside the ports, which are to be
    /// looked at first: what begins to listen in between is then in the `snapshot`. `variables` are
    /// the environment's: `PATH`, and where services keep their folders.
    pub fn gather(
        fleet: &Fleet,
        components: &[Arc<Component>],
        ports: Vec<BusyPort>,
        snapshot: Snapshot,
        lock_dir: &Path,
        variables: Variables<'_>,
    ) -> Self {
        let mut missing = HashSet::new();
        for one in components {
            let paths = one.script.as_deref().into_iter().chain([one.cwd.as_path()]);
            missing.extend(paths.filter(|path| !path.exists()).map(Path::to_path_buf));
        }
        let terminals = fleet.accounts.iter().filter_map(|entry| entry.terminal_path.as_ref());
        missing.extend(terminals.map(PathBuf::from).filter(|path| !fleet.root.join(path).exists()));

        Self {
            snapshot,
            near: near_file::gather(fleet, components, &missing),
            missing,
            programs: executables::gather(fleet, components, variables),
            old_scripts: old_scripts(&fleet.root),
            ports,
            has_old_module: qc_lock_core::has_old_module(&fleet.root),
            reach: machine_reach(),
            unusable_guards: unusable_guards(components),
            lock_dir: Folder::look(lock_dir, variables),
            logs: Folder::look(&fleet.logs.folder, variables),
        }
    }

    pub(super) fn lacks(&self, path: &Path) -> bool {
        self.missing.contains(path)
    }
}

/// Returns what stands in the place of the guards that these components would ask for.
fn unusable_guards(components: &[Arc<Component>]) -> Vec<PathBuf> {
    let found = machine_unusable();
    if found.is_empty() {
        return found;
    }
    let resources = components.iter().flat_map(|one| one.request().resources());
    let guards: Vec<String> = resources.map(|one| one.guard_file()).collect();
    let is_asked = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        guards.iter().any(|guard| name.ends_with(guard.as_str()))
    };
    found.into_iter().filter(is_asked).collect()
}

impl Folder {
    fn look(path: &Path, variables: Variables<'_>) -> Self {
        let resolved = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        Self {
            path: path.into(),
            // A disk that says nothing about itself is no reason to refuse.
            volume: volume(path).ok(),
            synced_by: sync::synced_by(&resolved, variables).map(str::to_owned),
            unwritable: unwritable(path),
        }
    }
}

/// Tries to write into the folder, or the one that it would be made in; leaves nothing behind.
fn unwritable(path: &Path) -> Option<String> {
    let existing = path.ancestors().find(|path| fs::symlink_metadata(path).is_ok())?;
    if !existing.is_dir() {
        return Some(format!("{} is not a folder", existing.display()));
    }
    tempfile::tempfile_in(existing).err().map(|error| error.to_string())
}

/// Returns which ports of `components` are in use.
pub fn busy_ports(components: &[Arc<Component>]) -> Vec<BusyPort> {
    let mut numbers: Vec<u16> = components.iter().flat_map(|one| one.ports.clone()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().filter_map(port).collect()
}

/// Returns the listener at a port; `None` where the system does not show it.
fn port(number: u16) -> Option<BusyPort> {
    let found = listener(number).ok().flatten()?;
    let process = found.pid.and_then(|pid| qc_process::describe(pid).ok().flatten());
    Some(BusyPort { number, pid: found.pid, program: process.map(|process| process.name) })
}

/// Returns the old scripts in the fleet's folder that start and stop the whole fleet.
fn old_scripts(root: &Path) -> Vec<&'static str> {
    OLD_SCRIPTS.into_iter().filter(|name| root.join(name).is_file()).collect()
}

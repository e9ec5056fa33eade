//! The evidence that a process is a component, beyond the process list and the records.

use std::path::{Path, PathBuf};

use qc_lock_core::{LockDir, LockEntry, LockState};
use qc_process::{
    Identity, LOCKS_ARE_INHERITED, Liveness, ProcessInfo, identity_of, inspect, liveness,
};

use crate::{COMPONENT_LOCKS_ID_VARIABLE, COMPONENT_LOCKS_VARIABLE, COMPONENT_VARIABLE};

/// Why a process is taken for a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Its command line, or that of what it was started by.
    CommandLine,
    /// Its lock alone: the guard is held, and the record names it. Enough for listing and stopping it
    /// and for refusing a start.
    Lock,
}

/// Why a process is never stopped, although it holds the lock of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untouchable {
    /// It is the first process of the system.
    FirstProcess,
    /// It is a trading terminal.
    Terminal,
    /// It is a program of qc.
    OwnTool,
    /// The command that looks was started from it.
    Ancestor,
}

impl Untouchable {
    /// Returns what to say about the process.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstProcess => "the first process of the system",
            Self::Terminal => "a trading terminal",
            Self::OwnTool => "a program of qc",
            Self::Ancestor => "what this command was started from",
        }
    }
}

/// A closer look at single processes. Asked only about the few that need it.
pub(crate) trait ProcessProbe {
    /// Whether the holder that a record names holds its guard, as far as the system shows it.
    fn holds(&self, lock: &LockEntry) -> bool;
    /// The lock directories of other fleets than the one in `root` in which a record names this process as a holder.
    fn locks_elsewhere(&self, process: &ProcessInfo, root: &Path) -> Option<PathBuf>;
    /// Whether a process has loaded a Python interpreter.
    fn loads_python(&self, process: &ProcessInfo) -> Option<bool>;
    /// Whether a process has ended since it was listed.
    fn has_ended(&self, process: &ProcessInfo) -> bool;
    /// Whether a process belongs to another user, where the system shows it.
    fn is_of_another_user(&self, process: &ProcessInfo) -> bool;
    /// The folder that a process was started in, as its environment names it.
    fn first_folder(&self, process: &ProcessInfo) -> Option<PathBuf>;
    /// The folder of the locks of the fleet whose component has started the process, itself or through
    /// others, as its environment names it.
    fn locks_of_origin(&self, process: &ProcessInfo) -> Option<PathBuf>;
    /// The path of the locks with which a process was started as `component`, where another folder
    /// stands at that path since.
    fn moved_locks(&self, process: &ProcessInfo, component: &str) -> Option<PathBuf>;
    /// Whether a file exists where a process sees it.
    fn sees_file(&self, process: &ProcessInfo, file: &Path) -> bool;
    /// This process, and those it descends from.
    fn lineage(&self) -> Vec<Identity>;
}

/// The user whose records count for everyone.
const ROOT: u32 = 0;

/// Returns the process that a living lock's record names for all time.
pub(crate) fn identity_in(lock: &LockEntry) -> Option<&Identity> {
    lock.evidence.holder.as_ref().filter(|_| lock.state == LockState::Held)
}

/// This machine.
pub(crate) struct Machine;

impl ProcessProbe for Machine {
    fn holds(&self, lock: &LockEntry) -> bool {
        let Some(holder) = identity_in(lock) else { return false };
        let evidence = &lock.evidence;
        if liveness(holder) == Liveness::Dead {
            return false;
        }
        // Another user could name any process in a record.
        let (writer, user) = (evidence.owner, inspect::user_of(holder.pid));
        if writer.is_some_and(|writer| writer != ROOT && user.is_some_and(|user| user != writer)) {
            return false;
        }
        let pids = [Some(holder.pid), evidence.wrapper_pid].into_iter().flatten();
        let seen: Vec<Option<bool>> = pids.map(|pid| evidence.guard_is_open_in(pid)).collect();
        if seen.iter().all(Option::is_none) {
            // Nothing is shown. What a wrapper holds ends with the wrapper.
            let wrapper = evidence.wrapper_pid.filter(|_| !LOCKS_ARE_INHERITED);
            return wrapper.is_none_or(is_there);
        }
        seen.contains(&Some(true))
    }

    fn locks_elsewhere(&self, process: &ProcessInfo, root: &Path) -> Option<PathBuf> {
        let guards = inspect::open_in(process.identity.pid, ".guards");
        let mut folders: Vec<&Path> =
            guards.iter().filter_map(|guard| guard.parent()?.parent()).collect();
        folders.dedup();
        let names_it = |folder: &&Path| {
            let fleet = folder.parent();
            // Locks can be anywhere; a fleet is where its config is.
            let is_other = fleet.is_some_and(|fleet| {
                fleet.join(crate::CONFIG_FILE).exists() && !crate::same_folder(fleet, root)
            });
            let locks = LockDir::new(*folder).list().unwrap_or_default();
            is_other && locks.iter().any(|lock| identity_in(lock) == Some(&process.identity))
        };
        folders.into_iter().find(names_it).map(Path::to_path_buf)
    }

    fn loads_python(&self, process: &ProcessInfo) -> Option<bool> {
        qc_call::loads_python(process)
    }

    fn has_ended(&self, process: &ProcessInfo) -> bool {
        // One that is ending has neither memory nor folders, and is there for a moment longer.
        let is_ending = || {
            let now = qc_process::describe(process.identity.pid).ok().flatten();
            now.is_some_and(|now| now.args.is_empty() && now.exe.is_none())
        };
        is_ending() || liveness(&process.identity) == Liveness::Dead
    }

    fn is_of_another_user(&self, process: &ProcessInfo) -> bool {
        let users = [process.identity.pid, std::process::id()].map(inspect::user_of);
        matches!(users, [Some(one), Some(other)] if one != other)
    }

    fn first_folder(&self, process: &ProcessInfo) -> Option<PathBuf> {
        inspect::first_folder(process.identity.pid)
    }

    fn locks_of_origin(&self, process: &ProcessInfo) -> Option<PathBuf> {
        let names = [COMPONENT_VARIABLE, COMPONENT_LOCKS_VARIABLE];
        let [_, folder] = inspect::variables_of(process.identity.pid, names)?;
        Some(PathBuf::from(folder?)).filter(|folder| folder.is_absolute())
    }

    fn moved_locks(&self, process: &ProcessInfo, component: &str) -> Option<PathBuf> {
        let names = [COMPONENT_VARIABLE, COMPONENT_LOCKS_VARIABLE, COMPONENT_LOCKS_ID_VARIABLE];
        let [name, folder, id] = inspect::variables_of(process.identity.pid, names)?;
        // A program that a component starts inherits the variables, such as the launcher of another fleet.
        if !name?.to_str()?.eq_ignore_ascii_case(component) {
            return None;
        }
        let folder = Some(PathBuf::from(folder?)).filter(|folder| folder.is_absolute())?;
        let id = id.and_then(|id| id.into_string().ok()).filter(|id| !id.is_empty())?;
        let is_moved = inspect::folder_id(&folder).is_none_or(|now| now != id);
        is_moved.then_some(folder)
    }

    fn sees_file(&self, process: &ProcessInfo, file: &Path) -> bool {
        inspect::sees_file(process.identity.pid, file)
    }

    fn lineage(&self) -> Vec<Identity> {
        qc_process::lineage().unwrap_or_default()
    }
}

/// Whether a process with this pid exists, also one that can't be looked at.
fn is_there(pid: u32) -> bool {
    !identity_of(pid).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

//! What runs on this machine.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use crate::{Identity, here, imp};

/// One running process, as far as the system lets us see.
#[derive(Debug, Clone)]
pub struct ProcessInfo {
    /// Who it is.
    pub identity: Identity,
    /// The pid of the process that started it. That one may have ended, and on Windows its pid
    /// may by now belong to a younger process.
    pub parent: Option<u32>,
    /// The program's name.
    pub name: String,
    /// The program and its arguments. Empty if they can't be read.
    pub args: Vec<String>,
    /// The program's file.
    pub exe: Option<PathBuf>,
    /// Its current directory.
    pub current_dir: Option<PathBuf>,
    /// Its user, as the system writes it (uid or SID).
    pub user: Option<String>,
    /// When it was started, by the wall clock.
    pub since: SystemTime,
    /// The processor time it has used so far.
    pub cpu_time: Duration,
    /// The memory it has in use, in bytes.
    pub memory_bytes: u64,
}

/// All processes that could be read, and how many could not.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Those that could be read, by pid.
    pub processes: Vec<ProcessInfo>,
    /// How many exist whose command line is hidden from us, so that nobody can say what they are.
    pub unreadable: usize,
}

/// Lists the processes of this machine.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn list() -> io::Result<Listing> {
    let mut listing = Listing::default();
    for process in refreshed(ProcessesToUpdate::All)?.processes().values() {
        match read(process) {
            Some(info) if info.args.is_empty() && imp::hides_its_command(&info) => {
                listing.unreadable += 1
            }
            Some(info) => listing.processes.push(info),
            None => {}
        }
    }
    listing.processes.sort_by_key(|info| info.identity.pid);
    Ok(listing)
}

/// Describes one process; `None` if there is none with this pid.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn describe(pid: u32) -> io::Result<Option<ProcessInfo>> {
    let pid = Pid::from_u32(pid);
    Ok(refreshed(ProcessesToUpdate::Some(&[pid]))?.process(pid).and_then(read))
}

fn refreshed(which: ProcessesToUpdate<'_>) -> io::Result<System> {
    let mut system = System::new().map_err(|error| io::Error::other(format!("{error:?}")))?;
    let wanted = ProcessRefreshKind::nothing()
        .with_cmd(UpdateKind::Always)
        .with_exe(UpdateKind::Always)
        .with_cwd(UpdateKind::Always)
        .with_user(UpdateKind::Always)
        .with_cpu()
        .with_memory()
        .without_tasks();
    system.refresh_processes_specifics(which, true, wanted);
    Ok(system)
}

fn read(process: &sysinfo::Process) -> Option<ProcessInfo> {
    let pid = process.pid().as_u32();
    // The list gives whole seconds. The exact start time is read afterwards, so a pid that changed
    // hands in between shows up as another start, and the entry describes a process that is gone.
    let started = imp::start_time(pid).ok()?;
    if !imp::started_at(started, process.start_time()) {
        return None;
    }
    Some(ProcessInfo {
        identity: Identity { pid, started, boot_id: here().boot_id.clone() },
        parent: process.parent().map(Pid::as_u32),
        name: process.name().to_string_lossy().into_owned(),
        args: process.cmd().iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        exe: process.exe().map(PathBuf::from),
        current_dir: process.cwd().map(PathBuf::from),
        user: process.user_id().map(|user| user.to_string()),
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(process.start_time()),
        cpu_time: Duration::from_millis(process.accumulated_cpu_time()),
        memory_bytes: process.memory(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_listed_with_its_arguments() {
        let own = crate::own_identity();
        let listing = list().unwrap();
        let found =
            listing.processes.iter().find(|info| info.identity == *own).expect("not listed");
        let expected: Vec<String> = std::env::args().collect();
        assert_eq!(found.args[1..], expected[1..]);
        assert_eq!(found.current_dir.as_deref(), std::env::current_dir().ok().as_deref());
    }

    #[test]
    fn one_process_is_described_as_the_list_does() {
        let info = describe(std::process::id()).unwrap().expect("not described");
        assert_eq!(info.identity, *crate::own_identity());
        assert!(info.memory_bytes > 0);
    }
}

//! The process list, through `sysinfo`.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use crate::list::Sought;
use crate::{Identity, Listing, ProcessInfo, here};

/// Seconds between 1601, where Windows starts counting, and 1970.
const EPOCH_DIFFERENCE: u64 = 11_644_473_600;

/// Ticks of a start time in one second.
const TICKS: u64 = 10_000_000;

/// How long a process may take to say what it was called with.
const MOMENT: Duration = Duration::from_millis(10);

/// How many moments one that was started this many seconds ago at most gets.
const MOST_MOMENTS: usize = 30;
const YOUNG: u64 = 3;

/// Reads the command line of every process that is not in `seen`, and everything else of those that are
/// sought.
///
/// Adds what it reads to `seen`, but not what has ended meanwhile. Returns `None` if there is nothing
/// that is not in `seen`.
pub(crate) fn scan(sought: &Sought<'_>, seen: &mut HashSet<u32>) -> io::Result<Option<Listing>> {
    let wanted = sought.args;
    let hides_its_command = |process: &sysinfo::Process| hides_its_command(process, sought);
    let mut system = new_system()?;
    let command_lines = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always).without_tasks();
    if seen.is_empty() {
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, command_lines);
    } else {
        let new = pids()?.into_iter().filter(|pid| !seen.contains(pid)).map(Pid::from_u32);
        let new: Vec<Pid> = new.collect();
        if new.is_empty() {
            return Ok(None);
        }
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&new), true, command_lines);
    }
    let (silent, mut found): (Vec<Pid>, Vec<Pid>) = (system.processes().iter())
        .filter(|(_, process)| hides_its_command(process) || wanted(&args(process)))
        .map(|(pid, _)| *pid)
        .partition(|pid| system.process(*pid).is_some_and(&hides_its_command));
    seen.extend(system.processes().keys().map(|pid| pid.as_u32()));
    let mut listing = Listing::default();
    if !silent.is_empty() {
        // One that is just starting or ending shows nothing for a moment, and hides nothing. What is new at a
        // second reading is mostly that.
        for _ in 0..MOST_MOMENTS {
            thread::sleep(MOMENT);
            refresh(&mut system, &silent);
            let is_starting = |process: &sysinfo::Process| {
                hides_its_command(process) && is_young(process) && !has_ended(process.pid())
            };
            if !silent.iter().any(|&pid| system.process(pid).is_some_and(is_starting)) {
                break;
            }
        }
        for pid in silent {
            match system.process(pid) {
                Some(process) if !hides_its_command(process) => {
                    found.extend(wanted(&args(process)).then_some(pid));
                }
                Some(_) if !has_ended(pid) => listing.unreadable += 1,
                Some(_) | None => _ = seen.remove(&pid.as_u32()),
            }
        }
    }
    refresh(&mut system, &found);
    for pid in found {
        let process = system.process(pid).and_then(read);
        if process.is_none() {
            seen.remove(&pid.as_u32());
        }
        listing.processes.extend(process);
    }
    Ok(Some(listing))
}

/// Returns the pids of all processes.
pub(crate) fn pids() -> io::Result<Vec<u32>> {
    let mut system = new_system()?;
    let nothing = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, nothing);
    Ok(system.processes().keys().map(|pid| pid.as_u32()).collect())
}

/// Whether a process has just been started; one whose start is hidden counts as old.
fn is_young(process: &sysinfo::Process) -> bool {
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    now.saturating_sub(process.start_time()) <= YOUNG
}

fn new_system() -> io::Result<System> {
    System::new().map_err(|error| io::Error::other(format!("{error:?}")))
}

/// Describes the processes with these pids; those that have ended or are hidden are left out.
pub(crate) fn describe(pids: &[u32]) -> io::Result<Listing> {
    let mut system = new_system()?;
    let pids: Vec<Pid> = pids.iter().copied().map(Pid::from_u32).collect();
    refresh(&mut system, &pids);
    let processes = pids.iter().filter_map(|&pid| read(system.process(pid)?)).collect();
    Ok(Listing { processes, ..Listing::default() })
}

/// Returns the pids of the processes whose environment has the first of these variables, with the values
/// of all.
pub(crate) fn with_variables<const N: usize>(
    names: [&str; N],
) -> io::Result<Vec<(u32, [Option<OsString>; N])>> {
    let system = with_environments(ProcessesToUpdate::All)?;
    let all = system.processes().iter();
    Ok(all.filter_map(|(pid, process)| Some((pid.as_u32(), values(process, names)?))).collect())
}

/// Returns the same for one process.
pub(crate) fn variables_of<const N: usize>(
    pid: u32,
    names: [&str; N],
) -> Option<[Option<OsString>; N]> {
    let pid = Pid::from_u32(pid);
    let system = with_environments(ProcessesToUpdate::Some(&[pid])).ok()?;
    values(system.process(pid)?, names)
}

fn with_environments(which: ProcessesToUpdate<'_>) -> io::Result<System> {
    let mut system = new_system()?;
    let environments =
        ProcessRefreshKind::nothing().with_environ(UpdateKind::Always).without_tasks();
    system.refresh_processes_specifics(which, true, environments);
    Ok(system)
}

fn values<const N: usize>(
    process: &sysinfo::Process,
    names: [&str; N],
) -> Option<[Option<OsString>; N]> {
    let value = |name: &str| {
        let of = |variable: &OsString| {
            let variable = variable.to_str()?;
            Some(OsString::from(variable.strip_prefix(name)?.strip_prefix('=')?))
        };
        process.environ().iter().find_map(of)
    };
    let values = names.map(value);
    values.first()?.is_some().then_some(values)
}

fn refresh(system: &mut System, pids: &[Pid]) {
    let wanted = ProcessRefreshKind::nothing()
        .with_cmd(UpdateKind::OnlyIfNotSet)
        .with_exe(UpdateKind::Always)
        .with_cwd(UpdateKind::Always)
        .with_cpu()
        .with_memory()
        .without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(pids), true, wanted);
}

/// Whether a process does not show its command line although its program may be one that is sought.
/// The system's own processes never show theirs.
fn hides_its_command(process: &sysinfo::Process, sought: &Sought<'_>) -> bool {
    let name = process.name().to_string_lossy();
    process.cmd().is_empty() && (name.is_empty() || (sought.name)(&name))
}

fn has_ended(pid: Pid) -> bool {
    super::start_time(pid.as_u32()).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn args(process: &sysinfo::Process) -> Vec<String> {
    process.cmd().iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn read(process: &sysinfo::Process) -> Option<ProcessInfo> {
    let pid = process.pid().as_u32();
    // The list gives whole seconds. The exact start time is read afterwards, so a pid that changed
    // hands in between shows up as another start, and the entry describes a process that is gone.
    let started = super::start_time(pid).ok()?;
    if seconds(started).abs_diff(process.start_time()) > 1 {
        return None;
    }
    Some(ProcessInfo {
        identity: Identity { pid, started, boot_id: here().boot_id.clone() },
        parent: process.parent().map(Pid::as_u32),
        name: process.name().to_string_lossy().into_owned(),
        args: args(process),
        exe: process.exe().map(PathBuf::from),
        current_dir: process.cwd().map(PathBuf::from),
        is_stub: process.exe().is_some_and(is_stub),
        is_fork: false,
        session: None,
        since: since(started),
        cpu_time: Duration::from_millis(process.accumulated_cpu_time()),
        memory_bytes: process.memory(),
    })
}

/// Describes a process that has just been created, as far as its creator knows it.
pub(super) fn info_of(identity: Identity, args: Vec<String>, exe: PathBuf) -> ProcessInfo {
    let name = exe.file_name().map(|name| name.to_string_lossy().into_owned());
    ProcessInfo {
        parent: Some(std::process::id()),
        name: name.unwrap_or_default(),
        is_stub: is_stub(&exe),
        exe: Some(exe),
        since: since(identity.started),
        ..ProcessInfo::new(identity, args)
    }
}

/// Returns when a process was started, by the wall clock.
fn since(started: u64) -> SystemTime {
    let ticks = Duration::from_nanos(started % TICKS * (1_000_000_000 / TICKS));
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds(started)) + ticks
}

fn seconds(started: u64) -> u64 {
    (started / TICKS).saturating_sub(EPOCH_DIFFERENCE)
}

/// Whether a program only starts the real interpreter. Since Python 3.7.2 a virtual environment's
/// `python.exe` does; `pyvenv.cfg` lies beside it or one folder up, where it looks for it itself.
///
/// Source: <https://docs.python.org/3/library/venv.html#how-venvs-work>
fn is_stub(exe: &Path) -> bool {
    let stem = exe.file_stem().map(|stem| stem.to_string_lossy().to_lowercase());
    let is_launcher = stem.is_some_and(|stem| matches!(stem.as_str(), "py" | "pyw"));
    let mut folders = exe.ancestors().skip(1).take(2);
    is_launcher || folders.any(|folder| folder.join("pyvenv.cfg").is_file())
}

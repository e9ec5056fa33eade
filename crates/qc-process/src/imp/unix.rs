//! Linux.

mod command;
mod file;
pub(crate) mod hand_over;
pub(crate) mod inspect;
mod list;
mod listener;
mod loader;
#[cfg(feature = "channel")]
mod local;
mod machine;
mod machine_view;
mod mark;
mod open_files;
mod relay;
mod sharing;
mod signals;
mod spawn;
mod stat;
mod stop;
pub(crate) mod suspended;
mod volume;
mod watch;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::AtLogOn;

pub(crate) use file::{
    FileId, ProgramId, file_id, id_text, is_at, prepare, prepare_following, program_at, try_lock,
};
pub(crate) use list::{describe, pids, scan};
pub(crate) use listener::listener;
#[cfg(feature = "channel")]
pub(crate) use local::{CallLimit, LocalPlace, clear_left_over, for_this_user};
pub(crate) use machine::{
    MACHINE_PART, MACHINE_TEXT, MachineLegs, folder_text, forget_machine_guard, is_container,
    machine_file, machine_names,
};
pub(crate) use machine_view::{
    has_own_namespaces, machine_locked, machine_unusable, socket_openers,
};
pub(crate) use open_files::{is_open_in, openers};
pub(crate) use relay::Relay;
pub(crate) use sharing::{
    has_other_names, let_share, let_share_directory, open_to_writers, other_owner, owner, user_name,
};
pub(crate) use signals::{on_hang_up, on_interrupt, reset_inherited};
pub(crate) use spawn::{ChildHandle, child_handle, spawn, spawn_detached};
pub(crate) use stop::{
    ProcessHandle, ask_all, exit_of, kill, open_child, open_process, pass_on, process_handle,
    wait_any,
};
pub(crate) use volume::volume;
pub(crate) use watch::{Waker, Watcher};

pub(crate) const PYTHON_IN_ENVIRONMENT: &str = "bin/python";
pub(crate) const PYTHON_ON_PATH: &str = "python3";
/// Where programs are looked for without a PATH.
pub(crate) const DEFAULT_PATH: &str = "/bin:/usr/bin";
pub(crate) const EMPTY_IN_PATH_IS_HERE: bool = true;
pub(crate) const PROGRAM_ENDINGS: &[&str] = &[];
pub(crate) const LOCKS_ARE_INHERITED: bool = true;
pub(crate) const NOWHERE: &str = "/dev/null";
pub(crate) const NOT_MARKED: &str = "the hard limit of file locks is too low; `ulimit -H -x` shows it, and LimitLOCKS=infinity in a unit lifts it";
pub(crate) const FOLDER_ONLY: &str = "accounts and terminals are locked in this folder only: this program may use neither Unix sockets nor /dev/shm";
pub(crate) const MACHINE_HOLDER_HINT: &str =
    "an administrator sees who it is with `ss -xap | grep qc2` and `lslocks`";
pub(crate) const SCRIPTS_NAME_THEIR_PROGRAM: bool = true;
pub(crate) const AT_LOG_ON: AtLogOn = AtLogOn::Systemd;
pub(crate) const LAUNCH_COMMAND: &str = "qc-launch";
pub(crate) const SHUTDOWN_COMMAND: &str = "qc-shutdown";
pub(crate) const SHUTDOWN_HINT: &str = "Run qc-shutdown to stop all processes safely.";

/// Whether the program at `path` may be run; `None` if there is no such file.
pub(crate) fn may_run(path: &Path) -> Option<bool> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some(metadata.mode() & 0o111 != 0)
}

/// Whether two names are those of one environment variable.
pub(crate) fn is_same_variable(one: &OsStr, other: &OsStr) -> bool {
    one == other
}

/// Returns the start time of the process with `pid`, in clock ticks since boot.
///
/// # Errors
/// `NotFound` if there is none or it has ended, `PermissionDenied` if it exists but is hidden.
pub(crate) fn start_time(pid: u32) -> io::Result<u64> {
    Ok(stat(pid)?.started)
}

/// Reads `/proc/PID/stat` of a process that runs.
///
/// # Errors
/// As above.
fn stat(pid: u32) -> io::Result<stat::Stat> {
    let text = match read_at_once(&format!("/proc/{pid}/stat")) {
        Ok(text) => text,
        // ESRCH: it ended between open and read.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            return Err(io::ErrorKind::NotFound.into());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absence(pid)),
        Err(error) => return Err(error),
    };
    let unreadable = || {
        io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has an unknown form"))
    };
    match stat::Stat::parse(&text) {
        Some(stat) if stat.has_ended() => Err(io::ErrorKind::NotFound.into()),
        Some(stat) => Ok(stat),
        None => Err(unreadable()),
    }
}

/// Reads a file of `/proc`, which has no length.
fn read_at_once(path: &str) -> io::Result<Vec<u8>> {
    // Enough for most, and little enough for the allocator to have it at hand.
    let mut bytes = Vec::with_capacity(1024);
    read_whole(&mut File::open(path)?, &mut bytes)?;
    Ok(bytes)
}

/// Reads a file of `/proc` into the room that `bytes` has. That is almost always one call: what is
/// shorter than the room for it was read to its end.
fn read_whole(file: &mut File, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(bytes.capacity(), 0);
    let read = file.read(bytes)?;
    let is_full = read == bytes.len();
    bytes.truncate(read);
    if is_full {
        file.read_to_end(bytes)?;
    }
    Ok(())
}

/// Tells a process that does not exist from one that `/proc` hides (`hidepid`).
fn absence(pid: u32) -> io::Error {
    let exists =
        i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).is_some_and(|pid| {
            !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
        });
    if exists { io::ErrorKind::PermissionDenied.into() } else { io::ErrorKind::NotFound.into() }
}

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(crate) fn boot_id() -> String {
    let read = read_at_once("/proc/sys/kernel/random/boot_id");
    read.map_or_else(|_| "unknown".into(), |id| String::from_utf8_lossy(&id).trim().into())
}

pub(crate) fn pid_namespace() -> Option<u64> {
    fs::metadata("/proc/self/ns/pid").ok().map(|namespace| namespace.ino())
}

/// Source: <https://man7.org/linux/man-pages/man2/getrandom.2.html>
pub(crate) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        filled += retry_on_intr(|| getrandom(&mut bytes[filled..], GetRandomFlags::empty()))?;
    }
    Ok(())
}

/// Source: <https://man7.org/linux/man-pages/man3/malloc_trim.3.html>
pub(crate) fn return_memory() {
    // SAFETY: the call takes no pointers, and may come from any thread at any time.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

pub(crate) fn has_group(pid: u32) -> bool {
    let group = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    group.is_some_and(|group| {
        rustix::process::test_kill_process_group(group) != Err(rustix::io::Errno::SRCH)
    })
}

/// Whether a table of the system or of this program is full, or memory, or the number of processes.
pub(crate) fn is_out_of_room(error: i32) -> bool {
    matches!(
        error,
        libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN | libc::ENOSPC | libc::EDQUOT
    )
}

/// Raises the soft limit, and only if it has to be: programs that use `select` break beyond 1024.
/// The table of open files grows now: left to itself it doubles as it fills, and each time a
/// program with threads waits until no processor uses the old one, some 10 ms.
pub(crate) fn allow_open_files(count: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let wanted = count.min(hard);
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    let allowed =
        if soft < wanted && setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { soft };
    if let Some(last) = wanted.min(allowed).checked_sub(1).and_then(|last| last.try_into().ok()) {
        // It has grown when this returns; the file itself is not needed, nor is success.
        drop(rustix::io::fcntl_dupfd_cloexec(io::stderr(), last));
    }
    allowed
}

pub(crate) fn whole_blocks(file: &File) -> io::Result<u64> {
    let system = rustix::fs::fstatvfs(file)?;
    let block = system.f_bsize.max(system.f_frsize).max(1);
    let length = file.metadata()?.len();
    Ok(length.saturating_sub(1) / block * block)
}

pub(crate) fn cut_front(file: &File, length: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::COLLAPSE_RANGE, 0, length)?)
}

/// A relative link, so that the folder can be moved.
pub(crate) fn link(target: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target.file_name().unwrap_or_default(), at)
}

pub(crate) fn spawn_apart(command: &mut Command) -> io::Result<std::process::Child> {
    command.process_group(0).spawn()
}

/// No open file of another program blocks anything on Unix.
pub(crate) fn is_transient(_error: &io::Error) -> bool {
    false
}

/// A terminal understands what is written to it without being set to.
pub(crate) fn output_mode() -> Option<u32> {
    None
}

pub(crate) fn set_output_mode(_mode: u32) {}

/// A signal reports the end of the session, and no limit follows it.
pub(crate) fn close_limit() -> Option<Duration> {
    None
}

/// Signals tell of it.
pub(crate) fn watch_session() -> io::Result<()> {
    Ok(())
}

/// There is no such key.
pub(crate) fn press_ctrl_break() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Ends this program at once, by SIGKILL.
#[cfg(feature = "fault")]
pub(crate) fn die() -> ! {
    // The program is not there to hear of a failure; should one happen, it ends another way.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

/// Unix signals need no helper.
pub(crate) fn run_helper(_args: impl Iterator<Item = String>) -> i32 {
    2
}

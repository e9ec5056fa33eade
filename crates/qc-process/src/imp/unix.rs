//! Linux.

mod command;
mod listener;
mod relay;
mod spawn;
mod stop;
mod volume;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::imp::Share;
use crate::{AtLogOn, Interrupt, ProcessInfo};

pub(crate) use listener::listener;
pub(crate) use relay::Relay;
pub(crate) use spawn::{ChildHandle, spawn};
pub(crate) use stop::{ProcessHandle, ask_all, kill, open_process, pass_on, wait_any};
pub(crate) use volume::volume;

pub(crate) const PYTHON_IN_ENVIRONMENT: &str = "bin/python";
pub(crate) const PYTHON_ON_PATH: &str = "python3";
pub(crate) const CLOSE_LIMIT: Option<Duration> = None;
pub(crate) const LOCKS_ARE_INHERITED: bool = true;
pub(crate) const NOWHERE: &str = "/dev/null";
pub(crate) const AT_LOG_ON: AtLogOn = AtLogOn::Systemd;

/// Returns the start time of the process with `pid`, in clock ticks since boot.
///
/// # Errors
/// `NotFound` if there is none or it has ended, `PermissionDenied` if it exists but is hidden.
///
/// Source: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
pub(crate) fn start_time(pid: u32) -> io::Result<u64> {
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
    // The second field is the program's name in parentheses and may hold anything.
    let after_name = text.iter().rposition(|&byte| byte == b')').ok_or_else(unreadable)?;
    let rest = String::from_utf8_lossy(&text[after_name + 1..]);
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied().ok_or_else(unreadable);
    // A zombie has ended, except where only the first of several threads has.
    let threads: u64 = field(20)?.parse().map_err(|_| unreadable())?;
    if matches!(field(3)?, "Z" | "X") && threads <= 1 {
        return Err(io::ErrorKind::NotFound.into());
    }
    field(22)?.parse().map_err(|_| unreadable())
}

/// Reads a file of `/proc`, which has no length, in one piece.
fn read_at_once(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    // A `Take` does not ask for the length first.
    File::open(path)?.take(1 << 20).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells a process that does not exist from one that `/proc` hides (`hidepid`).
fn absence(pid: u32) -> io::Error {
    let exists =
        i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).is_some_and(|pid| {
            !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
        });
    if exists { io::ErrorKind::PermissionDenied.into() } else { io::ErrorKind::NotFound.into() }
}

/// Tells whether start time `started` falls into the wall-clock second `seconds` of the list, give
/// or take the rounding of the boot time.
pub(crate) fn started_at(started: u64, seconds: u64) -> bool {
    let since_boot = started / rustix::param::clock_ticks_per_second();
    let boot = sysinfo::System::boot_time().unwrap_or(0);
    (boot + since_boot).abs_diff(seconds) <= 2
}

/// Kernel threads have no command line and no program file; that hides nothing.
pub(crate) fn hides_its_command(process: &ProcessInfo) -> bool {
    let pid = process.identity.pid;
    let is_kernel_thread = pid == 2 || process.parent == Some(2);
    // A zombie's command line is empty, too.
    !is_kernel_thread
        && start_time(pid).is_ok()
        && fs::read(format!("/proc/{pid}/cmdline")).is_err()
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

pub(crate) fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    name.unwrap_or(uid)
}

/// Makes an open neither follow a symbolic link nor wait for the other end of a FIFO.
pub(crate) fn prepare(options: &mut OpenOptions, _share: Share) {
    options.mode(0o666).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
}

/// Which file it is, for as long as it is open: its device and inode.
pub(crate) type FileId = (u64, u64);

pub(crate) fn file_id(found: &fs::Metadata) -> FileId {
    (found.dev(), found.ino())
}

pub(crate) fn is_at(id: &FileId, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(named) => Ok(*id == file_id(&named)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
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

pub(crate) fn set_apart(command: &mut Command) {
    command.process_group(0);
}

/// No open file of another program blocks anything on Unix.
pub(crate) fn is_transient(_error: &io::Error) -> bool {
    false
}

pub(crate) fn on_interrupt(act: Box<dyn Fn(Interrupt) + Send + Sync>) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new(heard_signals())?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            act(interrupt(signal));
        }
    })?;
    Ok(())
}

/// Returns the signals that ask this program to stop; what was ignored when it started stays so.
fn heard_signals() -> impl Iterator<Item = i32> {
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP]
        .into_iter()
        .filter(|&signal| signal_action(signal) != libc::SIG_IGN)
}

fn interrupt(signal: i32) -> Interrupt {
    match signal {
        libc::SIGINT => Interrupt::CtrlC,
        libc::SIGTERM => Interrupt::Terminate,
        _ => Interrupt::Close,
    }
}

/// Returns what this program does on `signal`: `SIG_DFL`, `SIG_IGN` or the address of a handler.
fn signal_action(signal: i32) -> libc::sighandler_t {
    // SAFETY: all zeroes is a valid action, the default one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: no action is set, and the out-pointer is a live local; for a number that is no
    // signal it stays as it is.
    unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) };
    action.sa_sigaction
}

/// Unix signals need no helper.
pub(crate) fn run_helper(_args: impl Iterator<Item = String>) -> i32 {
    2
}

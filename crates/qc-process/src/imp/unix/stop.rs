//! Stopping through a pidfd, which names one process for ever, unlike its number.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{Ask, Ended, Identity, Interrupt, Process};

/// An open pidfd.
#[derive(Debug)]
pub(crate) struct ProcessHandle(OwnedFd);

impl ProcessHandle {
    /// Returns the names under which the process's program is known.
    pub(crate) fn images(&self, pid: u32) -> Vec<String> {
        let mut images = Vec::new();
        if let Ok(name) = fs::read_to_string(format!("/proc/{pid}/comm")) {
            images.push(name.trim_end().to_owned());
        }
        if let Ok(exe) = fs::read_link(format!("/proc/{pid}/exe")) {
            images.push(exe.to_string_lossy().into_owned());
        }
        if let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) {
            let program = command.split(|&byte| byte == 0).next().unwrap_or_default();
            images.push(String::from_utf8_lossy(program).into_owned());
        }
        images
    }
}

/// Returns what can be watched.
pub(crate) fn process_handle(process: &ProcessHandle) -> &OwnedFd {
    &process.0
}

/// Only a parent learns how its child ends.
pub(crate) fn exit_of(_process: &ProcessHandle) -> Option<Ended> {
    None
}

pub(crate) fn open_process(identity: &Identity) -> io::Result<Option<ProcessHandle>> {
    let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Compared after opening: from here on the number can't change hands unnoticed.
    match super::start_time(identity.pid) {
        Ok(started) if started == identity.started && identity.boot_id == crate::here().boot_id => {
            Ok(Some(ProcessHandle(handle)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn ask_all(processes: &[&Process], how: Ask) -> Vec<io::Result<()>> {
    processes.iter().map(|process| send(&process.handle, signal_for(process, how))).collect()
}

pub(crate) fn kill(process: &Process) -> io::Result<()> {
    send(&process.handle, Signal::KILL)
}

/// Ctrl-C at a terminal goes to the whole foreground group; without a terminal it was sent to this
/// program alone.
pub(crate) fn pass_on(process: &Process, interrupt: Interrupt) {
    let signal = match interrupt {
        Interrupt::CtrlC if io::stdin().is_terminal() => return,
        Interrupt::CtrlC => Signal::INT,
        Interrupt::Terminate => Signal::TERM,
        Interrupt::Close => Signal::HUP,
    };
    // It fails for one that runs as another user, which nobody here can reach.
    let _ = send(&process.handle, signal);
}

pub(crate) fn wait_any(processes: &[&Process], timeout: Duration) -> io::Result<Vec<usize>> {
    let deadline = Instant::now() + timeout;
    let mut fds: Vec<PollFd<'_>> =
        processes.iter().map(|process| PollFd::new(&process.handle.0, PollFlags::IN)).collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        match poll(&mut fds, Some(&left)) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(fds
        .iter()
        .enumerate()
        .filter(|(_, fd)| !fd.revents().is_empty())
        .map(|(position, _)| position)
        .collect())
}

fn send(handle: &ProcessHandle, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(&handle.0, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A Python runs `finally:` on SIGINT, but is ended at once by SIGTERM.
fn signal_for(process: &Process, how: Ask) -> Signal {
    let pid = process.identity().pid;
    let is_python = process.images.iter().any(|image| {
        let file = image.rsplit('/').next().unwrap_or(image);
        file.starts_with("python") || file.starts_with("pypy")
    });
    match how {
        Ask::Gently if is_python && !ignores(pid, libc::SIGINT) => Signal::INT,
        Ask::Gently | Ask::Firmly => Signal::TERM,
    }
}

/// Tells whether the process ignores `signal`, as one started by a shell in the background does.
pub(super) fn ignores(pid: u32, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

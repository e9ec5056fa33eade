//! Stopping through a pidfd, which names one process for ever, unlike its number.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{ChildHandle, ProgramId};
use crate::program::DELETED;
use crate::{Ask, Ended, Identity, Interrupt, Process, StopError, StopSignal, par_chunks};

/// How many are asked one after the other before another processor is worth it.
const ASKED_AT_ONCE: usize = 64;

/// An open pidfd.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    pidfd: OwnedFd,
    name: String,
}

impl ProcessHandle {
    /// Returns the names under which the process's program is known. The file of a Python is the only
    /// one: its process can have any title.
    ///
    /// # Errors
    /// None here: its own name was read when it was opened.
    pub(crate) fn images(&self, pid: u32) -> io::Result<Vec<String>> {
        let mut images = vec![self.name.clone()];
        if let Ok(exe) = fs::read_link(format!("/proc/{pid}/exe")) {
            // A file that was replaced while it ran, as by an update, is still the same program.
            let exe = exe.to_string_lossy();
            let exe = exe.strip_suffix(DELETED).unwrap_or(&exe).to_owned();
            if crate::is_interpreter(&exe) {
                return Ok(vec![exe]);
            }
            images.push(exe);
        }
        if let Ok(command) = super::read_at_once(&format!("/proc/{pid}/cmdline")) {
            let words = command.split(|&byte| byte == 0);
            let mut words = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            super::loader::without_loader(&mut words);
            images.extend(words.into_iter().next());
        }
        Ok(images)
    }

    /// Returns which file the process's program is, also under another name of it.
    pub(crate) fn program_id(&self, pid: u32) -> Option<ProgramId> {
        fs::metadata(format!("/proc/{pid}/exe")).ok().as_ref().map(super::file_id)
    }
}

/// Returns what can be watched.
pub(crate) fn process_handle(process: &ProcessHandle) -> &OwnedFd {
    &process.pidfd
}

/// Only a parent learns how its child ends.
pub(crate) fn exit_of(_process: &ProcessHandle) -> Option<Ended> {
    None
}

/// Opens a child. As long as it is not waited for, its number is its own, and there is nothing to
/// compare.
pub(crate) fn open_child(
    _identity: &Identity,
    child: &ChildHandle,
) -> io::Result<Option<ProcessHandle>> {
    if child.has_ended() {
        return Ok(None);
    }
    let pidfd = child.pidfd().try_clone()?;
    Ok(Some(ProcessHandle { pidfd, name: child.program().to_owned() }))
}

pub(crate) fn open_process(identity: &Identity) -> io::Result<Option<ProcessHandle>> {
    let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Compared after opening: from here on the number can't change hands unnoticed.
    match super::stat(identity.pid) {
        Ok(stat)
            if stat.started == identity.started && identity.boot_id == crate::here().boot_id =>
        {
            Ok(Some(ProcessHandle { pidfd, name: stat.name }))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn ask_all(processes: &[&Process], how: Ask) -> Vec<Result<(), StopError>> {
    let ask_one = |process: &&Process| {
        let sent = send(&process.handle, signal_for(process, how));
        sent.map_err(|error| StopError::from_io(process.identity().pid, error))
    };
    let ask = |part: &[&Process]| part.iter().map(ask_one).collect::<Vec<_>>();
    par_chunks(processes, ASKED_AT_ONCE, ask).into_iter().flatten().collect()
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
    // It fails for one that runs as another user, which can't be reached here.
    let _ = send(&process.handle, signal);
}

pub(crate) fn wait_any(processes: &[&Process], timeout: Duration) -> io::Result<Vec<usize>> {
    let deadline = Instant::now() + timeout;
    let mut fds: Vec<PollFd<'_>> =
        processes.iter().map(|process| PollFd::new(&process.handle.pidfd, PollFlags::IN)).collect();
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
    match pidfd_send_signal(&handle.pidfd, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A Python runs `finally:` on SIGINT, but is ended at once by SIGTERM, unless it has a handler of its
/// own for that: then SIGTERM is what it expects from a supervisor, as gunicorn does, which drops
/// what it is working on at SIGINT.
fn signal_for(process: &Process, how: Ask) -> Signal {
    let is_python = process.images.iter().any(|image| {
        let file = image.rsplit('/').next().unwrap_or(image);
        file.starts_with("python") || file.starts_with("pypy")
    });
    let stat = super::stat(process.identity().pid).ok();
    let stat = stat.as_ref().filter(|_| is_python);
    let catches_term = stat.is_some_and(|stat| stat.catches(libc::SIGTERM));
    let ignores_int = stat.is_none_or(|stat| stat.ignores(libc::SIGINT));
    let gently = match process.signal {
        Some(signal) => number(signal),
        None if is_python && !catches_term && !ignores_int => Signal::INT,
        None => Signal::TERM,
    };
    match how {
        Ask::Gently => gently,
        Ask::Firmly if catches_term && !ignores_int && gently == Signal::TERM => Signal::INT,
        Ask::Firmly => Signal::TERM,
    }
}

fn number(signal: StopSignal) -> Signal {
    match signal {
        StopSignal::Interrupt => Signal::INT,
        StopSignal::Terminate => Signal::TERM,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::HangUp => Signal::HUP,
        StopSignal::User1 => Signal::USR1,
        StopSignal::User2 => Signal::USR2,
    }
}

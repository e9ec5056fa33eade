//! Stopping through a process handle, which names one process until it is closed.

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::time::{Duration, Instant};

use windows_sys::Win32::System::Threading::{PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_TERMINATE};

use super::{ChildHandle, ProgramId, ctrl_c, sys};
use crate::{Ask, Ended, Identity, Interrupt, Process, StopError};

/// An open process handle.
#[derive(Debug)]
pub(crate) struct ProcessHandle(OwnedHandle);

impl ProcessHandle {
    /// Returns the names under which the process's program is known.
    ///
    /// # Errors
    /// Whatever the system reports. Without a name, it may be a terminal.
    pub(crate) fn images(&self, _pid: u32) -> io::Result<Vec<String>> {
        sys::image_path(self.0.as_handle()).map(|path| vec![path])
    }

    /// Its full path says which file it is.
    pub(crate) fn program_id(&self, _pid: u32) -> Option<ProgramId> {
        None
    }
}

/// Returns what can be watched.
pub(crate) fn process_handle(process: &ProcessHandle) -> BorrowedHandle<'_> {
    process.0.as_handle()
}

/// Returns how it ended, once it has.
pub(crate) fn exit_of(process: &ProcessHandle) -> Option<Ended> {
    let code = sys::exit_code(process.0.as_handle()).ok()??;
    Some(Ended::Code(code.cast_signed()))
}

pub(crate) fn open_child(
    identity: &Identity,
    _child: &ChildHandle,
) -> io::Result<Option<ProcessHandle>> {
    open_process(identity)
}

pub(crate) fn open_process(identity: &Identity) -> io::Result<Option<ProcessHandle>> {
    let rights = PROCESS_QUERY_LIMITED_INFORMATION;
    // Without the right to end it, it can still be asked and waited for.
    let opened = sys::open_process(identity.pid, rights | PROCESS_TERMINATE).or_else(|error| {
        match error.kind() {
            io::ErrorKind::PermissionDenied => sys::open_process(identity.pid, rights),
            _ => Err(error),
        }
    });
    let process = match opened {
        Ok(process) => process,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Compared after opening: from here on the number can't change hands unnoticed.
    let same = sys::created_at(process.as_handle())? == identity.started
        && identity.boot_id == crate::here().boot_id
        && !sys::has_ended(process.as_handle())?;
    Ok(same.then_some(ProcessHandle(process)))
}

pub(crate) fn ask_all(processes: &[&Process], how: Ask) -> Vec<Result<(), StopError>> {
    match how {
        Ask::Gently => ctrl_c::ask_all(processes),
        Ask::Firmly => processes.iter().map(|_| Ok(())).collect(),
    }
}

pub(crate) fn kill(process: &Process) -> io::Result<()> {
    let handle = process.handle.0.as_handle();
    match sys::terminate(handle) {
        // Windows denies ending what has ended.
        Err(error) if !sys::has_ended(handle)? => Err(error),
        _ => Ok(()),
    }
}

/// A console sends its events to everybody on it, so the child has heard.
pub(crate) fn pass_on(_process: &Process, _interrupt: Interrupt) {}

pub(crate) fn wait_any(processes: &[&Process], timeout: Duration) -> io::Result<Vec<usize>> {
    let deadline = Instant::now() + timeout;
    let handles: Vec<BorrowedHandle<'_>> =
        processes.iter().map(|process| process.handle.0.as_handle()).collect();
    // One wait takes 64 handles; beyond, the groups are looked at in turn.
    let groups = handles.chunks(sys::MOST_HANDLES).count().max(1);
    let pause = if groups > 1 { Duration::from_millis(20) } else { timeout };
    for group in handles.chunks(sys::MOST_HANDLES).cycle() {
        let mut ended = Vec::new();
        for (position, handle) in handles.iter().enumerate() {
            if sys::has_ended(*handle)? {
                ended.push(position);
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if !ended.is_empty() || left.is_zero() {
            return Ok(ended);
        }
        sys::wait_for_any(
            group,
            u32::try_from(left.min(pause).as_millis()).unwrap_or(u32::MAX - 1),
        )?;
    }
    Ok(Vec::new())
}

//! Following the jobs of this program: each new process of a run gets a handle of its run's job.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use std::{ptr, thread};

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatus, OVERLAPPED,
};
use windows_sys::Win32::System::Threading::{
    INFINITE, PROCESS_DUP_HANDLE, PROCESS_QUERY_INFORMATION,
};

use super::super::machine::hand_to;
use super::super::sys;
use super::{forget, is_in, jobs};
use crate::terminal::is_terminal;

/// A process is in the job from now on.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-jobobject_associate_completion_port>
const JOB_OBJECT_MSG_NEW_PROCESS: u32 = 6;

/// The last process of the job has ended.
const JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO: u32 = 4;

/// How often a new process is asked for its name, and the pause after each.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// Returns where the jobs of this program report their processes.
pub(super) fn port() -> io::Result<&'static OwnedHandle> {
    static PORT: OnceLock<OwnedHandle> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(port) = PORT.get() {
        return Ok(port);
    }
    // SAFETY: no file and no port are given, so a new port is made.
    let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
    if port.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just made and nothing else owns it.
    let port = unsafe { OwnedHandle::from_raw_handle(port) };
    let of_thread = port.try_clone()?;
    thread::Builder::new().name("run jobs".into()).spawn(move || follow(&of_thread))?;
    Ok(PORT.get_or_init(|| port))
}

/// Gives each new process of the runs a handle of its run's job.
fn follow(port: &OwnedHandle) {
    loop {
        let (mut message, mut number) = (0, 0);
        let mut process: *mut OVERLAPPED = ptr::null_mut();
        // SAFETY: the port is open, and the out-pointers are live locals.
        let ok = unsafe {
            GetQueuedCompletionStatus(
                port.as_raw_handle(),
                &mut message,
                &mut number,
                &mut process,
                INFINITE,
            )
        };
        if ok == 0 {
            return;
        }
        match message {
            JOB_OBJECT_MSG_NEW_PROCESS => {
                let job = jobs().as_ref().and_then(|it| it.get(&number)?.try_clone().ok());
                if let (Ok(pid), Some(job)) = (u32::try_from(process.addr()), job) {
                    give(&job, pid);
                }
            }
            JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO => forget(number),
            _ => {}
        }
    }
}

/// Lets a process keep the name of the job that it is in.
fn give(job: &OwnedHandle, pid: u32) {
    let Ok(process) = sys::open_process(pid, PROCESS_QUERY_INFORMATION | PROCESS_DUP_HANDLE) else {
        return;
    };
    // A process without a name may be a terminal. Wine names a process only once it has begun.
    let name = || sys::image_path(process.as_handle()).ok();
    let named = (0..TRIES).find_map(|_| {
        let found = name();
        if found.is_none() && !sys::has_ended(process.as_handle()).unwrap_or(true) {
            thread::sleep(PAUSE);
        }
        found
    });
    let is_terminal = named.is_none_or(|path| is_terminal(&path));
    if is_in(&process, job) && !is_terminal {
        // One that has just ended needs none.
        let _ = hand_to(job.as_handle(), process.as_handle());
        #[cfg(test)]
        super::tests::GIVEN.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
    }
}

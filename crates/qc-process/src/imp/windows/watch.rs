//! Watching processes with the system's pool of waiting threads, each of which takes 63 handles.

use std::collections::HashMap;
use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Threading::{
    INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEONLYONCE,
};

use super::sys;

#[derive(Debug)]
pub(crate) struct Watcher {
    sender: Sender<Option<u64>>,
    receiver: Receiver<Option<u64>>,
    waits: HashMap<u64, Wait>,
}

#[derive(Debug, Clone)]
pub(crate) struct Waker(Sender<Option<u64>>);

/// One process that is waited for.
#[derive(Debug)]
struct Wait {
    wait: HANDLE,
    /// The callback's context; owned by this wait.
    call: *mut Call,
    /// Must stay open while it is waited for.
    _process: OwnedHandle,
}

#[derive(Debug)]
struct Call {
    sender: Sender<Option<u64>>,
    token: u64,
}

impl Watcher {
    pub(crate) fn new() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        Ok(Self { sender, receiver, waits: HashMap::new() })
    }

    pub(crate) fn watch(&mut self, process: BorrowedHandle<'_>, token: u64) -> io::Result<()> {
        let process = process.try_clone_to_owned()?;
        let call = Box::into_raw(Box::new(Call { sender: self.sender.clone(), token }));
        let mut wait = ptr::null_mut();
        // SAFETY: `call` and `process` live until the wait is unregistered, and
        // `has_ended` takes the pointer for what it is.
        let ok = unsafe {
            RegisterWaitForSingleObject(
                &mut wait,
                process.as_raw_handle(),
                Some(has_ended),
                call.cast(),
                INFINITE,
                WT_EXECUTEONLYONCE,
            )
        };
        if let Err(error) = sys::checked(ok) {
            // SAFETY: it comes from a box, and nothing was registered that could use it.
            drop(unsafe { Box::from_raw(call) });
            return Err(error);
        }
        self.waits.insert(token, Wait { wait, call, _process: process });
        Ok(())
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(self.sender.clone())
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<u64>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let first = match deadline {
            Some(deadline) => {
                self.receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            }
            None => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        // This watcher holds a sender itself, so the channel never breaks.
        let Ok(first) = first else { return Ok(Vec::new()) };
        let told: Vec<Option<u64>> =
            std::iter::once(first).chain(self.receiver.try_iter()).collect();
        let ended: Vec<u64> = told.into_iter().flatten().collect();
        for token in &ended {
            self.waits.remove(token);
        }
        Ok(ended)
    }
}

impl Drop for Wait {
    /// Returns when the callback, if it runs, has ended.
    fn drop(&mut self) {
        // SAFETY: the wait was registered by `watch` and is unregistered once, here.
        if unsafe { UnregisterWaitEx(self.wait, INVALID_HANDLE_VALUE) } != 0 {
            // SAFETY: it comes from a box, and no callback can use it any more. Where that is not
            // sure, it is never freed.
            drop(unsafe { Box::from_raw(self.call) });
        }
    }
}

impl Waker {
    pub(crate) fn wake(&self) {
        // The watcher is gone only when no thread waits any more.
        let _ = self.0.send(None);
    }
}

/// Runs on a thread of the system's pool.
unsafe extern "system" fn has_ended(call: *mut c_void, _timed_out: bool) {
    // SAFETY: the pointer is that of `Wait::call`, which lives until the wait is unregistered, and
    // unregistering waits for this function to return.
    let call = unsafe { &*call.cast::<Call>() };
    // The watcher is gone only when no thread waits any more.
    let _ = call.sender.send(Some(call.token));
}

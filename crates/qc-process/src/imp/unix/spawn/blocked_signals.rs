//! Signals, kept away while a child shares this program's memory.

use std::{io, mem, ptr};

/// Keeps signals from this thread as long as a child shares its memory: their handlers must not run
/// in the child.
pub(super) struct BlockedSignals {
    before: libc::sigset_t,
}

impl BlockedSignals {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: all zeroes is a valid set, which the next call overwrites.
        let mut all: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: `all` is a live local.
        unsafe { libc::sigfillset(&mut all) };
        let mut before = all;
        // SAFETY: both sets are live locals.
        match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) } {
            0 => Ok(Self { before }),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: the set is the one that was in force before; the old one is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

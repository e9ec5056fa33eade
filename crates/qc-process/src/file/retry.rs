//! Retries of operations that another process's open file blocks for a moment.

use std::time::Duration;
use std::{io, thread};

use crate::imp;

/// The pause between two tries of an operation that another program's open file blocks: virus
/// scanners and indexers open new files for up to some hundred milliseconds, and one may follow
/// the other.
const PAUSE: Duration = Duration::from_millis(10);

/// The attempts to open a file that another process has open without sharing it.
const OPEN_TRIES: u32 = 200;

/// How often opening is tried where access is denied: a file that is being deleted looks like this,
/// but mostly it is final.
const DENIED_TRIES: u32 = 40;

/// How often replacing and removing is tried: whoever does it has the right to, and many readers
/// may look at the file at once.
const CHANGE_TRIES: u32 = 300;

/// Opens a file that another process may have open for a moment.
pub(super) fn opened<T>(operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    with_retries(|error| if is_denied(error) { DENIED_TRIES } else { OPEN_TRIES }, operation)
}

/// Replaces or removes a file that another process may have open for a moment.
pub(super) fn changed<T>(operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    with_retries(|_| CHANGE_TRIES, operation)
}

fn with_retries<T>(
    tries: impl Fn(&io::Error) -> u32,
    mut operation: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let mut tried = 1;
    loop {
        match operation() {
            Err(error) if imp::is_transient(&error) && tried < tries(&error) => {
                thread::sleep(PAUSE);
                tried += 1;
            }
            result => return result,
        }
    }
}

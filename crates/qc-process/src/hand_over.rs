//! Letting another program take this one's place.

use std::ffi::{OsStr, OsString};
use std::io;

use crate::{Ended, imp};

/// Lets `program` do the rest of this program's work. On Unix it takes this process over, and this
/// function returns only if it can't. On Windows it is a child at the same console that is passed
/// each request to stop; returns how it ended.
///
/// Meant for programs that do nothing else: it takes over Ctrl-C and its like.
///
/// # Errors
/// `NotFound` or `PermissionDenied` if it can't be started, and whatever else the system reports.
pub fn hand_over(program: &OsStr, args: &[OsString]) -> io::Result<Ended> {
    imp::hand_over(program, args)
}

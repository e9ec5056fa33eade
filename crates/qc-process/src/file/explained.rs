//! Plain words for the system's file errors: "Too many levels of symbolic links" is a link, "No
//! such device or address" a FIFO, and a denied access names the owner.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use crate::imp;

/// Explains why the regular file at `path` can't be used.
pub(super) fn explained(error: io::Error, path: &Path) -> io::Error {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => not_regular(&found),
        _ => denied(error, path),
    }
}

/// Says why what was found is no regular file.
pub(super) fn not_regular(found: &Metadata) -> io::Error {
    let text =
        if found.is_symlink() { "it is a symbolic link" } else { "it is not a regular file" };
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Returns the owner of the thing to which access was denied, if that is another user.
pub(super) fn denied(error: io::Error, path: &Path) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let reachable = path.ancestors().find(|path| fs::symlink_metadata(path).is_ok());
    match reachable.and_then(|path| Some((path, imp::other_owner(path)?))) {
        Some((path, owner)) => {
            let text = format!("{error}; {} belongs to user `{owner}`", path.display());
            io::Error::new(io::ErrorKind::PermissionDenied, text)
        }
        None => error,
    }
}

//! Making and listing directories.

use std::ffi::OsString;
use std::path::Path;
use std::{fs, io};

use super::explained::denied;
use crate::fault::point;
use crate::imp;

/// Makes the directory at `path` and those above it, unless it is there. Links are refused: who
/// can place one could move what is to be in there elsewhere.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` and `NotADirectory` if `path` is something else.
pub fn make_directory(path: &Path) -> io::Result<()> {
    point("look for directory");
    match fs::symlink_metadata(path) {
        Ok(found) => check_directory(&found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            point("make directory");
            match fs::create_dir_all(path) {
                // Another process was faster; whether it is a directory shows when it is used.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(denied(error, path)),
                Ok(()) => {
                    imp::let_share_directory(path);
                    Ok(())
                }
            }
        }
        Err(error) => Err(denied(error, path)),
    }
}

/// Lists the names in the directory at `path`; none if there is no such directory.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` and `NotADirectory` if `path` is something else.
pub fn list_directory(path: &Path) -> io::Result<Vec<OsString>> {
    point("look for directory");
    match fs::symlink_metadata(path) {
        Ok(found) => check_directory(&found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(denied(error, path)),
    }
    list_checked_directory(path)
}

/// Does the same where the directory has just been checked.
///
/// # Errors
/// Whatever the system reports.
pub fn list_checked_directory(path: &Path) -> io::Result<Vec<OsString>> {
    point("list directory");
    let entries = fs::read_dir(path).map_err(|error| denied(error, path))?;
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

fn check_directory(found: &fs::Metadata) -> io::Result<()> {
    if found.is_dir() {
        Ok(())
    } else if found.is_symlink() {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"))
    } else {
        Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory"))
    }
}

//! Symbolic links.

#[cfg(windows)]
use std::fs;
use std::io;
use std::path::Path;

/// Makes a symbolic link at `at` that leads to `to`.
///
/// # Errors
/// Where the system, or its rights, do not allow it.
#[cfg(unix)]
pub fn link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

/// Makes a symbolic link at `at` that leads to `to`.
///
/// # Errors
/// Where the system, or its rights, do not allow it.
#[cfg(windows)]
pub fn link(to: &Path, at: &Path) -> io::Result<()> {
    if to.is_dir() {
        std::os::windows::fs::symlink_dir(to, at)?;
    } else {
        std::os::windows::fs::symlink_file(to, at)?;
    }
    // Wine only says that it has made one.
    match fs::symlink_metadata(at) {
        Ok(made) if made.is_symlink() => Ok(()),
        _ => Err(io::Error::other("the system says that it made one, but did not")),
    }
}

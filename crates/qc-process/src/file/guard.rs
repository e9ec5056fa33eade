//! Guards: files whose locks count.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use super::explained::explained;
use super::regular;
use super::retry::opened;
use crate::fault::point;
use crate::imp;

/// A guard that is open, and which file it is.
#[derive(Debug)]
pub struct GuardFile {
    file: File,
    id: imp::FileId,
}

impl GuardFile {
    /// Opens the guard at `path`, creating it if it is missing.
    ///
    /// Symbolic links are not followed, nothing is truncated, and children do not inherit the file
    /// unless [`crate::Spawn::keep`] says so. On Windows it can't be deleted while it is open. On Unix,
    /// where whoever can open it can lock it, it is open to those who may write to its folder and to
    /// no one else; its owner narrows an old one.
    ///
    /// # Errors
    /// Whatever the system reports; `InvalidInput` if `path` is no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = loop {
            match opened(|| open_guard(path)) {
                // Created or deleted by another process meanwhile.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => break opened.map_err(|error| explained(error, path))?,
            }
        };
        let found = regular(&file)?;
        imp::open_to_writers(&file, &found, path);
        Ok(Self { file, id: imp::file_id(&found) })
    }

    /// Takes the system's lock of the file; `false` if another process has it. The lock is free
    /// once the last process that shares the open file has closed it.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn try_lock(&self) -> io::Result<bool> {
        point("lock guard");
        imp::try_lock(&self.file)
    }

    /// Tells whether the open file still is what `path` names.
    ///
    /// Always true on Windows, where an open guard can't be deleted.
    ///
    /// # Errors
    /// Whatever the system reports, except that a missing `path` is `false`.
    pub fn is_at(&self, path: &Path) -> io::Result<bool> {
        point("compare guard");
        imp::is_at(&self.id, path)
    }

    /// Returns which file it is among all of this machine: device and inode. `None` on Windows, where
    /// no guard is replaced by another while it is open.
    pub fn id(&self) -> Option<String> {
        imp::id_text(&self.id)
    }

    /// Returns the open file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

fn open_guard(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    imp::prepare(&mut options, imp::Share::Guard);
    let read_only = options.clone();
    options.write(true);
    point("open guard");
    match options.open(path) {
        // Another user's guard, or one on a disk that has become read-only, can be locked without
        // being writable.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            read_only.open(path).map_err(|_| error)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            point("make guard");
            options.create_new(true).open(path)
        }
        opened => opened,
    }
}

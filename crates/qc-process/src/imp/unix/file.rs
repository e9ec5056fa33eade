//! Files: how they are opened, which one it is, and its lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::imp::Share;

/// Makes an open neither follow a symbolic link nor wait for the other end of a FIFO.
pub(crate) fn prepare(options: &mut OpenOptions, share: Share) {
    let mode = if share == Share::Guard { 0o600 } else { 0o666 };
    options.mode(mode).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
}

/// Makes an open follow links, though not wait for the other end of a FIFO.
pub(crate) fn prepare_following(options: &mut OpenOptions) {
    options.custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
}

/// Which file it is, for as long as it is open: its device and inode.
pub(crate) type FileId = (u64, u64);

pub(crate) fn file_id(found: &fs::Metadata) -> FileId {
    (found.dev(), found.ino())
}

/// Which program a process runs, whatever the name it was started by.
pub(crate) type ProgramId = FileId;

pub(crate) fn program_at(path: &Path) -> Option<ProgramId> {
    fs::metadata(path).ok().as_ref().map(file_id)
}

pub(crate) fn id_text((device, inode): &FileId) -> Option<String> {
    Some(format!("{device}:{inode}"))
}

pub(crate) fn is_at(id: &FileId, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(named) => Ok(*id == file_id(&named)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the lock of a file; `false` if another process has it. It is freed when the last process
/// that shares the open file has closed it.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

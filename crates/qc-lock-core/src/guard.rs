//! Guards: empty files that carry the operating system's lock. The kernel frees it when the last
//! process that shares the open file is gone.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use qc_process::fault::point;
use qc_process::file::GuardFile;
use qc_process::{Identity, MachineGuard};

use crate::LockError;

/// A guard that is held, until it is dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    file: GuardFile,
    path: PathBuf,
    /// The same for the whole machine, where that is asked for.
    machine: Option<MachineGuard>,
}

impl Guard {
    /// Takes the guard at `path`; `None` if another process holds it.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let file = GuardFile::open(path)?;
            if !file.try_lock()? {
                return Ok(None);
            }
            // Between opening and locking the file may have been deleted and made anew: then the
            // lock is on a file that no other process will ever see.
            if file.is_at(path)? {
                return Ok(Some(Self { file, path: path.into(), machine: None }));
            }
        }
    }

    /// Whether the guard still keeps others out: it does not once its file has been deleted.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(crate) fn is_current(&self) -> Result<bool, LockError> {
        self.file
            .is_at(&self.path)
            .map_err(|source| LockError::Guard { path: self.path.clone(), source })
    }

    /// Takes the guard for the whole machine, too; `false` if another process holds it there.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(crate) fn take_machine(&mut self, guard: &str) -> io::Result<bool> {
        self.machine = MachineGuard::take(guard)?;
        Ok(self.machine.is_some())
    }

    /// Returns the guard of the whole machine, if this one has one.
    pub(crate) fn machine(&self) -> Option<&MachineGuard> {
        self.machine.as_ref()
    }

    /// Lets go of the guard in the folder, and returns the one of the machine.
    pub(crate) fn into_machine(mut self) -> Option<MachineGuard> {
        self.machine.take()
    }

    /// Lets the whole machine read who holds it.
    pub(crate) fn name_holder(&self, holder: &Identity, lock: &str, root: &Path) {
        if let Some(machine) = &self.machine {
            machine.name_holder(holder, lock, root);
        }
    }

    /// Returns which file it is, where the system tells.
    pub(crate) fn id(&self) -> Option<String> {
        self.file.id()
    }

    /// Returns the open file, for a child to inherit.
    pub(crate) fn file(&self) -> &File {
        self.file.file()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        point("close guard");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_taken_once_and_freed_by_dropping_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard");
        let held = Guard::take(&path).unwrap();
        assert!(held.is_some());
        assert!(Guard::take(&path).unwrap().is_none());
        drop(held);
        assert!(Guard::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_deleted_guard_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard");
        let file = GuardFile::open(&path).unwrap();
        assert!(file.is_at(&path).unwrap());
        // Windows deletes none that is open.
        if std::fs::remove_file(&path).is_ok() {
            assert!(!file.is_at(&path).unwrap());
            std::fs::write(&path, "").unwrap();
            assert!(!file.is_at(&path).unwrap());
        }
    }

    #[test]
    fn a_directory_is_no_guard() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Guard::take(dir.path()).is_err());
    }
}

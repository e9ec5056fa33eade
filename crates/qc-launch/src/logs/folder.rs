//! The folder of the logs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::Local;
use qc_process::file;

use crate::logs::LogName;

/// Endings of parts that are being made.
pub(super) const COPYING: &str = ".copying";
pub(super) const CUTTING: &str = ".cutting";

/// The folder of the logs.
#[derive(Debug, Clone)]
pub struct LogFolder {
    path: PathBuf,
}

/// A log file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: LogName,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was written to last.
    pub modified: SystemTime,
}

impl LogFolder {
    /// Names the folder; it need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens `<component>_<now>.log` for appending, and makes the folder where it is missing. The
    /// file can be given to a child as its output.
    ///
    /// # Errors
    /// Whatever the system reports, such as a full disk.
    pub fn open(&self, component: &str) -> io::Result<(File, PathBuf)> {
        fs::create_dir_all(&self.path)?;
        let path = self.next(component);
        Ok((file::open_output(&path)?, path))
    }

    /// Returns where the output of a component that is started now goes: `<component>_<now>.log`.
    pub fn next(&self, component: &str) -> PathBuf {
        self.path.join(LogName::new(component, Local::now()).file_name())
    }

    /// Returns the file that a component's last start writes to.
    pub fn latest(&self, component: &str) -> Option<PathBuf> {
        let files = self.list().ok()?;
        let mine = files.into_iter().filter(|file| {
            file.name.component().eq_ignore_ascii_case(component) && file.name.part().is_none()
        });
        // By when it was written to, as the clock may have been set back between two starts.
        mine.max_by_key(|file| file.modified).map(|file| file.path)
    }

    /// Opens a component's log for its output as [`LogFolder::open`] does. Where that fails, output
    /// goes nowhere, and the reason stands in place of the path: a full disk must not keep a watchdog
    /// from its work.
    ///
    /// # Errors
    /// If output can't even go nowhere.
    pub fn open_or_nowhere(&self, component: &str) -> io::Result<(File, io::Result<PathBuf>)> {
        match self.open(component) {
            Ok((file, path)) => Ok((file, Ok(path))),
            Err(error) => Ok((file::open_nowhere()?, Err(error))),
        }
    }

    /// Lists the log files, by component and in the order they were written. What else lies in the
    /// folder is left out; so is a file that goes away meanwhile. A missing folder is empty.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn list(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for file_name in self.file_names()? {
            let Some(name) = LogName::parse(&file_name) else { continue };
            let path = self.path.join(file_name);
            // Asked of the file: on Windows, what the folder says of an open file is out of date.
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    let modified = metadata.modified()?;
                    found.push(Found { name, path, bytes: metadata.len(), modified });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Returns the names of everything in the folder; one that is not Unicode is not ours.
    pub(super) fn file_names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn output_goes_nowhere_where_it_can_not_go_anywhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LogFolder::new(dir.path().join("logs"));
        fs::write(folder.path(), "a file where the folder should be").unwrap();
        assert!(folder.list().is_err());
        let (mut file, path) = folder.open_or_nowhere("BRAIN_A").unwrap();
        file.write_all(b"lost").unwrap();
        path.unwrap_err();

        fs::remove_file(folder.path()).unwrap();
        assert_eq!(folder.list().unwrap(), []);
        let (mut file, path) = folder.open_or_nowhere("BRAIN_A").unwrap();
        file.write_all(b"kept").unwrap();
        assert_eq!(fs::read(path.unwrap()).unwrap(), b"kept");
        assert_eq!(folder.list().unwrap()[0].name.component(), "BRAIN_A");
    }
}

//! The files of a lock directory.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use qc_process::fault::point;
use qc_process::{file, par_chunks, visible_json};

use crate::record::{LIMIT, ParsedRecord};
use crate::resource::hash;
use crate::{LockError, LockName, Record, Request, Resource};

/// How many records are read one after the other before another processor is worth it.
const READ_AT_ONCE: usize = 64;

/// A record file that was found, and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct RecordFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// The lock's name, from the file's name.
    pub(crate) name: String,
    /// Its contents.
    pub(crate) reading: ParsedRecord,
}

impl RecordFile {
    /// Returns how long ago it was written, as it is now. One from the future, by a clock that was
    /// set back since, is as old as it is far away: otherwise it would stay new for as long.
    pub(crate) fn age(&self) -> Duration {
        point("look at age");
        let written = fs::symlink_metadata(&self.path).and_then(|metadata| metadata.modified());
        written.map_or(Duration::ZERO, |written| {
            SystemTime::now().duration_since(written).unwrap_or_else(|ahead| ahead.duration())
        })
    }

    /// Returns what the record protects. An old record protects its name, and its account.
    pub(crate) fn resources(&self) -> Vec<String> {
        let name: Option<LockName> = self.name.parse().ok();
        let mut resources: Vec<String> =
            name.iter().map(|name| Resource::name(name).as_str().to_owned()).collect();
        match &self.reading {
            ParsedRecord::Record(record) => resources.extend(record.resources.iter().cloned()),
            ParsedRecord::Old(record) => {
                let account = record.account.as_deref().and_then(|account| account.parse().ok());
                if let (Some(account), Some(name)) = (account, &name) {
                    let asked = Request::new(name.clone()).account(account).resources();
                    resources.extend(asked.iter().map(|one| one.as_str().to_owned()));
                }
            }
            ParsedRecord::Corrupt(_) | ParsedRecord::Hidden(_) => {}
        }
        resources.sort();
        resources.dedup();
        resources
    }
}

/// Where the files of a lock directory are.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn guard(&self, resource: &Resource) -> PathBuf {
        self.guard_at(&resource.guard_file())
    }

    /// Returns the guard of this file name.
    pub(crate) fn guard_at(&self, file: &str) -> PathBuf {
        self.dir.join(".guards").join(file)
    }

    pub(crate) fn record(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.lock"))
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.dir.join("history.jsonl")
    }

    pub(crate) fn latch(&self) -> PathBuf {
        self.dir.join("LATCH")
    }

    /// The folder of the latches that forbid only some starts.
    pub(crate) fn latches(&self) -> PathBuf {
        self.dir.join("latches")
    }

    /// The latch that forbids what `scope` says.
    pub(crate) fn scoped_latch(&self, scope: &str) -> PathBuf {
        self.latches().join(hash(scope))
    }

    pub(crate) fn history_guard(&self) -> PathBuf {
        self.dir.join(".guards").join("history")
    }

    /// Makes the directories.
    pub(crate) fn create(&self) -> Result<(), LockError> {
        for path in [self.dir.clone(), self.dir.join(".guards")] {
            file::make_directory(&path).map_err(|source| LockError::Directory { path, source })?;
        }
        Ok(())
    }

    /// Returns the names of all records. A directory that is not there holds none.
    pub(crate) fn names(&self) -> Result<Vec<String>, LockError> {
        let files = file::list_directory(&self.dir);
        let files =
            files.map_err(|source| LockError::Directory { path: self.dir.clone(), source })?;
        Ok(record_names(&files).map(str::to_owned).collect())
    }

    /// Reads the records of the names that are `wanted`. A directory that is not there holds none.
    pub(crate) fn records(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<RecordFile>, LockError> {
        self.read(file::list_directory(&self.dir), wanted)
    }

    /// Does the same where the directory has just been checked.
    pub(crate) fn records_here(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<RecordFile>, LockError> {
        self.read(file::list_checked_directory(&self.dir), wanted)
    }

    fn read(
        &self,
        files: io::Result<Vec<OsString>>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<RecordFile>, LockError> {
        let failed = |source| LockError::Directory { path: self.dir.clone(), source };
        let files = files.map_err(failed)?;
        let names: Vec<&str> = record_names(&files).filter(|name| wanted(name)).collect();
        let find = |names: &[&str]| -> Vec<RecordFile> {
            names.iter().filter_map(|name| self.find(name)).collect()
        };
        let mut found = par_chunks(&names, READ_AT_ONCE, find).concat();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Reads the record file of `name`; `None` if it is gone.
    pub(crate) fn find(&self, name: &str) -> Option<RecordFile> {
        let path = self.record(name);
        let reading = match file::read_limited(&path, LIMIT) {
            Ok(bytes) => ParsedRecord::from_bytes(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) if is_no_file(&path) => ParsedRecord::Corrupt(error.to_string()),
            // It is another user's, or the system lacks what it takes: it may name a process that
            // lives.
            Err(error) => ParsedRecord::Hidden(error.to_string()),
        };
        Some(RecordFile { path, name: name.to_owned(), reading })
    }

    /// Writes a record in one step: readers see the old one or the new one, nothing between.
    pub(crate) fn write(&self, record: &Record) -> Result<(), LockError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let path = self.record(&record.name);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary =
            self.dir.join(format!(".{}.{}.{number}.tmp", record.name, std::process::id()));
        let written = serde_json::to_string_pretty(record)
            .map_err(io::Error::from)
            .and_then(|text| file::write_new(&temporary, visible_json(text).as_bytes()))
            .and_then(|()| file::replace(&temporary, &path));
        written.map_err(|source| {
            // The error above is what matters; a file left over is cleared with the stale ones.
            let _ = file::remove(&temporary);
            LockError::Record { path, source }
        })
    }

    /// Removes a record file.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), LockError> {
        file::remove(path).map_err(|source| LockError::Record { path: path.to_path_buf(), source })
    }

    /// Removes temporary files that a crash has left.
    pub(crate) fn remove_leftovers(&self, older_than: Duration) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let is_ours = |name: &str| name.starts_with('.') && name.ends_with(".tmp");
        for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(is_ours)) {
            let written = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let age = written.and_then(|written| SystemTime::now().duration_since(written).ok());
            if age.is_some_and(|age| age > older_than) {
                // It only takes up room.
                let _ = file::remove(&entry.path());
            }
        }
    }
}

fn record_names(files: &[OsString]) -> impl Iterator<Item = &str> {
    files.iter().filter_map(|file| file.to_str()?.strip_suffix(".lock"))
}

fn is_no_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| !found.is_file())
}

//! The folder of the logs.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::Local;
use qc_process::file;

use crate::LogName;

/// Endings of parts that are being made.
pub(crate) const COPYING: &str = ".copying";
pub(crate) const ROTATING: &str = ".cutting";

/// How many seconds from now on may be taken by the names of other starts.
const MOST_TAKEN: u32 = 2 * 3600;

/// How far ahead of this clock the clock of a disk may be, as on a network.
const SKEW: Duration = Duration::from_secs(60);

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

impl Found {
    /// Whether it was written to last at a time that is still to come: before the clock was set back.
    /// Such a file is older than all that carry a time which has been.
    pub fn is_ahead(&self, now: SystemTime) -> bool {
        self.modified.duration_since(now).is_ok_and(|ahead| ahead > SKEW)
    }
}

/// Sorts by component and by when the starts wrote last, then by name. Names alone don't tell: they
/// go by the clock, which may have been set back.
fn sort(found: &mut [Found], now: SystemTime) {
    let mut written: HashMap<LogName, (bool, SystemTime)> = HashMap::new();
    for file in found.iter() {
        let time = (!file.is_ahead(now), file.modified);
        let last = written.entry(file.name.without_segment()).or_insert(time);
        *last = time.max(*last);
    }
    found.sort_by_cached_key(|file| {
        let name = file.name.clone();
        (name.component().to_owned(), written.get(&name.without_segment()).copied(), name)
    });
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

    /// Returns where the output of a component that is started now goes: `<component>_<now>.log`, or
    /// the next second that no other start has written under. An hour comes twice at the end of summer
    /// time, and clocks are set back.
    pub fn next(&self, component: &str) -> PathBuf {
        let now = Local::now();
        let at = |seconds: u32| {
            let time = now + chrono::TimeDelta::seconds(seconds.into());
            self.path.join(LogName::new(component, time).file_name())
        };
        let is_free = |path: &PathBuf| fs::metadata(path).map_or(true, |found| found.len() == 0);
        (0..MOST_TAKEN).map(at).find(is_free).unwrap_or_else(|| at(0))
    }

    /// Returns the file that a component's last start writes to.
    pub fn latest(&self, component: &str) -> Option<PathBuf> {
        let files = self.list().ok()?;
        let mut mine = files.into_iter().filter(|file| {
            file.name.component().eq_ignore_ascii_case(component) && file.name.segment().is_none()
        });
        mine.next_back().map(|file| file.path)
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
        sort(&mut found, SystemTime::now());
        Ok(found)
    }

    /// Returns the names of everything in the folder; one that is not Unicode is not ours.
    pub(crate) fn file_names(&self) -> io::Result<Vec<String>> {
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
    fn a_start_in_a_second_that_was_there_before_writes_under_a_name_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LogFolder::new(dir.path());
        for second in 0..5 {
            let time = Local::now() + chrono::TimeDelta::seconds(second);
            let old = dir.path().join(LogName::new("BRAIN_A", time).file_name());
            fs::write(old, format!("old {second}")).unwrap();
        }
        let (mut first, path) = folder.open("BRAIN_A").unwrap();
        first.write_all(b"first").unwrap();
        let (mut second, other) = folder.open("BRAIN_A").unwrap();
        second.write_all(b"second").unwrap();
        assert_eq!(fs::read(path).unwrap(), b"first");
        assert_eq!(fs::read(&other).unwrap(), b"second");
        assert_eq!(folder.list().unwrap().len(), 7);
        assert_eq!(folder.latest("BRAIN_A"), Some(other));
    }

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

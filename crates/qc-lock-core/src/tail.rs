//! Reading on in the history while it grows.

use std::io;
use std::path::{Path, PathBuf};

use qc_process::file::read_limited_from;

use crate::history::{History, LIMIT, previous};
use crate::{LockDir, LockError};

/// A reader of the history that returns all of it first, then each addition.
///
/// ```
/// use qc_lock_core::{Event, LockDir};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let locks = LockDir::new(folder.path().join(".locks"));
/// let mut tail = locks.history_tail();
/// assert!(tail.read()?.entries.is_empty());
/// locks.append(&locks.entry(Event::Started, "BRAIN_ATLAS"))?;
/// assert_eq!(tail.read()?.entries[0].name, "BRAIN_ATLAS");
/// assert!(tail.read()?.entries.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HistoryTail {
    file: PathBuf,
    /// How far the file was read; `None` before the first time.
    position: Option<u64>,
    /// The last line that was read, which shows whether a file is the one that was read so far.
    last: Vec<u8>,
}

impl LockDir {
    /// Returns a tail that has read nothing yet.
    pub fn history_tail(&self) -> HistoryTail {
        HistoryTail { file: self.store.history(), position: None, last: Vec::new() }
    }
}

impl HistoryTail {
    /// Reads what was added since the last time, whole lines only. Looks at the file and returns;
    /// nothing is added as long as nothing happens.
    ///
    /// # Errors
    /// [`LockError::History`].
    pub fn read(&mut self) -> Result<History, LockError> {
        let mut lines = Vec::new();
        match self.read_lines(&mut lines) {
            Ok(()) => Ok(History::from_bytes(&lines)),
            Err(source) => Err(LockError::History { path: self.file.clone(), source }),
        }
    }

    fn read_lines(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        let file = self.file.clone();
        let Some(position) = self.position else {
            lines.extend(whole_lines(&previous(&file), 0)?);
            return self.go_on(&file, 0, lines);
        };
        if self.continues(&file, position)? {
            return self.go_on(&file, position, lines);
        }
        // A new file was begun, and this one is the previous one; or it was removed.
        if self.continues(&previous(&file), position)? {
            lines.extend(whole_lines(&previous(&file), position)?);
        }
        self.go_on(&file, 0, lines)
    }

    /// Reads from `position` on, and remembers how far that was.
    fn go_on(&mut self, file: &Path, position: u64, lines: &mut Vec<u8>) -> io::Result<()> {
        let new = whole_lines(file, position)?;
        self.position = Some(position + new.len() as u64);
        if let Some(last) = new.split_inclusive(|&byte| byte == b'\n').next_back() {
            self.last = last.to_vec();
        } else if position == 0 {
            self.last.clear();
        }
        lines.extend(new);
        Ok(())
    }

    /// Whether `file` has, before `position`, what was read last.
    fn continues(&self, file: &Path, position: u64) -> io::Result<bool> {
        let length = self.last.len() as u64;
        let Some(start) = position.checked_sub(length) else { return Ok(false) };
        Ok(read(file, start, length)?.starts_with(&self.last))
    }
}

/// Reads what `file` holds from `position` on, but for a line that is not complete yet.
fn whole_lines(file: &Path, position: u64) -> io::Result<Vec<u8>> {
    let mut bytes = read(file, position, LIMIT)?;
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    bytes.truncate(end);
    Ok(bytes)
}

/// A file that is not there holds nothing.
fn read(file: &Path, position: u64, limit: u64) -> io::Result<Vec<u8>> {
    match read_limited_from(file, position, limit) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Event;

    fn names(tail: &mut HistoryTail) -> Vec<String> {
        tail.read().unwrap().entries.into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn every_line_is_read_once_also_over_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let locks = LockDir::new(folder.path().join(".locks"));
        let append = |name: &str| locks.append(&locks.entry(Event::Started, name)).unwrap();
        let mut tail = locks.history_tail();
        assert_eq!(names(&mut tail), [""; 0]);
        append("A");
        append("B");
        assert_eq!(names(&mut tail), ["A", "B"]);
        assert_eq!(names(&mut tail), [""; 0]);

        // Two unread lines when the file is put aside.
        append("C");
        let file = tail.file.clone();
        fs::rename(&file, previous(&file)).unwrap();
        append("D");
        assert_eq!(names(&mut tail), ["C", "D"]);
        append("E");
        assert_eq!(names(&mut tail), ["E"]);
        assert_eq!(names(&mut locks.history_tail()), ["A", "B", "C", "D", "E"]);

        // It was removed: what the previous one holds was read long ago.
        fs::remove_file(&file).unwrap();
        assert_eq!(names(&mut tail), [""; 0]);
        append("F");
        append("G");
        assert_eq!(names(&mut tail), ["F", "G"]);
    }

    #[test]
    fn half_a_line_is_read_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let locks = LockDir::new(folder.path().join(".locks"));
        locks.append(&locks.entry(Event::Started, "A")).unwrap();
        let mut tail = locks.history_tail();
        let file = tail.file.clone();
        let whole = fs::read(&file).unwrap();
        let half = whole.len() / 2;
        fs::write(&file, [&whole[..], &whole[..half]].concat()).unwrap();
        assert_eq!(names(&mut tail), ["A"]);
        fs::write(&file, [&whole[..], &whole[..]].concat()).unwrap();
        assert_eq!(names(&mut tail), ["A"]);
    }
}

//! Reading a component's log from its end, and on as it grows: over cuts, restarts and files that go.

mod last_lines;

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use self::last_lines::last_lines;
use crate::rotate::{is_being_rotated, was_rotated};
use crate::{Found, LogFolder, LogName};

/// The most that is returned at once.
const CHUNK: u64 = 1024 * 1024;

/// How long a cut may take that is under way. What a killed launcher has left half cut is read as it
/// is then.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// A place in the log of one component.
#[derive(Debug)]
pub struct Follower {
    folder: LogFolder,
    component: String,
    /// The starts that have been seen, by the file that is written to.
    known: HashSet<LogName>,
    /// The logs to be read next.
    waiting: VecDeque<LogName>,
    /// The one being read.
    start: LogName,
    /// The last part of it that was read.
    segment: u32,
    /// How much of what comes after that part was read.
    offset: u64,
    /// Whether what was read so far ends with a line end.
    at_line_start: bool,
    /// Since when it is being cut.
    half_rotated: Option<Instant>,
}

impl Follower {
    /// Returns the last `lines` lines of a component, of at most 64 MiB, and what reads on from
    /// there; `None` if it has no log.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn start(
        folder: &LogFolder,
        component: &str,
        lines: usize,
    ) -> io::Result<Option<(Self, Vec<u8>)>> {
        Self::start_among(folder, component, lines, |_| true)
    }

    /// Does the same with those of the component's files that `is_wanted` accepts.
    pub fn start_among(
        folder: &LogFolder,
        component: &str,
        lines: usize,
        is_wanted: impl Fn(&LogName) -> bool,
    ) -> io::Result<Option<(Self, Vec<u8>)>> {
        let began = Instant::now();
        loop {
            let is_late = began.elapsed() >= TIMEOUT;
            let mut files = files_of(folder, component)?;
            files.retain(|file| is_wanted(&file.name));
            let Some(last) = files.last() else { return Ok(None) };
            let start = last.name.without_segment();
            let segment = last_segment(&files, &start);
            let text = last_lines(&files, lines);
            let is_same = !is_being_rotated(folder, &start, segment + 1)
                && !was_rotated(folder, &start, segment + 1);
            match text {
                Ok(text) if is_same || is_late => {
                    let offset = if last.name.segment().is_none() { last.bytes } else { 0 };
                    let follower = Self {
                        folder: folder.clone(),
                        component: component.into(),
                        known: files.iter().map(|file| file.name.without_segment()).collect(),
                        waiting: VecDeque::new(),
                        start,
                        segment,
                        offset,
                        at_line_start: text.last().is_none_or(|&byte| byte == b'\n'),
                        half_rotated: None,
                    };
                    return Ok(Some((follower, text)));
                }
                Err(error) if is_late => return Err(error),
                Ok(_) | Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Returns what was added since, at most about 1 MiB; nothing if nothing was.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut names = self.names()?;
        loop {
            self.read_segments(&names, &mut text)?;
            if !text.is_empty() || self.must_wait() {
                break;
            }
            // A start that is known before this file is read comes after all that is in it.
            let is_ended = !self.waiting.is_empty();
            let (added, length) = read_from(&self.path(&self.start), self.offset, CHUNK)?;
            // The text counts only if the file was not rotated meanwhile.
            let is_half_rotated = self.half_rotated.is_none() && self.is_being_rotated();
            if is_half_rotated || was_rotated(&self.folder, &self.start, self.segment + 1) {
                names = self.names()?;
                continue;
            }
            if length < self.offset {
                // Another process has emptied it.
                self.offset = 0;
                continue;
            }
            self.offset += added.len() as u64;
            text = added;
            if text.is_empty() && is_ended && self.next_start() {
                if !self.at_line_start {
                    text.push(b'\n');
                    break;
                }
                continue;
            }
            break;
        }
        if let Some(&last) = text.last() {
            self.at_line_start = last == b'\n';
        }
        Ok(text)
    }

    /// Lists the component's files, and notes new starts.
    fn names(&mut self) -> io::Result<Vec<LogName>> {
        let names = self.folder.file_names()?;
        let mut names: Vec<LogName> =
            names.iter().filter_map(|name| LogName::parse(name)).collect();
        names.retain(|name| name.component() == self.component);
        names.sort();
        for name in &names {
            // Not by time: the clock may have been set back.
            if self.known.insert(name.without_segment()) {
                self.waiting.push_back(name.without_segment());
            }
        }
        Ok(names)
    }

    fn read_segments(&mut self, names: &[LogName], text: &mut Vec<u8>) -> io::Result<()> {
        while let Some(segment) = self.next_segment(names) {
            if text.len() as u64 >= CHUNK {
                break;
            }
            // Where the next segment was removed already, what it held is gone.
            if segment > self.segment + 1 {
                self.offset = 0;
            }
            let (added, length) =
                read_from(&self.path(&self.start.with_segment(segment)), self.offset, CHUNK)?;
            self.offset += added.len() as u64;
            text.extend(added);
            if self.offset < length {
                break;
            }
            self.offset -= length;
            self.segment = segment;
        }
        Ok(())
    }

    fn next_segment(&self, names: &[LogName]) -> Option<u32> {
        let of_start = names.iter().filter(|name| name.without_segment() == self.start);
        of_start.filter_map(LogName::segment).find(|&segment| segment > self.segment)
    }

    fn is_being_rotated(&self) -> bool {
        is_being_rotated(&self.folder, &self.start, self.segment + 1)
    }

    /// Whether the file is being cut, and not for so long that whoever did it must be gone.
    fn must_wait(&mut self) -> bool {
        let since = self.half_rotated.unwrap_or_else(Instant::now);
        self.half_rotated = self.is_being_rotated().then_some(since);
        self.half_rotated.is_some() && since.elapsed() < TIMEOUT
    }

    /// Goes on to the next start, if there is one.
    fn next_start(&mut self) -> bool {
        let Some(start) = self.waiting.pop_front() else { return false };
        (self.start, self.segment, self.offset) = (start, 0, 0);
        true
    }

    fn path(&self, name: &LogName) -> PathBuf {
        self.folder.path().join(name.file_name())
    }
}

/// Lists a component's files as they were written.
fn files_of(folder: &LogFolder, component: &str) -> io::Result<Vec<Found>> {
    let mut files = folder.list()?;
    files.retain(|file| file.name.component() == component);
    Ok(files)
}

fn last_segment(files: &[Found], start: &LogName) -> u32 {
    let of_start = files.iter().filter(|file| file.name.without_segment() == *start);
    of_start.filter_map(|file| file.name.segment()).max().unwrap_or(0)
}

/// Reads at most `most` bytes from `offset` on; also returns how long the file is. A file that is gone
/// has nothing more to say.
pub fn read_from(path: &Path, offset: u64, most: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), offset)),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(most.min(length.saturating_sub(offset))).read_to_end(&mut text)?;
    Ok((text, length))
}

#[cfg(test)]
mod tests;

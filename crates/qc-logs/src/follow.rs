//! Reading a component's log from its end, and on as it grows: over cuts, restarts and files that go.

mod last_lines;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use self::last_lines::last_lines;
use crate::reader::{Added, LogReader, TIMEOUT};
use crate::rotate::{is_being_rotated, was_rotated};
use crate::{Found, LogFolder, LogName};

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
    reader: LogReader,
    /// Whether what was read so far ends with a line end.
    at_line_start: bool,
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
                        reader: LogReader::new(folder.clone(), start, segment, offset),
                        at_line_start: text.last().is_none_or(|&byte| byte == b'\n'),
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
        let mut names = self.names()?;
        let text = loop {
            // A start that is known before this file is read comes after all that is in it.
            let is_ended = !self.waiting.is_empty();
            match self.reader.read(&names)? {
                Added::Rest(text) if text.is_empty() && is_ended && self.next_start() => {
                    if !self.at_line_start {
                        break vec![b'\n'];
                    }
                }
                Added::Segment(text) | Added::Rest(text) => break text,
                Added::Waiting => break Vec::new(),
                Added::Rotated => names = self.names()?,
                Added::Emptied => {}
            }
        };
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

    /// Goes on to the next start, if there is one.
    fn next_start(&mut self) -> bool {
        let Some(start) = self.waiting.pop_front() else { return false };
        self.reader = LogReader::new(self.folder.clone(), start, 0, 0);
        true
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

#[cfg(test)]
mod tests;

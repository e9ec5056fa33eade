//! Reading on in one log while it grows: over the cuts of its front, and when it is emptied.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::rotate::{is_being_rotated, was_rotated};
use crate::{LogFolder, LogName};

/// The most that is read at once.
const CHUNK: u64 = 1024 * 1024;

/// How long a cut may take that is under way. What a killed launcher has left half cut is read as it
/// is then.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// A place in one log.
#[derive(Debug)]
pub struct LogReader {
    folder: LogFolder,
    /// The log, without a segment.
    name: LogName,
    /// The last segment that was read.
    segment: u32,
    /// How much of what comes after that segment was read.
    offset: u64,
    /// Since when it is being cut.
    half_rotated: Option<Instant>,
}

/// The result of reading on.
#[derive(Debug)]
pub enum Added {
    /// Text that has been cut off; there may be more.
    Segment(Vec<u8>),
    /// The text at the end, at most about 1 MiB; nothing if nothing was added.
    Rest(Vec<u8>),
    /// The front was cut off meanwhile: its segments are to be found again.
    Rotated,
    /// Another process has emptied the log: what follows begins anew.
    Emptied,
    /// The front is being cut off: there is nothing to read until that is done.
    Waiting,
}

impl LogReader {
    /// Makes a reader that has read everything that `name` holds now.
    pub fn at_end(folder: LogFolder, name: LogName) -> Self {
        // A log whose component was started twice in one second goes on.
        let segments = (1..).take_while(|&segment| was_rotated(&folder, &name, segment)).count();
        let segment = u32::try_from(segments).unwrap_or(u32::MAX);
        let path = folder.path().join(name.file_name());
        let offset = fs::metadata(path).map_or(0, |found| found.len());
        Self::new(folder, name, segment, offset)
    }

    pub(crate) fn new(folder: LogFolder, name: LogName, segment: u32, offset: u64) -> Self {
        Self { folder, name, segment, offset, half_rotated: None }
    }

    /// Returns the next segment, if it has been cut off.
    pub fn next_segment(&self) -> Option<LogName> {
        let next = self.segment + 1;
        was_rotated(&self.folder, &self.name, next).then(|| self.name.with_segment(next))
    }

    /// Reads on. `names` has the segments of the log that are known, in order; those of other logs
    /// are passed over.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn read(&mut self, names: &[LogName]) -> io::Result<Added> {
        let text = self.read_segments(names)?;
        if !text.is_empty() {
            return Ok(Added::Segment(text));
        }
        if self.must_wait() {
            return Ok(Added::Waiting);
        }
        let (text, length) = read_from(&self.path(&self.name), self.offset)?;
        // The text counts only if the file was not rotated meanwhile.
        let is_half_rotated = self.half_rotated.is_none() && self.is_being_rotated();
        if is_half_rotated || was_rotated(&self.folder, &self.name, self.segment + 1) {
            return Ok(Added::Rotated);
        }
        if length < self.offset {
            self.offset = 0;
            return Ok(Added::Emptied);
        }
        self.offset += text.len() as u64;
        Ok(Added::Rest(text))
    }

    fn read_segments(&mut self, names: &[LogName]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        while let Some(segment) = self.next_of(names) {
            if text.len() as u64 >= CHUNK {
                break;
            }
            // Where the next segment was removed already, what it held is gone.
            if segment > self.segment + 1 {
                self.offset = 0;
            }
            let path = self.path(&self.name.with_segment(segment));
            let (added, length) = read_from(&path, self.offset)?;
            self.offset += added.len() as u64;
            text.extend(added);
            if self.offset < length {
                break;
            }
            self.offset -= length;
            self.segment = segment;
        }
        Ok(text)
    }

    fn next_of(&self, names: &[LogName]) -> Option<u32> {
        let own = names.iter().filter(|name| name.without_segment() == self.name);
        own.filter_map(LogName::segment).find(|&segment| segment > self.segment)
    }

    fn is_being_rotated(&self) -> bool {
        is_being_rotated(&self.folder, &self.name, self.segment + 1)
    }

    /// Whether the file is being cut, and not for so long that whoever did it must be gone.
    fn must_wait(&mut self) -> bool {
        let since = self.half_rotated.unwrap_or_else(Instant::now);
        self.half_rotated = self.is_being_rotated().then_some(since);
        self.half_rotated.is_some() && since.elapsed() < TIMEOUT
    }

    fn path(&self, name: &LogName) -> PathBuf {
        self.folder.path().join(name.file_name())
    }
}

/// Reads from `offset` on; also returns how long the file is. A file that is gone has nothing more
/// to say.
fn read_from(path: &Path, offset: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), offset)),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(CHUNK.min(length.saturating_sub(offset))).read_to_end(&mut text)?;
    Ok((text, length))
}

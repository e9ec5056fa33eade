//! The launcher's own log: one line per event, on the terminal and in a file.
//!
//! Nothing here stops supervision: not a full disk, not a folder that has vanished, not a terminal
//! that is gone, nor one that stands still because the user selects text in it.

mod line;
mod terminal;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Local;

pub use self::line::{Format, Level, Line};
use self::terminal::Terminal;
use crate::LogFolder;

/// The launcher's own log. Clones write to the same.
#[derive(Debug, Clone)]
pub struct Journal {
    format: Format,
    file: Arc<Mutex<OwnFile>>,
    terminal: Option<Terminal>,
}

impl Journal {
    /// Starts `orchestrator_<now>.log`, and with `on_terminal` says everything on standard output,
    /// too.
    ///
    /// # Errors
    /// If the file can't be made. Later on, nothing is an error.
    pub fn open(folder: &LogFolder, format: Format, on_terminal: bool) -> io::Result<Self> {
        let (file, path) = folder.open(NAME)?;
        let file =
            OwnFile { folder: folder.clone(), path, file: Some(file), missed: 0, torn: false };
        let terminal = if on_terminal { Some(Terminal::start(io::stdout())?) } else { None };
        Ok(Self { format, file: Arc::new(Mutex::new(file)), terminal })
    }

    /// Returns the file that is written to at this moment.
    pub fn path(&self) -> PathBuf {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).path.clone()
    }

    /// Says one line.
    pub fn log(&self, line: &Line<'_>) {
        let mut lines = Lines::default();
        lines.add(self, line);
        self.log_all(lines);
    }

    /// Says several lines with one write.
    pub fn log_all(&self, lines: Lines) {
        let notice =
            |text: &str| Line::new(Level::Warning, "log", text).render(Local::now(), self.format);
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write(&lines, notice);
        if let Some(terminal) = &self.terminal {
            terminal.write(lines);
        }
    }

    /// Waits until the terminal shows everything, but no longer than `limit`.
    pub fn flush(&self, limit: Duration) {
        if let Some(terminal) = &self.terminal {
            terminal.flush(limit);
        }
    }
}

/// Lines that are to be said together, each with the time at which it was added.
#[derive(Debug, Default)]
pub struct Lines {
    text: String,
    count: usize,
}

impl Lines {
    /// Adds a line as `journal` writes it.
    pub fn add(&mut self, journal: &Journal, line: &Line<'_>) {
        self.text.push_str(&line.render(Local::now(), journal.format));
        self.count += 1;
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The launcher's log file is named like those of the components.
const NAME: &str = "orchestrator";

#[derive(Debug)]
struct OwnFile {
    folder: LogFolder,
    path: PathBuf,
    file: Option<File>,
    /// How many lines could not be written.
    missed: usize,
    /// Whether the last write stopped in the middle of a line.
    torn: bool,
}

impl OwnFile {
    fn write(&mut self, lines: &Lines, notice: impl Fn(&str) -> String) {
        if self.file.is_none() || !self.path.exists() {
            self.reopen();
        }
        let Some(file) = &mut self.file else {
            self.missed += lines.count;
            return;
        };
        let mut all = String::new();
        if self.torn {
            all.push('\n');
        }
        if self.missed > 0 {
            all.push_str(&notice(&format!(
                "{} lines before this one could not be written",
                self.missed
            )));
        }
        all.push_str(&lines.text);
        match write_whole(file, all.as_bytes()) {
            Ok(()) => (self.missed, self.torn) = (0, false),
            Err(written) => {
                self.missed += lines.count;
                self.torn |= written > 0;
            }
        }
    }

    /// Makes the folder and a file anew: they were removed. Where not even the folder is left that they
    /// were in, that was moved, and the file with it.
    fn reopen(&mut self) {
        if self.folder.path().parent().is_some_and(|parent| !parent.exists()) {
            return;
        }
        self.file = None;
        if let Ok((file, path)) = self.folder.open(NAME) {
            (self.file, self.path, self.torn) = (Some(file), path, false);
        }
    }
}

/// Writes all of `bytes`, or returns how many were written.
fn write_whole(file: &mut File, bytes: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(count) if count > 0 => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return Err(written),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn say(journal: &Journal, text: &str) {
        journal.log(&Line::new(Level::Info, "test", text));
    }

    #[test]
    fn a_folder_that_vanishes_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LogFolder::new(dir.path().join("logs"));
        let journal = Journal::open(&folder, Format::Text, false).unwrap();
        say(&journal, "one");
        // Windows keeps the name of an open file until it is closed, so it is moved away first.
        fs::rename(journal.path(), dir.path().join("moved.log")).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        say(&journal, "two");
        assert!(fs::read_to_string(journal.path()).unwrap().ends_with("] two\n"));
    }

    #[test]
    fn a_place_that_can_not_be_written_to_is_not_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LogFolder::new(dir.path().join("logs"));
        let journal = Journal::open(&folder, Format::Text, false).unwrap();
        fs::rename(journal.path(), dir.path().join("moved.log")).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        fs::write(folder.path(), "a file where the folder was").unwrap();
        say(&journal, "lost");
        say(&journal, "lost, too");
        fs::remove_file(folder.path()).unwrap();
        say(&journal, "written");
        let text = fs::read_to_string(journal.path()).unwrap();
        assert!(text.contains("WARNING: 2 lines before this one could not be written\n"), "{text}");
        assert!(text.ends_with("] written\n"), "{text}");
        assert!(!text.contains("lost"), "{text}");
    }
}

//! The history: one line of JSON for everything that happened to a lock or a process.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset};
use qc_process::fault::point;
use qc_process::{file, visible_json};
use serde::{Deserialize, Serialize};
use serde_json::Deserializer;

use crate::guard::Guard;
use crate::time::{now, parse_time};

/// The size from which the history starts a new file; the one before is kept.
const ROTATE_AT: u64 = 4 * 1024 * 1024;

/// The most that is read of one history file.
pub(crate) const LIMIT: u64 = 64 * 1024 * 1024;

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A lock was taken.
    Acquired,
    /// A lock was given back.
    Released,
    /// A process was refused a lock that is held.
    Blocked,
    /// A lock was taken over from a holder that had ended.
    Reclaimed,
    /// A record that described nothing living was removed.
    Cleared,
    /// A process was started.
    Started,
    /// A process ended by itself.
    Exited,
    /// A process is to be started again.
    Restarting,
    /// A process ended too often and is not started again.
    GaveUp,
    /// A process was asked to stop and did.
    Stopped,
    /// A process had to be killed.
    Killed,
    /// A process could not be stopped.
    Survived,
    /// Every start was forbidden.
    Latched,
    /// Starts were allowed again.
    Unlatched,
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339.
    pub time: String,
    /// The event.
    pub event: Event,
    /// The lock or component it happened to.
    pub name: String,
    /// The process it happened to.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The account.
    #[serde(default)]
    pub account: Option<String>,
    /// The program that it happened to, where that is a helper of the component and not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<String>,
    /// More, in words.
    #[serde(default)]
    pub detail: Option<String>,
    /// The program that wrote the line.
    #[serde(default)]
    pub by: Option<String>,
    /// Its pid.
    #[serde(default)]
    pub by_pid: Option<u32>,
    /// Its user.
    #[serde(default)]
    pub user: Option<String>,
    /// Its machine.
    #[serde(default)]
    pub host: Option<String>,
}

impl Entry {
    /// Makes a line about `name`, written now by `program` in this process.
    pub fn new(event: Event, name: impl Into<String>, program: &str) -> Self {
        let here = qc_process::here();
        Self {
            time: now(),
            event,
            name: name.into(),
            pid: None,
            account: None,
            helper: None,
            detail: None,
            by: Some(program.into()),
            by_pid: Some(std::process::id()),
            user: Some(here.user.clone()),
            host: Some(here.name.clone()),
        }
    }

    /// Adds the process it happened to.
    pub fn pid(self, pid: Option<u32>) -> Self {
        Self { pid, ..self }
    }

    /// Adds the account.
    pub fn account(self, account: Option<String>) -> Self {
        Self { account, ..self }
    }

    /// Adds the helper of the component that it happened to.
    pub fn helper(self, helper: Option<String>) -> Self {
        Self { helper, ..self }
    }

    /// Adds more in words.
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Returns when it happened, if the line says so.
    pub fn at(&self) -> Option<DateTime<FixedOffset>> {
        parse_time(&self.time)
    }
}

/// The history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The lines, oldest first.
    pub entries: Vec<Entry>,
    /// How many lines make no sense, such as one that was cut off by a crash.
    pub unreadable: usize,
}

impl History {
    /// Reads the bytes of a history file. Never fails: lines that make no sense are counted. One
    /// that was cut off, by a full disk or a kill, is continued by the next; that next one is not
    /// lost.
    ///
    /// ```
    /// use qc_lock_core::{Event, History};
    ///
    /// let lines = b"{\"time\":\"2026-11-02T21:04:05Z\",\"event\":\"acquired\",\"name\":\"A\"}\nnonsense\n";
    /// let history = History::from_bytes(lines);
    /// assert_eq!(history.entries[0].event, Event::Acquired);
    /// assert_eq!(history.unreadable, 1);
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut history = Self::default();
        for line in bytes.split(|&byte| byte == b'\n') {
            history.read_line(line);
        }
        history
    }

    /// Reads a line of one entry, or of several where the first were cut off.
    fn read_line(&mut self, line: &[u8]) {
        let mut entries = Deserializer::from_slice(line).into_iter();
        let mut read = 0;
        while let Some(entry) = entries.next() {
            let Ok(entry) = entry else {
                self.unreadable += 1;
                self.entries.extend(behind_a_cut(&line[read..]));
                return;
            };
            self.entries.push(entry);
            read = entries.byte_offset();
        }
    }

    fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.unreadable += other.unreadable;
    }
}

/// Reads the entry that stands in `line` behind the rest of another: it is the last, and its first
/// key is `time`.
fn behind_a_cut(line: &[u8]) -> Option<Entry> {
    const BEGIN: &[u8] = br#"{"time":"#;
    let at = line.windows(BEGIN.len()).rposition(|window| window == BEGIN)?;
    serde_json::from_slice(&line[at..]).ok()
}

/// Appends `entries`. One write of whole lines, so lines of several programs never mix.
pub(crate) fn append(file: &Path, guard: &Path, entries: &[Entry]) -> io::Result<()> {
    let mut lines = String::new();
    for entry in entries {
        lines.push_str(&visible_json(serde_json::to_string(entry)?));
        lines.push('\n');
    }
    if file::append(file, lines.as_bytes())? > ROTATE_AT {
        rotate(file, guard)?;
    }
    Ok(())
}

/// Starts a new file. The guard keeps two programs from doing it one after the other, which would
/// drop a whole file; whoever does not get it leaves it to the other.
fn rotate(file: &Path, guard: &Path) -> io::Result<()> {
    let Some(_guard) = Guard::take(guard)? else { return Ok(()) };
    point("look at size");
    if std::fs::metadata(file)?.len() > ROTATE_AT {
        file::replace(file, &previous(file))?;
    }
    Ok(())
}

/// Reads the previous and the current file.
pub(crate) fn read(file: &Path) -> io::Result<History> {
    let mut history = History::default();
    for file in [previous(file), file.to_path_buf()] {
        let bytes = match file::read_limited(&file, LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        history.extend(History::from_bytes(&bytes));
    }
    Ok(history)
}

pub(crate) fn previous(file: &Path) -> PathBuf {
    file.with_extension("1.jsonl")
}

#[cfg(test)]
mod tests;

//! Looking whether a component is ready, and whether it gives signs of life.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use qc_fleet::Component;
use qc_lock_core::LockDir;
use qc_supervise::{Probe, Pulse};
use regex::Regex;

/// How long a connection to this machine may take.
const CONNECT: Duration = Duration::from_millis(200);

/// The most that is read of a log at once.
const READ_AT_ONCE: u64 = 1024 * 1024;

/// The longest line that is looked at; of a longer one, the end.
const LINE: usize = 64 * 1024;

/// What tells a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    /// Returns the stamp of the file at `path`; `None` if there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { modified: found.modified().ok(), length: found.len() })
    }
}

/// Looks for one sign.
#[derive(Debug)]
pub(crate) enum Looker {
    Port(u16),
    /// A file, and how it was before the component was started.
    File(PathBuf, Option<Stamp>),
    /// The record of the lock shows it.
    Lock,
    Log(LogLooker),
}

impl Looker {
    /// Prepares to look for what `component` shows when it is ready; before it is started, so that
    /// nothing old counts. `None` where the machine knows by itself.
    ///
    /// # Errors
    /// A sentence saying what is wrong with the probe.
    pub(crate) fn new(component: &Component, log: &Path) -> Result<Option<Self>, String> {
        Ok(Some(match &component.settings.ready.probe {
            Probe::Started | Probe::Delay(_) => return Ok(None),
            Probe::Port(port) => Self::Port(*port),
            Probe::File(path) => {
                let path = component.cwd.join(path);
                let before = Stamp::of(&path);
                Self::File(path, before)
            }
            Probe::Lock => Self::Lock,
            Probe::Log(pattern) => Self::Log(LogLooker {
                pattern: Regex::new(pattern).map_err(|error| format!("its pattern {error}"))?,
                path: log.into(),
                position: fs::metadata(log).map_or(0, |found| found.len()),
                line: Vec::new(),
            }),
        }))
    }

    /// Whether the sign is there.
    pub(crate) fn sees(&mut self, component: &Component, locks: &LockDir) -> bool {
        match self {
            Self::Port(port) => accepts(*port),
            Self::File(path, before) => Stamp::of(path).is_some_and(|now| Some(now) != *before),
            // The launcher takes the lock for it; its own it is once it has claimed it.
            Self::Lock => {
                let record = locks.record(&component.name);
                record.is_some_and(|record| record.token.is_none())
                    || locks.status(&component.name).is_ok_and(|lock| {
                        lock.is_some_and(|lock| lock.state == qc_lock_core::LockState::Legacy)
                    })
            }
            // A log that can't be read now may be readable later.
            Self::Log(looker) => looker.read().unwrap_or(false),
        }
    }
}

/// Whether something accepts connections at this port of this machine. On Windows a connection that
/// is refused takes long, so the system's list is asked first.
fn accepts(port: u16) -> bool {
    let listens = qc_process::listener(port).map_or(true, |listener| listener.is_some());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    listens && TcpStream::connect_timeout(&address, CONNECT).is_ok()
}

/// Reads a log from where it ended, and looks for a line.
#[derive(Debug)]
pub(crate) struct LogLooker {
    pattern: Regex,
    path: PathBuf,
    position: u64,
    /// The line that is not complete yet.
    line: Vec<u8>,
}

impl LogLooker {
    fn read(&mut self) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        // It was cut since: what is there now is new.
        if file.metadata()?.len() < self.position {
            self.position = 0;
            self.line.clear();
        }
        file.seek(SeekFrom::Start(self.position))?;
        let mut text = Vec::new();
        let read = file.take(READ_AT_ONCE).read_to_end(&mut text)?;
        self.position += u64::try_from(read).unwrap_or(0);
        for part in text.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend(part);
            if self.line.len() > LINE {
                self.line.drain(..self.line.len() - LINE);
            }
            if part.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
                self.line.clear();
                if self.pattern.is_match(&line) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Looks for signs of life.
#[derive(Debug)]
pub(crate) struct Heart {
    path: PathBuf,
    last: Option<Stamp>,
}

impl Heart {
    /// Begins to look, if `component` gives signs of life.
    pub(crate) fn new(component: &Component, log: Option<&Path>) -> Option<Self> {
        let path = match &component.settings.heartbeat.as_ref()?.pulse {
            Pulse::File(path) => component.cwd.join(path),
            Pulse::Output => log?.into(),
        };
        let last = Stamp::of(&path);
        Some(Self { path, last })
    }

    /// Whether there was one since the last look.
    pub(crate) fn has_beaten(&mut self) -> bool {
        let now = Stamp::of(&self.path);
        let changed = now != self.last;
        self.last = now;
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_line_counts_once_it_is_complete_and_only_if_it_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        fs::write(&path, "ready\n").unwrap();
        let mut looker = LogLooker {
            pattern: Regex::new("^ready( now)?$").unwrap(),
            position: fs::metadata(&path).unwrap().len(),
            path: path.clone(),
            line: Vec::new(),
        };
        assert!(!looker.read().unwrap(), "that line is old");
        let mut log = fs::OpenOptions::new().append(true).open(&path).unwrap();
        log.write_all(b"loading\nrea").unwrap();
        assert!(!looker.read().unwrap(), "that line is not complete");
        log.write_all(b"dy now\r\nmore").unwrap();
        assert!(looker.read().unwrap());
        fs::write(&path, "ready\n").unwrap();
        assert!(looker.read().unwrap(), "the log was cut");
    }

    #[test]
    fn a_port_counts_once_it_accepts() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(accepts(port));
        drop(socket);
        assert!(!accepts(port));
    }

    #[test]
    fn a_file_that_changes_is_a_sign_of_life() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heart");
        let mut heart = Heart { last: Stamp::of(&path), path: path.clone() };
        assert!(!heart.has_beaten());
        fs::write(&path, "1").unwrap();
        assert!(heart.has_beaten());
        assert!(!heart.has_beaten());
        fs::write(&path, "12").unwrap();
        assert!(heart.has_beaten());
    }
}

//! Whether a component is ready: what it shows, by a port, a file, its lock or its log.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use qc_fleet::Component;
use qc_lock_core::LockDir;
use qc_logs::{Added, LogFolder, LogName, LogReader};
use qc_supervise::Probe;
use regex::Regex;

/// How long a connection to this machine may take.
const CONNECT: Duration = Duration::from_millis(200);

/// The longest line that is looked at; of a longer one, the end.
const LINE: usize = 64 * 1024;

/// The room on a disk below which nothing that needs a line in a log is expected any more.
const LEAST_ROOM: u64 = 4096;

/// A file's identity and size, by which a change is noticed.
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

/// Polls the sign by which a component shows that it is ready.
#[derive(Debug)]
pub struct ReadinessCheck(Sign);

#[derive(Debug)]
enum Sign {
    Port(u16),
    /// A file, and how it was before the component was started.
    File(PathBuf, Option<Stamp>),
    /// The record of the lock shows it.
    Lock,
    Log(LogCheck),
    /// There is no log to look into.
    Blind,
}

impl ReadinessCheck {
    /// Prepares to look for what `component` shows when it is ready; before it is started, so that
    /// nothing old counts. `None` where the supervisor knows by itself.
    ///
    /// # Errors
    /// A sentence saying what is wrong with the probe.
    pub fn new(
        component: &Component,
        logs: &LogFolder,
        log: Option<&Path>,
    ) -> Result<Option<Self>, String> {
        Ok(Some(Self(match &component.settings.ready.probe {
            Probe::Started | Probe::Delay(_) => return Ok(None),
            Probe::Port(port) => Sign::Port(*port),
            Probe::File(path) => {
                let path = component.cwd.join(path);
                let before = Stamp::of(&path);
                Sign::File(path, before)
            }
            Probe::Lock => Sign::Lock,
            Probe::Log(pattern) => {
                let pattern =
                    Regex::new(pattern).map_err(|error| format!("its pattern {error}"))?;
                let name = log.and_then(|log| LogName::parse(log.file_name()?.to_str()?));
                name.map_or(Sign::Blind, |name| {
                    Sign::Log(LogCheck::new(pattern, logs.clone(), name))
                })
            }
        })))
    }

    /// Whether the sign is there.
    pub fn is_ready(&mut self, component: &Component, locks: &LockDir) -> bool {
        match &mut self.0 {
            Sign::Port(port) => accepts(*port),
            Sign::File(path, before) => Stamp::of(path).is_some_and(|now| Some(now) != *before),
            // The launcher takes the lock for it; its own it is once it has claimed it.
            Sign::Lock => {
                let record = locks.record(&component.name);
                record.is_some_and(|record| record.token.is_none())
                    || locks.status(&component.name).is_ok_and(|lock| {
                        lock.is_some_and(|lock| lock.state == qc_lock_core::LockState::Legacy)
                    })
            }
            // A log that can't be read now may be readable later. Where nothing can be written,
            // no sign of life fits in it, and the component must not be stopped for that.
            Sign::Log(check) => check.read().unwrap_or(false) || is_full(check.folder.path()),
            Sign::Blind => true,
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

/// Whether the disk has no room for another line.
pub(crate) fn is_full(folder: &Path) -> bool {
    qc_process::volume(folder).is_ok_and(|volume| volume.free_bytes < LEAST_ROOM)
}

/// Reads a log from where it ended, and looks for a line.
#[derive(Debug)]
struct LogCheck {
    pattern: Regex,
    folder: LogFolder,
    reader: LogReader,
    /// The line that is not complete yet.
    line: Vec<u8>,
}

impl LogCheck {
    fn new(pattern: Regex, folder: LogFolder, name: LogName) -> Self {
        let reader = LogReader::at_end(folder.clone(), name);
        Self { pattern, folder, reader, line: Vec::new() }
    }

    fn read(&mut self) -> io::Result<bool> {
        loop {
            let segment = self.reader.next_segment();
            match self.reader.read(segment.as_slice())? {
                Added::Segment(text) if self.is_in(&text) => return Ok(true),
                Added::Rest(text) => return Ok(self.is_in(&text)),
                Added::Waiting => return Ok(false),
                Added::Emptied => self.line.clear(),
                Added::Segment(_) | Added::Rotated => {}
            }
        }
    }

    /// Whether one of the lines that end in `text` is the one that is looked for.
    fn is_in(&mut self, text: &[u8]) -> bool {
        for segment in text.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend(segment);
            if self.line.len() > LINE {
                self.line.drain(..self.line.len() - LINE);
            }
            if segment.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
                self.line.clear();
                if self.pattern.is_match(&line) {
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;
    use qc_logs::rotate;

    #[test]
    fn a_line_counts_once_it_is_complete_and_only_if_it_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LogFolder::new(dir.path());
        let name = LogName::parse("A_20260101_000000.log").unwrap();
        let path = dir.path().join(name.file_name());
        let write = |text: &str| {
            let mut log = fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
            log.write_all(text.as_bytes()).unwrap();
        };
        let check = || {
            let pattern = Regex::new("^ready( now)?$").unwrap();
            LogCheck::new(pattern, folder.clone(), name.clone())
        };
        write("ready\n");
        let mut first = check();
        assert!(!first.read().unwrap(), "that line is old");
        write("loading\nrea");
        assert!(!first.read().unwrap(), "that line is not complete");
        write("dy now\r\nmore");
        assert!(first.read().unwrap());
        fs::write(&path, "ready\n").unwrap();
        assert!(first.read().unwrap(), "the log was emptied");

        // The line went to a segment between two looks, and what follows is longer than what was
        // there.
        let mut second = check();
        write("ready\n");
        rotate(&folder, &name).unwrap().unwrap();
        write(&"and so on\n".repeat(100));
        assert!(second.read().unwrap(), "it is in the first part");
        let mut third = check();
        for _ in 0..3 {
            write(&"and so on\n".repeat(10_000));
            assert!(!third.read().unwrap());
            rotate(&folder, &name).unwrap().unwrap();
        }
        assert!(!third.read().unwrap());
        write("ready\n");
        assert!(third.read().unwrap(), "it is after the third part");
    }

    #[test]
    fn a_port_counts_once_it_accepts() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(accepts(port));
        drop(socket);
        assert!(!accepts(port));
    }
}

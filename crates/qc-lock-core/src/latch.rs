//! The latch: a file in the lock directory that forbids every start until it is removed. Whatever
//! runs, runs on; nothing new gets a lock. It survives a reboot, and in doubt it is set.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use qc_process::{file, here, visible, visible_json};
use serde::{Deserialize, Serialize};

use crate::record::LIMIT;
use crate::time::{local_time, now};
use crate::{Event, LockDir, LockError};

/// The name under which the latch stands in the history.
const NAME: &str = "LATCH";

/// Why nothing may start, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// The version of this format, 1.
    pub version: u32,
    /// Why, as the one who set it put it.
    pub reason: String,
    /// When it was set, RFC 3339.
    #[serde(default)]
    pub since: Option<String>,
    /// The user who set it.
    #[serde(default)]
    pub by: Option<String>,
    /// The machine on which it was set.
    #[serde(default)]
    pub host: Option<String>,
}

impl Latch {
    /// What a latch says that can't be read: whoever wrote it meant that nothing starts.
    fn unreadable(why: impl fmt::Display) -> Self {
        let reason = format!("the latch is there but can't be read ({why})");
        Self { version: 1, reason, since: None, by: None, host: None }
    }

    fn parse(bytes: &[u8]) -> Self {
        if bytes.len() as u64 > LIMIT {
            return Self::unreadable(format_args!("it is larger than {} KiB", LIMIT / 1024));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        serde_json::from_slice(bytes).unwrap_or_else(Self::unreadable)
    }
}

impl fmt::Display for Latch {
    /// `broker is down (by trader, since 2026-11-02 21:04:05, host TRADER-PC)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |value: &Option<String>| visible(value.as_deref().unwrap_or("unknown"));
        let since = self.since.as_deref().map_or_else(|| "unknown".into(), local_time);
        let (reason, by, host) = (visible(&self.reason), known(&self.by), known(&self.host));
        write!(f, "{reason} (by {by}, since {since}, host {host})")
    }
}

impl LockDir {
    /// Returns what forbids every start, if something does. A latch that can't be read forbids it,
    /// too, and says so as its reason.
    pub fn latch(&self) -> Option<Latch> {
        let path = self.store.latch();
        // One that is not there needs no file to be opened, of which there may be too many.
        if is_missing(&path) {
            return None;
        }
        match file::read_limited(&path, LIMIT) {
            Ok(bytes) => Some(Latch::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Latch::unreadable(error)),
        }
    }

    /// Forbids every start in this directory, for `reason`, until [`LockDir::unlatch`]. From when
    /// this returns, a lock is either refused or its record can be listed already.
    ///
    /// # Errors
    /// [`LockError::Directory`] or [`LockError::Latch`]; nothing is forbidden then.
    pub fn set_latch(&self, reason: &str) -> Result<Latch, LockError> {
        self.store.create()?;
        let here = here();
        let latch = Latch {
            version: 1,
            reason: reason.into(),
            since: Some(now()),
            by: Some(here.user.clone()),
            host: Some(here.name.clone()),
        };
        let path = self.store.latch();
        let temporary = self.path().join(format!(".{NAME}.{}.tmp", std::process::id()));
        let written = serde_json::to_string_pretty(&latch)
            .map_err(io::Error::from)
            .and_then(|text| file::write_new_durably(&temporary, visible_json(text).as_bytes()))
            .and_then(|()| file::replace(&temporary, &path));
        written.map_err(|source| {
            // The error above is what matters; a file left over is cleared with the stale ones.
            let _ = file::remove(&temporary);
            self.latch_error(path, source)
        })?;
        let entry = self.entry(Event::Latched, NAME).detail(reason);
        // The latch counts, with or without its line.
        let _ = self.append_here(&entry);
        Ok(latch)
    }

    /// Allows starts again; returns what had forbidden them.
    ///
    /// # Errors
    /// [`LockError::Latch`]; starts are still forbidden then.
    pub fn unlatch(&self) -> Result<Option<Latch>, LockError> {
        let Some(latch) = self.latch() else { return Ok(None) };
        let path = self.store.latch();
        file::remove(&path).map_err(|source| self.latch_error(path, source))?;
        let entry = self.entry(Event::Unlatched, NAME).detail(latch.to_string());
        // As above.
        let _ = self.append_here(&entry);
        Ok(Some(latch))
    }

    fn latch_error(&self, path: PathBuf, source: io::Error) -> LockError {
        LockError::Latch { path, source }
    }
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::{LockName, Request};

    fn locks() -> (tempfile::TempDir, LockDir, Request) {
        let folder = tempfile::tempdir().unwrap();
        let locks = LockDir::new(folder.path().join(".locks"));
        let name: LockName = "BRAIN_ATLAS".parse().unwrap();
        (folder, locks, Request::new(name))
    }

    #[test]
    fn a_latch_refuses_until_it_is_removed_and_the_holder_goes_on() {
        let (_folder, locks, request) = locks();
        let held = locks.acquire(&Request::new("BRAIN_BOREAS".parse().unwrap())).unwrap();
        locks.set_latch("broker is down").unwrap();
        let refused = locks.acquire(&request).unwrap_err();
        assert!(
            matches!(&refused, LockError::Latched { latch, .. } if latch.reason == "broker is down")
        );
        assert!(locks.acquire_for_child(&request).is_err());
        assert_eq!(locks.list().unwrap().len(), 1, "a refusal leaves a record");
        held.release().unwrap();
        assert_eq!(locks.unlatch().unwrap().unwrap().reason, "broker is down");
        assert_eq!(locks.unlatch().unwrap(), None);
        locks.acquire(&request).unwrap();
    }

    #[test]
    fn a_latch_that_cannot_be_read_counts() {
        for bytes in [&b""[..], b"{", b"[]", b"\xff", &[b' '; 70_000]] {
            let (_folder, locks, request) = locks();
            fs::create_dir_all(locks.path()).unwrap();
            fs::write(locks.path().join("LATCH"), bytes).unwrap();
            assert!(matches!(locks.acquire(&request), Err(LockError::Latched { .. })), "{bytes:?}");
            assert!(locks.unlatch().unwrap().is_some());
        }
        let (_folder, locks, request) = locks();
        fs::create_dir_all(locks.path().join("LATCH")).unwrap();
        assert!(matches!(locks.acquire(&request), Err(LockError::Latched { .. })), "a folder");
    }

    #[test]
    fn a_latch_set_while_a_lock_is_being_taken_counts() {
        let (_folder, locks, request) = locks();
        let mut lock = locks.take(&request).unwrap();
        locks.set_latch("now").unwrap();
        let written = lock.write_record(qc_process::own_identity());
        assert!(matches!(written, Err(LockError::Latched { .. })), "{written:?}");
        assert!(locks.list().unwrap().is_empty(), "the record stays");
    }
}

//! Latches: files in the lock directory that forbid starts until they are removed. Whatever runs, runs on;
//! nothing new gets a lock. They survive a reboot, and in doubt they are set. `LATCH` forbids every start, those in
//! `latches` the starts of one name, or all that trade one account.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use qc_process::{file, here, visible, visible_json};
use serde::{Deserialize, Serialize};

use crate::record::LIMIT;
use crate::time::{local_time, now};
use crate::{Event, LockDir, LockError, Request};

/// How all starts are allowed again.
pub(crate) const WAY_OUT: &str = "when trading may start again, run `qc-launch unlatch`";

/// The name under which the latch stands in the history.
const NAME: &str = "LATCH";

/// Why nothing may start, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// The version of this format, 1.
    pub version: u32,
    /// Its scope, `name/<key>` or `account/<account>`; without it, every start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
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
    /// Returns the latch for a file that can't be read: it forbids every start.
    fn unreadable(why: impl fmt::Display) -> Self {
        let reason = format!("the latch is there but can't be read ({why})");
        Self { version: 1, scope: None, reason, since: None, by: None, host: None }
    }

    fn parse(bytes: &[u8]) -> Self {
        if bytes.len() as u64 > LIMIT {
            return Self::unreadable(format_args!("it is larger than {} KiB", LIMIT / 1024));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        serde_json::from_slice(bytes).unwrap_or_else(Self::unreadable)
    }
}

impl Latch {
    /// Returns what it forbids and why, such as "every start is forbidden: broker is down (by ...)".
    pub fn sentence(&self) -> String {
        let what = match self.scope.as_deref().and_then(|scope| scope.split_once('/')) {
            Some(("name", name)) => format!("every start of {} is forbidden", visible(name)),
            Some((_, account)) => format!("to trade account {} is forbidden", visible(account)),
            None => "every start is forbidden".into(),
        };
        format!("{what}: {self}")
    }

    /// Returns how starts are allowed again.
    pub fn way_out(&self) -> String {
        match self.scope.as_deref().and_then(|scope| scope.strip_prefix("name/")) {
            Some(name) => format!(
                "`qc-launch start {}` starts it where a launcher runs; `qc-launch unlatch` allows all starts again",
                visible(name)
            ),
            None if self.scope.is_some() => format!(
                "`qc-launch start NAME`, with the name of its brain, starts it where a launcher runs; {WAY_OUT}"
            ),
            None => WAY_OUT.into(),
        }
    }

    /// Whether it forbids the start that `request` asks for, and not every start.
    pub fn is_of(&self, request: &Request) -> bool {
        let scope = self.scope.as_ref();
        scope.is_some_and(|scope| scopes_of(request).any(|one| one.eq_ignore_ascii_case(scope)))
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
        read(&self.store.latch())
    }

    /// Returns what forbids a lock on these `resources`, if something does.
    pub(crate) fn latch_on<'a>(&self, resources: impl Iterator<Item = &'a str>) -> Option<Latch> {
        self.latch().or_else(|| {
            let folder = self.store.latches();
            // Hardly ever is there one.
            if is_missing(&folder) {
                return None;
            }
            // The latch of the name says more about what to do.
            let (names, accounts): (Vec<&str>, Vec<&str>) =
                resources.filter_map(scope_of).partition(|scope| scope.starts_with("name/"));
            names.into_iter().chain(accounts).find_map(|scope| self.latch_of(scope))
        })
    }

    fn latch_of(&self, scope: &str) -> Option<Latch> {
        let latch = read(&self.store.scoped_latch(scope))?;
        // The name of its file says it, whatever can be read.
        Some(Latch { scope: Some(scope.to_owned()), ..latch })
    }

    /// Returns the latches that forbid only some starts.
    pub fn scoped_latches(&self) -> Vec<Latch> {
        let files = file::list_directory(&self.store.latches()).unwrap_or_default();
        let mut latches: Vec<Latch> =
            files.iter().filter_map(|name| read(&self.store.latches().join(name))).collect();
        latches.sort_by(|one, other| one.scope.cmp(&other.scope));
        latches
    }

    /// Forbids the start that `request` asks for, whatever name it is asked for under if it trades an
    /// account, for `reason`, until [`LockDir::unlatch_of`] or [`LockDir::unlatch`].
    ///
    /// # Errors
    /// As [`LockDir::set_latch`].
    pub fn set_latch_of(&self, request: &Request, reason: &str) -> Result<Vec<Latch>, LockError> {
        self.store.create()?;
        let folder = self.store.latches();
        file::make_directory(&folder)
            .map_err(|source| LockError::Directory { path: folder.clone(), source })?;
        let set = |scope: String| {
            let path = self.store.scoped_latch(&scope);
            self.write_latch(path, Some(scope), request.name.as_str(), reason)
        };
        scopes_of(request).map(set).collect()
    }

    /// Allows the start that `request` asks for again; returns what had forbidden it.
    ///
    /// # Errors
    /// [`LockError::Latch`]; it is still forbidden then.
    pub fn unlatch_of(&self, request: &Request) -> Result<Vec<Latch>, LockError> {
        let found = scopes_of(request).filter_map(|scope| Some((self.latch_of(&scope)?, scope)));
        let remove = |(latch, scope): (Latch, String)| {
            self.remove_latch(self.store.scoped_latch(&scope), request.name.as_str(), latch)
        };
        found.map(remove).collect()
    }

    /// Forbids every start in this directory, for `reason`, until [`LockDir::unlatch`]. From when
    /// this returns, a lock is either refused or its record can be listed already.
    ///
    /// # Errors
    /// [`LockError::Directory`] or [`LockError::Latch`]; nothing is forbidden then.
    pub fn set_latch(&self, reason: &str) -> Result<Latch, LockError> {
        self.store.create()?;
        self.write_latch(self.store.latch(), None, NAME, reason)
    }

    fn write_latch(
        &self,
        path: PathBuf,
        scope: Option<String>,
        name: &str,
        reason: &str,
    ) -> Result<Latch, LockError> {
        let here = here();
        let latch = Latch {
            version: 1,
            scope,
            reason: reason.into(),
            since: Some(now()),
            by: Some(here.user.clone()),
            host: Some(here.name.clone()),
        };
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
        let entry = self.entry(Event::Latched, name).detail(reason);
        // The latch counts, with or without its line.
        let _ = self.append_here(&entry);
        Ok(latch)
    }

    /// Allows all starts again; returns what had forbidden them.
    ///
    /// # Errors
    /// [`LockError::Latch`]; some starts are still forbidden then.
    pub fn unlatch(&self) -> Result<Vec<Latch>, LockError> {
        let mut removed = Vec::new();
        if let Some(latch) = self.latch() {
            removed.push(self.remove_latch(self.store.latch(), NAME, latch)?);
        }
        for name in file::list_directory(&self.store.latches()).unwrap_or_default() {
            let path = self.store.latches().join(name);
            let Some(latch) = read(&path) else { continue };
            let scope = latch.scope.clone().unwrap_or_default();
            let name = scope.split_once('/').map_or(NAME, |(_, name)| name);
            removed.push(self.remove_latch(path, name, latch)?);
        }
        Ok(removed)
    }

    fn remove_latch(&self, path: PathBuf, name: &str, latch: Latch) -> Result<Latch, LockError> {
        file::remove(&path).map_err(|source| self.latch_error(path, source))?;
        let entry = self.entry(Event::Unlatched, name).detail(latch.to_string());
        // As above.
        let _ = self.append_here(&entry);
        Ok(latch)
    }

    fn latch_error(&self, path: PathBuf, source: io::Error) -> LockError {
        LockError::Latch { path, source }
    }
}

/// Returns the scopes whose latches forbid the start that `request` asks for, each once.
fn scopes_of(request: &Request) -> impl Iterator<Item = String> {
    let resources = request.resources();
    let scopes = resources.iter().filter_map(|one| scope_of(one.as_str()).map(str::to_owned));
    scopes.collect::<BTreeSet<String>>().into_iter()
}

/// Returns the scope whose latch forbids `resource`: a name itself, and for a place at an account the account,
/// unless it is that of a watchdog, which guards what others have opened, or of a reader.
fn scope_of(resource: &str) -> Option<&str> {
    if resource.starts_with("name/") {
        return Some(resource);
    }
    let (account, place) = resource.rsplit_once('/')?;
    let trades = !place.starts_with("watchdog") && !place.ends_with("@shared");
    (account.starts_with("account/") && trades).then_some(account)
}

fn read(path: &Path) -> Option<Latch> {
    // One that is not there needs no file to be opened, of which there may be too many.
    if is_missing(path) {
        return None;
    }
    match file::read_limited(path, LIMIT) {
        Ok(bytes) => Some(Latch::parse(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Latch::unreadable(error)),
    }
}

fn is_missing(path: &Path) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    fs::symlink_metadata(path).is_err_and(|error| matches!(error.kind(), NotFound | NotADirectory))
}

#[cfg(test)]
mod tests;

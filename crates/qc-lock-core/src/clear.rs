//! Removing records that describe nothing living.

use std::collections::HashSet;
use std::time::Duration;

use qc_process::par_chunks;

use crate::dir::pid_owner;
use crate::judge::is_of_a_script_that_runs_here;
use crate::list::entry_of;
use crate::{Event, LockDir, LockEntry, LockError, LockName, LockState, Resource};

/// From this age a temporary file is abandoned.
const LEFTOVER: Duration = Duration::from_secs(60);

/// How many records are cleared one after the other before another processor is worth it.
const CLEARED_AT_ONCE: usize = 16;

/// The removed records and the others.
#[derive(Debug, Default)]
pub struct Cleared {
    /// Records that were removed.
    pub cleared: Vec<LockEntry>,
    /// Records that stay, because something living holds them or may hold them.
    pub kept: Vec<LockEntry>,
    /// Why records that should have gone are still there.
    pub failed: Vec<LockError>,
    /// Why the history could not be written, if so. The records are gone all the same.
    pub history_error: Option<LockError>,
}

impl LockDir {
    /// Removes the records of holders that have ended, and corrupt ones.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn clear_stale(&self) -> Result<Cleared, LockError> {
        self.clear(
            |state| matches!(state, LockState::Stale | LockState::Corrupt),
            |_| true,
            "stale",
        )
    }

    /// Removes the same, of these locks only.
    ///
    /// # Errors
    /// As [`LockDir::clear_stale`].
    pub fn clear_dead(&self, names: &[String]) -> Result<Cleared, LockError> {
        let names: HashSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        self.clear(
            |state| matches!(state, LockState::Stale | LockState::Corrupt),
            |name| names.contains(&name.to_ascii_lowercase()),
            "its process has ended",
        )
    }

    /// Removes all records but those of processes that live on this machine: also those of other
    /// machines and containers, which may live for all that is known here. One whose process is
    /// a Python that runs the lock's script here stays, whatever machine it names.
    ///
    /// # Errors
    /// As [`LockDir::clear_stale`].
    pub fn clear_all(&self) -> Result<Cleared, LockError> {
        self.clear(
            |state| !matches!(state, LockState::Held | LockState::Legacy),
            |_| true,
            "forced",
        )
    }

    fn clear(
        &self,
        may_go: impl Fn(LockState) -> bool + Sync,
        wanted: impl Fn(&str) -> bool,
        reason: &str,
    ) -> Result<Cleared, LockError> {
        let mut names = self.store.names()?;
        names.retain(|name| wanted(name));
        names.sort();
        if !names.is_empty() {
            self.store.create()?;
        }
        let mut result = Cleared::default();
        let clear = |names: &[String]| self.clear_part(names, &may_go, reason);
        for part in par_chunks(&names, CLEARED_AT_ONCE, clear) {
            result.cleared.extend(part.cleared);
            result.kept.extend(part.kept);
            result.failed.extend(part.failed);
            result.history_error = result.history_error.or(part.history_error);
        }
        self.store.remove_leftovers(LEFTOVER);
        Ok(result)
    }

    fn clear_part(
        &self,
        names: &[String],
        may_go: impl Fn(LockState) -> bool,
        reason: &str,
    ) -> Cleared {
        let mut result = Cleared::default();
        let mut lines = Vec::new();
        for name in names {
            match self.clear_one(name, &may_go) {
                Some(Ok((entry, true))) => {
                    let line = self.entry(Event::Cleared, &entry.name).pid(entry.pid);
                    let line = line.account(entry.account.clone());
                    lines.push(line.detail(format!("{}, {reason}", entry.state.as_str())));
                    result.cleared.push(entry);
                }
                Some(Ok((entry, false))) => result.kept.push(entry),
                // One that can't be removed is no reason to leave the others.
                Some(Err(error)) => result.failed.push(error),
                None => {}
            }
        }
        result.history_error = self.append_all(&lines).err();
        result
    }

    /// Removes the record of `name` if it may go, and says whether it did; `None` if there is none
    /// any more. Judged with its guard in hand, so that no process can be taking the lock meanwhile.
    fn clear_one(
        &self,
        name: &str,
        may_go: impl Fn(LockState) -> bool,
    ) -> Option<Result<(LockEntry, bool), LockError>> {
        // A file whose name is no lock's has no guard and is taken by no process.
        let guard =
            name.parse::<LockName>().ok().map(|name| self.take_guard(&Resource::name(&name)));
        let found = self.store.find(name)?;
        let entry = entry_of(&found, &self.store);
        let runs_here = |pid| is_of_a_script_that_runs_here(name, &pid_owner(pid));
        let is_needed = entry.state == LockState::Foreign && entry.pid.is_some_and(runs_here);
        let goes = may_go(entry.state) && !is_needed;
        Some(match guard {
            // Its holder is taking the lock, or was left running by a dead process.
            Some(Ok(None)) => Ok((entry, false)),
            Some(Err(error)) if goes => Err(error),
            _ if goes => self.store.remove(&found.path).map(|()| (entry, true)),
            _ => Ok((entry, false)),
        })
    }
}

//! Removing records that describe nothing living.

use std::time::Duration;

use crate::list::entry_of;
use crate::store::Found;
use crate::{Event, LockDir, LockEntry, LockError, LockName, LockState, Resource};

/// From this age a temporary file belongs to nobody.
const LEFTOVER: Duration = Duration::from_secs(60);

/// What was removed and what was not.
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
        let wanted = |name: &str| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        self.clear(
            |state| matches!(state, LockState::Stale | LockState::Corrupt),
            wanted,
            "its process has ended",
        )
    }

    /// Removes all records but those of processes that live on this machine: also those of other
    /// machines and containers, of which nobody here can say that they have ended.
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
        may_go: impl Fn(LockState) -> bool,
        wanted: impl Fn(&str) -> bool,
        reason: &str,
    ) -> Result<Cleared, LockError> {
        let mut result = Cleared::default();
        for found in &self.store.records(wanted)? {
            let entry = entry_of(found);
            let removed =
                if may_go(entry.state) { self.remove_if(found, &may_go) } else { Ok(false) };
            match removed {
                Ok(true) => {
                    let line = self
                        .entry(Event::Cleared, &entry.name)
                        .pid(entry.pid)
                        .account(entry.account.clone());
                    let line = line.detail(format!("{}, {reason}", entry.state.word()));
                    result.history_error = result.history_error.or(self.append(&line).err());
                    result.cleared.push(entry);
                }
                Ok(false) => result.kept.push(entry),
                // One that can't be removed is no reason to leave the others.
                Err(error) => result.failed.push(error),
            }
        }
        self.store.remove_leftovers(LEFTOVER);
        Ok(result)
    }

    /// Removes a record with its guard in hand, so that nobody can be taking the lock meanwhile.
    fn remove_if(
        &self,
        found: &Found,
        may_go: impl Fn(LockState) -> bool,
    ) -> Result<bool, LockError> {
        // A file whose name is no lock's has no guard and nobody takes it.
        let guard = match found.name.parse::<LockName>() {
            Ok(name) => {
                self.store.create()?;
                let Some(guard) = self.take_guard(&Resource::name(&name))? else {
                    return Ok(false);
                };
                Some(guard)
            }
            Err(_) => None,
        };
        let still = self.store.find(&found.name);
        let goes = still.as_ref().is_none_or(|found| may_go(entry_of(found).state));
        if goes {
            self.store.remove(&found.path)?;
        }
        drop(guard);
        Ok(goes)
    }
}

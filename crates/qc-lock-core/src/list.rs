//! Looking at locks without touching them: no guard is opened, so a watcher never makes an
//! acquire fail.

use serde::Serialize;

use crate::dir::verdict;
use crate::judge::{Holder, Verdict};
use crate::record::Reading;
use crate::store::Found;
use crate::{LockDir, LockError, LockName, Record};

/// What a record says about its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LockState {
    /// Its holder is alive.
    Held,
    /// Its holder has ended; the next one to ask gets the lock.
    Stale,
    /// Its holder runs on another machine or in another container.
    Foreign,
    /// The record names nobody.
    Corrupt,
    /// Its holder is alive and uses the old module.
    Legacy,
}

/// One record of the lock directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockEntry {
    /// The lock's name.
    pub name: String,
    /// What the record says.
    pub state: LockState,
    /// The holder's pid.
    pub pid: Option<u32>,
    /// The account.
    pub account: Option<String>,
    /// The holder's machine.
    pub host: Option<String>,
    /// When the lock was taken, RFC 3339 where the record knows the offset.
    pub since: Option<String>,
    /// The file name of the holder's program.
    pub program: Option<String>,
    /// What the lock protects.
    pub resources: Vec<String>,
}

impl LockState {
    /// Whether the lock is, or may be, held by something living.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Held | Self::Legacy | Self::Foreign)
    }

    /// Returns the word that tables and JSON use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Stale => "stale",
            Self::Foreign => "foreign",
            Self::Corrupt => "corrupt",
            Self::Legacy => "legacy",
        }
    }
}

impl LockDir {
    /// Lists all records, by name.
    ///
    /// # Errors
    /// [`LockError::Directory`]. A directory that does not exist is empty.
    pub fn list(&self) -> Result<Vec<LockEntry>, LockError> {
        Ok(self.store.records(|_| true)?.iter().map(entry_of).collect())
    }

    /// Returns the record of one lock, whatever the case of its name.
    ///
    /// # Errors
    /// [`LockError::Directory`].
    pub fn status(&self, name: &LockName) -> Result<Option<LockEntry>, LockError> {
        let records = self.store.records(|found| found.eq_ignore_ascii_case(name.as_str()))?;
        Ok(records.first().map(entry_of))
    }
}

impl LockDir {
    /// Returns the record of the lock `name` as it was written; `None` if there is none, or it was
    /// not written by this protocol. Whether its holder lives is another question.
    pub fn record(&self, name: &LockName) -> Option<Record> {
        match self.store.find(name.as_str())?.reading {
            Reading::Record(record) => Some(record),
            Reading::Old(_) | Reading::Corrupt(_) | Reading::Hidden(_) => None,
        }
    }
}

pub(crate) fn entry_of(found: &Found) -> LockEntry {
    let holder = Holder::of(&found.reading);
    let state = match verdict(&found.reading) {
        Verdict::Held => LockState::Held,
        Verdict::HeldByOld => LockState::Legacy,
        Verdict::Foreign => LockState::Foreign,
        Verdict::Stale => LockState::Stale,
        Verdict::Corrupt => LockState::Corrupt,
    };
    LockEntry {
        name: found.name.clone(),
        state,
        pid: holder.pid,
        account: holder.account,
        host: holder.host,
        since: holder.since,
        program: holder.program,
        resources: found.resources(),
    }
}

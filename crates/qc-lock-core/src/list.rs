//! Looking at locks without touching them: no guard is opened, so a watcher never makes an
//! acquire fail.

use std::path::PathBuf;

use qc_process::{Identity, file};
use serde::Serialize;

use crate::dir::verdict;
use crate::judge::{Holder, Verdict};
use crate::record::ParsedRecord;
use crate::resource::guard_file;
use crate::store::{RecordFile, Store};
use crate::{Account, AccountUse, LockDir, LockError, LockName, Opener, Record, Resource};

/// The state of a lock by its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LockState {
    /// Its holder is alive.
    Held,
    /// Its holder has ended; the next one to ask gets the lock.
    Stale,
    /// Its holder runs on another machine or in another container.
    Foreign,
    /// The record names no process.
    Corrupt,
    /// Its holder is alive and uses the old module.
    Legacy,
}

/// One record of the lock directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockEntry {
    /// The lock's name.
    pub name: String,
    /// The state.
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
    /// The protected resources.
    pub resources: Vec<String>,
    /// The processes that still have its guards open although its holder has ended. Only filled by
    /// [`LockDir::with_openers`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_in: Vec<Opener>,
    /// The facts by which the record can be believed.
    #[serde(skip)]
    pub evidence: LockEvidence,
}

impl LockEntry {
    /// Returns how its holder uses the account, which the places tell that it has taken there. A holder
    /// from before there were places trades.
    pub fn account_use(&self) -> AccountUse {
        let account = self.account.as_deref().and_then(|text| Account::parse(text).ok().flatten());
        let Some(account) = account.filter(|_| self.evidence.knows_places) else {
            return AccountUse::Trades;
        };
        let start = format!("account/{}/", account.key());
        let places = self.resources.iter().filter_map(|one| one.strip_prefix(&start));
        AccountUse::of(places).unwrap_or_default()
    }

    /// Returns what of this lock the guard called `guard` protects, if it is one of its own.
    pub fn resource_of(&self, guard: &str) -> Option<&str> {
        self.resources.iter().map(String::as_str).find(|one| guard_file(one) == guard)
    }
}

/// The facts by which a record can be believed: not what it says, but what the system shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockEvidence {
    /// The process that does the work; `None` if the record is not of this protocol.
    pub holder: Option<Identity>,
    /// The pid of the program that holds the lock for it, if there is one.
    pub wrapper_pid: Option<u32>,
    /// The number of the user to whom the record's file belongs, as in [`qc_process::file::owner`].
    pub owner: Option<u32>,
    /// Whether its holder speaks a version of the protocol that knows places at accounts.
    pub knows_places: bool,
    /// The guard of the lock's name; `None` if the record's file name is not the name of a lock.
    pub guard: Option<PathBuf>,
}

impl LockEvidence {
    /// Whether the process with `pid` has the guard open; `None` where the system does not show it,
    /// as always on Windows. Only looks: the guard itself is not opened.
    ///
    /// An open guard is one that the process holds: what is open and not locked is closed at once.
    pub fn guard_is_open_in(&self, pid: u32) -> Option<bool> {
        file::is_open_in(pid, self.guard.as_deref()?)
    }
}

impl LockState {
    /// Whether the lock is, or may be, held by something living.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Held | Self::Legacy | Self::Foreign)
    }

    /// Returns the word that tables and JSON use.
    pub fn as_str(self) -> &'static str {
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
        Ok(self.store.records(|_| true)?.iter().map(|found| entry_of(found, &self.store)).collect())
    }

    /// Returns the record of one lock, whatever the case of its name.
    ///
    /// # Errors
    /// [`LockError::Directory`].
    pub fn status(&self, name: &LockName) -> Result<Option<LockEntry>, LockError> {
        let records = self.store.records(|found| found.eq_ignore_ascii_case(name.as_str()))?;
        Ok(records.first().map(|found| entry_of(found, &self.store)))
    }
}

impl LockDir {
    /// Returns the record of the lock `name` as it was written; `None` if there is none, or it was
    /// not written by this protocol. Whether its holder lives is another question.
    pub fn record(&self, name: &LockName) -> Option<Record> {
        match self.store.find(name.as_str())?.reading {
            ParsedRecord::Record(record) => Some(record),
            ParsedRecord::Old(_) | ParsedRecord::Corrupt(_) | ParsedRecord::Hidden(_) => None,
        }
    }
}

pub(crate) fn entry_of(found: &RecordFile, store: &Store) -> LockEntry {
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
        account: holder.account.and_then(|text| spelled(&text)),
        host: holder.host,
        since: holder.since,
        program: holder.program,
        resources: found.resources(),
        open_in: Vec::new(),
        evidence: evidence_of(found, store),
    }
}

/// Returns an account as every tool spells it; old records have it as their script was given it.
/// What can be no account is shown as it is written, and a word for none is none.
fn spelled(text: &str) -> Option<String> {
    match Account::parse(text) {
        Ok(account) => account.map(|account| account.as_str().to_owned()),
        Err(_) => Some(text.to_owned()),
    }
}

fn evidence_of(found: &RecordFile, store: &Store) -> LockEvidence {
    let record = match &found.reading {
        ParsedRecord::Record(record) => Some(record),
        ParsedRecord::Old(_) | ParsedRecord::Corrupt(_) | ParsedRecord::Hidden(_) => None,
    };
    let name: Option<LockName> = found.name.parse().ok();
    LockEvidence {
        holder: record.map(Record::identity),
        wrapper_pid: record.and_then(|record| record.wrapper_pid),
        owner: file::owner(&found.path),
        knows_places: record.is_some_and(|record| record.machine.is_some()),
        guard: name.map(|name| store.guard(&Resource::name(&name))),
    }
}

//! A lock that is held.

use std::fmt;
use std::io;

use qc_process::{Child, Identity, Spawn};

use crate::guard::Guard;
use crate::judge::Holder;
use crate::{Event, LockDir, LockError, Record, TOKEN_VARIABLE};

/// A lock that this process holds until the value is dropped or [`Lock::release`]d.
#[derive(Debug)]
pub struct Lock {
    dir: LockDir,
    record: Record,
    /// Empty once the lock is given up.
    guards: Vec<Guard>,
    reclaimed: Vec<Reclaimed>,
    history_error: Option<LockError>,
}

/// A record that the dead had left behind under the lock's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reclaimed {
    /// Who had held the lock.
    pub holder: Holder,
    /// Why the record did not say who, if it was corrupt.
    pub corrupt: Option<String>,
}

impl fmt::Display for Reclaimed {
    /// What follows "reclaimed lock BRAIN_ATLAS".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.corrupt {
            Some(reason) => write!(f, "whose record was corrupt: {reason}"),
            None => write!(f, "from {}, which has ended", self.holder),
        }
    }
}

impl Lock {
    pub(crate) fn new(
        dir: LockDir,
        record: Record,
        guards: Vec<Guard>,
        reclaimed: Vec<Reclaimed>,
    ) -> Self {
        Self { dir, record, guards, reclaimed, history_error: None }
    }

    /// Returns the record as it was written last.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Returns what the dead had left behind under this name.
    pub fn reclaimed(&self) -> &[Reclaimed] {
        &self.reclaimed
    }

    /// Returns why the history could not be written, if so. The lock is held all the same.
    pub fn history_error(&self) -> Option<&LockError> {
        self.history_error.as_ref()
    }

    /// Starts a child that this lock is held for: the record names the child before it runs, and
    /// where the system allows it the child holds the guards, too (see
    /// [`qc_process::LOCKS_ARE_INHERITED`]).
    ///
    /// # Errors
    /// Whatever [`Spawn::start`] or writing the record reports.
    pub fn start(&mut self, mut spawn: Spawn<'_>) -> io::Result<Child> {
        let token = format!("{}/{}", self.record.name, random_token()?);
        spawn.env.push((TOKEN_VARIABLE.into(), Some(token.clone().into())));
        let mut record = self.record.clone();
        record.token = Some(token);
        record.wrapper_pid = Some(std::process::id());
        let store = &self.dir.store;
        let written = &mut record;
        let keep = self.guards.iter().map(Guard::file).collect();
        let child = Spawn { keep, ..spawn }.start(move |identity: &Identity| {
            written.pid = identity.pid;
            written.started = identity.started;
            store.write(written).map_err(io::Error::other)
        })?;
        self.record = record;
        Ok(child)
    }

    /// Leaves the lock to the child that inherited it: this process lets go of it, the record stays.
    pub fn leave_to_child(mut self) {
        self.guards.clear();
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// If the record can't be removed or the history can't be written; the lock is free even so.
    pub fn release(mut self) -> Result<(), LockError> {
        self.give_back()
    }

    pub(crate) fn tell_acquired(&mut self) {
        for reclaimed in &self.reclaimed {
            let detail = match &reclaimed.corrupt {
                Some(reason) => format!("the record was corrupt: {reason}"),
                None => reclaimed.to_string(),
            };
            let entry =
                self.dir.entry(Event::Reclaimed, &self.record.name).pid(reclaimed.holder.pid);
            let entry = entry.account(reclaimed.holder.account.clone()).detail(detail);
            self.history_error = self.dir.append(&entry).err().or(self.history_error.take());
        }
        let entry = self.dir.entry(Event::Acquired, &self.record.name).pid(Some(self.record.pid));
        let entry = entry.account(self.record.account.clone());
        self.history_error = self.dir.append(&entry).err().or(self.history_error.take());
    }

    /// The record goes first, so that nobody ever sees a free lock with a fresh record.
    fn give_back(&mut self) -> Result<(), LockError> {
        if self.guards.is_empty() {
            return Ok(());
        }
        let removed = self.dir.store.remove(&self.dir.store.record(&self.record.name));
        let entry = self.dir.entry(Event::Released, &self.record.name).pid(Some(self.record.pid));
        let told = self.dir.append(&entry.account(self.record.account.clone()));
        self.guards.clear();
        removed.and(told)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The guards are closed in any case; a record left behind is stale, and heals.
        let _ = self.give_back();
    }
}

fn random_token() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

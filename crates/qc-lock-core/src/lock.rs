//! A lock that is held.

mod for_child;

use std::fmt;

use qc_process::fault::point;
use qc_process::{Identity, MachineGuard, Process, visible};

use crate::dir::latched;
use crate::guard::Guard;
use crate::judge::Holder;
use crate::record::ParsedRecord;
use crate::{Event, LockDir, LockError, Record};

pub use for_child::{LockForChild, StartError};

/// A lock that this process holds until the value is dropped or [`Lock::release`]d.
#[derive(Debug)]
pub struct Lock {
    dir: LockDir,
    record: Record,
    /// Whether a record is written; else the program keeps one of its own.
    keeps_record: bool,
    /// Whether the record has been written.
    is_recorded: bool,
    /// Empty once the lock is given up.
    guards: Vec<Guard>,
    reclaimed: Vec<Reclaimed>,
    history_error: Option<LockError>,
}

/// A record that the dead had left behind under the lock's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reclaimed {
    /// The former holder.
    pub holder: Holder,
    /// Why the record did not say who, if it was corrupt.
    pub corrupt: Option<String>,
}

impl fmt::Display for Reclaimed {
    /// Writes the text that follows "reclaimed lock BRAIN_ATLAS".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.corrupt {
            Some(reason) => write!(f, "whose record was corrupt: {}", visible(reason)),
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
        let (keeps_record, is_recorded) = (true, false);
        Self { dir, record, keeps_record, is_recorded, guards, reclaimed, history_error: None }
    }

    /// Leaves the record to the program that the lock is for.
    pub(crate) fn without_record(mut self) -> Self {
        self.keeps_record = false;
        self
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

    /// Leaves the lock to the child that inherited it: this process lets go of it, the record stays.
    ///
    /// Returns the guards of the machine, which the child has, too. In the lock's folder the record keeps
    /// others out if the child closes what it has inherited; elsewhere nothing does, so the caller keeps
    /// these until the child has ended.
    pub fn leave_to_child(mut self) -> Vec<MachineGuard> {
        let guards = std::mem::take(&mut self.guards);
        guards.into_iter().filter_map(Guard::into_machine).collect()
    }

    /// Whether an account or a terminal is protected in this lock directory alone, because the system
    /// lets this program keep no process out elsewhere.
    pub fn is_of_folder_only(&self) -> bool {
        self.record.machine.as_ref().is_some_and(|held| held.is_empty())
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// If the record can't be removed or the history can't be written; the lock is free even so.
    pub fn release(mut self) -> Result<(), LockError> {
        self.give_back()
    }

    /// Gives the lock back unused: the history says first that its holder was refused, and why.
    ///
    /// # Errors
    /// As [`Lock::release`].
    pub fn refuse(mut self, why: &str) -> Result<(), LockError> {
        let entry = self.dir.entry(Event::Blocked, &self.record.name).pid(Some(self.record.pid));
        let recorded = self.dir.append_here(&entry.detail(why));
        self.give_back().and(recorded)
    }

    /// Does [`Lock::record_and_check`] with its own guards.
    pub(crate) fn write_record(&mut self, holder: &Identity) -> Result<bool, LockError> {
        let guards = std::mem::take(&mut self.guards);
        let counts = self.record_and_check(holder, &guards);
        self.guards = guards;
        counts
    }

    /// Writes the record that names `holder`, and looks whether the guards still count: one that was deleted
    /// before the record was there has kept no process out. `false` if so; the record is gone then.
    /// The same goes for a latch that was set before the record was there, which is an error.
    ///
    /// Whoever took a new guard before this record was there finds its own guard current, and
    /// holds the lock; whoever takes one after that finds this record.
    fn record_and_check(&mut self, holder: &Identity, guards: &[Guard]) -> Result<bool, LockError> {
        self.record.pid = holder.pid;
        self.record.started = holder.started;
        if self.keeps_record {
            self.dir.store.write(&self.record)?;
            self.is_recorded = true;
        }
        if let Some(latch) = self.dir.latch_on(self.record.resources.iter().map(String::as_str)) {
            self.remove_record()?;
            let error = latched(&self.record.name, latch);
            self.dir.record_blocked(&error);
            return Err(error);
        }
        for guard in guards {
            if !guard.is_current()? {
                self.remove_record()?;
                return Ok(false);
            }
        }
        let root = self.dir.root();
        guards.iter().for_each(|guard| guard.name_holder(holder, &self.record.name, &root));
        Ok(true)
    }

    /// Names the process that goes on with the work of the one that the lock was held for, which has ended.
    /// A command that keeps the record itself is left to do so.
    pub(crate) fn pass_on(&mut self, holder: &Identity) {
        let root = self.dir.root();
        let name = |guard: &Guard| guard.name_holder(holder, &self.record.name, &root);
        self.guards.iter().for_each(name);
        let found = self.dir.store.find(&self.record.name).map(|found| found.reading);
        let is_ours = matches!(&found, Some(ParsedRecord::Record(it)) if *it == self.record);
        if self.is_recorded && is_ours {
            self.record.pid = holder.pid;
            self.record.started = holder.started;
            // The old one names a process that has ended, so it frees nothing that is held.
            let _ = self.dir.store.write(&self.record);
        }
    }

    /// Returns who has claimed this lock instead of `child` that it is held for, and would lose it with this
    /// process: what started it has closed the guards (as Python does), so it has inherited none.
    pub(crate) fn claimed_by_another(&self, child: &Identity) -> Option<Process> {
        let found = self.dir.store.find(&self.record.name)?;
        let ParsedRecord::Record(record) = found.reading else { return None };
        let claimant = record.identity();
        if record.wrapper_pid != self.record.wrapper_pid || claimant == *child {
            return None;
        }
        let openers = self.dir.openers_of_lock(&self.record.name.parse().ok()?, None);
        let has_inherited = openers.iter().any(|one| one.pid == claimant.pid);
        if has_inherited { None } else { Process::open(&claimant).ok().flatten() }
    }

    /// Removes the record, unless it is another holder's by now.
    fn remove_record(&mut self) -> Result<(), LockError> {
        if !std::mem::take(&mut self.is_recorded) {
            return Ok(());
        }
        let Some(found) = self.dir.store.find(&self.record.name) else { return Ok(()) };
        match &found.reading {
            ParsedRecord::Record(record) if !self.has_written(record) => Ok(()),
            ParsedRecord::Old(_) => Ok(()),
            ParsedRecord::Record(_) | ParsedRecord::Corrupt(_) | ParsedRecord::Hidden(_) => {
                self.dir.store.remove(&found.path)
            }
        }
    }

    /// Whether `record` is the one of this lock. The child that it is held for may have written it again.
    fn has_written(&self, record: &Record) -> bool {
        match self.record.wrapper_pid {
            Some(wrapper) => record.wrapper_pid == Some(wrapper),
            None => *record == self.record,
        }
    }

    pub(crate) fn record_acquired(&mut self) {
        for reclaimed in &self.reclaimed {
            let detail = match &reclaimed.corrupt {
                Some(reason) => format!("the record was corrupt: {reason}"),
                None => reclaimed.to_string(),
            };
            let entry =
                self.dir.entry(Event::Reclaimed, &self.record.name).pid(reclaimed.holder.pid);
            let entry = entry.account(reclaimed.holder.account.clone()).detail(detail);
            self.history_error = self.dir.append_here(&entry).err().or(self.history_error.take());
        }
        let entry = self.dir.entry(Event::Acquired, &self.record.name).pid(Some(self.record.pid));
        let entry = entry.account(self.record.account.clone());
        self.history_error = self.dir.append_here(&entry).err().or(self.history_error.take());
    }

    /// The record goes first, so that no process ever sees a free lock with a fresh record.
    fn give_back(&mut self) -> Result<(), LockError> {
        if self.guards.is_empty() {
            return Ok(());
        }
        if !self.is_recorded {
            self.guards.clear();
            return Ok(());
        }
        let removed = self.remove_record();
        let entry = self.dir.entry(Event::Released, &self.record.name).pid(Some(self.record.pid));
        let told = self.dir.append_here(&entry.account(self.record.account.clone()));
        self.guards.clear();
        point("released");
        removed.and(told)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The guards are closed in any case; a record left behind is stale, and heals.
        let _ = self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use qc_process::own_identity;

    use crate::{Event, LockDir, Request};

    #[test]
    fn a_lock_that_is_given_back_unused_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let locks = LockDir::new(folder.path().join(".locks"));
        let name: crate::LockName = "MASTER_LAUNCH".parse().unwrap();
        locks.acquire(&Request::new(name.clone())).unwrap().refuse("a brain runs").unwrap();
        let entries = locks.history().unwrap().entries;
        let events: Vec<Event> = entries.iter().map(|entry| entry.event).collect();
        assert_eq!(events, [Event::Acquired, Event::Blocked, Event::Released]);
        assert_eq!(entries[1].detail.as_deref(), Some("a brain runs"));
        assert_eq!(locks.status(&name).unwrap(), None);
    }

    #[test]
    fn a_guard_deleted_before_the_record_was_there_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let locks = LockDir::new(folder.path().join(".locks"));
        let name: crate::LockName = "BRAIN_ATLAS".parse().unwrap();
        let request = Request::new(name.clone());
        let mut lock = locks.take(&request).unwrap();
        // Windows deletes none that is open.
        if std::fs::remove_dir_all(locks.path().join(".guards")).is_ok() {
            assert!(!lock.write_record(own_identity()).unwrap());
            assert_eq!(locks.status(&name).unwrap(), None, "the record stays");
            assert!(locks.acquire(&request).is_ok(), "the lock is not free");
        } else {
            assert!(lock.write_record(own_identity()).unwrap());
        }
    }
}

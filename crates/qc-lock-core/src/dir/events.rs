//! The history of a folder of locks.

use crate::{Entry, Event, History, LockDir, LockError, history};

impl LockDir {
    /// Returns what the history tells.
    ///
    /// # Errors
    /// [`LockError::History`].
    pub fn history(&self) -> Result<History, LockError> {
        let path = self.store.history();
        history::read(&path).map_err(|source| LockError::History { path, source })
    }

    /// Adds a line to the history.
    ///
    /// # Errors
    /// [`LockError::History`], or [`LockError::Directory`].
    pub fn append(&self, entry: &Entry) -> Result<(), LockError> {
        self.store.create()?;
        self.append_here(entry)
    }

    /// Adds several lines to the history, with one write.
    ///
    /// # Errors
    /// [`LockError::History`], or [`LockError::Directory`].
    pub fn append_all(&self, entries: &[Entry]) -> Result<(), LockError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.store.create()?;
        let path = self.store.history();
        history::append(&path, &self.store.history_guard(), entries)
            .map_err(|source| LockError::History { path, source })
    }

    /// Adds one line where the directories have just been made or used.
    pub(crate) fn append_here(&self, entry: &Entry) -> Result<(), LockError> {
        let path = self.store.history();
        history::append(&path, &self.store.history_guard(), std::slice::from_ref(entry))
            .map_err(|source| LockError::History { path, source })
    }

    /// Makes a history line that this program writes.
    pub fn entry(&self, event: Event, name: impl Into<String>) -> Entry {
        Entry::new(event, name, self.program())
    }

    pub(crate) fn record_blocked(&self, error: &LockError) {
        let (name, account, detail) = match error {
            LockError::Held { name, holder, .. } => {
                (name.as_str(), holder.account.clone(), format!("held by {holder}"))
            }
            LockError::Latched { name, latch } => (name.as_str(), None, latch.sentence()),
            LockError::Latch { .. }
            | LockError::Directory { .. }
            | LockError::Guard { .. }
            | LockError::Record { .. }
            | LockError::History { .. }
            | LockError::Identity { .. } => return,
        };
        let entry = self.entry(Event::Blocked, name).account(account);
        // The refusal itself is what counts, and it is returned.
        let _ = self.append(&entry.pid(Some(std::process::id())).detail(detail));
    }
}

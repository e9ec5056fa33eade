//! Who holds which lock.

use std::collections::HashMap;

use qc_lock_core::{LockEntry, LockState};

use crate::Instance;

/// Living locks by the pid of their holders.
pub(super) struct Holders<'a>(HashMap<u32, Vec<&'a LockEntry>>);

impl<'a> Holders<'a> {
    pub(super) fn new(locks: &'a [LockEntry]) -> Self {
        let mut holders: HashMap<u32, Vec<&LockEntry>> = HashMap::new();
        for lock in locks {
            if let (LockState::Held | LockState::Legacy, Some(pid)) = (lock.state, lock.pid) {
                holders.entry(pid).or_default().push(lock);
            }
        }
        Self(holders)
    }

    /// The instance's own lock, or else one that it holds under another name.
    pub(super) fn lock_of(&self, instance: &Instance) -> Option<&'a LockEntry> {
        let members = instance.processes.iter().chain(&instance.wrappers).chain(&instance.workers);
        let mine: Vec<&LockEntry> =
            members.filter_map(|one| self.0.get(&one.identity.pid)).flatten().copied().collect();
        let named = mine.iter().find(|lock| lock.name.eq_ignore_ascii_case(&instance.component));
        named.or(mine.first()).copied()
    }
}

//! First starts, in their order, with pauses.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Id;

/// The components that wait for their turn, in order. A start waits for the pause after the one
/// before, which begins when that one runs; components without a pause are started together.
#[derive(Debug, Default)]
pub(crate) struct StartQueue {
    waiting: BTreeSet<Id>,
    /// The components that are being started right now, each followed by a pause.
    spawning: BTreeSet<Id>,
    /// When the last pause is over.
    open_at: Duration,
}

impl StartQueue {
    pub(crate) fn insert(&mut self, id: Id) {
        self.waiting.insert(id);
    }

    pub(crate) fn remove(&mut self, id: Id) {
        self.waiting.remove(&id);
    }

    /// A process is being started.
    pub(crate) fn spawning(&mut self, id: Id, pause: Duration) {
        if !pause.is_zero() {
            self.spawning.insert(id);
        }
    }

    /// A process has been started, or could not be.
    pub(crate) fn spawned(&mut self, id: Id) {
        self.spawning.remove(&id);
    }

    pub(crate) fn pause_until(&mut self, time: Duration) {
        self.open_at = self.open_at.max(time);
    }

    /// Returns when the next one may be started, if nothing else happens before.
    pub(crate) fn next(&self) -> Option<Duration> {
        (self.spawning.is_empty() && !self.waiting.is_empty()).then_some(self.open_at)
    }

    /// Takes out the one whose turn it is.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<Id> {
        self.next().filter(|&at| at <= now)?;
        self.waiting.pop_first()
    }
}

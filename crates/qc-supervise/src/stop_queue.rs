//! Stopping in order: nothing is asked to stop before all that go before it have ended.

use std::collections::BTreeSet;

use crate::Id;

/// The place of a component in the order of stopping.
pub(crate) type Turn = (u64, Id);

/// The components that are to stop.
#[derive(Debug, Default)]
pub(crate) struct StopQueue {
    /// Their turn has not come.
    waiting: BTreeSet<Turn>,
    /// They have been asked, and have not ended.
    asked: BTreeSet<Turn>,
}

impl StopQueue {
    /// Adds one whose turn is still to come.
    pub(crate) fn wait(&mut self, turn: Turn) {
        if !self.asked.contains(&turn) {
            self.waiting.insert(turn);
        }
    }

    /// Adds one that is being stopped already: those behind it have to wait for it, too.
    pub(crate) fn asked(&mut self, turn: Turn) {
        self.waiting.remove(&turn);
        self.asked.insert(turn);
    }

    pub(crate) fn contains(&self, turn: Turn) -> bool {
        self.waiting.contains(&turn) || self.asked.contains(&turn)
    }

    /// One has ended, or is not waited for any more.
    pub(crate) fn remove(&mut self, turn: Turn) {
        self.waiting.remove(&turn);
        self.asked.remove(&turn);
    }

    /// One has got another place.
    pub(crate) fn moved(&mut self, from: Turn, to: Turn) {
        if self.waiting.remove(&from) {
            self.waiting.insert(to);
        }
        if self.asked.remove(&from) {
            self.asked.insert(to);
        }
    }

    /// Takes the next one whose turn it is, and counts it as asked.
    pub(crate) fn pop(&mut self) -> Option<Id> {
        let &(order, id) = self.waiting.first()?;
        if self.asked.first().is_some_and(|&(busy, _)| busy < order) {
            return None;
        }
        self.waiting.pop_first();
        self.asked.insert((order, id));
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_stage_waits_for_all_of_an_earlier_one() {
        let mut queue = StopQueue::default();
        for turn in [(1, Id(0)), (0, Id(1)), (0, Id(2))] {
            queue.wait(turn);
        }
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(Id(1)), Some(Id(2)), None));
        queue.remove((0, Id(1)));
        assert_eq!(queue.pop(), None);
        queue.remove((0, Id(2)));
        assert_eq!((queue.pop(), queue.pop()), (Some(Id(0)), None));
    }
}

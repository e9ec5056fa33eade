//! The deadlines of the supervisor.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::Id;

/// Due times, the earliest first; at most one counts for each component. Those that do not count
/// any more stay until they come up, or until they are the most.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, Id)>>,
    due: Vec<Option<Duration>>,
    counting: usize,
}

impl Timers {
    /// Sets when `id` is due, instead of what was set before.
    pub(crate) fn set(&mut self, id: Id, due: Option<Duration>) {
        let index = id.0 as usize;
        if self.due.len() <= index {
            self.due.resize(index + 1, None);
        }
        if self.due[index] == due {
            return;
        }
        self.counting -= usize::from(self.due[index].is_some());
        self.counting += usize::from(due.is_some());
        self.due[index] = due;
        if let Some(due) = due {
            self.heap.push(Reverse((due, id)));
            if self.heap.len() > 64 + 4 * self.counting {
                let due = &self.due;
                self.heap.retain(|Reverse((at, id))| due[id.0 as usize] == Some(*at));
            }
        }
    }

    /// Lets `id` be due by `due`, if it is due at all.
    pub(crate) fn hasten(&mut self, id: Id, due: Duration) {
        if self.due.get(id.0 as usize).is_some_and(|set| set.is_some_and(|set| set > due)) {
            self.set(id, Some(due));
        }
    }

    /// Returns when the next one is due.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        while let Some(Reverse((at, id))) = self.heap.peek().copied() {
            if self.due[id.0 as usize] == Some(at) {
                return Some(at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes out one that is due by `now`.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<Id> {
        self.next().filter(|&at| at <= now)?;
        let Reverse((_, id)) = self.heap.pop()?;
        self.due[id.0 as usize] = None;
        self.counting -= 1;
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_due_time_of_a_component_counts() {
        let seconds = Duration::from_secs;
        let mut timers = Timers::default();
        timers.set(Id(0), Some(seconds(1)));
        timers.set(Id(1), Some(seconds(2)));
        timers.set(Id(0), Some(seconds(3)));
        assert_eq!(timers.next(), Some(seconds(2)));
        assert_eq!(timers.pop(seconds(1)), None);
        assert_eq!(timers.pop(seconds(9)), Some(Id(1)));
        timers.hasten(Id(1), seconds(1));
        timers.hasten(Id(0), seconds(4));
        assert_eq!(timers.next(), Some(seconds(3)));
        timers.hasten(Id(0), seconds(2));
        assert_eq!(timers.next(), Some(seconds(2)));
        timers.set(Id(0), None);
        assert_eq!((timers.pop(seconds(9)), timers.next()), (None, None));
    }

    #[test]
    fn what_does_not_count_does_not_pile_up() {
        let mut timers = Timers::default();
        for second in 0..100_000 {
            timers.set(Id(0), Some(Duration::from_secs(1_000_000 - second)));
        }
        assert!(timers.heap.len() <= 70, "{}", timers.heap.len());
    }
}

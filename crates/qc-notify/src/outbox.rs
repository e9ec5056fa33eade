//! The queue of one way to deliver notifications: pure, with times given from outside.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use qc_fleet::NotifyEvent;

use crate::Notification;

/// How much is told, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The shortest time between two notices of one event of one component; what comes meanwhile
    /// is told as one.
    pub min_interval: Duration,
    /// How many notices may wait; of more, the oldest is dropped.
    pub waiting: usize,
    /// How often a notice is tried.
    pub tries: u32,
    /// The pause after the first try that failed; it doubles with each further one, up to a minute.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_interval: Duration::from_secs(60),
            waiting: 100,
            tries: 6,
            pause: Duration::from_secs(2),
        }
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// All times are since some start.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: Limits,
    waiting: VecDeque<Notification>,
    dropped: u32,
    /// When something was told last.
    told: HashMap<(NotifyEvent, String), Duration>,
    /// How often the notice at the front has failed, and when to try again.
    failures: u32,
    not_before: Duration,
    /// Whether everything is to go out now.
    hurries: bool,
}

/// The next action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Tell this.
    Send(Notification),
    /// Nothing until then; without a time, until something comes in.
    Wait(Option<Duration>),
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It was told.
    Done,
    /// It was not, but may be later.
    Failed,
    /// It was not, and will never be.
    Refused,
}

impl Outbox {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            dropped: 0,
            told: HashMap::new(),
            failures: 0,
            not_before: Duration::ZERO,
            hurries: false,
        }
    }

    pub(crate) fn push(&mut self, mut notification: Notification) {
        if let Some(at) = self.waiting.iter().position(|other| other.is_like(&notification)) {
            // The newest words, with the others counted. It waits where it is.
            notification.add_repeated(self.waiting[at].repeated() + 1);
            self.waiting[at] = notification;
            return;
        }
        self.waiting.push_back(notification);
        if self.waiting.len() > self.limits.waiting.max(1) {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }

    /// Lets everything go out without pauses.
    pub(crate) fn hurry(&mut self) {
        self.hurries = true;
    }

    pub(crate) fn next(&mut self, now: Duration) -> Step {
        if now < self.not_before && !self.hurries && !self.waiting.is_empty() {
            return Step::Wait(Some(self.not_before));
        }
        let due = |notification: &Notification| match self.told.get(&key(notification)) {
            Some(_) if self.hurries => Duration::ZERO,
            Some(told) => *told + self.limits.min_interval,
            None => Duration::ZERO,
        };
        match self.waiting.iter().position(|notification| due(notification) <= now) {
            None => Step::Wait(self.waiting.iter().map(due).min()),
            Some(at) => {
                let mut notification =
                    self.waiting.remove(at).expect("the position was just found");
                let before = notification.dropped();
                notification.set_dropped(before + std::mem::take(&mut self.dropped));
                Step::Send(notification)
            }
        }
    }

    /// Notes what became of a notice; returns it if it is given up.
    pub(crate) fn sent(
        &mut self,
        notification: Notification,
        sent: Sent,
        now: Duration,
    ) -> Option<Notification> {
        self.failures = if sent == Sent::Failed { self.failures + 1 } else { 0 };
        self.not_before = Duration::ZERO;
        match sent {
            Sent::Done => {
                // Notifications this old no longer limit the next ones.
                self.told.retain(|_, told| *told + self.limits.min_interval > now);
                self.told.insert(key(&notification), now);
                None
            }
            Sent::Failed if self.failures < self.limits.tries => {
                let doubled = self.limits.pause.saturating_mul(1 << (self.failures - 1).min(16));
                self.not_before = now + doubled.min(LONGEST_PAUSE);
                self.put_back(notification);
                None
            }
            Sent::Failed | Sent::Refused => {
                self.failures = 0;
                self.dropped += notification.dropped() + 1;
                Some(notification)
            }
        }
    }

    /// Puts a notice back to the front, unless a newer one like it has come.
    fn put_back(&mut self, notification: Notification) {
        if let Some(newer) = self.waiting.iter_mut().find(|newer| newer.is_like(&notification)) {
            newer.add_repeated(notification.repeated() + 1);
            newer.set_dropped(notification.dropped());
        } else {
            self.waiting.push_front(notification);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

fn key(notification: &Notification) -> (NotifyEvent, String) {
    (notification.event(), notification.component().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn outbox() -> Outbox {
        let limits = Limits { min_interval: seconds(60), waiting: 3, tries: 3, pause: seconds(2) };
        Outbox::new(limits)
    }

    fn notification(component: &str) -> Notification {
        Notification::new(NotifyEvent::Crash, component, "ended")
    }

    fn take(outbox: &mut Outbox, now: u64) -> Notification {
        match outbox.next(seconds(now)) {
            Step::Send(notification) => notification,
            Step::Wait(until) => panic!("waits until {until:?}"),
        }
    }

    #[test]
    fn notices_go_out_in_order_and_those_alike_are_counted() {
        let mut outbox = outbox();
        assert_eq!(outbox.next(seconds(0)), Step::Wait(None));
        for component in ["A", "B", "A", "A"] {
            outbox.push(notification(component));
        }
        let first = take(&mut outbox, 0);
        assert_eq!((first.component(), first.repeated()), ("A", 2));
        assert_eq!(outbox.sent(first, Sent::Done, seconds(0)), None);
        assert_eq!(take(&mut outbox, 0).component(), "B");
    }

    #[test]
    fn one_event_of_one_component_is_told_once_a_minute() {
        let mut outbox = outbox();
        outbox.push(notification("A"));
        let first = take(&mut outbox, 10);
        outbox.sent(first, Sent::Done, seconds(11));
        outbox.push(notification("A"));
        outbox.push(notification("A"));
        assert_eq!(outbox.next(seconds(12)), Step::Wait(Some(seconds(71))));
        // Another event, and another component, are not held back.
        outbox.push(Notification::new(NotifyEvent::GaveUp, "A", "given up"));
        assert_eq!(take(&mut outbox, 12).event(), NotifyEvent::GaveUp);
        assert_eq!(take(&mut outbox, 71).repeated(), 1);
    }

    #[test]
    fn the_oldest_are_dropped_and_counted() {
        let mut outbox = outbox();
        for component in ["A", "B", "C", "D", "E"] {
            outbox.push(notification(component));
        }
        let first = take(&mut outbox, 0);
        assert_eq!((first.component(), first.dropped()), ("C", 2));
        outbox.sent(first, Sent::Done, seconds(0));
        assert_eq!(take(&mut outbox, 0).dropped(), 0);
    }

    #[test]
    fn what_fails_is_tried_again_later_and_later_and_then_given_up() {
        let mut outbox = outbox();
        outbox.push(notification("A"));
        let first = take(&mut outbox, 0);
        assert_eq!(outbox.sent(first, Sent::Failed, seconds(0)), None);
        outbox.push(notification("B"));
        assert_eq!(outbox.next(seconds(1)), Step::Wait(Some(seconds(2))), "all wait for the way");
        let again = take(&mut outbox, 2);
        assert_eq!(again.component(), "A");
        assert_eq!(outbox.sent(again, Sent::Failed, seconds(2)), None);
        assert_eq!(outbox.next(seconds(3)), Step::Wait(Some(seconds(6))));
        let last = take(&mut outbox, 6);
        let given_up = outbox.sent(last, Sent::Failed, seconds(6)).unwrap();
        assert_eq!(given_up.component(), "A");
        let next = take(&mut outbox, 6);
        assert_eq!((next.component(), next.dropped()), ("B", 1));
    }

    #[test]
    fn what_is_refused_is_not_tried_again() {
        let mut outbox = outbox();
        outbox.push(notification("A"));
        let first = take(&mut outbox, 0);
        assert!(outbox.sent(first, Sent::Refused, seconds(0)).is_some());
        assert_eq!(outbox.next(seconds(0)), Step::Wait(None));
    }

    #[test]
    fn in_a_hurry_nothing_waits() {
        let mut outbox = outbox();
        outbox.push(notification("A"));
        let first = take(&mut outbox, 0);
        outbox.sent(first, Sent::Done, seconds(0));
        outbox.push(notification("A"));
        outbox.hurry();
        let second = take(&mut outbox, 1);
        outbox.sent(second, Sent::Failed, seconds(1));
        take(&mut outbox, 1);
    }

    #[test]
    fn a_failed_one_gives_way_to_a_newer_one_like_it() {
        let mut outbox = outbox();
        outbox.push(notification("A"));
        let first = take(&mut outbox, 0);
        outbox.push(notification("A"));
        outbox.sent(first, Sent::Failed, seconds(0));
        assert_eq!(outbox.len(), 1);
        assert_eq!(take(&mut outbox, 2).repeated(), 1);
    }
}

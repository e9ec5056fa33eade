//! The last state of a fleet without a launcher, from its records and its history.

use std::collections::HashMap;

use qc_lock_core::{Entry, Event, LockDir, LockName};
use qc_supervise::Exit;

/// How the last launcher has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LastEnd {
    /// There never was one, as far as the history goes back.
    #[default]
    Never,
    /// It gave its lock back, or it was stopped.
    Clean,
    /// It ended without giving its lock back.
    Crashed,
}

/// The last event of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Last {
    Stopped,
    GaveUp(Option<String>),
    /// It ended by its own will and reported success.
    Succeeded,
    Other,
}

/// The last events.
#[derive(Debug, Clone, Default)]
pub struct Past {
    pub(super) launcher: LastEnd,
    pub(super) components: HashMap<String, Last>,
}

impl Past {
    /// Reads the record of the lock `orchestrator` and the history. What can't be read tells
    /// nothing.
    pub fn read(locks: &LockDir, orchestrator: &LockName) -> Self {
        let record = locks.status(orchestrator).ok().flatten();
        let history = locks.history().unwrap_or_default();
        Self::new(record.is_some_and(|lock| !lock.state.is_live()), orchestrator, &history.entries)
    }

    /// Judges the history; `is_left` says whether the record of a launcher that has ended is there.
    fn new(is_left: bool, orchestrator: &LockName, history: &[Entry]) -> Self {
        let mut past = Self::default();
        let mut launchers = Launchers::default();
        for entry in history {
            if entry.name.eq_ignore_ascii_case(orchestrator.as_str()) {
                launchers.take(entry);
            } else if let Some(last) = last_of(entry) {
                past.components.insert(entry.name.to_lowercase(), last);
            }
        }
        past.launcher = if is_left { LastEnd::Crashed } else { launchers.end };
        past
    }

    /// Whether the last launcher has ended without giving its lock back, or still runs.
    pub fn has_crashed(&self) -> bool {
        self.launcher == LastEnd::Crashed
    }

    /// Returns what happened last to the component `name`.
    pub(super) fn of(&self, name: &str) -> &Last {
        self.components.get(&name.to_lowercase()).unwrap_or(&Last::Other)
    }
}

/// The launchers in a history, up to one of its entries.
#[derive(Debug, Default)]
struct Launchers {
    /// How the last launcher that supervised anything has ended.
    end: LastEnd,
    /// The last one that took the lock.
    owner: Option<Owner>,
}

/// A launcher that took the lock.
#[derive(Debug)]
struct Owner {
    pid: Option<u32>,
    /// How the launcher before it had ended.
    before: LastEnd,
    /// Whether its start was refused, so that it never supervised anything.
    is_refused: bool,
}

impl Launchers {
    /// A launcher that took its lock and never gave it back has crashed. A launcher that was refused
    /// with the lock in hand changes nothing about how the one before it has ended.
    fn take(&mut self, entry: &Entry) {
        let mut own = self.owner.as_mut().filter(|it| it.pid.is_some() && it.pid == entry.by_pid);
        match entry.event {
            Event::Acquired => {
                let (pid, before) = (entry.by_pid, self.end);
                self.owner = Some(Owner { pid, before, is_refused: false });
                self.end = LastEnd::Crashed;
            }
            Event::Blocked => {
                if let Some(owner) = &mut own {
                    owner.is_refused = true;
                    self.end = owner.before;
                }
            }
            Event::Released if own.is_some_and(|owner| owner.is_refused) => self.owner = None,
            Event::Released => (self.end, self.owner) = (LastEnd::Clean, None),
            Event::Stopped => self.end = LastEnd::Clean,
            // Stopping a part of a fleet may kill a launcher that does not answer, and the rest runs
            // on. Stopping all of it clears the record afterwards.
            Event::Killed | Event::Reclaimed => self.end = LastEnd::Crashed,
            Event::Cleared if is_by_shutdown(entry) => self.end = LastEnd::Clean,
            Event::Cleared
            | Event::Started
            | Event::Exited
            | Event::Restarting
            | Event::GaveUp
            | Event::Survived
            | Event::Latched
            | Event::Unlatched
            | Event::Unknown => {}
        }
    }
}

/// A shutdown that finds what has crashed is what the user asked for.
fn is_by_shutdown(entry: &Entry) -> bool {
    entry.by.as_ref().is_some_and(|by| by.starts_with("qc-shutdown"))
}

fn last_of(entry: &Entry) -> Option<Last> {
    // The end of a helper says nothing of its component.
    if entry.helper.is_some() {
        return None;
    }
    match entry.event {
        Event::Stopped => Some(Last::Stopped),
        Event::Killed if is_by_shutdown(entry) => Some(Last::Stopped),
        Event::GaveUp => Some(Last::GaveUp(entry.detail.clone())),
        Event::Exited if entry.detail == Some(Exit::Code(0).to_string()) => Some(Last::Succeeded),
        Event::Acquired
        | Event::Started
        | Event::Restarting
        | Event::Exited
        | Event::Killed
        | Event::Survived => Some(Last::Other),
        Event::Released
        | Event::Blocked
        | Event::Reclaimed
        | Event::Cleared
        | Event::Latched
        | Event::Unlatched
        | Event::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(is_left: bool, events: &[(Event, &str)]) -> Past {
        let name = "MASTER_LAUNCH".parse().unwrap();
        let entry = |(event, name): &(Event, &str)| Entry::new(*event, *name, "test");
        Past::new(is_left, &name, &events.iter().map(entry).collect::<Vec<_>>())
    }

    #[test]
    fn a_launcher_that_never_gave_its_lock_back_has_crashed() {
        use Event::{Acquired, Blocked, Cleared, Killed, Reclaimed, Released, Stopped};
        for (is_left, events, expected) in [
            (false, &[][..], LastEnd::Never),
            (true, &[], LastEnd::Crashed),
            (false, &[Acquired, Released], LastEnd::Clean),
            (false, &[Acquired, Released, Blocked], LastEnd::Clean),
            (true, &[Acquired], LastEnd::Crashed),
            (false, &[Acquired, Cleared], LastEnd::Crashed),
            (false, &[Acquired, Stopped, Cleared], LastEnd::Clean),
            (false, &[Acquired, Killed], LastEnd::Crashed),
            (false, &[Acquired, Killed, Released], LastEnd::Clean),
            (false, &[Acquired, Cleared, Reclaimed, Released], LastEnd::Clean),
        ] {
            let events: Vec<_> = events.iter().map(|&event| (event, "master_launch")).collect();
            assert_eq!(past(is_left, &events).launcher, expected, "{is_left} {events:?}");
        }
    }

    #[test]
    fn a_launcher_that_was_refused_is_no_run_of_the_launcher() {
        use Event::{Acquired, Blocked, Cleared, Reclaimed, Released};
        let refused = [(Acquired, 2), (Blocked, 2), (Released, 2)];
        let after_crash = [&[(Acquired, 1), (Reclaimed, 2)][..], &refused].concat();
        for (events, expected) in [
            (&refused[..], LastEnd::Never),
            (&after_crash, LastEnd::Crashed),
            // Refused again, by the same pid or another one.
            (&[&after_crash[..], &refused].concat(), LastEnd::Crashed),
            (&[&after_crash[..], &[(Blocked, 3)]].concat(), LastEnd::Crashed),
            (&[&[(Acquired, 1), (Released, 1)][..], &refused].concat(), LastEnd::Clean),
            // A launcher that found the lock held says nothing about its holder.
            (&[(Acquired, 1), (Blocked, 2)], LastEnd::Crashed),
            (&[(Acquired, 1), (Blocked, 2), (Released, 1)], LastEnd::Clean),
            (&[&after_crash[..], &[(Acquired, 2), (Released, 2)]].concat(), LastEnd::Clean),
            (&[(Acquired, 1), (Cleared, 2)], LastEnd::Crashed),
        ] {
            let entry = |&(event, pid): &(Event, u32)| Entry {
                by_pid: Some(pid),
                ..Entry::new(event, "MASTER_LAUNCH", "test")
            };
            let entries: Vec<Entry> = events.iter().map(entry).collect();
            let name = "MASTER_LAUNCH".parse().unwrap();
            assert_eq!(Past::new(false, &name, &entries).launcher, expected, "{events:?}");
        }
    }

    #[test]
    fn only_a_component_that_reported_success_at_the_end_has_succeeded() {
        let entry = |event, code: i32| {
            Entry::new(event, "BRAIN_A", "test").detail(Exit::Code(code).to_string())
        };
        for (events, expected) in [
            (vec![entry(Event::Exited, 0)], Last::Succeeded),
            (vec![entry(Event::Exited, 1)], Last::Other),
            (vec![entry(Event::Stopped, 0)], Last::Stopped),
            (vec![entry(Event::Exited, 0), entry(Event::Started, 0)], Last::Other),
        ] {
            let name = "MASTER_LAUNCH".parse().unwrap();
            assert_eq!(*Past::new(true, &name, &events).of("brain_a"), expected, "{events:?}");
        }
    }

    #[test]
    fn the_last_word_on_a_component_counts() {
        use Event::{Acquired, Exited, GaveUp, Released, Started, Stopped};
        for (events, expected) in [
            (&[][..], Last::Other),
            (&[Acquired, Started, Stopped, Released], Last::Stopped),
            (&[Stopped, Acquired, Started], Last::Other),
            (&[Started, Exited, GaveUp, Released], Last::GaveUp(None)),
            (&[GaveUp, Acquired, Started, Exited], Last::Other),
        ] {
            let events: Vec<_> = events.iter().map(|&event| (event, "BRAIN_A")).collect();
            assert_eq!(*past(false, &events).of("brain_a"), expected, "{events:?}");
        }
    }
}

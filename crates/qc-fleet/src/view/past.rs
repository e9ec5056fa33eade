//! What the records and the history say of a fleet that no launcher speaks for.

use std::collections::HashMap;

use qc_lock_core::{Entry, Event, LockDir, LockName};

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

/// What happened last to one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Last {
    Stopped,
    GaveUp(Option<String>),
    Other,
}

/// What happened last.
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
        for entry in history {
            if entry.name.eq_ignore_ascii_case(orchestrator.as_str()) {
                past.launcher = launcher_after(past.launcher, entry);
            } else if let Some(last) = last_of(entry) {
                past.components.insert(entry.name.to_lowercase(), last);
            }
        }
        if is_left {
            past.launcher = LastEnd::Crashed;
        }
        past
    }

    /// Returns what happened last to the component `name`.
    pub(super) fn of(&self, name: &str) -> &Last {
        self.components.get(&name.to_lowercase()).unwrap_or(&Last::Other)
    }
}

/// One that has taken its lock and never gave it back has crashed.
fn launcher_after(before: LastEnd, entry: &Entry) -> LastEnd {
    let is_by_shutdown = entry.by.as_ref().is_some_and(|by| by.starts_with("qc-shutdown"));
    match entry.event {
        // A shutdown finds a crashed launcher, and is what the user asked for.
        Event::Cleared if is_by_shutdown => LastEnd::Clean,
        Event::Acquired | Event::Reclaimed => LastEnd::Crashed,
        Event::Released | Event::Stopped | Event::Killed => LastEnd::Clean,
        Event::Blocked
        | Event::Cleared
        | Event::Started
        | Event::Exited
        | Event::Restarting
        | Event::GaveUp
        | Event::Survived
        | Event::Latched
        | Event::Unlatched
        | Event::Unknown => before,
    }
}

fn last_of(entry: &Entry) -> Option<Last> {
    match entry.event {
        Event::Stopped => Some(Last::Stopped),
        Event::GaveUp => Some(Last::GaveUp(entry.detail.clone())),
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
        use Event::{Acquired, Blocked, Cleared, Reclaimed, Released, Stopped};
        for (is_left, events, expected) in [
            (false, &[][..], LastEnd::Never),
            (true, &[], LastEnd::Crashed),
            (false, &[Acquired, Released], LastEnd::Clean),
            (false, &[Acquired, Released, Blocked], LastEnd::Clean),
            (true, &[Acquired], LastEnd::Crashed),
            (false, &[Acquired, Cleared], LastEnd::Crashed),
            (false, &[Acquired, Stopped, Cleared], LastEnd::Clean),
            (false, &[Acquired, Cleared, Reclaimed, Released], LastEnd::Clean),
        ] {
            let events: Vec<_> = events.iter().map(|&event| (event, "master_launch")).collect();
            assert_eq!(past(is_left, &events).launcher, expected, "{is_left} {events:?}");
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

//! The cleanup: the records of components that have ended, and everything else at the end.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use qc_cli::describe;
use qc_fleet::NotifyEvent;
use qc_logs::{Level, Line};
use qc_notify::Notification;
use qc_process::LOCKS_ARE_INHERITED;
use qc_supervise::{Id, State};

use super::{End, Runtime};

/// How long a record of the dead that can't be cleared is left alone: something living has its guard.
const AGAIN: Duration = Duration::from_secs(1);

/// The components of which a process has ended: a record of it may be left, until another process
/// takes the lock or the component rests.
#[derive(Default)]
pub(super) struct Cleanup {
    pending: BTreeMap<Id, Pending>,
}

/// A component of which a record may be left.
struct Pending {
    name: String,
    /// When to look at it at the earliest.
    from: Duration,
}

impl Cleanup {
    /// Adds a component of which a record may be left.
    pub(super) fn add(&mut self, id: Id, name: String) {
        self.pending.insert(id, Pending { name, from: Duration::ZERO });
    }
}

impl Runtime<'_> {
    /// Clears the records of those whose process has ended and that rest now, however they came to
    /// that: one may have been blocked in between. While everything stops, that is done once, at the
    /// end.
    pub(super) fn clear_records(&mut self) {
        if self.cleanup.pending.is_empty() || self.is_stopping() {
            return;
        }
        let (now, machine, roster) = (self.now(), &self.supervisor, &self.roster);
        let runs = |id| roster.entry(id).is_some_and(|entry| entry.live.running.is_some());
        self.cleanup.pending.retain(|&id, _| !runs(id));
        let rests = |id| {
            machine.view(id).is_none_or(|view| match view.state {
                State::Stopped | State::Finished(_) | State::GaveUp(_) => true,
                State::Waiting(_)
                | State::Starting
                | State::Running
                | State::Stopping
                | State::BackingOff(_)
                | State::Blocked(_) => false,
            })
        };
        let is_due = |&(&id, one): &(&Id, &Pending)| one.from <= now && rests(id);
        let due: Vec<(Id, String)> = self
            .cleanup
            .pending
            .iter()
            .filter(is_due)
            .map(|(&id, one)| (id, one.name.clone()))
            .collect();
        if due.is_empty() {
            return;
        }
        // Clearing writes lines of its own.
        self.write_history();
        let names: Vec<String> = due.iter().map(|(_, name)| name.clone()).collect();
        let left = self.clear(&names).unwrap_or_default();
        for (id, name) in due {
            match left.iter().any(|one| one.eq_ignore_ascii_case(&name)) {
                true => self.cleanup.pending.insert(id, Pending { name, from: now + AGAIN }),
                false => self.cleanup.pending.remove(&id),
            };
        }
    }

    /// Returns the records of the dead that could not be cleared: each belongs to something that was
    /// left running and has its guard. `None` if the locks can't be read.
    fn clear(&mut self, names: &[String]) -> Option<Vec<String>> {
        match self.locks.clear_dead(names) {
            Ok(cleared) => {
                for error in cleared.failed.iter().chain(&cleared.history_error) {
                    self.report.warn("locks", &describe(error));
                }
                let dead = cleared.kept.into_iter().filter(|entry| !entry.state.is_live());
                Some(dead.map(|entry| entry.name).collect())
            }
            Err(error) => {
                self.report.warn("locks", &describe(&error));
                None
            }
        }
    }

    /// Everything that was started has ended: see what else is left.
    pub(super) fn end(mut self) -> io::Result<End> {
        self.write();
        let names: Vec<String> =
            self.roster.iter().map(|(_, component)| component.name.to_string()).collect();
        // It may keep locks open.
        let is_all_ended = !self.supervisor.is_stopping() || self.sweep_left_over();
        // The command that has told it to stop reads how each has ended before this program ends.
        self.write_history();
        let all_clear = self.clear(&names).is_some_and(|left| left.is_empty());
        let mut end = match self.supervisor.is_stopping() {
            true => End::Stopped,
            false => End::NothingLeft,
        };
        let is_stuck = |id| self.supervisor.view(id).is_some_and(|it| it.state == State::Stopping);
        let stuck: Vec<&str> = self
            .roster
            .iter()
            .filter(|&(id, _)| is_stuck(id))
            .map(|(_, component)| component.name.as_str())
            .collect();
        if !is_all_ended {
            end = End::Survivors;
        }
        if !stuck.is_empty() {
            end = End::Survivors;
            let text = format!("still running: {}", stuck.join(", "));
            self.report.log(&Line::new(Level::Error, "survived", &text));
        }
        // A parent does not know what a stub has started or a script has left behind.
        if self.supervisor.is_stopping()
            && (!all_clear || self.scripts_lock || !LOCKS_ARE_INHERITED)
        {
            if !self.sweep()? {
                end = End::Survivors;
            }
            self.write_history();
            self.clear(&names);
        }
        self.log_all_ended(end);
        Ok(end)
    }

    /// Tells people that the fleet does not run any more.
    fn log_all_ended(&mut self, end: End) {
        let (event, text) = match end {
            End::Stopped => (NotifyEvent::Stopped, "the fleet was stopped, as asked"),
            End::NothingLeft => (NotifyEvent::GaveUp, "nothing is left to supervise"),
            End::Survivors => (NotifyEvent::Hung, "not everything could be stopped"),
        };
        let level = if end == End::Stopped { Level::Info } else { Level::Error };
        self.report.log(&Line::new(level, "ended", text));
        let name = self.fleet.orchestrator.as_str();
        let notification = Notification::new(event, name, text).pid(Some(std::process::id()));
        self.report.notifier().send(notification);
    }
}

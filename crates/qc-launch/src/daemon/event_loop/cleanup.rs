//! The cleanup: the records of components that have ended, and everything else at the end.

use std::io;

use qc_cli::describe;
use qc_fleet::NotifyEvent;
use qc_logs::{Level, Line};
use qc_notify::Notification;
use qc_process::LOCKS_ARE_INHERITED;
use qc_supervise::State;

use super::{End, Runtime};

/// The components whose process has ended without a successor: their records are to be cleared.
#[derive(Default)]
pub(super) struct Cleanup {
    names: Vec<String>,
}

impl Cleanup {
    /// Adds a component of which a record may be left.
    pub(super) fn add(&mut self, name: String) {
        self.names.push(name);
    }
}

impl Runtime<'_> {
    /// Clears the records of those whose process has ended and is not followed by another. While
    /// everything stops, that is done once, at the end.
    pub(super) fn clear_records(&mut self) {
        if self.cleanup.names.is_empty() || self.is_stopping() {
            return;
        }
        let names = std::mem::take(&mut self.cleanup.names);
        // Clearing writes lines of its own.
        self.write_history();
        self.clear(&names);
    }

    /// Returns whether all of them could be cleared: a record of the dead whose guard is held
    /// belongs to something that was left running.
    fn clear(&mut self, names: &[String]) -> bool {
        match self.locks.clear_dead(names) {
            Ok(cleared) => {
                for error in cleared.failed.iter().chain(&cleared.history_error) {
                    self.report.warn("locks", &describe(error));
                }
                cleared.kept.iter().all(|entry| entry.state.is_live())
            }
            Err(error) => {
                self.report.warn("locks", &describe(&error));
                false
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
        let all_clear = self.clear(&names);
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

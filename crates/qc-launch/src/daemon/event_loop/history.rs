//! The history: entries are collected, and written together.

use qc_cli::describe;
use qc_fleet::{Outcome, Stopped};
use qc_lock_core::Event as Told;
use qc_supervise::Id;

use super::Runtime;

impl Runtime<'_> {
    /// Notes that a helper of a component was killed.
    pub(super) fn append_helper(&mut self, id: Id, pid: u32, program: String) {
        let Some(component) = self.roster.get(id) else { return };
        let entry = self.locks.entry(Told::Killed, component.name.as_str()).pid(Some(pid));
        let entry = entry.account(component.account.as_ref().map(ToString::to_string));
        self.history.push(entry.helper(Some(program)).detail("did not end in time"));
    }

    pub(super) fn append(&mut self, event: Told, id: Id, pid: Option<u32>, detail: Option<String>) {
        let Some(component) = self.roster.get(id) else { return };
        let entry = self.locks.entry(event, component.name.as_str()).pid(pid);
        let entry = entry.account(component.account.as_ref().map(ToString::to_string));
        self.history.push(match detail {
            Some(detail) => entry.detail(detail),
            None => entry,
        });
    }

    /// Writes what the history is to tell, all with one write: a thousand may end at once.
    pub(super) fn write_history(&mut self) {
        let entries = std::mem::take(&mut self.history);
        // The history was moved with its folder; writing would make another one in the old place.
        if entries.is_empty() || self.moved_from().is_some() {
            return;
        }
        if let Err(error) = self.locks.append_all(&entries) {
            self.report.warn("history", &describe(&error));
        }
    }

    /// Notes in the history how one ended that is not supervised here.
    pub(super) fn note_end_of(&mut self, stopped: &Stopped) {
        let Stopped { target, outcome, .. } = stopped;
        let (name, pid) = (&target.component, target.identity.pid);
        let event = match outcome {
            Outcome::AlreadyGone => return,
            Outcome::ByItself => Told::Exited,
            Outcome::Stopped => Told::Stopped,
            Outcome::Killed => Told::Killed,
            Outcome::Denied(_) | Outcome::Survived(_) | Outcome::Left(_) | Outcome::Kept(_) => {
                Told::Survived
            }
        };
        let entry = self.locks.entry(event, name).pid(Some(pid));
        let entry = entry.account(target.account.clone()).helper(target.helper.clone());
        self.history.push(entry);
    }
}

//! The state of the fleet, as clients see it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local, SecondsFormat};
use qc_control::{ComponentStatus, StateWord, Status};
use qc_fleet::Component;
use qc_supervise::{Id, State, View};

use super::Runtime;

impl Runtime<'_> {
    pub(super) fn status(&self, text: Vec<String>) -> Status {
        let components = self.roster.iter().filter_map(|(id, component)| {
            Some(self.component(id, component, self.supervisor.view(id)?))
        });
        Status {
            text,
            refused: Vec::new(),
            pid: std::process::id(),
            is_stopping: self.is_stopping(),
            tag: self.tag(),
            moved_from: self.moved_from(),
            components: components.collect(),
        }
    }

    /// Returns what stands for all that a status shows.
    pub(super) fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.is_stopping().hash(&mut hasher);
        for (id, component) in self.roster.iter() {
            component.name.hash(&mut hasher);
            self.supervisor.view(id).hash(&mut hasher);
            self.pid(id).hash(&mut hasher);
            self.roster.is_outdated(id).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    pub(super) fn pid(&self, id: Id) -> Option<u32> {
        self.running(id)?.pid()
    }

    fn component(&self, id: Id, component: &Component, view: View) -> ComponentStatus {
        let running = self.running(id);
        let mut until = None;
        let outdated = self.roster.is_outdated(id);
        let outdated = outdated.then(|| "its next restart applies its new settings".to_owned());
        let (state, detail) = match view.state {
            State::Waiting(None) => (StateWord::Waiting, Some("for its turn".into())),
            State::Waiting(Some(other)) => {
                (StateWord::Waiting, Some(format!("for {}", self.roster.name(other))))
            }
            State::BackingOff(at) => {
                until = Some(self.wall_clock(at));
                (StateWord::BackingOff, self.live(id).and_then(|live| live.failure.clone()))
            }
            State::Blocked(why) => {
                let now = self.blockers.reasons.get(&id).cloned();
                (StateWord::Blocked, Some(now.unwrap_or(why)))
            }
            State::Starting => (StateWord::Starting, outdated),
            State::Running => (StateWord::Running, outdated),
            State::Stopping => (StateWord::Stopping, None),
            State::Stopped => (StateWord::Stopped, None),
            State::Finished(exit) => (StateWord::Finished, Some(format!("with {exit}"))),
            State::GaveUp(reason) => (StateWord::GaveUp, Some(self.reason(id, &reason))),
        };
        ComponentStatus {
            name: component.name.to_string(),
            role: component.role.as_str().into(),
            account: component.account.as_ref().map(ToString::to_string),
            state,
            detail,
            until,
            pid: self.pid(id),
            since: self.wall_clock(view.since),
            restarts: view.restarts,
            adopted: view.adopted,
            generation: view.generation,
            stayed_up: view.is_proven,
            log: running.and_then(|running| Some(running.log.as_ref()?.display().to_string())),
        }
    }

    /// Turns a time of the supervisor into one that people read.
    fn wall_clock(&self, time: Duration) -> String {
        let (now, clock) = (self.now(), SystemTime::now());
        let time = match time.checked_sub(now) {
            Some(ahead) => clock.checked_add(ahead),
            None => clock.checked_sub(now - time),
        };
        DateTime::<Local>::from(time.unwrap_or(clock)).to_rfc3339_opts(SecondsFormat::Millis, false)
    }
}

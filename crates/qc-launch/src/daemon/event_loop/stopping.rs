//! Stopping everything, in order: on Ctrl-C, when the console closes, and when a client asks.

use std::io;
use std::thread;
use std::time::Duration;

use qc_fleet::{Role, Stopped, perform};
use qc_supervise::{Event, Id};

use super::Runtime;
use super::post::Message;
use super::unmanaged::NOT_OURS;

impl Runtime<'_> {
    /// Stops everything, in order. Stray brains are stopped together with the brains; all else
    /// waits until they have ended, see [`Runtime::strays_ended`].
    pub(super) fn stop_all(&mut self, limit: Option<Duration>) {
        if self.is_stopping() {
            // A stop with a limit can't wait for strays, either.
            if limit.is_some() {
                self.held_back = None;
                self.events.push_back(Event::StopAll { limit });
            }
            return;
        }
        let text = match self.fleet.has_accounts() {
            true => "stopping the fleet in order; open trades are NOT closed",
            false => "stopping the fleet in order",
        };
        self.report.info("stopping", text);
        match self.stop_strays(limit) {
            Ok(true) => {
                self.held_back = Some(limit);
                self.events.push_back(Event::Stop(self.ids_of(Role::Brain)));
            }
            Ok(false) => self.events.push_back(Event::StopAll { limit }),
            Err(error) => {
                let text = format!("cannot see whether brains run beside the fleet: {error}");
                self.report.warn("stopping", &text);
                self.events.push_back(Event::StopAll { limit });
            }
        }
    }

    /// Stray brains have been stopped: the rest follows.
    pub(super) fn strays_ended(&mut self, stopped: &io::Result<Vec<Stopped>>) {
        match stopped {
            Ok(stopped) => stopped.iter().for_each(|one| self.log_unmanaged(one, NOT_OURS)),
            Err(error) => {
                let text = format!("brains that run beside the fleet can't be stopped: {error}");
                self.report.warn("stopping", &text);
            }
        }
        if let Some(limit) = self.held_back.take() {
            self.events.push_back(Event::StopAll { limit });
        }
    }

    /// Whether everything is being stopped.
    pub(super) fn is_stopping(&self) -> bool {
        self.held_back.is_some() || self.supervisor.is_stopping()
    }

    /// Begins to stop stray brains, on another thread; returns whether there are any that a
    /// watchdog must wait for.
    fn stop_strays(&self, limit: Option<Duration>) -> io::Result<bool> {
        if self.ids_of(Role::Watchdog).is_empty() || self.ids_of(Role::Brain).is_empty() {
            return Ok(false);
        }
        let mut plan = self.plan(|one| one.role == Role::Brain)?;
        if plan.is_empty() {
            return Ok(false);
        }
        for target in plan.stages.iter_mut().flat_map(|stage| &mut stage.targets) {
            target.timeout = limit.map_or(target.timeout, |limit| limit.min(target.timeout));
        }
        let post = self.post();
        let stop = move || post.send(Message::UnmanagedEnded(perform(&plan, &mut |_| ())));
        thread::Builder::new().name("strays".into()).spawn(stop)?;
        Ok(true)
    }

    fn ids_of(&self, role: Role) -> Vec<Id> {
        self.roster.iter().filter(|(_, one)| one.role == role).map(|(id, _)| id).collect()
    }
}

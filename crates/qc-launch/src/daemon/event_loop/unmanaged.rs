//! Stops the copies of components that this launcher has not started, such as a second brain that
//! the user started by hand: with the fleet, and no watchdog before them.

use std::io;
use std::thread;
use std::time::Duration;

use qc_fleet::{Instance, Outcome, Place, Progress, Role, StopPlan, Stopped, perform};
use qc_lock_core::Event as Told;
use qc_logs::{Level, Line};
use qc_supervise::{Event, Id, seconds};

use super::{Message, Runtime};

/// The description of a stray.
const NOT_OURS: &str = "not started here";

/// How often what is left over at the end is stopped.
const SWEEPS: u32 = 3;

impl Runtime<'_> {
    /// Stops everything, in order. Stray brains are stopped together with the brains; all else waits
    /// until they have ended, see [`Runtime::strays_ended`].
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

    /// Stops what else runs of the components; returns whether nothing is left.
    pub(super) fn sweep(&mut self) -> io::Result<bool> {
        for _ in 0..SWEEPS {
            let plan = self.plan(|_| true)?;
            if plan.is_empty() {
                return Ok(true);
            }
            perform(&plan, &mut |progress| {
                if let Progress::Done(stopped) = progress {
                    self.log_unmanaged(stopped, NOT_OURS);
                    self.write();
                }
            })?;
        }
        Ok(false)
    }

    /// Plans to stop what runs of the components, is wanted, and is not supervised here.
    pub(super) fn plan(&self, is_wanted: impl Fn(&Instance) -> bool) -> io::Result<StopPlan> {
        let view_of_processes = self.view_of_processes()?;
        // The processes of a component's program are stopped with it.
        let own = view_of_processes.with_family(self.own_pids());
        let unmanaged = view_of_processes.instance_list().iter().filter(|one| {
            let is_mine = one.place == Place::Fleet && self.roster.id(&one.component).is_some();
            is_mine && is_wanted(one) && !own.iter().any(|&pid| one.includes(pid))
        });
        Ok(StopPlan::of(&self.fleet, unmanaged))
    }

    fn ids_of(&self, role: Role) -> Vec<Id> {
        self.roster.iter().filter(|(_, one)| one.role == role).map(|(id, _)| id).collect()
    }

    /// Says how one ended; `what` says what it was.
    pub(super) fn log_unmanaged(&mut self, stopped: &Stopped, what: &str) {
        let Stopped { target, outcome, took, .. } = stopped;
        let (name, pid) = (&target.component, target.identity.pid);
        let text = outcome_text(&format!("{name} (PID {pid}, {what})"), outcome, *took);
        self.report.note(&Line::new(Level::Info, "stopped", &text).component(name).pid(pid));
        self.note_end_of(stopped);
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

/// Says how one ended that was stopped.
pub(crate) fn outcome_text(who: &str, outcome: &Outcome, took: Duration) -> String {
    let took = seconds(took);
    match outcome {
        Outcome::AlreadyGone => format!("{who} has ended"),
        Outcome::ByItself => format!("{who} ended before it was asked"),
        Outcome::Stopped => format!("{who} ended when asked, after {took}"),
        Outcome::Killed => format!("{who} was KILLED after {took}"),
        Outcome::Denied(reason)
        | Outcome::Survived(reason)
        | Outcome::Left(reason)
        | Outcome::Kept(reason) => {
            format!("{who} is STILL RUNNING: {reason}")
        }
    }
}

//! The copies of components that this launcher has not started, such as a second brain that the
//! user started by hand: the plan to stop them with the fleet, and the report.

use std::io;
use std::time::Duration;

use qc_fleet::{Instance, Outcome, Place, StopPlan, Stopped};
use qc_logs::{Level, Line};
use qc_supervise::seconds;

use super::Runtime;

/// The description of a stray.
pub(super) const NOT_OURS: &str = "not started here";

impl Runtime<'_> {
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

    /// Says how one ended; `what` says what it was.
    pub(super) fn log_unmanaged(&mut self, stopped: &Stopped, what: &str) {
        let Stopped { target, outcome, took, .. } = stopped;
        let (name, pid) = (&target.component, target.identity.pid);
        let text = outcome_text(&format!("{name} (PID {pid}, {what})"), outcome, *took);
        self.report.note(&Line::new(Level::Info, "stopped", &text).component(name).pid(pid));
        self.note_end_of(stopped);
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

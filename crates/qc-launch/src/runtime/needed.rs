//! Starts by hand that can't succeed, because what they need does not run: they are refused, and
//! change nothing.

use qc_control::Refusal;
use qc_supervise::{Id, State};

use super::Runtime;

impl Runtime<'_> {
    /// Refuses a start or a restart of these where one of them needs a component that is not among
    /// them and won't run by itself. A start of a component that runs changes nothing anyway.
    pub(super) fn refuse_lacking(&self, ids: &[Id], is_restart: bool) -> Result<(), Refusal> {
        let lacking =
            ids.iter().filter(|&&id| is_restart || !self.runs_or_will(id)).find_map(|&id| {
                let other = self.machine.lacks(id).filter(|other| !ids.contains(other))?;
                Some((id, other))
            });
        let Some((id, other)) = lacking else { return Ok(()) };
        let state = self.machine.view(other).map(|view| view.state);
        let verb = if is_restart { "restarted" } else { "started" };
        let (name, needed) = (self.roster.name(id), self.roster.name(other));
        let state = state.as_ref().map_or("does not run", words);
        Err(Refusal {
            message: format!("{name} is not {verb}: it needs {needed}, which {state}"),
            hint: format!("start {needed} first: `qc-launch start {needed} {name}`"),
            is_usage: false,
            is_busy: false,
        })
    }

    /// Whether it runs, or is about to.
    fn runs_or_will(&self, id: Id) -> bool {
        let state = self.machine.view(id).map(|view| view.state);
        matches!(state, Some(State::Running | State::Starting | State::Waiting(_)))
    }
}

/// Returns what to say of a component that others lack.
fn words(state: &State) -> &'static str {
    match state {
        State::Stopped => "is stopped",
        State::Stopping => "is being stopped",
        State::Finished(_) => "has finished",
        State::GaveUp(_) => "has been given up",
        State::Waiting(_)
        | State::BackingOff(_)
        | State::Blocked(_)
        | State::Starting
        | State::Running => "does not run",
    }
}

//! Judges whether the supervisor knows the truth.

use qc_supervise::{Id, State, Supervisor, WhenUnguarded};

use super::{Referee, Verdict};
use crate::world::World;

impl Referee {
    /// Judges whether what the supervisor believes is what is, once it has nothing to do at once.
    pub(crate) fn judge_beliefs(&self, supervisor: &mut Supervisor, world: &World) -> Verdict {
        let due = supervisor.next_due();
        for index in 0..self.dossiers.len() {
            let id = Id(index as u32);
            let process = world.process(id);
            let Some(view) = supervisor.view(id) else {
                match process {
                    Some(_) => return Err(format!("{id:?} was forgotten and lives")),
                    None => continue,
                }
            };
            let generations =
                matches!(view.state, State::Starting | State::Running | State::Stopping);
            if generations != process.is_some()
                || process.is_some_and(|it| it.generation != view.generation)
            {
                return Err(format!("{id:?} is believed to be {view:?}, but is {process:?}"));
            }
            match view.state {
                State::Waiting(Some(other)) => {
                    match supervisor.view(other).map(|view| view.state) {
                        Some(
                            State::Waiting(_)
                            | State::BackingOff(_)
                            | State::Blocked(_)
                            | State::Starting
                            | State::Stopping,
                        ) => {}
                        Some(State::Running)
                            if !supervisor.view(other).is_some_and(|it| it.is_proven) => {}
                        other => return Err(format!("{id:?} waits for one that is {other:?}")),
                    }
                }
                State::Waiting(None) if due.is_none() => {
                    let spawning = (0..self.dossiers.len()).any(|other| {
                        supervisor
                            .view(Id(other as u32))
                            .is_some_and(|it| matches!(it.state, State::Starting | State::Stopping))
                    });
                    if !spawning {
                        return Err(format!("{id:?} waits for its turn, which never comes"));
                    }
                }
                State::BackingOff(until) if due.is_none_or(|due| due > until) => {
                    return Err(format!("{id:?} backs off until {until:?}, but {due:?} is due"));
                }
                State::Running => self.judge_guarded(id, supervisor)?,
                State::Blocked(_) if !world.blocked.contains(&(id, view.generation)) => {
                    return Err(format!("{id:?} is blocked by a copy that has ended"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// No brain trades on when its watchdog has been given up.
    fn judge_guarded(&self, id: Id, supervisor: &Supervisor) -> Verdict {
        let spec = self.spec(id);
        let Some(guard) = spec.guard else { return Ok(()) };
        let gave_up = matches!(
            supervisor.view(guard).map(|view| view.state),
            Some(State::GaveUp(_) | State::Finished(_))
        );
        // It may have its turn to stop before it.
        let keeps = spec.settings.when_unguarded == WhenUnguarded::Keep;
        if gave_up && !keeps && !self.dossiers[id.0 as usize].spared {
            return Err(format!("{id:?} runs although its watchdog {guard:?} was given up"));
        }
        Ok(())
    }

    /// Judges the end: everything was stopped.
    pub(crate) fn judge_end(&self, supervisor: &Supervisor, world: &World) -> Verdict {
        if !supervisor.is_over() {
            return Err("the machine does not come to an end".into());
        }
        for index in 0..self.dossiers.len() {
            let id = Id(index as u32);
            if let Some(process) = world.process(id) {
                let has_survived = |id: &Id| self.dossiers[id.0 as usize].survived;
                let generations = |id: &Id| world.process(*id).is_some() && has_survived(id);
                // A brain that is no longer wanted counts as long as it lives.
                let mut all = (0..self.dossiers.len() as u32).map(Id);
                let is_kept =
                    all.any(|brain| self.spec(brain).guard == Some(id) && generations(&brain));
                if !generations(&id) && !is_kept {
                    return Err(format!("{id:?} lives after the end: {process:?}"));
                }
                continue;
            }
            match supervisor.view(id).map(|view| view.state) {
                None | Some(State::Stopped | State::Finished(_) | State::GaveUp(_)) => {}
                other => return Err(format!("{id:?} ends as {other:?}")),
            }
        }
        Ok(())
    }
}

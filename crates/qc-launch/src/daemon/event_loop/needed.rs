//! Starts by hand that can't succeed, because what they need does not run: they are refused, and
//! change nothing.

use qc_control::Refusal;
use qc_fleet::Obstacle;
use qc_process::{inspect, visible};
use qc_supervise::{Id, State};

use super::Runtime;
use super::beside::copies_text;

impl Runtime<'_> {
    /// Returns the folder of the fleet, if another one or none is in its place since this launcher was
    /// started.
    pub(super) fn moved_from(&self) -> Option<String> {
        let id = self.root_id.as_ref()?;
        let is_there = inspect::folder_id(&self.fleet.root).as_ref() == Some(id);
        (!is_there).then(|| self.fleet.root.display().to_string())
    }

    /// Says why nothing can be started from the folder of the fleet any more, if that is so.
    pub(super) fn why_moved(&self) -> Option<String> {
        let from = self.moved_from()?;
        Some(format!("its folder {} was moved or renamed while qc-launch runs", visible(&from)))
    }

    /// Refuses what would start something, where the folder of the fleet was moved. Nothing is stopped
    /// that could not be started again.
    pub(super) fn refuse_moved(&self) -> Result<(), Refusal> {
        match self.moved_from() {
            None => Ok(()),
            Some(from) => Err(Refusal {
                message: format!(
                    "nothing can be started: the folder {} was moved or renamed while qc-launch runs",
                    visible(&from)
                ),
                hint:
                    "stop the fleet with `qc-shutdown` in the folder where it is now, and start it \
                       there anew with `qc-launch`"
                        .into(),
                is_usage: false,
                is_busy: false,
            }),
        }
    }

    /// Refuses a start or a restart of these where one of them needs a component that is not among
    /// them and won't run by itself. A start of a component that runs changes nothing anyway.
    pub(super) fn refuse_lacking(&self, ids: &[Id], is_restart: bool) -> Result<(), Refusal> {
        let lacking =
            ids.iter().filter(|&&id| is_restart || !self.runs_or_will(id)).find_map(|&id| {
                let other = self.supervisor.lacks(id).filter(|other| !ids.contains(other))?;
                Some((id, other))
            });
        let Some((id, other)) = lacking else { return Ok(()) };
        let state = self.supervisor.view(other).map(|view| view.state);
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

    /// Refuses a restart of what runs, if it could not be started again now: it is not stopped for
    /// that.
    pub(super) fn refuse_blocked_restart(&mut self, ids: &[Id]) -> Result<(), Refusal> {
        let runs = |id: &Id| self.running(*id).is_some();
        // A brain is stopped before its watchdog, and started again after it.
        let with = |id: &Id| self.roster.guard(*id).is_some_and(|guard| ids.contains(&guard));
        let all = self.roster.iter().map(|(id, _)| id);
        let asked: Vec<Id> = all.filter(|id| ids.contains(id) || with(id)).filter(runs).collect();
        let latch = self.locks.latch().filter(|_| !asked.is_empty());
        let refused = |name: String, why: &str, hint: String| Refusal {
            message: format!("{name} is not restarted, and runs on: {why}"),
            hint,
            is_usage: false,
            is_busy: false,
        };
        if let (Some(latch), Some(&first)) = (latch, asked.first()) {
            return Err(refused(self.roster.name(first), &latch.sentence(), latch.way_out()));
        }
        for &id in &asked {
            if let Some(script) = self.roster.get(id).and_then(|one| one.missing_script()) {
                let why = format!("its script {} does not exist", script.display());
                let hint = "put the script there, then ask again".to_owned();
                return Err(refused(self.roster.name(id), &why, hint));
            }
        }
        let generations: Vec<(Id, u32)> =
            asked.iter().filter_map(|&id| Some((id, self.running(id)?.generation))).collect();
        // A failed look refuses the start itself, which is tried again.
        let found = self.obstacles(&generations).unwrap_or_default();
        for id in asked {
            // A lock alone decides when it is asked for: it may be its own.
            let copies = found.get(&id).into_iter().flatten().filter(|one| one.is_alive());
            let copies: Vec<Obstacle> = copies.cloned().collect();
            if let Some(first) = copies.first() {
                let name = self.roster.name(id);
                return Err(refused(name, &copies_text(&copies), first.way_out()));
            }
        }
        Ok(())
    }

    /// Whether it runs, or is about to.
    fn runs_or_will(&self, id: Id) -> bool {
        let state = self.supervisor.view(id).map(|view| view.state);
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

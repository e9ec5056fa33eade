//! The steps that are due: asking, asking firmly, killing, giving up.

use std::time::{Duration, Instant};

use qc_process::{Ask, Process, StopError, ask_all, is_suspended};
use qc_supervise::{Escalation, StopStep};

use super::running::Running;
use super::{StopMode, Stopping};
use crate::Outcome;

impl Stopping<'_> {
    /// Lets workers be asked at once when no process is left that could end them.
    pub(super) fn release_workers(&mut self, mode: StopMode, stages: Duration) {
        let pending = |one: &Running| !one.is_over && one.due.is_some();
        if self.running.iter().any(|one| pending(one) && !one.target.is_worker) {
            return;
        }
        let now = Instant::now();
        let waiting = |one: &&mut Running| pending(one) && one.step.is_none();
        for one in self.running.iter_mut().filter(waiting) {
            one.begin(mode.of_released(&one.target, stages), now);
        }
    }

    /// Does what is due.
    pub(super) fn act(&mut self, mode: StopMode) {
        if self.is_interrupted() {
            return;
        }
        let now = Instant::now();
        let mut due: Vec<(usize, StopStep)> = Vec::new();
        for (position, one) in self.running.iter().enumerate() {
            match one.due {
                Some((step, at)) if at <= now && !one.is_over => due.push((position, step)),
                _ => {}
            }
        }
        for (step, how) in [(StopStep::Asked, Ask::Gently), (StopStep::AskedFirmly, Ask::Firmly)] {
            let positions: Vec<usize> =
                due.iter().filter(|(_, due)| *due == step).map(|&(one, _)| one).collect();
            if !positions.is_empty() {
                self.ask(&positions, how);
            }
        }
        for (position, step) in due {
            let one = &mut self.running[position];
            // An orchestrator that can't be asked knows of nothing, and its fleet is stopped
            // directly.
            if mode == StopMode::WholeFleet && step == StopStep::Asked && one.unasked.is_some() {
                one.escalation = Escalation::kill();
            }
            one.due = one.escalation.next(Some(step), one.began, now);
            match step {
                StopStep::Killed => self.kill(position),
                StopStep::Stuck => {
                    let reason = "it does not end although it was killed".into();
                    let reason = one.unasked.take().unwrap_or(reason);
                    self.conclude(position, Outcome::Survived(reason));
                }
                StopStep::Asked | StopStep::AskedFirmly => one.step = Some(step),
            }
        }
    }

    fn ask(&mut self, positions: &[usize], how: Ask) {
        let processes: Vec<&Process> =
            positions.iter().filter_map(|&one| self.running[one].process.as_ref()).collect();
        let answers = ask_all(&processes, how);
        for (&position, answer) in positions.iter().zip(answers) {
            self.running[position].unasked = answer.err().map(|error| error.to_string());
        }
    }

    fn kill(&mut self, position: usize) {
        let one = &mut self.running[position];
        one.step = Some(StopStep::Killed);
        one.was_suspended |= is_suspended(one.target.identity.pid);
        let Some(Err(error)) = one.process.as_ref().map(Process::kill) else { return };
        let reason = error.to_string();
        self.conclude(
            position,
            match error {
                StopError::Denied { .. } => Outcome::Denied(reason),
                StopError::Terminal { .. }
                | StopError::Untouchable { .. }
                | StopError::Unrecognized { .. }
                | StopError::TerminalAtConsole { .. }
                | StopError::Stuck { .. }
                | StopError::Unreachable { .. }
                | StopError::System { .. } => Outcome::Survived(reason),
            },
        );
    }
}

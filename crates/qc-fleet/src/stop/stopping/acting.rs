//! The steps that are due: asked, asked firmly, killed, given up.

use std::time::{Duration, Instant};

use qc_process::{Ask, Process, StopError, ask_all, is_suspended};

use super::running::{Running, Step};
use super::{StopMode, Stopping};
use crate::Outcome;

/// How long a killed process may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// How long after the deadline one is killed that its orchestrator was told to stop.
const MARGIN: Duration = Duration::from_millis(500);

impl Stopping<'_> {
    /// Lets workers be asked at once when no process is left that could end them.
    pub(super) fn release_workers(&mut self) {
        let pending = |one: &Running| !one.is_over && one.due.is_some();
        if self.running.iter().any(|one| pending(one) && !one.target.is_worker) {
            return;
        }
        let now = Instant::now();
        let waiting = |one: &&mut Running| pending(one) && one.step == Step::Nothing;
        for one in self.running.iter_mut().filter(waiting) {
            one.began = now;
            one.due = Some((Step::Asked, now));
        }
    }

    /// Does what is due.
    pub(super) fn act(&mut self, mode: StopMode, stages: Duration) {
        if self.is_interrupted() {
            return;
        }
        let now = Instant::now();
        let mut due: Vec<(usize, Step)> = Vec::new();
        for (position, one) in self.running.iter().enumerate() {
            match one.due {
                Some((step, at)) if at <= now && !one.is_over => due.push((position, step)),
                _ => {}
            }
        }
        for (step, how) in [(Step::Asked, Ask::Gently), (Step::AskedFirmly, Ask::Firmly)] {
            let positions: Vec<usize> =
                due.iter().filter(|(_, due)| *due == step).map(|&(one, _)| one).collect();
            if !positions.is_empty() {
                self.ask(&positions, how);
            }
        }
        for (position, step) in due {
            let one = &mut self.running[position];
            let mut timeout = one.target.timeout;
            if mode == StopMode::WholeFleet {
                timeout += stages;
            }
            let deadline = one.began + timeout;
            let deadline =
                if mode == StopMode::AfterOrchestrator { deadline + MARGIN } else { deadline };
            // An orchestrator that can't be asked knows of nothing, and its fleet is stopped
            // directly.
            let deaf = mode == StopMode::WholeFleet && one.unasked.is_some();
            // A worker may be asked so late that it is not asked twice.
            let late = one.target.is_worker && deadline - timeout / 4 <= now;
            one.due = match step {
                Step::Asked if deaf => Some((Step::Killed, now)),
                Step::Asked if mode == StopMode::AfterOrchestrator => {
                    Some((Step::Killed, deadline))
                }
                Step::Asked if late => Some((Step::Killed, deadline)),
                Step::Asked => Some((Step::AskedFirmly, deadline - timeout / 4)),
                Step::AskedFirmly => Some((Step::Killed, deadline.max(now))),
                Step::Killed => Some((Step::GivenUp, now + AFTER_KILL)),
                Step::Nothing | Step::GivenUp => None,
            };
            match step {
                Step::Killed => self.kill(position),
                Step::GivenUp => {
                    let reason = "it does not end although it was killed".into();
                    let reason = one.unasked.take().unwrap_or(reason);
                    self.conclude(position, Outcome::Survived(reason));
                }
                Step::Nothing | Step::Asked | Step::AskedFirmly => one.step = step,
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
        one.step = Step::Killed;
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

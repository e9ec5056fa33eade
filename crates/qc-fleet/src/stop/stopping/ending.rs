//! How a process has ended, as far as this program can tell.

use std::time::Instant;

use qc_supervise::StopStep;

use super::running::{place, turn_of};
use super::{Progress, Stopping};
use crate::{Outcome, Role, Stopped};

impl Stopping<'_> {
    /// Concludes those that the watcher has named.
    pub(super) fn ended(&mut self, tokens: Vec<u64>) {
        let positions = tokens.into_iter().filter_map(|token| usize::try_from(token).ok());
        let mut positions: Vec<usize> = positions
            .filter(|&one| self.running.get(one).is_some_and(|one| !one.is_over))
            .collect();
        // Several may end before this program is told of one.
        positions.sort_by_key(|&one| turn_of(&self.running[one]));
        for position in positions {
            let one = &mut self.running[position];
            one.ended = Some(Instant::now());
            let outcome = match one.step {
                Some(StopStep::Killed | StopStep::Stuck) => Outcome::Killed,
                // It has written down everything before.
                _ if one.is_told && one.target.role == Role::Orchestrator => {
                    self.settle(true);
                    Outcome::Stopped
                }
                None | Some(StopStep::Asked | StopStep::AskedFirmly) if one.is_told => {
                    one.is_over = true;
                    self.unsettled.push(position);
                    continue;
                }
                // Its orchestrator ends what was left behind, and may have asked it before.
                None if one.is_swept => {
                    one.is_over = true;
                    self.unsettled.push(position);
                    continue;
                }
                // This program did not reach it, so another cause ended it.
                Some(StopStep::Asked | StopStep::AskedFirmly) if one.unasked.is_some() => {
                    Outcome::ByItself
                }
                Some(StopStep::Asked | StopStep::AskedFirmly) => Outcome::Stopped,
                None => Outcome::ByItself,
            };
            self.conclude(position, outcome);
        }
    }

    /// Nothing more is done about one.
    pub(super) fn conclude(&mut self, position: usize, outcome: Outcome) {
        let one = &mut self.running[position];
        one.is_over = true;
        one.due = None;
        let took = one.ended.unwrap_or_else(Instant::now).saturating_duration_since(one.began);
        let suspended = one.was_suspended.then(|| "it was suspended".to_owned());
        let unasked = one.unasked.clone().or(suspended).filter(|_| outcome == Outcome::Killed);
        let stopped = Stopped { target: one.target.clone(), outcome, took, unasked };
        let role = stopped.target.role;
        let was_asked = matches!(stopped.outcome, Outcome::Stopped | Outcome::Killed);
        let turn = turn_of(&self.running[position]);
        // An orchestrator goes on to the next stage before this program learns of the last end.
        if was_asked && self.turn.is_some_and(|current| place(current) < turn && current != role) {
            self.turn = Some(role);
            (self.report)(Progress::Stage(role, Vec::new()));
        }
        (self.report)(Progress::Done(&stopped));
        self.done.push(stopped);
    }
}

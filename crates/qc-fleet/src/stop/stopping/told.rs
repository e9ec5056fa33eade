//! How those ended that an orchestrator was told to stop: it knows, and writes it down.

use std::time::Duration;

use super::Stopping;
use crate::{Outcome, Target};

/// Tells how an orchestrator has stopped a process, once it has written that down. The second argument
/// says that it is not asked again about this one.
pub(super) type Witness<'a> = Box<dyn FnMut(&Target, bool) -> Option<Outcome> + 'a>;

/// How long an orchestrator may take to write down how a process has ended. On a busy machine it
/// takes a while, and a guess may be wrong.
const SETTLES: Duration = Duration::from_secs(2);

/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(5);

impl<'a> Stopping<'a> {
    /// Names the one that tells how orchestrators have stopped what they were told to. Without it,
    /// or if it does not know, what has ended counts as asked.
    pub fn set_witness(&mut self, witness: impl FnMut(&Target, bool) -> Option<Outcome> + 'a) {
        self.witness = Some(Box::new(witness));
    }

    /// Concludes those that have ended and of which it is known how; all of them if `is_final`.
    pub(super) fn settle(&mut self, is_final: bool) {
        for position in std::mem::take(&mut self.unsettled) {
            let one = &self.running[position];
            let is_last = is_final || one.ended.is_none_or(|at| at.elapsed() > SETTLES);
            // A kill of its component says nothing of what only the orchestrator's history tells.
            let (may_guess, unknown) = match one.is_told {
                true => (is_last, Outcome::Stopped),
                false => (false, Outcome::ByItself),
            };
            let known = self.witness.as_mut().map(|witness| witness(&one.target, may_guess));
            match known {
                Some(Some(outcome)) => self.conclude(position, outcome),
                Some(None) if !is_last => self.unsettled.push(position),
                Some(None) | None => self.conclude(position, unknown),
            }
        }
    }

    /// Waits until it is known of all how they ended.
    pub(super) fn settle_all(&mut self) {
        self.settle(false);
        while !self.unsettled.is_empty() {
            std::thread::sleep(LOOK);
            self.settle(self.is_interrupted());
        }
    }

    /// Shortens a wait while an orchestrator has still to tell of something.
    pub(super) fn until_settling(&self, wait: Duration) -> Duration {
        if self.unsettled.is_empty() { wait } else { wait.min(LOOK) }
    }
}

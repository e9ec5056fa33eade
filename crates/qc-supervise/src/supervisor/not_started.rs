//! Starts that could not be made: given up, tried again, or blocked until another copy has ended.

use std::time::Duration;

use crate::component::{Phase, Rest, Start};
use crate::supervisor::Supervisor;
use crate::{Cause, Id, NotStarted, Reason, SupervisorEvent};

/// How long a lock may stay busy without a known living holder.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between two tries to take such a lock.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// The pauses between two tries where the system has no room: they double within these bounds.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

impl Supervisor {
    pub(super) fn not_started(&mut self, id: Id, generation: u32, why: NotStarted) {
        let Some(component) = self.alive(id, generation) else { return };
        let Phase::Spawning(start, then) = component.phase.clone() else { return };
        let busy_since = component.busy_since.unwrap_or(self.now);
        let retries = component.retries;
        let unwanted = component.is_withheld || self.is_to_stop(id);
        self.starts.spawned(id);
        match (then, why) {
            (Some(then), _) => {
                self.after_stop(id, then);
                self.restart_guard(id);
            }
            (None, _) if unwanted => {
                self.rest(id, Rest::Stopped);
                self.restart_guard(id);
            }
            (None, NotStarted::Refused(why)) => self.give_up(id, Reason::Refused(why)),
            (None, NotStarted::NotNow(why)) => {
                if let Some(component) = self.get_mut(id) {
                    component.retries = retries.saturating_add(1);
                }
                let pause = SHORTEST_RETRY.saturating_mul(2_u32.saturating_pow(retries));
                let pause = pause.min(LONGEST_RETRY);
                let until = self.now + pause;
                self.say(id, SupervisorEvent::Restarting(Cause::NotStarted(why), pause));
                self.enter(id, Phase::BackingOff(start, until), Some(until));
            }
            (None, NotStarted::Blocked(why)) => {
                if let Some(component) = self.get_mut(id) {
                    component.busy_since = None;
                }
                self.say(id, SupervisorEvent::Blocked(why.clone()));
                self.enter(id, Phase::Blocked(start, why), None);
            }
            (None, NotStarted::Busy | NotStarted::InUse(_))
                if self.now < busy_since + BUSY_TIMEOUT =>
            {
                if let Some(component) = self.get_mut(id) {
                    component.busy_since = Some(busy_since);
                }
                let until = self.now + BUSY_PAUSE;
                self.enter(id, Phase::BackingOff(start, until), Some(until));
            }
            (None, NotStarted::Busy) => {
                let why = "its lock is held by something that its former process has started";
                self.give_up(id, Reason::Refused(why.into()));
            }
            (None, NotStarted::InUse(why) | NotStarted::Failed(why)) => {
                if let Some(component) = self.get_mut(id) {
                    component.busy_since = None;
                }
                self.failed(id, Cause::NotStarted(why), None);
            }
        }
    }

    /// The copy that kept a component from being started has ended. Its time counts as a run of the
    /// component, which may have made that copy itself; a first start is no restart.
    pub(super) fn unblocked(&mut self, id: Id, generation: u32) {
        let Some(component) = self.get(id).filter(|component| component.generation == generation)
        else {
            return;
        };
        let waited = self.now.saturating_sub(component.since);
        match component.phase {
            Phase::Blocked(Start::First, _) => self.try_start(id, Start::First),
            Phase::Blocked(Start::Again, _) => self.failed(id, Cause::Blocked, Some(waited)),
            _ => {}
        }
    }
}

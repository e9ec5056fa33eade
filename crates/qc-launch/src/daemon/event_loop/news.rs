//! Which events people are told about, and the reason why a component was given up.

use qc_fleet::NotifyEvent;
use qc_supervise::{Cause, Id, LOCK_HELD, Reason, State, SupervisorEvent, View};

use super::Runtime;

impl Runtime<'_> {
    /// Returns what people are told about: each trouble once, when it is known what follows.
    pub(super) fn news(&self, id: Id, note: &SupervisorEvent) -> Option<NotifyEvent> {
        let blocked = match self.report.notifier().wants(NotifyEvent::Blocked) {
            true => NotifyEvent::Blocked,
            false => NotifyEvent::GaveUp,
        };
        match note {
            // The notification that it hangs, or that it is blocked, has been sent.
            SupervisorEvent::Restarting(Cause::Hung(_) | Cause::Blocked, _) => None,
            SupervisorEvent::Restarting(..) => Some(NotifyEvent::Crash),
            SupervisorEvent::Blocked(_) | SupervisorEvent::GaveUp(Reason::Refused(_)) => {
                Some(blocked)
            }
            SupervisorEvent::GaveUp(Reason::NeverAfter(LOCK_HELD))
                if self.refusal(id).is_some() =>
            {
                Some(blocked)
            }
            SupervisorEvent::GaveUp(_) | SupervisorEvent::Unguarded(_) => Some(NotifyEvent::GaveUp),
            SupervisorEvent::Hung(_) | SupervisorEvent::Survived | SupervisorEvent::Kept(_) => {
                Some(NotifyEvent::Hung)
            }
            // Of all together, it is told once, at the end.
            SupervisorEvent::EndedUnasked(_)
            | SupervisorEvent::Withheld(_)
            | SupervisorEvent::Stopped(..)
            | SupervisorEvent::EndedByKill(_)
                if self.is_stopping() =>
            {
                None
            }
            SupervisorEvent::EndedUnasked(_)
            | SupervisorEvent::Withheld(_)
            | SupervisorEvent::Stopped(..)
            | SupervisorEvent::EndedByKill(_) => {
                let stays = |view: View| view.state == State::Stopped;
                self.supervisor.view(id).is_none_or(stays).then_some(NotifyEvent::Stopped)
            }
            SupervisorEvent::Waits(_)
            | SupervisorEvent::Ready(_)
            | SupervisorEvent::Finished(_)
            | SupervisorEvent::NotReady(_)
            | SupervisorEvent::Killed(_)
            | SupervisorEvent::Dismissed => None,
        }
    }

    /// Returns why a component is not started again. Exit code 75 alone doesn't say that a lock was
    /// held: a program may use the code for its own ends.
    pub(super) fn reason(&self, id: Id, reason: &Reason) -> String {
        match (reason, self.refusal(id)) {
            (Reason::NeverAfter(LOCK_HELD), Some(refusal)) => {
                format!("it ended with exit code 75, because its lock is {refusal}")
            }
            _ => reason.text(|id| self.roster.name(id)),
        }
    }

    fn refusal(&self, id: Id) -> Option<&str> {
        self.live(id)?.refusal.as_deref()
    }
}

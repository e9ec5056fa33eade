//! Running: signs of life, ends, restarts, giving up.

use std::time::Duration;

use crate::component::{Phase, Rest, Silence, Start, Then};
use crate::policy::Verdict;
use crate::supervisor::Supervisor;
use crate::{Action, Cause, Exit, Id, Reason, StopStep, SupervisorEvent};

/// The largest rounding error of a division of the longest silence.
const ROUNDED: Duration = Duration::from_nanos(1);

/// How often, within the longest silence, a sign of life is looked for. Each look accounts for its
/// part of the silence and no more, so at least so many in a row must find nothing.
const LOOKS: u32 = 4;

impl Supervisor {
    pub(super) fn look_later(&mut self, id: Id) {
        let within = self.get(id).and_then(|it| it.spec.settings.heartbeat.as_ref()?.within.into());
        self.timers.set(id, within.map(|within: Duration| self.now + within / LOOKS));
    }

    pub(super) fn looked(&mut self, id: Id, generation: u32, alive: bool) {
        let now = self.now;
        let Some(Phase::Ready(before)) = self.alive(id, generation).map(|it| it.phase.clone())
        else {
            return;
        };
        let heartbeat = self.get(id).and_then(|it| it.spec.settings.heartbeat.as_ref());
        let within = heartbeat.map(|it| it.within);
        let silence = match within {
            Some(within) if !alive => before.after(now, within / LOOKS + ROUNDED),
            _ => Silence::none(now),
        };
        // One that is to stop is still needed by those who stop before it.
        if within.is_some_and(|within| silence.lasted >= within) && !self.is_to_stop(id) {
            self.say(id, SupervisorEvent::Hung(silence.lasted));
            return self.stop(id, Then::Fail(Cause::Hung(silence.lasted)));
        }
        self.enter(id, Phase::Ready(silence), None);
        self.look_later(id);
    }

    pub(super) fn exited(&mut self, id: Id, generation: u32, exit: Exit) {
        let Some(component) = self.alive(id, generation) else { return };
        let ran = self.now.saturating_sub(component.since);
        match component.phase.clone() {
            Phase::Starting | Phase::Ready(_) if self.is_to_stop(id) => {
                self.say(id, SupervisorEvent::EndedUnasked(exit));
                self.rest(id, Rest::Stopped);
                self.restart_guard(id);
            }
            Phase::Starting | Phase::Ready(_) if component.is_withheld => {
                self.say(id, SupervisorEvent::Withheld(exit));
                self.rest(id, Rest::Stopped);
            }
            Phase::Starting => self.failed(id, Cause::Ended(exit), None),
            Phase::Ready(_) => self.failed(id, Cause::Ended(exit), Some(ran)),
            Phase::Stopping(step, then) => {
                self.say(
                    id,
                    match step {
                        StopStep::Killed | StopStep::Stuck => SupervisorEvent::EndedByKill(ran),
                        StopStep::Asked | StopStep::AskedFirmly => {
                            SupervisorEvent::Stopped(exit, ran)
                        }
                    },
                );
                self.release_kept(id);
                self.after_stop(id, then);
                self.restart_guard(id);
            }
            Phase::Spawning(_, then) => {
                self.starts.spawned(id);
                match then {
                    Some(then) => self.after_stop(id, then),
                    None => self.failed(id, Cause::Ended(exit), None),
                }
                self.restart_guard(id);
            }
            Phase::Resting(_)
            | Phase::HeldBack(..)
            | Phase::Queued
            | Phase::BackingOff(..)
            | Phase::Blocked(..) => {}
        }
    }

    /// `ran` is how long it had been ready.
    pub(super) fn failed(&mut self, id: Id, cause: Cause, ran: Option<Duration>) {
        let now = self.now;
        let unwanted = self.stopping || self.is_to_stop(id);
        let Some(component) = self.components.get_mut(id.0 as usize).and_then(Option::as_mut)
        else {
            return;
        };
        if unwanted || component.is_withheld {
            return self.rest(id, Rest::Stopped);
        }
        let policy = &component.spec.settings.restart;
        let random = &mut self.random;
        match component.restarts.judge(policy, cause.clone(), ran, now, random) {
            Verdict::Again(at) => {
                self.say(id, SupervisorEvent::Restarting(cause, at.saturating_sub(now)));
                if at <= now {
                    self.try_start(id, Start::Again);
                } else {
                    self.enter(id, Phase::BackingOff(Start::Again, at), Some(at));
                }
            }
            Verdict::Finished(exit) => {
                self.say(id, SupervisorEvent::Finished(exit));
                self.rest(id, Rest::Finished(exit));
            }
            Verdict::GiveUp(reason) => self.give_up(id, reason),
        }
    }

    pub(super) fn give_up(&mut self, id: Id, reason: Reason) {
        self.say(id, SupervisorEvent::GaveUp(reason.clone()));
        self.rest(id, Rest::GaveUp(reason));
    }

    /// Nothing happens to it by itself any more. Those who need it have to do without.
    pub(super) fn rest(&mut self, id: Id, rest: Rest) {
        let Some(component) = self.get_mut(id) else { return };
        component.busy_since = None;
        component.is_withheld = false;
        component.restart_due = false;
        let turn = component.turn(id);
        let guarded = component.guards.clone();
        let removed = component.removed;
        self.starts.remove(id);
        self.stops.remove(turn);
        self.enter(id, Phase::Resting(if removed { Rest::Stopped } else { rest }), None);
        self.release_waiters(id);
        for brain in guarded {
            self.unguard(brain, id);
        }
        if removed {
            self.stopped -= 1;
            self.components[id.0 as usize] = None;
            self.actions.push(Action::Forget(id));
        }
    }

    /// The watchdog of this one does not run any more.
    pub(super) fn unguard(&mut self, id: Id, guard: Id) {
        let Some(component) = self.get(id) else { return };
        if !component.needs_its_guard() {
            return;
        }
        let gave_up = Rest::GaveUp(Reason::Unguarded(guard));
        match component.phase {
            Phase::Starting | Phase::Ready(_) | Phase::Spawning(_, None) => {
                self.say(id, SupervisorEvent::Unguarded(guard));
                self.stop(id, Then::Rest(gave_up));
            }
            Phase::BackingOff(..) | Phase::Blocked(..) | Phase::Queued => {
                self.give_up(id, Reason::Unguarded(guard));
            }
            // The next step of each finds out.
            Phase::Resting(_)
            | Phase::HeldBack(..)
            | Phase::Stopping(..)
            | Phase::Spawning(_, Some(_)) => {}
        }
    }
}

//! Stopping: in order or at once; and whatever is due.

use std::time::Duration;

use crate::component::{Component, Phase, Rest, Start, Then};
use crate::supervisor::Supervisor;
use crate::{Action, Cause, Escalation, Id, Probe, StopStep, SupervisorEvent};

impl Supervisor {
    /// Stops these, and with a watchdog the brains that it guards: brains first. Also those that
    /// may trade on when their watchdog is given up: a watchdog that is stopped on purpose was not.
    pub(super) fn stop_in_order(&mut self, ids: &[Id]) {
        for &id in ids {
            for brain in self.get(id).map(|it| it.guards.clone()).unwrap_or_default() {
                self.stop_one_in_order(brain);
            }
            self.stop_one_in_order(id);
        }
    }

    /// Does the same because the user asked for these by name: what was given up is stopped then.
    pub(super) fn stop_by_hand(&mut self, ids: &[Id]) {
        self.stop_in_order(ids);
        for &id in ids {
            let mut named = self.get(id).map(|it| it.guards.clone()).unwrap_or_default();
            named.push(id);
            for id in named {
                let phase = self.get(id).map(|it| &it.phase);
                if matches!(phase, Some(Phase::Resting(Rest::GaveUp(_)))) {
                    self.say(id, SupervisorEvent::Dismissed);
                    self.rest(id, Rest::Stopped);
                }
            }
        }
    }

    pub(super) fn stop_one_in_order(&mut self, id: Id) {
        let Some(component) = self.get_mut(id) else { return };
        if component.kept_for.is_some() {
            return;
        }
        component.restart_due = false;
        let turn = component.turn(id);
        match &mut component.phase {
            // A component that was given up stays visible as that.
            Phase::Resting(_) if !component.removed => {}
            Phase::Resting(_)
            | Phase::HeldBack(..)
            | Phase::Queued
            | Phase::BackingOff(..)
            | Phase::Blocked(..) => {
                self.rest(id, Rest::Stopped);
            }
            Phase::Stopping(step, then) => {
                *then = Then::Rest(Rest::Stopped);
                // A process that survives its kill is not waited for.
                if *step != StopStep::Stuck {
                    self.stops.asked(turn);
                }
            }
            Phase::Spawning(_, wanted) => {
                // It was not asked yet, so it can take its turn.
                *wanted = None;
                self.timers.set(id, None);
                self.stops.remove(turn);
                self.stops.wait(turn);
            }
            Phase::Starting | Phase::Ready(_) => self.stops.wait(turn),
        }
    }

    /// Lets it run on as long as it does by itself, and not start again.
    pub(super) fn withhold(&mut self, id: Id) {
        let Some(component) = self.get_mut(id) else { return };
        component.restart_due = false;
        match &mut component.phase {
            Phase::Spawning(_, None) | Phase::Starting | Phase::Ready(_) => {
                component.is_withheld = true;
            }
            Phase::Spawning(_, Some(then)) | Phase::Stopping(_, then) => {
                *then = Then::Rest(Rest::Stopped);
            }
            Phase::Resting(_)
            | Phase::HeldBack(..)
            | Phase::Queued
            | Phase::BackingOff(..)
            | Phase::Blocked(..) => self.stop_one_in_order(id),
        }
    }

    /// Stops it, unless it is the watchdog of a brain that has survived its kill.
    pub(super) fn turn_to_stop(&mut self, id: Id) {
        match self.survivor_of(id) {
            Some(brain) => self.keep(id, brain),
            None => self.stop(id, Then::Rest(Rest::Stopped)),
        }
    }

    /// Returns a brain of this watchdog that does not end although it was killed.
    fn survivor_of(&self, guard: Id) -> Option<Id> {
        let component = self.get(guard)?;
        if !component.is_unasked() {
            return None;
        }
        let is_stuck =
            |brain: &Component| matches!(brain.phase, Phase::Stopping(StopStep::Stuck, _));
        component.guards.iter().copied().find(|&brain| self.get(brain).is_some_and(is_stuck))
    }

    /// Lets a watchdog run on for this brain; what else is to stop does not wait for it.
    fn keep(&mut self, id: Id, brain: Id) {
        let Some(component) = self.get_mut(id) else { return };
        component.kept_for = Some(brain);
        let turn = component.turn(id);
        self.stops.remove(turn);
        self.active -= 1;
        self.say(id, SupervisorEvent::Kept(brain));
    }

    /// Lets a watchdog run on that was to stop.
    pub(super) fn release(&mut self, id: Id) {
        let is_kept = self.get_mut(id).is_some_and(|it| it.kept_for.take().is_some());
        self.active += usize::from(is_kept);
    }

    /// This brain has ended: a watchdog that was kept for it has its turn.
    pub(super) fn release_kept(&mut self, brain: Id) {
        let Some(guard) = self.get(brain).and_then(|it| it.spec.guard) else { return };
        if self.get(guard).is_some_and(|it| it.kept_for == Some(brain)) {
            self.release(guard);
            self.stop_one_in_order(guard);
        }
    }

    /// Whether a brain that this watchdog guards is being stopped and has not ended.
    pub(super) fn has_ending_brain(&self, guard: Id) -> bool {
        let is_ending = |&brain: &Id| {
            self.get(brain).is_some_and(|it| match it.phase {
                Phase::Stopping(step, _) => step != StopStep::Stuck,
                Phase::Spawning(_, Some(_)) => true,
                _ => it.is_live() && self.stops.contains(it.turn(brain)),
            })
        };
        self.get(guard).is_some_and(|it| it.guards.iter().any(is_ending))
    }

    pub(super) fn set_restart_due(&mut self, id: Id, is_due: bool) {
        if let Some(component) = self.get_mut(id) {
            component.restart_due = is_due;
        }
    }

    /// This brain has ended: a watchdog that is to be restarted after its brains may have its turn.
    pub(super) fn restart_guard(&mut self, brain: Id) {
        let Some(guard) = self.get(brain).and_then(|it| it.spec.guard) else { return };
        if self.get(guard).is_some_and(|it| it.restart_due) && !self.has_ending_brain(guard) {
            self.set_restart_due(guard, false);
            self.restart_by_hand(guard);
        }
    }

    /// This brain does not end: its watchdog goes on protecting it.
    fn forget_restart_of_guard(&mut self, brain: Id) {
        if let Some(guard) = self.get(brain).and_then(|it| it.spec.guard) {
            self.set_restart_due(guard, false);
        }
    }

    /// Asks a component to stop, now.
    pub(super) fn stop(&mut self, id: Id, then: Then) {
        let Some(component) = self.get_mut(id) else { return };
        match &mut component.phase {
            Phase::Spawning(_, wanted) => {
                *wanted = Some(then);
                let due = self.now + self.stop_timeout(id);
                self.timers.set(id, Some(due));
            }
            Phase::Starting | Phase::Ready(_) => {
                self.take_step(id, StopStep::Asked, then);
            }
            Phase::Stopping(_, before) => *before = then,
            Phase::Resting(_)
            | Phase::HeldBack(..)
            | Phase::Queued
            | Phase::BackingOff(..)
            | Phase::Blocked(..) => {}
        }
    }

    /// Takes a step of a stop, and sets the time of the next one.
    fn take_step(&mut self, id: Id, step: StopStep, then: Then) {
        let waited = self.get(id).map_or(Duration::ZERO, |it| self.now.saturating_sub(it.since));
        match step {
            StopStep::Asked => self.actions.push(Action::Ask { id, firmly: false }),
            StopStep::AskedFirmly => self.actions.push(Action::Ask { id, firmly: true }),
            StopStep::Killed => {
                self.say(id, SupervisorEvent::Killed(waited));
                self.actions.push(Action::Kill(id));
            }
            StopStep::Stuck => self.say(id, SupervisorEvent::Survived),
        }
        self.enter(id, Phase::Stopping(step, then), None);
        let next = self.next_step(id, step);
        self.timers.set(id, next.map(|(_, due)| due));
    }

    /// Returns the step of its stop after `step`, and when it is due.
    fn next_step(&self, id: Id, step: StopStep) -> Option<(StopStep, Duration)> {
        let began = self.get(id)?.since;
        Escalation::over(self.stop_timeout(id)).next(Some(step), began, self.now)
    }

    /// Leaves those that were asked before no more time than those that are asked now.
    pub(super) fn hasten_stops(&mut self) {
        for id in self.ids() {
            let is_asked = self.get(id).is_some_and(|component| {
                matches!(
                    component.phase,
                    Phase::Spawning(_, Some(_))
                        | Phase::Stopping(StopStep::Asked | StopStep::AskedFirmly, _)
                )
            });
            if is_asked {
                let due = self.now + Escalation::last_quarter(self.stop_timeout(id));
                self.timers.hasten(id, due);
            }
        }
    }

    pub(super) fn stop_timeout(&self, id: Id) -> Duration {
        let timeout = self.get(id).map_or(Duration::ZERO, |it| it.spec.settings.stop_timeout);
        timeout.min(self.stop_limit.unwrap_or(Duration::MAX))
    }

    pub(super) fn after_stop(&mut self, id: Id, then: Then) {
        match then {
            Then::Rest(rest) => self.rest(id, rest),
            Then::Start if self.stopping => self.rest(id, Rest::Stopped),
            Then::Start => {
                let Some(component) = self.get_mut(id) else { return };
                component.restarts.forget();
                let turn = component.turn(id);
                self.stops.remove(turn);
                self.try_start(id, Start::First);
            }
            Then::Fail(cause) => self.failed(id, cause, None),
        }
    }

    /// The time that was set for a component has come.
    pub(super) fn due(&mut self, id: Id) {
        let Some(component) = self.get(id) else { return };
        let waited = self.now.saturating_sub(component.since);
        match component.phase.clone() {
            Phase::BackingOff(start, _) => self.try_start(id, start),
            Phase::Starting if self.is_to_stop(id) => {}
            Phase::Starting => match component.spec.settings.ready.probe {
                Probe::Delay(_) => {
                    self.say(id, SupervisorEvent::Ready(waited));
                    self.ready(id);
                }
                _ => {
                    self.say(id, SupervisorEvent::NotReady(waited));
                    self.stop(id, Then::Fail(Cause::NotReady(waited)));
                }
            },
            Phase::Ready(_) => {
                let generation = component.generation;
                self.actions.push(Action::Look { id, generation });
            }
            Phase::Stopping(step, then) => {
                let turn = component.turn(id);
                let Some((next, _)) = self.next_step(id, step) else { return };
                self.take_step(id, next, then);
                if next == StopStep::Stuck {
                    self.stops.remove(turn);
                    self.forget_restart_of_guard(id);
                }
            }
            // It never told that it runs.
            Phase::Spawning(..) => self.actions.push(Action::Kill(id)),
            Phase::Resting(_) | Phase::HeldBack(..) | Phase::Queued | Phase::Blocked(..) => {}
        }
    }
}

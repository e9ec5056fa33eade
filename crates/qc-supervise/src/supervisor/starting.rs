//! Starting: by hand, by turn, again; and the obstacles to a start.

use std::mem;

use crate::component::{Phase, Rest, Silence, Start, Then};
use crate::supervisor::Supervisor;
use crate::{Action, Id, Probe, Reason, SupervisorEvent};

impl Supervisor {
    pub(super) fn start_by_hand(&mut self, id: Id) {
        if self.stopping {
            return;
        }
        let Some(component) = self.get_mut(id).filter(|component| !component.removed) else {
            return;
        };
        component.is_withheld = false;
        let turn = component.turn(id);
        match &mut component.phase {
            Phase::Resting(_) | Phase::BackingOff(..) | Phase::Blocked(..) => {
                component.restarts.forget();
                component.busy_since = None;
                self.try_start(id, Start::First);
            }
            Phase::Stopping(_, then) | Phase::Spawning(_, Some(then)) => {
                if matches!(then, Then::Rest(_)) {
                    *then = Then::Start;
                }
            }
            // It may have been to stop, and its turn had not come.
            Phase::Spawning(_, None) | Phase::Starting | Phase::Ready(_) => {
                if !self.follows_its_guard(id) {
                    self.stops.remove(turn);
                    self.release(id);
                }
            }
            Phase::HeldBack(..) | Phase::Queued => {}
        }
    }

    pub(super) fn restart_by_hand(&mut self, id: Id) {
        if self.stopping {
            return;
        }
        let Some(component) = self.get_mut(id) else { return };
        component.is_withheld = false;
        let turn = component.turn(id);
        match component.phase {
            Phase::Starting | Phase::Ready(_) | Phase::Spawning(_, None) => {
                self.stops.remove(turn);
                self.release(id);
                if self.follows_its_guard(id) {
                    self.stops.asked(turn);
                }
                match self.has_ending_brain(id) {
                    true => self.set_restart_due(id, true),
                    false => self.stop(id, Then::Start),
                }
            }
            Phase::Resting(_)
            | Phase::HeldBack(..)
            | Phase::Queued
            | Phase::BackingOff(..)
            | Phase::Blocked(..)
            | Phase::Spawning(_, Some(_))
            | Phase::Stopping(..) => self.start_by_hand(id),
        }
    }

    /// Starts a component as soon as it is its turn and what it needs is there.
    pub(super) fn try_start(&mut self, id: Id, start: Start) {
        if self.stopping {
            self.rest(id, Rest::Stopped);
        } else if start == Start::First {
            self.enter(id, Phase::Queued, None);
            self.starts.insert(id);
        } else {
            self.begin(id, start);
        }
    }

    /// It is this one's turn.
    pub(super) fn begin(&mut self, id: Id, start: Start) {
        match self.obstacle(id, start) {
            None => self.spawn(id, start),
            Some(Obstacle::Gone(other)) => self.give_up(id, Reason::Needs(other)),
            Some(Obstacle::NotReady(other)) => {
                if start == Start::Again {
                    self.say(id, SupervisorEvent::Waits(other));
                }
                self.enter(id, Phase::HeldBack(start, other), None);
                if let Some(other) = self.get_mut(other) {
                    other.waiters.push(id);
                }
            }
        }
    }

    pub(super) fn lacking(&self, id: Id) -> Option<Id> {
        match self.obstacle(id, Start::First)? {
            Obstacle::Gone(other) => Some(other),
            Obstacle::NotReady(_) => None,
        }
    }

    /// Returns what keeps a component from being started.
    fn obstacle(&self, id: Id, start: Start) -> Option<Obstacle> {
        let component = self.get(id)?;
        let look = |id: Id| match self.get(id) {
            None => Some(Obstacle::Gone(id)),
            // It will go as soon as it is its turn.
            Some(other) if self.stops.contains(other.turn(id)) => Some(Obstacle::Gone(id)),
            Some(other) => match other.phase {
                Phase::Ready(_) => None,
                Phase::Resting(_) => Some(Obstacle::Gone(id)),
                _ => Some(Obstacle::NotReady(id)),
            },
        };
        // A watchdog that dies at once has guarded nothing.
        let look_at_guard = |id: Id| {
            let is_to_come =
                self.get(id).is_some_and(|guard| !guard.is_proven || guard.restart_due);
            look(id).or_else(|| is_to_come.then_some(Obstacle::NotReady(id)))
        };
        let guard = component.spec.guard.and_then(look_at_guard);
        let guard = guard.filter(|obstacle| match obstacle {
            // One that may trade on without its watchdog may also be started again.
            Obstacle::Gone(_) => start == Start::First || component.needs_its_guard(),
            Obstacle::NotReady(_) => true,
        });
        if guard.is_some() || start == Start::Again {
            return guard;
        }
        component.spec.depends_on.iter().copied().filter_map(look).find(|obstacle| match obstacle {
            // A watchdog is needed the more if something else has failed: positions may be open.
            Obstacle::Gone(_) => component.guards.is_empty(),
            Obstacle::NotReady(_) => true,
        })
    }

    pub(super) fn spawn(&mut self, id: Id, start: Start) {
        self.set_restart_due(id, false);
        self.enter(id, Phase::Spawning(start, None), None);
        if let Some(component) = self.get_mut(id) {
            let pause = component.spec.pause;
            component.generation += 1;
            component.adopted = false;
            component.is_proven = false;
            let generation = component.generation;
            self.starts.spawning(id, pause);
            self.actions.push(Action::Spawn { id, generation });
        }
    }

    pub(super) fn adopted(&mut self, id: Id) {
        let Some(component) = self.get_mut(id).filter(|component| !component.is_live()) else {
            return;
        };
        component.generation += 1;
        component.adopted = true;
        component.is_proven = true;
        self.starts.remove(id);
        self.ready(id);
    }

    pub(super) fn started(&mut self, id: Id, generation: u32) {
        let Some(component) = self.alive(id, generation) else { return };
        let Phase::Spawning(start, then) = component.phase.clone() else { return };
        let (pause, proof) = (component.spec.pause, component.spec.settings.start_seconds);
        self.starts.spawned(id);
        if start == Start::First {
            self.starts.pause_until(self.now + pause);
        }
        if let Some(component) = self.get_mut(id) {
            component.busy_since = None;
            component.retries = 0;
            component.is_proven = proof.is_zero();
        }
        self.enter(id, Phase::Starting, None);
        if !proof.is_zero() {
            self.proofs.set(id, Some(self.now + proof));
        }
        match then {
            Some(then) => self.stop(id, then),
            None => self.await_ready(id),
        }
    }

    /// It has stayed up for its `start_seconds`.
    pub(super) fn proven(&mut self, id: Id) {
        if let Some(component) = self.get_mut(id) {
            component.is_proven = true;
            self.release_waiters(id);
        }
    }

    /// It runs; by its probe it is ready at once, after a while, or when that is told.
    pub(super) fn await_ready(&mut self, id: Id) {
        let Some(component) = self.get(id) else { return };
        let readiness = &component.spec.settings.ready;
        match readiness.probe {
            Probe::Started => self.ready(id),
            Probe::Delay(delay) => self.timers.set(id, Some(self.now + delay)),
            Probe::Port(_) | Probe::File(_) | Probe::Lock | Probe::Log(_) => {
                self.timers.set(id, Some(self.now + readiness.timeout));
            }
        }
    }

    pub(super) fn ready(&mut self, id: Id) {
        self.enter(id, Phase::Ready(Silence::none(self.now)), None);
        self.look_later(id);
        self.release_waiters(id);
    }

    /// The components that wait for this one check again whether they may start.
    pub(super) fn release_waiters(&mut self, id: Id) {
        let waiters = self.get_mut(id).map(|it| mem::take(&mut it.waiters)).unwrap_or_default();
        self.recheck.extend(waiters);
    }

    pub(super) fn recheck(&mut self, id: Id) {
        if let Some(Phase::HeldBack(start, _)) = self.get(id).map(|component| &component.phase) {
            self.try_start(id, *start);
        }
    }
}

/// An obstacle to the start of a component.
enum Obstacle {
    /// It needs one that will not be ready by itself.
    Gone(Id),
    /// It needs one that is not ready yet.
    NotReady(Id),
}

//! The supervisor itself: each event changes one component, and the few that stand to it.

mod not_started;
mod reloading;
mod running;
mod starting;
mod stopping;

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use crate::component::{Component, Phase, Rest, Start};
use crate::timers::Timers;

use crate::random::Random;
use crate::start_queue::StartQueue;
use crate::stop_queue::StopQueue;
use crate::{Action, Event, Id, Spec, State, StopStep, SupervisorEvent, View};

/// Decides when components are started, restarted and stopped. All times are since one moment
/// that the caller chooses, and never go back.
///
/// Each event costs at most the logarithm of the number of components, apart from those that mean
/// all of them: [`Event::StartAll`], [`Event::StopAll`], [`Event::Reload`].
#[derive(Debug)]
pub struct Supervisor {
    components: Vec<Option<Component>>,
    timers: Timers,
    /// When each has stayed up for its `start_seconds`.
    proofs: Timers,
    starts: StartQueue,
    stops: StopQueue,
    /// The components for which the dependency they wait for has changed.
    recheck: VecDeque<Id>,
    random: Random,
    now: Duration,
    actions: Vec<Action>,
    stopping: bool,
    /// The most that each gets to end by itself.
    stop_limit: Option<Duration>,
    /// How many do, or will do, something by themselves.
    active: usize,
    /// The number of components that rest on request.
    stopped: usize,
}

impl Supervisor {
    /// Knows these components, of which none runs. The seed is for the jitter of the back-off.
    pub fn new(specs: Vec<Spec>, seed: u64) -> Self {
        let components: Vec<_> =
            specs.into_iter().map(|spec| Some(Component::new(spec, Duration::ZERO))).collect();
        let mut supervisor = Self {
            stopped: components.len(),
            components,
            timers: Timers::default(),
            proofs: Timers::default(),
            starts: StartQueue::default(),
            stops: StopQueue::default(),
            recheck: VecDeque::new(),
            random: Random::new(seed),
            now: Duration::ZERO,
            actions: Vec::new(),
            stopping: false,
            stop_limit: None,
            active: 0,
        };
        supervisor.arrange();
        supervisor
    }

    /// Takes an event, and returns what to do, in this order.
    pub fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        self.now = self.now.max(now);
        self.take(event);
        loop {
            if let Some(id) = self.recheck.pop_front() {
                self.recheck(id);
            } else if let Some(id) = self.proofs.pop(self.now) {
                self.proven(id);
            } else if let Some(id) = self.timers.pop(self.now) {
                self.due(id);
            } else if let Some(id) = self.stops.pop() {
                self.turn_to_stop(id);
            } else if let Some(id) = self.starts.pop(self.now) {
                self.begin(id, Start::First);
            } else {
                return mem::take(&mut self.actions);
            }
        }
    }

    /// Returns when [`Event::Tick`] is due, if nothing happens before.
    pub fn next_due(&mut self) -> Option<Duration> {
        let start = self.starts.next();
        [self.timers.next(), self.proofs.next(), start].into_iter().flatten().min()
    }

    /// Returns what others see of a component; `None` if it was removed.
    pub fn view(&self, id: Id) -> Option<View> {
        let view = self.get(id)?.view();
        let runs = matches!(view.state, State::Starting | State::Running);
        // It still does its work for those that stop before it.
        let is_to_stop = self.is_to_stop(id) || self.get(id)?.restart_due;
        let state = if runs && is_to_stop { State::Stopping } else { view.state };
        Some(View { state, ..view })
    }

    /// Sorts these as they are started: a component comes after all that it needs.
    pub fn sort_by_need(&self, ids: &mut [Id]) {
        ids.sort_by_key(|&id| self.get(id).map(|it| std::cmp::Reverse(it.stop_order)));
    }

    /// Returns a component without which `id` can't be started, and that won't run by itself.
    pub fn lacks(&self, id: Id) -> Option<Id> {
        self.lacking(id)
    }

    /// Returns the id that the next component to be added gets.
    pub fn next_id(&self) -> Id {
        Id(u32::try_from(self.components.len()).unwrap_or(u32::MAX))
    }

    /// Whether everything was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether nothing runs and nothing will by itself: all was stopped as asked, or all has ended
    /// or was given up. What was only stopped by hand can be started again, so that is not over.
    pub fn is_over(&self) -> bool {
        self.active == 0 && (self.stopping || self.stopped == 0)
    }

    fn get(&self, id: Id) -> Option<&Component> {
        self.components.get(id.0 as usize)?.as_ref()
    }

    fn get_mut(&mut self, id: Id) -> Option<&mut Component> {
        self.components.get_mut(id.0 as usize)?.as_mut()
    }

    /// Returns the component, if this generation is its present one.
    fn alive(&self, id: Id, generation: u32) -> Option<&Component> {
        self.get(id).filter(|component| component.generation == generation && component.is_live())
    }

    /// Whether it is stopped as soon as it is its turn, or what it is kept for has ended.
    fn is_to_stop(&self, id: Id) -> bool {
        self.get(id).is_some_and(|component| {
            component.kept_for.is_some() || self.stops.contains(component.turn(id))
        })
    }

    /// Whether its watchdog is to stop: it has to be gone before that.
    fn follows_its_guard(&self, id: Id) -> bool {
        self.get(id).and_then(|it| it.spec.guard).is_some_and(|guard| self.is_to_stop(guard))
    }

    fn ids(&self) -> Vec<Id> {
        (0..self.next_id().0).map(Id).filter(|&id| self.get(id).is_some()).collect()
    }

    fn say(&mut self, id: Id, supervisor_event: SupervisorEvent) {
        self.actions.push(Action::Say(id, supervisor_event));
    }

    /// Changes what a component does; `due` is when the agenda comes back to it.
    fn enter(&mut self, id: Id, phase: Phase, due: Option<Duration>) {
        let now = self.now;
        let Some(component) = self.get_mut(id) else { return };
        let before = mem::replace(&mut component.phase, phase);
        let is_unasked = component.is_unasked();
        let was_kept = component.kept_for.take_if(|_| !is_unasked).is_some();
        let after = &component.phase;
        let (left, entered) = (Weight::of(&before), Weight::of(after));
        if mem::discriminant(&before) != mem::discriminant(after) {
            component.since = now;
        }
        let is_live = component.is_live();
        // A kept watchdog does not count.
        self.active = self.active + usize::from(was_kept) + entered.active - left.active;
        self.stopped = self.stopped + entered.stopped - left.stopped;
        self.timers.set(id, due);
        if !is_live {
            self.proofs.set(id, None);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Tick => {}
            Event::StartAll => {
                for id in self.ids() {
                    self.start_by_hand(id);
                }
            }
            Event::Start(id) => self.start_by_hand(id),
            Event::Restart(id) => self.restart_by_hand(id),
            Event::Stop(ids) => self.stop_by_hand(&ids),
            Event::Withhold(ids) => ids.into_iter().for_each(|id| self.withhold(id)),
            Event::StopAll { limit } => {
                self.stopping = true;
                self.stop_limit = [self.stop_limit, limit].into_iter().flatten().min();
                self.stop_in_order(&self.ids());
                self.hasten_stops();
            }
            Event::Reload(changes) => self.reload(changes),
            Event::Adopted(id) => self.adopted(id),
            Event::Started { id, generation } => self.started(id, generation),
            Event::NotStarted { id, generation, why } => self.not_started(id, generation, why),
            Event::Unblocked { id, generation } => self.unblocked(id, generation),
            Event::Ready { id, generation } => {
                let took = self.now.saturating_sub(self.get(id).map_or(self.now, |it| it.since));
                if self.alive(id, generation).is_some_and(|it| it.phase == Phase::Starting) {
                    self.say(id, SupervisorEvent::Ready(took));
                    self.ready(id);
                }
            }
            Event::Heartbeat { id, generation } => self.looked(id, generation, true),
            Event::Silent { id, generation } => self.looked(id, generation, false),
            Event::Exited { id, generation, exit } => self.exited(id, generation, exit),
        }
    }
}

/// The weight of a phase.
struct Weight {
    active: usize,
    stopped: usize,
}

impl Weight {
    fn of(phase: &Phase) -> Self {
        let (active, stopped) = match phase {
            Phase::Resting(Rest::Stopped) => (0, 1),
            Phase::Resting(Rest::Finished(_) | Rest::GaveUp(_))
            | Phase::Stopping(StopStep::Stuck, _) => (0, 0),
            Phase::HeldBack(..)
            | Phase::Queued
            | Phase::BackingOff(..)
            | Phase::Blocked(..)
            | Phase::Spawning(..)
            | Phase::Starting
            | Phase::Ready(_)
            | Phase::Stopping(..) => (1, 0),
        };
        Self { active, stopped }
    }
}

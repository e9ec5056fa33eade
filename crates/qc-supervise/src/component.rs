//! One component: what it is doing, and what others see of it.

use std::time::Duration;

use crate::policy::Restarts;
use crate::stop_queue::Turn;
use crate::{Cause, Exit, Id, Reason, Spec, StopStep, WhenUnguarded};

/// The state of a component, as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// It will be started when its turn comes, or when this one is ready.
    Waiting(Option<Id>),
    /// It failed, and will be started again at this time.
    BackingOff(Duration),
    /// Another copy runs, as this says; it is started once that one has ended.
    Blocked(String),
    /// Its process is being started, or runs and is not ready.
    Starting,
    /// It runs and is ready.
    Running,
    /// It was asked to stop.
    Stopping,
    /// It was stopped, or never started.
    Stopped,
    /// It ended by itself, and by its settings that is fine.
    Finished(Exit),
    /// It is not started again by itself.
    GaveUp(Reason),
}

/// The public view of a component.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View {
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: Duration,
    /// How often it was started again by itself.
    pub restarts: u32,
    /// Whether its process was started by an earlier supervisor.
    pub adopted: bool,
    /// Which of its lives this is.
    pub generation: u32,
    /// Whether its process has stayed up for
    /// [`Settings::start_seconds`](crate::Settings::start_seconds).
    pub is_proven: bool,
}

#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) spec: Spec,
    pub(crate) phase: Phase,
    /// When the phase began.
    pub(crate) since: Duration,
    pub(crate) generation: u32,
    pub(crate) restarts: Restarts,
    pub(crate) adopted: bool,
    /// Whether its process has stayed up for its `start_seconds`.
    pub(crate) is_proven: bool,
    /// How often the system had no room for its start, since it last ran.
    pub(crate) retries: u32,
    /// When its lock was first found to be not free yet.
    pub(crate) busy_since: Option<Duration>,
    /// Its place in the order of stopping, by rank and dependants.
    pub(crate) stop_order: u64,
    /// The components that wait for it to be ready.
    pub(crate) waiters: Vec<Id>,
    /// The brains whose watchdog it is.
    pub(crate) guards: Vec<Id>,
    /// Whether it is forgotten once it has ended.
    pub(crate) removed: bool,
    /// Whether it is not started again once what runs now has ended.
    pub(crate) is_withheld: bool,
    /// Whether this watchdog is restarted once the brains have ended that it guards and that are being
    /// stopped.
    pub(crate) restart_due: bool,
    /// The brain that has survived its kill, for which this watchdog is not stopped.
    pub(crate) kept_for: Option<Id>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing happens by itself.
    Resting(Rest),
    /// Another one must be ready before its start.
    HeldBack(Start, Id),
    /// Its first start comes when it is its turn.
    Queued,
    /// It is started when the agenda says so.
    BackingOff(Start, Duration),
    /// It is started once the copy that this names has ended.
    Blocked(Start, String),
    /// The process is being started; with what is to happen once it runs, if that is to be stopped.
    Spawning(Start, Option<Then>),
    /// It runs; the agenda has the end of the patience, or of the delay.
    Starting,
    /// It runs and is ready.
    Ready(Silence),
    /// It was asked to stop.
    Stopping(StopStep, Then),
}

/// How long a component has given no sign of life.
///
/// Only time between two looks counts, and no more of it than their usual distance: a machine that
/// slept for hours has not seen hours of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silence {
    /// When the last look, or the beginning, was.
    pub(crate) since: Duration,
    /// The silence that looks have found so far.
    pub(crate) lasted: Duration,
}

impl Silence {
    pub(crate) fn none(now: Duration) -> Self {
        Self { since: now, lasted: Duration::ZERO }
    }

    /// Counts a look that has found nothing; looks are `pause` apart.
    pub(crate) fn after(self, now: Duration, pause: Duration) -> Self {
        let more = now.saturating_sub(self.since).min(pause);
        Self { since: now, lasted: self.lasted + more }
    }
}

/// Which start it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// The first, which takes its turn and waits for all that it depends on.
    First,
    /// One more.
    Again,
}

/// Why nothing happens by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rest {
    Stopped,
    Finished(Exit),
    GaveUp(Reason),
}

/// The next step once it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    Rest(Rest),
    /// It is started again, by hand.
    Start,
    /// It has failed by this.
    Fail(Cause),
}

impl Component {
    pub(crate) fn new(spec: Spec, now: Duration) -> Self {
        Self {
            spec,
            phase: Phase::Resting(Rest::Stopped),
            since: now,
            generation: 0,
            restarts: Restarts::default(),
            adopted: false,
            is_proven: false,
            retries: 0,
            busy_since: None,
            stop_order: 0,
            waiters: Vec::new(),
            guards: Vec::new(),
            removed: false,
            is_withheld: false,
            restart_due: false,
            kept_for: None,
        }
    }

    /// Returns its place in the order of stopping.
    pub(crate) fn turn(&self, id: Id) -> Turn {
        (self.stop_order, id)
    }

    /// Whether it is stopped when its watchdog does not run.
    pub(crate) fn needs_its_guard(&self) -> bool {
        self.spec.settings.when_unguarded == WhenUnguarded::Stop
    }

    /// Whether a process of it runs, or is about to, and was not asked to stop.
    pub(crate) fn is_unasked(&self) -> bool {
        matches!(self.phase, Phase::Spawning(_, None) | Phase::Starting | Phase::Ready(_))
    }

    /// Whether a process of it may exist.
    pub(crate) fn is_live(&self) -> bool {
        match self.phase {
            Phase::Resting(_)
            | Phase::HeldBack(..)
            | Phase::Queued
            | Phase::BackingOff(..)
            | Phase::Blocked(..) => false,
            Phase::Spawning(..) | Phase::Starting | Phase::Ready(_) | Phase::Stopping(..) => true,
        }
    }

    pub(crate) fn view(&self) -> View {
        let state = match &self.phase {
            Phase::Resting(Rest::Stopped) => State::Stopped,
            Phase::Resting(Rest::Finished(exit)) => State::Finished(*exit),
            Phase::Resting(Rest::GaveUp(reason)) => State::GaveUp(reason.clone()),
            Phase::HeldBack(_, other) => State::Waiting(Some(*other)),
            Phase::Queued => State::Waiting(None),
            // Its lock comes free in a moment: it has not failed.
            Phase::BackingOff(..) if self.busy_since.is_some() => State::Waiting(None),
            Phase::BackingOff(_, until) => State::BackingOff(*until),
            Phase::Blocked(_, why) => State::Blocked(why.clone()),
            Phase::Spawning(_, None) | Phase::Starting => State::Starting,
            Phase::Ready(_) => State::Running,
            Phase::Spawning(_, Some(_)) | Phase::Stopping(..) => State::Stopping,
        };
        View {
            state,
            since: self.since,
            restarts: self.restarts.total(),
            adopted: self.adopted && self.is_live(),
            generation: self.generation,
            is_proven: self.is_proven && self.is_live(),
        }
    }
}

//! Supervision as a pure state machine: events and the time go in, actions come out. No clock, no
//! process and no file is touched here.

use std::time::Duration;

use qc_fleet::{Role, Timing};
use qc_process::Ended;

/// The exit code of a component that found its lock held: a second copy. Starting it again and
/// again would not change that.
const LOCK_HELD: i32 = 75;

/// A component, by its position in the list that [`Supervisor::new`] was given.
pub(crate) type Index = usize;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A component runs.
    Started(Index),
    /// A component could not be started; says why.
    NotStarted(Index, String),
    /// A component ended.
    Exited(Index, Ended),
    /// The user wants everything to stop.
    StopAsked,
    /// Only time has passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a component.
    Start(Index),
    /// Say that a component ended and will be started again after this time.
    Restart(Index, Ended, Duration),
    /// Say that a component is not started again, and why.
    GiveUp(Index, String),
    /// Say that a component ended while everything stops.
    NoteEnd(Index, Ended),
    /// Stop everything, in order.
    StopAll,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Will be started at this time.
    Waiting(Duration),
    /// [`Action::Start`] was given.
    Starting,
    Running,
    GivenUp,
    Stopped,
}

#[derive(Debug)]
struct Item {
    state: State,
    restarts: u32,
    /// When it was restarted last.
    restarted: Option<Duration>,
}

/// Decides when components are started and restarted. All times are since its own start.
#[derive(Debug)]
pub(crate) struct Supervisor {
    items: Vec<Item>,
    timing: Timing,
    stopping: bool,
}

impl Supervisor {
    /// Plans the first start of components with these roles, in this order: the server gets time to
    /// settle, watchdogs come one after the other, then brains.
    pub(crate) fn new(roles: &[Role], timing: Timing) -> Self {
        let mut at = Duration::ZERO;
        let mut items = Vec::with_capacity(roles.len());
        for role in roles {
            items.push(Item { state: State::Waiting(at), restarts: 0, restarted: None });
            at += match role {
                Role::Server => timing.server_settle,
                Role::Watchdog => timing.watchdog_stagger,
                Role::Brain | Role::Orchestrator | Role::Other => timing.brain_stagger,
            };
        }
        Self { items, timing, stopping: false }
    }

    /// Takes an event, and returns what to do.
    pub(crate) fn handle(&mut self, event: &Event, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Started(index) => self.items[*index].state = State::Running,
            Event::NotStarted(index, reason) => {
                self.items[*index].state = State::GivenUp;
                actions.push(Action::GiveUp(*index, reason.clone()));
            }
            Event::Exited(index, ended) => actions.push(self.exited(*index, *ended, now)),
            Event::StopAsked if !self.stopping => {
                self.stopping = true;
                actions.push(Action::StopAll);
            }
            Event::StopAsked | Event::Tick => {}
        }
        if !self.stopping {
            for index in 0..self.items.len() {
                if self.due(index).is_some_and(|at| at <= now) {
                    self.items[index].state = State::Starting;
                    actions.push(Action::Start(index));
                }
            }
        }
        actions
    }

    /// Returns when something is due next, if nothing happens before.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let due = (0..self.items.len()).filter_map(|index| self.due(index));
        if self.stopping { None } else { due.min() }
    }

    /// Returns when a component is to be started; not as long as one before it is still being
    /// started: a watchdog before a brain, or a brain whose login at the terminal is to come first.
    fn due(&self, index: Index) -> Option<Duration> {
        let State::Waiting(at) = self.items[index].state else { return None };
        let is_blocked = self.items[..index].iter().any(|before| before.state == State::Starting);
        (!is_blocked).then_some(at)
    }

    /// Whether nothing runs and nothing is to be started any more.
    pub(crate) fn is_over(&self) -> bool {
        self.items.iter().all(|item| match item.state {
            State::Waiting(_) => self.stopping,
            State::Starting | State::Running => false,
            State::GivenUp | State::Stopped => true,
        })
    }

    fn exited(&mut self, index: Index, ended: Ended, now: Duration) -> Action {
        let item = &mut self.items[index];
        if self.stopping {
            item.state = State::Stopped;
            return Action::NoteEnd(index, ended);
        }
        if ended == Ended::Code(LOCK_HELD) {
            item.state = State::GivenUp;
            return Action::GiveUp(index, "its lock is held by another process".into());
        }
        if item.restarts >= self.timing.max_restarts {
            item.state = State::GivenUp;
            return Action::GiveUp(
                index,
                format!("it ended with {ended} after {} restarts", item.restarts),
            );
        }
        item.restarts += 1;
        let at = item.restarted.map_or(now, |last| now.max(last + self.timing.restart_cooldown));
        item.restarted = Some(at);
        item.state = State::Waiting(at);
        Action::Restart(index, ended, at - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const TIMING: Timing = Timing {
        server_settle: seconds(5),
        watchdog_stagger: seconds(1),
        brain_stagger: seconds(3),
        stop_timeout: seconds(10),
        max_restarts: 5,
        restart_cooldown: seconds(60),
    };

    const CRASH: Ended = Ended::Code(1);

    #[test]
    fn the_fleet_starts_in_order_with_pauses() {
        let roles = [Role::Server, Role::Watchdog, Role::Watchdog, Role::Brain, Role::Brain];
        let mut supervisor = Supervisor::new(&roles, TIMING);
        let mut starts = Vec::new();
        while let Some(due) = supervisor.next_due() {
            for action in supervisor.handle(&Event::Tick, due) {
                let Action::Start(index) = action else { panic!("{action:?}") };
                starts.push((due.as_secs(), index));
                assert_eq!(supervisor.handle(&Event::Started(index), due), []);
            }
        }
        assert_eq!(starts, [(0, 0), (5, 1), (6, 2), (7, 3), (10, 4)]);
    }

    #[test]
    fn no_brain_starts_while_a_watchdog_is_starting() {
        let mut supervisor = Supervisor::new(&[Role::Watchdog, Role::Brain], TIMING);
        assert_eq!(supervisor.handle(&Event::Tick, seconds(0)), [Action::Start(0)]);
        assert_eq!(supervisor.next_due(), None, "only an event can change anything");
        assert_eq!(supervisor.handle(&Event::Tick, seconds(100)), []);
        assert_eq!(supervisor.handle(&Event::Started(0), seconds(100)), [Action::Start(1)]);

        let mut supervisor = Supervisor::new(&[Role::Watchdog, Role::Brain], TIMING);
        supervisor.handle(&Event::Tick, seconds(0));
        let actions = supervisor.handle(&Event::NotStarted(0, "why".into()), seconds(2));
        assert_eq!(actions, [Action::GiveUp(0, "why".into()), Action::Start(1)]);
    }

    fn running() -> Supervisor {
        let mut supervisor = Supervisor::new(&[Role::Brain], TIMING);
        assert_eq!(supervisor.handle(&Event::Tick, seconds(0)), [Action::Start(0)]);
        assert_eq!(supervisor.handle(&Event::Started(0), seconds(0)), []);
        supervisor
    }

    #[test]
    fn the_first_restart_is_immediate_and_the_next_ones_wait() {
        let mut supervisor = running();
        let actions = supervisor.handle(&Event::Exited(0, CRASH), seconds(100));
        assert_eq!(actions, [Action::Restart(0, CRASH, seconds(0)), Action::Start(0)]);
        supervisor.handle(&Event::Started(0), seconds(100));
        let actions = supervisor.handle(&Event::Exited(0, CRASH), seconds(110));
        assert_eq!(actions, [Action::Restart(0, CRASH, seconds(50))]);
        assert_eq!(supervisor.next_due(), Some(seconds(160)));
        assert_eq!(supervisor.handle(&Event::Tick, seconds(159)), []);
        assert_eq!(supervisor.handle(&Event::Tick, seconds(160)), [Action::Start(0)]);
    }

    #[test]
    fn after_five_restarts_it_is_given_up() {
        let mut supervisor = running();
        for round in 1..=5 {
            let now = seconds(1000 * round);
            let actions = supervisor.handle(&Event::Exited(0, CRASH), now);
            assert_eq!(actions.last(), Some(&Action::Start(0)), "restart {round}");
            supervisor.handle(&Event::Started(0), now);
        }
        let actions = supervisor.handle(&Event::Exited(0, CRASH), seconds(9000));
        assert!(matches!(&actions[..], [Action::GiveUp(0, _)]), "{actions:?}");
        assert!(supervisor.is_over());
    }

    #[test]
    fn a_held_lock_is_no_reason_to_try_again() {
        let mut supervisor = running();
        let actions = supervisor.handle(&Event::Exited(0, Ended::Code(75)), seconds(1));
        assert!(matches!(&actions[..], [Action::GiveUp(0, _)]), "{actions:?}");
    }

    #[test]
    fn a_stop_cancels_pending_starts_and_restarts() {
        let mut supervisor = Supervisor::new(&[Role::Brain, Role::Brain, Role::Brain], TIMING);
        supervisor.handle(&Event::Tick, seconds(0));
        supervisor.handle(&Event::Started(0), seconds(0));
        supervisor.handle(&Event::Exited(0, CRASH), seconds(1));
        supervisor.handle(&Event::Started(0), seconds(1));
        supervisor.handle(&Event::Exited(0, CRASH), seconds(2));
        assert_eq!(supervisor.handle(&Event::StopAsked, seconds(2)), [Action::StopAll]);
        assert_eq!(supervisor.handle(&Event::StopAsked, seconds(2)), []);
        assert_eq!(supervisor.next_due(), None);
        assert_eq!(supervisor.handle(&Event::Tick, seconds(1000)), []);
        assert!(supervisor.is_over());
    }

    #[test]
    fn what_ends_during_a_stop_is_not_restarted() {
        let mut supervisor = running();
        supervisor.handle(&Event::StopAsked, seconds(1));
        assert!(!supervisor.is_over());
        let actions = supervisor.handle(&Event::Exited(0, CRASH), seconds(2));
        assert_eq!(actions, [Action::NoteEnd(0, CRASH)]);
        assert!(supervisor.is_over());
    }
}

//! Brains that do not end although they were killed: their watchdogs stay.

use std::time::Duration;

use qc_supervise::{Action, Event, Exit, Id, State, Supervisor, SupervisorEvent};

use crate::{BRAIN, WATCHDOG, pair, seconds};

/// A pair of which the brain has survived its kill, in a stop of everything.
fn survivor() -> Supervisor {
    let mut supervisor = pair(|settings| settings.stop_timeout = seconds(4));
    supervisor.handle(Event::Adopted(WATCHDOG), Duration::ZERO);
    supervisor.handle(Event::Adopted(BRAIN), Duration::ZERO);
    supervisor.handle(Event::StopAll { limit: None }, Duration::ZERO);
    for second in [3, 4] {
        supervisor.handle(Event::Tick, seconds(second));
    }
    assert!(!supervisor.is_over());
    let actions = supervisor.handle(Event::Tick, seconds(9));
    let expected = [(BRAIN, SupervisorEvent::Survived), (WATCHDOG, SupervisorEvent::Kept(BRAIN))];
    assert_eq!(actions, expected.map(|(id, supervisor_event)| Action::Say(id, supervisor_event)));
    supervisor
}

#[test]
fn a_watchdog_is_not_stopped_while_its_brain_survives_its_kill() {
    let mut supervisor = survivor();
    assert!(supervisor.is_over(), "nothing more can be done");
    for id in [WATCHDOG, BRAIN] {
        assert_eq!(supervisor.view(id).unwrap().state, State::Stopping, "{id:?}");
    }
    // Asked once more, it stays as it is.
    assert_eq!(supervisor.handle(Event::StopAll { limit: None }, seconds(10)), []);
    assert_eq!(supervisor.handle(Event::Stop(vec![WATCHDOG]), seconds(11)), []);
    assert!(supervisor.is_over());
}

#[test]
fn a_watchdog_is_stopped_once_a_brain_that_survived_its_kill_has_ended() {
    let mut supervisor = survivor();
    let exited = Event::Exited { id: BRAIN, generation: 1, exit: Exit::Signal(9) };
    let actions = supervisor.handle(exited, seconds(12));
    assert_eq!(actions.last(), Some(&Action::Ask { id: WATCHDOG, firmly: false }));
    assert!(!supervisor.is_over());
    supervisor
        .handle(Event::Exited { id: WATCHDOG, generation: 1, exit: Exit::Code(0) }, seconds(13));
    assert!(supervisor.is_over());
}

/// Two that run, of which the brain was asked to restart, and then its watchdog.
fn restarting() -> Supervisor {
    let mut supervisor = pair(|settings| settings.stop_timeout = seconds(4));
    supervisor.handle(Event::Adopted(WATCHDOG), Duration::ZERO);
    supervisor.handle(Event::Adopted(BRAIN), Duration::ZERO);
    let actions = supervisor.handle(Event::Restart(BRAIN), Duration::ZERO);
    assert_eq!(actions, [Action::Ask { id: BRAIN, firmly: false }]);
    assert_eq!(supervisor.handle(Event::Restart(WATCHDOG), Duration::ZERO), []);
    assert_eq!(supervisor.view(WATCHDOG).expect("it is known").state, State::Stopping);
    supervisor
}

#[test]
fn a_watchdog_that_is_restarted_with_its_brain_ends_after_it_and_starts_before_it() {
    let mut supervisor = restarting();
    let exited = |id| Event::Exited { id, generation: 1, exit: Exit::Code(0) };
    let actions = supervisor.handle(exited(BRAIN), seconds(2));
    assert_eq!(actions.last(), Some(&Action::Ask { id: WATCHDOG, firmly: false }));
    let spawns = |actions: &[Action], wanted: Id| {
        actions.iter().any(|one| matches!(one, Action::Spawn { id, .. } if *id == wanted))
    };
    assert!(!spawns(&actions, BRAIN), "{actions:?}");
    let actions = supervisor.handle(exited(WATCHDOG), seconds(3));
    assert!(spawns(&actions, WATCHDOG) && !spawns(&actions, BRAIN), "{actions:?}");
}

#[test]
fn a_watchdog_is_not_restarted_while_its_brain_survives_its_kill() {
    let mut supervisor = restarting();
    for second in [3, 4, 9] {
        let actions = supervisor.handle(Event::Tick, seconds(second));
        let asks = |one: &Action| matches!(one, Action::Ask { id, .. } if *id == WATCHDOG);
        assert!(!actions.iter().any(asks), "{actions:?}");
    }
    assert_eq!(supervisor.view(WATCHDOG).unwrap().state, State::Running);
}

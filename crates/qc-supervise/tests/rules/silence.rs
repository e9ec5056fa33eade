//! Silence: a component that gives no sign of life.

use std::time::Duration;

use qc_supervise::{
    Action, Event, Heartbeat, HeartbeatSource, Id, Settings, Spec, State, Supervisor,
    SupervisorEvent,
};

use crate::{run, seconds};

/// A supervisor with one component that is to give a sign of life every 60 s.
fn beating() -> (Supervisor, Duration) {
    let heartbeat = Some(Heartbeat { source: HeartbeatSource::Output, within: seconds(60) });
    let settings = Settings { heartbeat, ..Settings::default() };
    let mut supervisor = Supervisor::new(vec![Spec::new(settings)], 1);
    supervisor.handle(Event::StartAll, Duration::ZERO);
    run(&mut supervisor, Id(0), 1, Duration::ZERO);
    supervisor.handle(Event::Tick, seconds(1));
    (supervisor, Duration::ZERO)
}

/// Lets the supervisor look, and answers that there was no sign of life; returns what follows.
fn look_in_vain(supervisor: &mut Supervisor, at: Duration) -> Vec<Action> {
    let look = Action::Look { id: Id(0), generation: 1 };
    assert_eq!(supervisor.handle(Event::Tick, at), [look], "{at:?}");
    supervisor.handle(Event::Silent { id: Id(0), generation: 1 }, at)
}

#[test]
fn a_silence_counts_as_far_as_looks_have_found_it() {
    let (mut supervisor, _) = beating();
    for look in 1..4 {
        assert_eq!(look_in_vain(&mut supervisor, seconds(15 * look)), []);
    }
    let actions = look_in_vain(&mut supervisor, seconds(60));
    assert_eq!(actions[0], Action::Say(Id(0), SupervisorEvent::Hung(seconds(60))));
}

#[test]
fn a_machine_that_slept_has_seen_no_silence() {
    let (mut supervisor, _) = beating();
    assert_eq!(look_in_vain(&mut supervisor, seconds(15)), []);
    // The clock has gone on for a night, and no program has.
    let night = seconds(8 * 3600);
    assert_eq!(look_in_vain(&mut supervisor, night), []);
    assert_eq!(look_in_vain(&mut supervisor, night + seconds(15)), []);
    let look = Action::Look { id: Id(0), generation: 1 };
    assert_eq!(supervisor.handle(Event::Tick, night + seconds(30)), [look]);
    assert_eq!(
        supervisor.handle(Event::Heartbeat { id: Id(0), generation: 1 }, night + seconds(30)),
        []
    );
    assert_eq!(supervisor.view(Id(0)).unwrap().state, State::Running);
}

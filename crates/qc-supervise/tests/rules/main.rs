//! Single rules of the supervisor, each as a short history.

#![forbid(unsafe_code)]

mod silence;
mod survivors;

use std::time::Duration;

use qc_supervise::{
    Action, Cause, Event, Exit, Id, NotStarted, Reason, Settings, Spec, State, Supervisor,
    SupervisorEvent, WhenUnguarded,
};

const WATCHDOG: Id = Id(0);
const BRAIN: Id = Id(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn spawn(id: Id, generation: u32) -> Action {
    Action::Spawn { id, generation }
}

/// A watchdog and its brain.
fn pair(change: impl Fn(&mut Settings)) -> Supervisor {
    let mut settings = Settings::default();
    change(&mut settings);
    let mut watchdog = Spec::new(settings.clone());
    watchdog.stop_rank = 1;
    let mut brain = Spec::new(settings);
    brain.guard = Some(WATCHDOG);
    Supervisor::new(vec![watchdog, brain], 1)
}

fn run(supervisor: &mut Supervisor, id: Id, generation: u32, now: Duration) -> Vec<Action> {
    supervisor.handle(Event::Started { id, generation }, now)
}

#[test]
fn a_brain_waits_for_the_first_second_of_its_watchdog_and_for_no_other() {
    let mut supervisor = pair(|_| ());
    assert_eq!(supervisor.handle(Event::StartAll, Duration::ZERO), [spawn(WATCHDOG, 1)]);
    assert_eq!(run(&mut supervisor, WATCHDOG, 1, Duration::ZERO), []);
    assert_eq!(supervisor.view(BRAIN).unwrap().state, State::Waiting(Some(WATCHDOG)));
    assert_eq!(supervisor.next_due(), Some(seconds(1)));
    assert_eq!(supervisor.handle(Event::Tick, seconds(1)), [spawn(BRAIN, 1)]);
    run(&mut supervisor, BRAIN, 1, seconds(1));
    assert!(supervisor.view(WATCHDOG).unwrap().is_proven);
    assert!(!supervisor.view(BRAIN).unwrap().is_proven);
    supervisor.handle(Event::Tick, seconds(2));
    assert!(supervisor.view(BRAIN).unwrap().is_proven);

    // A component that depends on something else than a watchdog does not wait.
    let mut other = Spec::new(Settings::default());
    other.depends_on = vec![Id(0)];
    let mut supervisor = Supervisor::new(vec![Spec::new(Settings::default()), other], 1);
    supervisor.handle(Event::StartAll, Duration::ZERO);
    assert_eq!(run(&mut supervisor, Id(0), 1, Duration::ZERO), [spawn(Id(1), 1)]);
}

#[test]
fn a_watchdog_that_dies_in_its_first_second_lets_no_brain_start() {
    let mut supervisor = pair(|_| ());
    supervisor.handle(Event::StartAll, Duration::ZERO);
    run(&mut supervisor, WATCHDOG, 1, Duration::ZERO);
    let exited = Event::Exited { id: WATCHDOG, generation: 1, exit: Exit::Code(1) };
    let actions = supervisor.handle(exited, millis(900));
    assert!(
        !actions.iter().any(|one| matches!(one, Action::Spawn { id: BRAIN, .. })),
        "{actions:?}"
    );
    // Its next generation has a first second of its own.
    run(&mut supervisor, WATCHDOG, 2, millis(950));
    assert_eq!(supervisor.handle(Event::Tick, millis(1900)), []);
    assert_eq!(supervisor.handle(Event::Tick, millis(1950)), [spawn(BRAIN, 1)]);
}

#[test]
fn an_adopted_watchdog_has_had_its_first_second() {
    let mut supervisor = pair(|_| ());
    supervisor.handle(Event::Adopted(WATCHDOG), Duration::ZERO);
    assert_eq!(supervisor.handle(Event::StartAll, Duration::ZERO), [spawn(BRAIN, 1)]);
}

#[test]
fn stopping_a_watchdog_stops_its_brain_first_also_where_that_may_trade_on_without_it() {
    let mut supervisor = pair(|settings| settings.when_unguarded = WhenUnguarded::Keep);
    supervisor.handle(Event::Adopted(WATCHDOG), Duration::ZERO);
    supervisor.handle(Event::Adopted(BRAIN), Duration::ZERO);
    let asked = |id| Action::Ask { id, firmly: false };
    assert_eq!(supervisor.handle(Event::Stop(vec![WATCHDOG]), Duration::ZERO), [asked(BRAIN)]);
    let ended = Event::Exited { id: BRAIN, generation: 1, exit: Exit::Code(0) };
    assert_eq!(supervisor.handle(ended, seconds(1)).last(), Some(&asked(WATCHDOG)));
    assert_eq!(supervisor.view(BRAIN).unwrap().state, State::Stopped);
}

#[test]
fn a_brain_lacks_its_watchdog_while_that_rests_or_is_to_stop_and_starts_after_it() {
    let mut supervisor = pair(|_| ());
    assert_eq!((supervisor.lacks(WATCHDOG), supervisor.lacks(BRAIN)), (None, Some(WATCHDOG)));
    let mut ids = [BRAIN, WATCHDOG];
    supervisor.sort_by_need(&mut ids);
    assert_eq!(ids, [WATCHDOG, BRAIN]);
    supervisor.handle(Event::Start(WATCHDOG), Duration::ZERO);
    assert_eq!(supervisor.lacks(BRAIN), None, "it is only not ready yet");
    supervisor.handle(Event::Adopted(BRAIN), Duration::ZERO);
    supervisor.handle(Event::Stop(vec![WATCHDOG]), Duration::ZERO);
    assert_eq!(supervisor.lacks(BRAIN), Some(WATCHDOG));
}

/// A brain that may trade on, whose watchdog has been given up.
fn with_watchdog_given_up() -> Supervisor {
    let mut supervisor = pair(|settings| {
        settings.when_unguarded = WhenUnguarded::Keep;
        settings.restart.max_restarts = 0;
    });
    supervisor.handle(Event::Adopted(WATCHDOG), Duration::ZERO);
    supervisor.handle(Event::Adopted(BRAIN), Duration::ZERO);
    supervisor
        .handle(Event::Exited { id: WATCHDOG, generation: 1, exit: Exit::Code(1) }, seconds(1));
    supervisor
}

#[test]
fn a_brain_that_may_trade_on_does_so_when_its_watchdog_is_given_up() {
    let supervisor = with_watchdog_given_up();
    assert!(matches!(
        supervisor.view(WATCHDOG).unwrap().state,
        State::GaveUp(Reason::TooOften(..))
    ));
    assert_eq!(supervisor.view(BRAIN).unwrap().state, State::Running);
}

#[test]
fn what_was_given_up_and_is_asked_to_stop_is_stopped() {
    let mut supervisor = with_watchdog_given_up();
    let actions = supervisor.handle(Event::Stop(vec![WATCHDOG]), seconds(2));
    assert!(actions.contains(&Action::Say(WATCHDOG, SupervisorEvent::Dismissed)), "{actions:?}");
    assert_eq!(supervisor.view(WATCHDOG).unwrap().state, State::Stopped);
    assert_eq!(supervisor.view(BRAIN).unwrap().state, State::Stopping);
    assert!(!supervisor.is_over(), "it can be started again");

    // A launcher that ends leaves in view what was given up.
    let mut supervisor = pair(|settings| settings.restart.max_restarts = 0);
    supervisor.handle(Event::Adopted(WATCHDOG), Duration::ZERO);
    supervisor
        .handle(Event::Exited { id: WATCHDOG, generation: 1, exit: Exit::Code(1) }, seconds(1));
    supervisor.handle(Event::StopAll { limit: None }, seconds(2));
    assert!(matches!(supervisor.view(WATCHDOG).unwrap().state, State::GaveUp(_)));
}

#[test]
fn a_full_disk_never_makes_a_component_given_up() {
    let mut settings = Settings::default();
    settings.restart.max_restarts = 0;
    let mut supervisor = Supervisor::new(vec![Spec::new(settings)], 1);
    supervisor.handle(Event::StartAll, Duration::ZERO);
    let mut now = Duration::ZERO;
    for (generation, pause) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
        let why = NotStarted::NotNow("no space left".into());
        let actions = supervisor.handle(Event::NotStarted { id: Id(0), generation, why }, now);
        assert!(
            matches!(&actions[..], [Action::Say(_, SupervisorEvent::Restarting(_, wait))] if *wait == seconds(pause)),
            "{actions:?}"
        );
        now += seconds(pause);
        assert_eq!(supervisor.handle(Event::Tick, now), [spawn(Id(0), generation + 1)]);
    }
    run(&mut supervisor, Id(0), 9, now);
    assert_eq!(supervisor.view(Id(0)).unwrap().state, State::Running);
    assert_eq!(supervisor.view(Id(0)).unwrap().restarts, 0);
}

#[test]
fn what_was_killed_is_told_as_killed_whatever_its_exit_code_says() {
    let settings = Settings { stop_timeout: seconds(4), ..Settings::default() };
    let mut supervisor = Supervisor::new(vec![Spec::new(settings)], 1);
    supervisor.handle(Event::Adopted(Id(0)), Duration::ZERO);
    supervisor.handle(Event::Stop(vec![Id(0)]), Duration::ZERO);
    supervisor.handle(Event::Tick, seconds(3));
    assert!(supervisor.handle(Event::Tick, seconds(4)).contains(&Action::Kill(Id(0))));
    // Windows knows no signals.
    let exited = Event::Exited { id: Id(0), generation: 1, exit: Exit::Code(1) };
    let actions = supervisor.handle(exited, seconds(4));
    assert!(matches!(actions[0], Action::Say(_, SupervisorEvent::EndedByKill(_))), "{actions:?}");
}

#[test]
fn an_exit_code_that_means_a_command_was_not_found_says_so() {
    for (code, expected) in [
        (1, "it ended with exit code 1"),
        (126, "it ended with exit code 126"),
        (127, "it ended with exit code 127 (the command was not found: a shell"),
        (9009, "it ended with exit code 9009 (the command was not found: `cmd`"),
    ] {
        let text = Cause::Ended(Exit::Code(code)).to_string();
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.contains("not found"), expected.contains("not found"), "{text}");
    }
}

#[test]
fn what_is_withheld_runs_on_and_is_not_started_again_until_someone_starts_it() {
    let ended = |exit| Event::Exited { id: BRAIN, generation: 1, exit };
    let begin = || {
        let mut supervisor = pair(|settings| settings.start_seconds = Duration::ZERO);
        supervisor.handle(Event::StartAll, Duration::ZERO);
        run(&mut supervisor, WATCHDOG, 1, Duration::ZERO);
        run(&mut supervisor, BRAIN, 1, Duration::ZERO);
        assert_eq!(supervisor.handle(Event::Withhold(vec![BRAIN]), seconds(1)), []);
        assert_eq!(supervisor.view(BRAIN).unwrap().state, State::Running);
        supervisor
    };
    for exit in [Exit::Code(0), Exit::Code(3), Exit::Signal(11)] {
        let mut supervisor = begin();
        let said = supervisor.handle(ended(exit), seconds(2));
        assert_eq!(said, [Action::Say(BRAIN, SupervisorEvent::Withheld(exit))]);
        assert_eq!(supervisor.view(BRAIN).unwrap().state, State::Stopped);
        assert_eq!(supervisor.handle(Event::Tick, seconds(900)), []);
        assert!(!supervisor.is_over(), "it can be started by hand");
        assert_eq!(supervisor.handle(Event::Start(BRAIN), seconds(901)), [spawn(BRAIN, 2)]);
    }
    // Wanted again before it has ended, it is restarted as ever.
    let mut supervisor = begin();
    supervisor.handle(Event::Start(BRAIN), seconds(2));
    supervisor.handle(ended(Exit::Code(3)), seconds(3));
    supervisor.handle(Event::Tick, seconds(900));
    assert_eq!(supervisor.view(BRAIN).unwrap().generation, 2);
    // A component that does not run comes to rest at once.
    let mut supervisor = pair(|_| ());
    supervisor.handle(Event::StartAll, Duration::ZERO);
    supervisor.handle(Event::Withhold(vec![BRAIN]), Duration::ZERO);
    assert_eq!(supervisor.view(BRAIN).unwrap().state, State::Stopped);
}

//! The lock protocol as a state machine, with every interleaving of its steps explored: crashes
//! at each step, an outsider who deletes the record at each step, and a contender that speaks the
//! old protocol. The old protocol itself is modelled the same way, and refuted: the checker has
//! teeth.
//!
//! One resource is modelled. Several are taken in one order, each like this one.

#![forbid(unsafe_code)]

use stateright::{Checker, Model, Property};

/// A contender, by number; also its identity, which a crash ends for ever.
type Process = u8;

/// Which protocol a contender speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Speaks {
    /// The one of `docs/LOCK_PROTOCOL.md`.
    New,
    /// Create the file exclusively; judge an existing one by its pid; delete a stale one and
    /// create it again. An empty file counts as stale.
    Old,
}

/// How far a contender is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    /// It has not begun.
    Begin,
    /// New: it holds the guard. Old: it has created the file, which is still empty.
    Inside,
    /// New: it has judged the record, and may write its own.
    Cleared,
    /// Old: there is a file.
    Exists,
    /// Old: it has judged the file to be stale, and will delete whatever is there.
    Stale,
    /// It works: the lock is its own.
    Holding,
    /// New: it has removed its record and still holds the guard.
    Leaving,
    /// It gave the lock back.
    Done,
    /// It was refused.
    Refused,
    /// It was killed.
    Dead,
}

impl Step {
    fn is_alive(self) -> bool {
        !matches!(self, Self::Done | Self::Refused | Self::Dead)
    }
}

/// The record file: who created it, which stands for its inode, and the pid in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct File {
    inode: Process,
    pid: Option<Process>,
}

/// All that can be observed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    steps: Vec<Step>,
    /// Who holds the guard. The kernel frees it when that process ends.
    guard: Option<Process>,
    record: Option<File>,
}

/// The number of somebody who died before the story begins.
const ANCESTOR: Process = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Act {
    /// A contender takes its next step.
    Go(Process),
    /// A contender is killed.
    Kill(Process),
    /// Somebody deletes the record by hand.
    Delete,
}

struct Contest {
    contenders: Vec<Speaks>,
    /// Whether the dead ancestor has left a record.
    stale_record: bool,
    /// Whether somebody deletes records.
    outsider: bool,
}

impl Contest {
    /// Whether a process that a record names is running.
    fn is_alive(&self, state: &State, process: Process) -> bool {
        state.steps.get(usize::from(process)).is_some_and(|step| step.is_alive())
    }

    fn go(&self, state: &mut State, process: Process) {
        let index = usize::from(process);
        state.steps[index] = match (self.contenders[index], state.steps[index]) {
            (Speaks::New, Step::Begin) if state.guard.is_none() => {
                state.guard = Some(process);
                Step::Inside
            }
            (Speaks::New, Step::Begin) => Step::Refused,
            (Speaks::New, Step::Inside) => match state.record.and_then(|file| file.pid) {
                Some(other) if self.is_alive(state, other) => {
                    state.guard = None;
                    Step::Refused
                }
                _ => Step::Cleared,
            },
            (Speaks::New, Step::Cleared) => {
                // Renamed over what is there.
                state.record = Some(File { inode: process, pid: Some(process) });
                Step::Holding
            }
            (Speaks::New, Step::Holding) => {
                state.record = None;
                Step::Leaving
            }
            (Speaks::New, Step::Leaving) => {
                state.guard = None;
                Step::Done
            }
            (Speaks::Old, Step::Begin) => match state.record {
                None => {
                    state.record = Some(File { inode: process, pid: None });
                    Step::Inside
                }
                Some(_) => Step::Exists,
            },
            (Speaks::Old, Step::Inside) => {
                // It writes into the file that it opened, wherever that is by now.
                if let Some(file) = state.record.as_mut().filter(|file| file.inode == process) {
                    file.pid = Some(process);
                }
                Step::Holding
            }
            (Speaks::Old, Step::Exists) => match state.record.map(|file| file.pid) {
                Some(Some(other)) if self.is_alive(state, other) => Step::Refused,
                Some(_) => Step::Stale,
                None => Step::Begin,
            },
            (Speaks::Old, Step::Stale) => {
                state.record = None;
                Step::Begin
            }
            (Speaks::Old, Step::Holding) => {
                state.record = None;
                Step::Done
            }
            (_, step) => step,
        };
    }

    fn holders(&self, state: &State, speaks: Speaks) -> usize {
        // One that is leaving still has the guard, but does no more work.
        let pairs = state.steps.iter().zip(&self.contenders);
        pairs.filter(|&(&step, &contender)| step == Step::Holding && contender == speaks).count()
    }

    fn check(self) -> impl Checker<Self> {
        self.checker().spawn_bfs().join()
    }
}

impl Model for Contest {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let record = self.stale_record.then_some(File { inode: ANCESTOR, pid: Some(ANCESTOR) });
        vec![State { steps: vec![Step::Begin; self.contenders.len()], guard: None, record }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        for (process, step) in (0..).zip(&state.steps) {
            if step.is_alive() {
                actions.extend([Act::Go(process), Act::Kill(process)]);
            }
        }
        if self.outsider && state.record.is_some() {
            actions.push(Act::Delete);
        }
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let mut next = state.clone();
        match act {
            Act::Go(process) => self.go(&mut next, process),
            Act::Kill(process) => {
                next.steps[usize::from(process)] = Step::Dead;
                if next.guard == Some(process) {
                    next.guard = None;
                }
            }
            Act::Delete => next.record = None,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "one holder among those who speak the protocol",
                |model: &Self, state: &State| model.holders(state, Speaks::New) <= 1,
            ),
            Property::always(
                "one holder among those who speak the old one",
                |model: &Self, state: &State| model.holders(state, Speaks::Old) <= 1,
            ),
            Property::always("free once nobody lives", |model: &Self, state: &State| {
                let all_ended = !state.steps.iter().any(|step| step.is_alive());
                let named = state.record.and_then(|file| file.pid);
                let is_free = state.guard.is_none()
                    && named.is_none_or(|process| !model.is_alive(state, process));
                !all_ended || is_free
            }),
            Property::sometimes("somebody holds", |_: &Self, state: &State| {
                state.steps.contains(&Step::Holding)
            }),
            Property::sometimes("somebody is refused", |_: &Self, state: &State| {
                state.steps.contains(&Step::Refused)
            }),
        ]
    }
}

const ONE_NEW: &str = "one holder among those who speak the protocol";
const ONE_OLD: &str = "one holder among those who speak the old one";

/// All contests of these contenders: with and without a stale record, with and without somebody
/// who deletes records.
fn contests(contenders: &[Speaks]) -> Vec<Contest> {
    let cases = [(false, false), (false, true), (true, false), (true, true)];
    let contest = |&(stale_record, outsider): &(bool, bool)| Contest {
        contenders: contenders.to_vec(),
        stale_record,
        outsider,
    };
    cases.iter().map(contest).collect()
}

#[test]
fn two_and_three_contenders_never_hold_at_once() {
    for contenders in [&[Speaks::New; 2][..], &[Speaks::New; 3][..]] {
        for contest in contests(contenders) {
            let checker = contest.check();
            checker.assert_properties();
            assert!(
                checker.unique_state_count() > 50,
                "only {} states",
                checker.unique_state_count()
            );
        }
    }
}

#[test]
fn an_old_contender_does_not_break_the_exclusion_of_the_others() {
    for contenders in
        [&[Speaks::New, Speaks::New, Speaks::Old][..], &[Speaks::New, Speaks::Old, Speaks::Old][..]]
    {
        for contest in contests(contenders) {
            let checker = contest.check();
            checker.assert_no_discovery(ONE_NEW);
            checker.assert_no_discovery("free once nobody lives");
        }
    }
}

#[test]
fn the_old_protocol_is_refuted_with_a_stale_record() {
    let contest = Contest { contenders: vec![Speaks::Old; 2], stale_record: true, outsider: false };
    let checker = contest.check();
    let path = checker.assert_any_discovery(ONE_OLD);
    assert_eq!(path.last_state().steps, [Step::Holding; 2]);
}

#[test]
fn the_old_protocol_is_refuted_without_any_record() {
    // The file exists before the pid is in it, and an empty file counts as stale.
    let contest =
        Contest { contenders: vec![Speaks::Old; 2], stale_record: false, outsider: false };
    let checker = contest.check();
    let path = checker.assert_any_discovery(ONE_OLD);
    assert_eq!(path.last_state().steps, [Step::Holding; 2]);
}

#[test]
fn judging_without_the_guard_would_be_noticed() {
    /// The protocol with its guard taken away: everybody gets in, and only the record decides.
    struct Unguarded(Contest);
    impl Model for Unguarded {
        type State = State;
        type Action = Act;

        fn init_states(&self) -> Vec<State> {
            self.0.init_states()
        }

        fn actions(&self, state: &State, actions: &mut Vec<Act>) {
            self.0.actions(state, actions);
        }

        fn next_state(&self, state: &State, act: Act) -> Option<State> {
            self.0.next_state(&State { guard: None, ..state.clone() }, act)
        }

        fn properties(&self) -> Vec<Property<Self>> {
            vec![Property::always(ONE_NEW, |model: &Self, state: &State| {
                model.0.holders(state, Speaks::New) <= 1
            })]
        }
    }
    let contest =
        Contest { contenders: vec![Speaks::New; 2], stale_record: false, outsider: false };
    let checker = Unguarded(contest).checker().spawn_bfs().join();
    assert!(checker.discovery(ONE_NEW).is_some());
}

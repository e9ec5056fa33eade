//! A token that two processes find, as when a shell starts two Pythons at once: which of them claims it.

use stateright::{Checker, Model, Property};

/// How far each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Begin,
    /// It has the guard `claim`, or asks for none.
    Guarded,
    /// It has read the record, and the token was there.
    Found,
    /// It has written the record again: the lock is its own.
    Claimed,
    /// The token was gone.
    Without,
    Dead,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    steps: [Step; 2],
    /// The holder of the guard `claim`.
    guard: Option<usize>,
    /// Whether the record still has the token.
    has_token: bool,
    /// Whether the lock that each asks for is the token's.
    overlaps: [bool; 2],
}

impl State {
    fn has_claimed(&self, process: usize) -> bool {
        self.steps[process] == Step::Claimed
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Act {
    Go(usize),
    Kill(usize),
}

/// A claim, with the rules that count.
struct Claim {
    is_guarded: bool,
    /// Whether a token is left to a lock that overlaps its resources.
    is_for_its_lock: bool,
}

impl Claim {
    fn go(&self, state: &mut State, process: usize) {
        state.steps[process] = match state.steps[process] {
            Step::Begin if !self.is_guarded => Step::Guarded,
            Step::Begin if state.guard.is_none() => {
                state.guard = Some(process);
                Step::Guarded
            }
            Step::Guarded if !state.has_token => self.leave(state, process, Step::Without),
            Step::Guarded if self.is_for_its_lock && !state.overlaps[process] => {
                self.leave(state, process, Step::Without)
            }
            Step::Guarded => Step::Found,
            Step::Found => {
                state.has_token = false;
                self.leave(state, process, Step::Claimed)
            }
            other => other,
        };
    }

    fn leave(&self, state: &mut State, process: usize, step: Step) -> Step {
        state.guard = state.guard.filter(|&owner| owner != process);
        step
    }
}

const ONE: &str = "one process claims a token";
const ITS: &str = "a token is claimed by the lock that it is for";
const GIVEN: &str = "whoever asks for the token's lock gets it, unless another who does has it";

impl Model for Claim {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let state =
            |overlaps| State { steps: [Step::Begin; 2], guard: None, has_token: true, overlaps };
        vec![state([true, true]), state([true, false])]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        for (process, step) in state.steps.iter().enumerate() {
            if !matches!(step, Step::Claimed | Step::Without | Step::Dead) {
                actions.extend([Act::Go(process), Act::Kill(process)]);
            }
        }
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let mut next = state.clone();
        match act {
            Act::Go(process) => self.go(&mut next, process),
            Act::Kill(process) => {
                next.steps[process] = self.leave(&mut next, process, Step::Dead);
            }
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE, |_: &Self, state: &State| {
                !(state.has_claimed(0) && state.has_claimed(1))
            }),
            Property::always(ITS, |_: &Self, state: &State| {
                (0..2).all(|one| state.overlaps[one] || !state.has_claimed(one))
            }),
            Property::always(GIVEN, |_: &Self, state: &State| {
                let other_has = state.has_claimed(1) && state.overlaps[1];
                state.steps[0] != Step::Without || other_has
            }),
            Property::sometimes("it is claimed", |_: &Self, state: &State| state.has_claimed(0)),
        ]
    }
}

#[test]
fn of_two_who_find_a_token_one_claims_it() {
    let claim = Claim { is_guarded: true, is_for_its_lock: true };
    claim.checker().spawn_bfs().join().assert_properties();
}

#[test]
fn without_one_of_its_rules_claiming_is_refuted() {
    let unguarded = Claim { is_guarded: false, is_for_its_lock: true };
    assert!(unguarded.checker().spawn_bfs().join().discovery(ONE).is_some());
    let greedy = Claim { is_guarded: true, is_for_its_lock: false };
    let checker = greedy.checker().spawn_bfs().join();
    assert!(checker.discovery(ITS).is_some() && checker.discovery(GIVEN).is_some());
}

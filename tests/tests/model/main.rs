//! The lock protocol as a state machine, with every interleaving of its steps explored: crashes
//! at each step, an outsider who deletes the record at each step or the guard at any one, and a
//! contender that speaks the old protocol. The old protocol itself is modelled the same way, and
//! refuted: the checker has teeth.
//!
//! One resource is modelled. Several are taken in one order, each like this one.

#![forbid(unsafe_code)]

mod claim;
mod machine;

use stateright::{Checker, Model, Property};

/// A contender, by number; also its identity, which a crash ends for ever.
type Process = u8;

/// A guard file, by number: one that is deleted is another than the one made in its place.
type Inode = u8;

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
    /// It has not begun, or begins again.
    Begin,
    /// New: it has opened the guard, and made it if there was none.
    Opened,
    /// New: it has locked what it opened, whether or not that is still the guard.
    Locked,
    /// New: it has seen that it is. Old: it has created the file, which is still empty.
    Inside,
    /// New: it has judged the record, and may write its own.
    Cleared,
    /// New: it has written its record, and will look at the guard again.
    Recorded,
    /// New: its guard is gone, so it takes back its record if that is still its own.
    Withdrawing,
    /// New: it has seen that it is, and removes whatever is there by now.
    Removing,
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
    /// The inodes that each contender has opened.
    opened: Vec<Option<Inode>>,
    /// The process that has locked each guard file. The kernel frees it when that process ends or
    /// closes it.
    locks: Vec<Option<Process>>,
    /// The guard file that the path names; the last one, or none.
    guard: Option<Inode>,
    record: Option<File>,
    /// How often the guard may still be deleted.
    deletions: u8,
}

impl State {
    /// The contender closes what it has opened.
    fn close(&mut self, process: Process) {
        if let Some(inode) = self.opened[usize::from(process)].take() {
            let lock = &mut self.locks[usize::from(inode)];
            *lock = lock.filter(|&holder| holder != process);
        }
    }

    fn is_current(&self, process: Process) -> bool {
        self.guard.is_some() && self.opened[usize::from(process)] == self.guard
    }
}

/// The number of a process that died before the run begins.
const ANCESTOR: Process = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Act {
    /// A contender takes its next step.
    Go(Process),
    /// A contender is killed.
    Kill(Process),
    /// The record is deleted by hand.
    Delete,
    /// The guard is deleted by hand. Windows refuses that while it is open.
    DeleteGuard,
}

struct Contest {
    contenders: Vec<Speaks>,
    /// Whether the dead ancestor has left a record.
    stale_record: bool,
    /// The deletions by an outsider.
    outsider: Outsider,
}

/// An outsider's deletion by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outsider {
    Nothing,
    /// The record, again and again.
    Records,
    /// The guard, this often.
    Guards(u8),
    /// The record again and again, and the guard once: the whole folder.
    Everything,
}

impl Contest {
    /// Whether a process that a record names is running.
    fn is_alive(&self, state: &State, process: Process) -> bool {
        state.steps.get(usize::from(process)).is_some_and(|step| step.is_alive())
    }

    fn go(&self, state: &mut State, process: Process) {
        let index = usize::from(process);
        state.steps[index] = match (self.contenders[index], state.steps[index]) {
            (Speaks::New, Step::Begin) => {
                let inode = *state.guard.get_or_insert_with(|| {
                    state.locks.push(None);
                    Inode::try_from(state.locks.len() - 1).expect("few guards are deleted")
                });
                state.opened[index] = Some(inode);
                Step::Opened
            }
            (Speaks::New, Step::Opened) => {
                let inode = state.opened[index].expect("it has opened one");
                let lock = &mut state.locks[usize::from(inode)];
                if lock.is_none() {
                    *lock = Some(process);
                    Step::Locked
                } else {
                    state.close(process);
                    Step::Refused
                }
            }
            (Speaks::New, Step::Locked) if state.is_current(process) => Step::Inside,
            (Speaks::New, Step::Locked) => {
                state.close(process);
                Step::Begin
            }
            (Speaks::New, Step::Inside) => match state.record.and_then(|file| file.pid) {
                Some(other) if other != process && self.is_alive(state, other) => {
                    state.close(process);
                    Step::Refused
                }
                _ => Step::Cleared,
            },
            (Speaks::New, Step::Cleared) => {
                // Renamed over what is there.
                state.record = Some(File { inode: process, pid: Some(process) });
                Step::Recorded
            }
            (Speaks::New, Step::Recorded) if state.is_current(process) => Step::Holding,
            (Speaks::New, Step::Recorded) => Step::Withdrawing,
            (Speaks::New, Step::Withdrawing) => {
                if state.record.is_some_and(|file| file.pid == Some(process)) {
                    Step::Removing
                } else {
                    state.close(process);
                    Step::Begin
                }
            }
            (Speaks::New, Step::Removing) => {
                state.record = None;
                state.close(process);
                Step::Begin
            }
            (Speaks::New, Step::Holding) => {
                state.record = None;
                Step::Leaving
            }
            (Speaks::New, Step::Leaving) => {
                state.close(process);
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

    /// Whether the next one to ask gets the lock if everybody dies at this moment.
    fn is_free_after_all_died(&self, state: &State) -> bool {
        let mut state = state.clone();
        for process in 0..self.count() {
            self.kill(&mut state, process);
        }
        let next = Self { contenders: [&self.contenders[..], &[Speaks::New]].concat(), ..*self };
        state.steps.push(Step::Begin);
        state.opened.push(None);
        // More steps than there are.
        for _ in 0..20 {
            next.go(&mut state, self.count());
            if state.steps[usize::from(self.count())] == Step::Holding {
                return true;
            }
        }
        false
    }

    fn count(&self) -> Process {
        Process::try_from(self.contenders.len()).expect("there are few contenders")
    }

    fn kill(&self, state: &mut State, process: Process) {
        state.close(process);
        let step = &mut state.steps[usize::from(process)];
        if step.is_alive() {
            *step = Step::Dead;
        }
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
        let deletions = match self.outsider {
            Outsider::Nothing | Outsider::Records => 0,
            Outsider::Guards(times) => times,
            Outsider::Everything => 1,
        };
        vec![State {
            steps: vec![Step::Begin; self.contenders.len()],
            opened: vec![None; self.contenders.len()],
            locks: Vec::new(),
            guard: None,
            record,
            deletions,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        for (process, step) in (0..).zip(&state.steps) {
            if step.is_alive() {
                actions.extend([Act::Go(process), Act::Kill(process)]);
            }
        }
        let deletes_records = matches!(self.outsider, Outsider::Records | Outsider::Everything);
        if deletes_records && state.record.is_some() {
            actions.push(Act::Delete);
        }
        if state.deletions > 0 && state.guard.is_some() {
            actions.push(Act::DeleteGuard);
        }
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let mut next = state.clone();
        match act {
            Act::Go(process) => self.go(&mut next, process),
            Act::Kill(process) => self.kill(&mut next, process),
            Act::Delete => next.record = None,
            Act::DeleteGuard => {
                next.guard = None;
                next.deletions -= 1;
            }
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
            Property::always(FREE, |model: &Self, state: &State| {
                model.is_free_after_all_died(state)
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
const FREE: &str = "the next one gets the lock if everybody dies now";

/// All contests of these contenders: with and without a stale record, with each of these
/// outsiders.
fn contests(contenders: &[Speaks], outsiders: &[Outsider]) -> impl Iterator<Item = Contest> {
    let with = |stale| outsiders.iter().map(move |&outsider| (stale, outsider));
    let cases = [false, true].into_iter().flat_map(with);
    cases.map(|(stale_record, outsider)| Contest {
        contenders: contenders.to_vec(),
        stale_record,
        outsider,
    })
}

#[test]
fn two_and_three_contenders_never_hold_at_once() {
    for contenders in [&[Speaks::New; 2][..], &[Speaks::New; 3][..]] {
        let outsiders = [Outsider::Nothing, Outsider::Records, Outsider::Guards(1)];
        for contest in contests(contenders, &outsiders) {
            let outsider = contest.outsider;
            let checker = contest.check();
            checker.assert_properties();
            let count = checker.unique_state_count();
            println!("{} contenders, outsider {outsider:?}: {count} states", contenders.len());
            assert!(count > 90, "only {count} states");
        }
    }
}

#[test]
fn an_old_contender_does_not_break_the_exclusion_of_the_others() {
    for contenders in
        [&[Speaks::New, Speaks::New, Speaks::Old][..], &[Speaks::New, Speaks::Old, Speaks::Old][..]]
    {
        // A speaker of the old protocol deletes any record when it ends: an outsider of the first
        // kind, so one of the second kind besides would be too many.
        for contest in contests(contenders, &[Outsider::Nothing, Outsider::Records]) {
            let checker = contest.check();
            checker.assert_no_discovery(ONE_NEW);
            checker.assert_no_discovery(FREE);
        }
    }
}

#[test]
fn whoever_deletes_records_and_guards_together_breaks_the_exclusion() {
    // Nothing is left then by which a process could know; docs/LOCK_PROTOCOL.md says so.
    let contest = Contest {
        contenders: vec![Speaks::New; 2],
        stale_record: false,
        outsider: Outsider::Everything,
    };
    let checker = contest.check();
    let path = checker.assert_any_discovery(ONE_NEW);
    assert_eq!(path.last_state().steps, [Step::Holding; 2]);
}

#[test]
fn the_old_protocol_is_refuted_with_a_stale_record() {
    let contest = Contest {
        contenders: vec![Speaks::Old; 2],
        stale_record: true,
        outsider: Outsider::Nothing,
    };
    let checker = contest.check();
    let path = checker.assert_any_discovery(ONE_OLD);
    assert_eq!(path.last_state().steps, [Step::Holding; 2]);
}

#[test]
fn the_old_protocol_is_refuted_without_any_record() {
    // The file exists before the pid is in it, and an empty file counts as stale.
    let contest = Contest {
        contenders: vec![Speaks::Old; 2],
        stale_record: false,
        outsider: Outsider::Nothing,
    };
    let checker = contest.check();
    let path = checker.assert_any_discovery(ONE_OLD);
    assert_eq!(path.last_state().steps, [Step::Holding; 2]);
}

/// The protocol with one rule taken away.
struct Without(Rule, Contest);

enum Rule {
    /// Locks on guards: everybody gets in, and only the record decides.
    Guards,
    /// The second look at the guard.
    SecondLook,
}

impl Model for Without {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        self.1.init_states()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        self.1.actions(state, actions);
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let mut state = state.clone();
        if let Rule::Guards = self.0 {
            state.locks.fill(None);
        }
        let mut next = self.1.next_state(&state, act)?;
        if let Rule::SecondLook = self.0 {
            for step in next.steps.iter_mut().filter(|step| **step == Step::Recorded) {
                *step = Step::Holding;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(ONE_NEW, |model: &Self, state: &State| {
            model.1.holders(state, Speaks::New) <= 1
        })]
    }
}

#[test]
fn the_protocol_without_one_of_its_rules_is_refuted() {
    for (rule, outsider) in
        [(Rule::Guards, Outsider::Nothing), (Rule::SecondLook, Outsider::Guards(1))]
    {
        let contest = Contest { contenders: vec![Speaks::New; 2], stale_record: false, outsider };
        let checker = Without(rule, contest).checker().spawn_bfs().join();
        assert!(checker.discovery(ONE_NEW).is_some(), "{outsider:?}");
    }
}

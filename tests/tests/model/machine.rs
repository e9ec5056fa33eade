//! One account in two folders, as a state machine: the guards of the folders and of the machine, helpers
//! that inherit them, a latch with a shutdown that lists what runs, folders that are deleted, and a
//! contender of version 1, which knows only its folder.
//!
//! Users and sessions do not appear: whether a guard is held depends on none of them.

use stateright::{Checker, Model, Property};

/// A contender, by number.
type Process = usize;

/// The two folders.
const FOLDERS: usize = 2;

/// A process that asks, with its folder and its version of the protocol.
#[derive(Debug, Clone, Copy)]
struct Contender {
    folder: usize,
    knows_machine: bool,
}

const fn of(folder: usize) -> Contender {
    Contender { folder, knows_machine: true }
}

const fn of_version_1(folder: usize) -> Contender {
    Contender { folder, knows_machine: false }
}

/// How far a contender is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Begin,
    /// It has the guard of its folder.
    InFolder,
    /// It has the guard of the machine, too.
    OnMachine,
    /// It has seen no latch.
    Looked,
    /// It has written its record.
    Recorded,
    /// It works.
    Holding,
    /// It was refused, has given back, or was killed.
    Gone,
}

/// A guard: who has it open, in which life of its file. A deleted one excludes no later process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Guard {
    owners: Vec<Process>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    steps: Vec<Step>,
    /// Whether a helper of each lives, which has inherited its guards.
    helpers: Vec<bool>,
    folders: Vec<Guard>,
    machine: Guard,
    records: Vec<Option<Process>>,
    /// How often a folder may still be deleted.
    deletions: u8,
    is_latched: bool,
    /// The processes that the shutdown has seen, once it has listed the records.
    listed: Option<Vec<Process>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Act {
    Go(Process),
    Kill(Process),
    StartHelper(Process),
    EndHelper(Process),
    DeleteFolder(usize),
    SetLatch,
    List,
}

/// A rule of the protocol that can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Guards of the machine.
    Machine,
    /// Guards live as long as a helper that has inherited them.
    Inheritance,
    /// The second look for the latch.
    SecondLook,
}

struct Contest {
    contenders: Vec<Contender>,
    deletions: u8,
    without: Option<Rule>,
}

impl Contest {
    fn new(contenders: &[Contender]) -> Self {
        Self { contenders: contenders.to_vec(), deletions: 0, without: None }
    }

    fn lacks(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }

    /// Whether no process has the guard: neither those who took it, nor their helpers.
    fn is_free(&self, state: &State, guard: &Guard) -> bool {
        let has = |&owner: &Process| {
            state.steps[owner] != Step::Gone
                || (state.helpers[owner] && !self.lacks(Rule::Inheritance))
        };
        !guard.owners.iter().any(has)
    }

    fn go(&self, state: &mut State, process: Process) {
        let Contender { folder, knows_machine } = self.contenders[process];
        let refused = |state: &mut State| {
            if state.records[folder] == Some(process) {
                state.records[folder] = None;
            }
            Step::Gone
        };
        let next = match state.steps[process] {
            Step::Begin if self.is_free(state, &state.folders[folder]) => {
                state.folders[folder].owners.push(process);
                Step::InFolder
            }
            Step::InFolder if !knows_machine || self.lacks(Rule::Machine) => Step::OnMachine,
            Step::InFolder if self.is_free(state, &state.machine) => {
                state.machine.owners.push(process);
                Step::OnMachine
            }
            Step::OnMachine if !state.is_latched => Step::Looked,
            Step::Looked => {
                state.records[folder] = Some(process);
                Step::Recorded
            }
            Step::Recorded if !state.is_latched || self.lacks(Rule::SecondLook) => Step::Holding,
            Step::Begin | Step::InFolder | Step::OnMachine | Step::Recorded => refused(state),
            Step::Holding | Step::Gone => refused(state),
        };
        state.steps[process] = next;
    }

    fn holding<'a>(&'a self, state: &'a State) -> impl Iterator<Item = Process> + 'a {
        (0..self.contenders.len()).filter(|&one| state.steps[one] == Step::Holding)
    }

    /// Whether the next one in each folder gets the lock once everybody has died, helpers and all.
    fn is_free_in_the_end(&self, state: &State) -> bool {
        let mut dead = state.clone();
        dead.steps.fill(Step::Gone);
        dead.helpers.fill(false);
        self.is_free(&dead, &dead.machine) && dead.folders.iter().all(|it| self.is_free(&dead, it))
    }
}

impl Model for Contest {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let count = self.contenders.len();
        vec![State {
            steps: vec![Step::Begin; count],
            helpers: vec![false; count],
            folders: vec![Guard::default(); FOLDERS],
            machine: Guard::default(),
            records: vec![None; FOLDERS],
            deletions: self.deletions,
            is_latched: false,
            listed: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        for (process, &step) in state.steps.iter().enumerate() {
            if step != Step::Gone {
                actions.extend([Act::Go(process), Act::Kill(process)]);
            }
            if step == Step::Holding && !state.helpers[process] {
                actions.push(Act::StartHelper(process));
            }
            if state.helpers[process] {
                actions.push(Act::EndHelper(process));
            }
        }
        if state.deletions > 0 {
            actions.extend((0..FOLDERS).map(Act::DeleteFolder));
        }
        match (state.is_latched, &state.listed) {
            (false, _) => actions.push(Act::SetLatch),
            (true, None) => actions.push(Act::List),
            (true, Some(_)) => {}
        }
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let mut next = state.clone();
        match act {
            Act::Go(process) => self.go(&mut next, process),
            // Its record stays behind; that it is stale is what `main.rs` is about.
            Act::Kill(process) => next.steps[process] = Step::Gone,
            Act::StartHelper(process) => next.helpers[process] = true,
            Act::EndHelper(process) => next.helpers[process] = false,
            Act::DeleteFolder(folder) => {
                next.folders[folder] = Guard::default();
                next.records[folder] = None;
                next.deletions -= 1;
            }
            Act::SetLatch => next.is_latched = true,
            Act::List => next.listed = Some(next.records.iter().flatten().copied().collect()),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE, |model: &Self, state: &State| {
                model.holding(state).filter(|&one| model.contenders[one].knows_machine).count() <= 1
            }),
            Property::always(ONE_IN_FOLDER, |model: &Self, state: &State| {
                let in_folder = |folder| {
                    model
                        .holding(state)
                        .filter(|&one| model.contenders[one].folder == folder)
                        .count()
                };
                state.deletions < model.deletions || (0..FOLDERS).all(|it| in_folder(it) <= 1)
            }),
            Property::always(HELPERS, |model: &Self, state: &State| {
                let helped = |one: Process| {
                    let is_of_machine = model.contenders[one].knows_machine;
                    state.helpers.iter().enumerate().any(|(other, &has)| {
                        has && other != one
                            && is_of_machine
                            && model.contenders[other].knows_machine
                    })
                };
                !model.holding(state).any(helped)
            }),
            Property::always(SEEN, |model: &Self, state: &State| {
                let is_seen =
                    |one| state.listed.as_ref().is_none_or(|listed| listed.contains(&one));
                state.deletions < model.deletions || model.holding(state).all(is_seen)
            }),
            Property::always(FREE, Self::is_free_in_the_end),
            Property::sometimes("somebody holds", |model: &Self, state: &State| {
                model.holding(state).next().is_some()
            }),
        ]
    }
}

const ONE: &str = "one holder on the whole machine among those who know its guards";
const ONE_IN_FOLDER: &str = "one holder in each folder, whatever the version";
const HELPERS: &str = "nobody holds what a helper has inherited";
const SEEN: &str = "whoever holds after the latch was set has been listed";
const FREE: &str = "the next one gets the lock if everybody dies now";

#[test]
fn one_holds_an_account_in_whatever_folder() {
    for contenders in
        [&[of(0), of(1)][..], &[of(0), of(1), of(0)], &[of(0), of(1), of_version_1(0)]]
    {
        let checker = Contest::new(contenders).checker().spawn_bfs().join();
        checker.assert_properties();
        let count = checker.unique_state_count();
        println!("{} contenders: {count} states", contenders.len());
        assert!(count > 400, "only {count} states");
    }
}

#[test]
fn one_holds_an_account_whatever_folder_is_deleted() {
    let contest = Contest { deletions: 2, ..Contest::new(&[of(0), of(1), of(0)]) };
    let checker = contest.checker().spawn_bfs().join();
    for promise in [ONE, HELPERS, FREE] {
        checker.assert_no_discovery(promise);
    }
}

#[test]
fn without_one_of_its_rules_the_protocol_of_the_machine_is_refuted() {
    for (rule, promise) in
        [(Rule::Machine, ONE), (Rule::Inheritance, HELPERS), (Rule::SecondLook, SEEN)]
    {
        let contest = Contest { without: Some(rule), ..Contest::new(&[of(0), of(1)]) };
        let checker = contest.checker().spawn_bfs().join();
        assert!(checker.discovery(promise).is_some(), "{rule:?}");
    }
}

/// Version 1 knows only its own folder. It is alone there, and nothing more.
#[test]
fn version_1_does_not_know_the_other_folder() {
    let contest = Contest::new(&[of(0), of_version_1(1)]);
    let mut state = contest.init_states().remove(0);
    for process in [0, 1] {
        (0..5).for_each(|_| contest.go(&mut state, process));
    }
    assert_eq!(state.steps, [Step::Holding; 2]);
    contest.checker().spawn_bfs().join().assert_no_discovery(ONE_IN_FOLDER);
}

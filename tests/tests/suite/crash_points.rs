//! A holder is killed at every step of taking and giving back a lock: at each call to the system
//! that the protocol consists of, one process for each, until one ends by itself. Whatever it had
//! done until then, the next one gets the lock, alone, and the history can be read.

mod system_calls;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, SystemTime};

use qc_lock_core::{Event, LockError, Request};
use qc_tests::{
    Contender, DIES, FAULT_VARIABLE, Finished, SampleLocks, Speaker, own_account, python, run,
};
use serde_json::json;

use crate::tools;

const NAME: &str = "BRAIN_ATLAS";

/// A situation that a holder finds: its name, and how it comes about.
type Situation = (&'static str, fn(&SampleLocks));

const SITUATIONS: [Situation; 5] = [
    ("nothing, not even the folder", |_| ()),
    ("the record of a dead holder", |locks| locks.leave_dead(NAME, Some(own_account()))),
    ("the record of a dead holder in another case", |locks| {
        locks.leave_dead("Brain_Atlas", Some(own_account()));
    }),
    ("a corrupt record", |locks| {
        locks.leave_dead(NAME, Some(own_account()));
        // As a full disk or a power cut leaves one; it is not being written any more.
        let file = File::create(locks.record(NAME)).expect("a record can be written");
        file.set_len(512).expect("a record can have a hole");
        let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
        file.set_modified(an_hour_ago).expect("a time can be set");
    }),
    ("a history that is full", |locks| {
        let line =
            json!({ "time": "", "event": "exited", "name": "x", "detail": " ".repeat(1 << 20) });
        fs::create_dir(locks.dir()).expect("a folder can be made");
        fs::write(locks.dir().join("history.jsonl"), format!("{line}\n").repeat(5))
            .expect("a history can be written");
    }),
];

/// All who ask for the lock of the dead. A Python takes long to start, so one serves for all.
struct Askers(Option<Contender>);

impl Askers {
    fn new(locks: &SampleLocks) -> Self {
        Self(python().map(|_| locks.serve()))
    }

    /// Everybody gets the lock at once, and alone.
    fn all_take(&mut self, locks: &SampleLocks, what: &str) {
        let request = |name: &str| {
            let request = Request::new(name.parse().expect("a lock name"));
            request.account(own_account().parse().expect("an account"))
        };
        let dir = locks.locks();
        let lock = dir.acquire(&request(NAME)).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        for name in [NAME, "brain_atlas", "BRAIN_OTHER"] {
            match dir.acquire(&request(name)) {
                Err(LockError::Held { holder, .. }) => {
                    assert_eq!(holder.pid, Some(std::process::id()), "{what}: {name}");
                }
                other => panic!("{what}: {name} is taken twice: {other:?}"),
            }
        }
        lock.release().unwrap_or_else(|error| panic!("{what}: {error:?}"));
        if let Some(python) = &mut self.0 {
            python.tell(&json!([locks.dir(), NAME, Some(own_account())]).to_string());
            python.wait_for("served: ");
            let said = python.seen().last().expect("it was awaited");
            assert_eq!(said, "served: taken once", "{what}");
        }
    }
}

/// Lets a wrapper whose end is near start its command, and looks that no second one gets to work.
fn wrap(locks: &SampleLocks, command: &mut Command, what: &str) -> Finished {
    let mut held = Contender::start(command);
    if held.holds().is_some() {
        // The wrapper may be dead by now. On Unix its command works on and holds the lock; on
        // Windows it goes down with the wrapper, and until it has it is in the record, which still
        // keeps others out.
        let request = Request::new(NAME.parse().expect("a lock name"));
        let taken = locks.locks().acquire(&request);
        assert!(taken.is_err() || !held.works(), "{what}: two at work");
    }
    held.finish()
}

/// Looks at what a dead holder has left, and lets everybody take its lock.
fn check_left_behind(locks: &SampleLocks, askers: &mut Askers, what: &str) {
    check_history(locks, what);
    askers.all_take(locks, what);
    check_history(locks, what);
    // Nothing but what the protocol names, and no record: all have given theirs back.
    for entry in fs::read_dir(locks.dir()).expect("there is a lock directory") {
        let name = entry.expect("it can be listed").file_name().into_string().expect("Unicode");
        let is_temporary = name.starts_with(".BRAIN_ATLAS.") && name.ends_with(".tmp");
        let known = [".guards", "history.jsonl", "history.1.jsonl"].contains(&&*name);
        assert!(is_temporary || known, "{what}: {name} was left");
    }
}

fn run_and_check(
    locks: &SampleLocks,
    askers: &mut Askers,
    command: &mut Command,
    what: &str,
) -> Finished {
    let finished = run(command, "");
    check_left_behind(locks, askers, what);
    finished
}

fn check_history(locks: &SampleLocks, what: &str) {
    let history = locks.locks().history().unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_eq!(history.unreadable, 0, "{what}: {history:?}");
    let unknown = history.entries.iter().find(|entry| entry.event == Event::Unknown);
    assert!(unknown.is_none(), "{what}: {unknown:?}");
}

/// Returns the step at which a program has died, if it has.
fn died_at(finished: &Finished) -> Option<&str> {
    finished.stderr.lines().find_map(|line| line.strip_prefix(DIES))
}

/// Starts the program that `command` makes again and again, to die at step 1, 2, 3 and so on, until
/// it ends by itself; returns the names of the steps. `check` gets the locks that `situation` has
/// made, the program, and what it is about.
fn walk(
    who: &str,
    situation: Situation,
    command: impl Fn(&SampleLocks, usize) -> Command,
    mut check: impl FnMut(&SampleLocks, &mut Command, &str) -> Finished,
) -> Vec<String> {
    let (found, make) = situation;
    let mut steps = Vec::new();
    loop {
        let locks = SampleLocks::new(tools());
        make(&locks);
        let number = steps.len() + 1;
        let what = format!("{who}, who finds {found}, dies at step {number}");
        let finished = check(&locks, &mut command(&locks, number), &what);
        match died_at(&finished) {
            Some(step) => {
                assert_ne!(finished.code, 0, "{what}: {finished:?}");
                steps.push(step.to_owned());
            }
            None => {
                assert_eq!(finished.code, 0, "{what}: {finished:?}");
                println!("{who}, who finds {found}: {} steps {steps:?}", steps.len());
                return steps;
            }
        }
    }
}

/// `who` takes the lock and gives it back, to die at its step number `step`.
fn dying(locks: &SampleLocks, who: Speaker, step: usize) -> Command {
    locks.command_with_fault(who, &format!("die {step}"), NAME, Some(own_account()))
}

#[track_caller]
fn assert_holds(steps: &[String], names: &[&str]) {
    let steps: BTreeSet<&str> = steps.iter().map(String::as_str).collect();
    let missing: Vec<&&str> = names.iter().filter(|name| !steps.contains(**name)).collect();
    assert!(missing.is_empty(), "these steps were not reached: {missing:?}, only {steps:?}");
}

#[test]
fn a_holder_killed_at_any_step_leaves_a_free_lock() {
    for situation in SITUATIONS {
        let sample = SampleLocks::new(tools());
        let mut askers = Askers::new(&sample);
        let steps = walk(
            "the library",
            situation,
            |locks, step| dying(locks, Speaker::Library, step),
            |locks, command, what| run_and_check(locks, &mut askers, command, what),
        );
        assert_holds(
            &steps,
            &[
                "look for directory",
                "open guard",
                "lock guard",
                "compare guard",
                "list directory",
                "create",
                "write",
                "rename",
                "open for appending",
                "append",
                "remove",
                "close guard",
                "released",
            ],
        );
    }
}

#[test]
fn a_wrapper_killed_at_any_step_leaves_no_unlocked_command() {
    let sample = SampleLocks::new(tools());
    let mut askers = Askers::new(&sample);
    for situation in &SITUATIONS[..2] {
        let steps = walk(
            "qc-lock run",
            *situation,
            |locks, step| dying(locks, Speaker::Tool, step),
            |locks, command, what| {
                let finished = wrap(locks, command, what);
                check_left_behind(locks, &mut askers, what);
                finished
            },
        );
        assert_holds(&steps, &["start command", "give leave to run", "command runs", "released"]);
    }
}

#[test]
fn a_cleaner_killed_at_any_step_frees_no_lock_and_loses_none() {
    let sample = SampleLocks::new(tools());
    let mut askers = Askers::new(&sample);
    let steps = walk(
        "qc-lock clear-stale",
        SITUATIONS[1],
        |locks, step| {
            let mut command = locks.qc_lock_command(&["clear-stale"]);
            command.env(FAULT_VARIABLE, format!("die {step}"));
            command
        },
        |locks, command, what| run_and_check(locks, &mut askers, command, what),
    );
    assert_holds(&steps, &["lock guard", "remove", "append", "close guard"]);
}

#[test]
fn a_python_killed_at_any_step_leaves_a_free_lock() {
    if python().is_none() {
        return;
    }
    let sample = SampleLocks::new(tools());
    let mut askers = Askers::new(&sample);
    // Under Wine a Python takes seconds to start: there it meets only one of them.
    let situations = if cfg!(windows) { &SITUATIONS[1..2] } else { &SITUATIONS[..] };
    for &situation in situations {
        let steps = walk(
            "a Python",
            situation,
            |locks, step| dying(locks, Speaker::Python, step),
            |locks, command, what| run_and_check(locks, &mut askers, command, what),
        );
        assert_holds(&steps, &["write", "open file", "close file", "replace", "unlink", "close"]);
    }
    // Under a wrapper it takes over the lock that is held for it.
    let steps = walk(
        "a Python under qc-lock run",
        SITUATIONS[0],
        |locks, step| {
            let python = dying(locks, Speaker::Python, step);
            let account = own_account();
            let mut command = locks.qc_lock_command(&["run", NAME, "--account", account, "--"]);
            command.arg(python.get_program()).args(python.get_args());
            command
        },
        |locks, command, what| run_and_check(locks, &mut askers, command, what),
    );
    assert_holds(&steps, &["open file", "close file", "replace"]);
}

//! A lock directory that contains foreign things, or that
//! another user owns, or where the system runs out of what it takes. Whoever wants a lock gets it
//! alone, or one clear line that says why not; nothing outside the folder is touched.

mod limits;
mod links;
mod namespaces;
mod paths;
mod scanners;
mod users;

use std::process::Command;

use qc_tests::{Finished, SampleLocks, Speaker, run};

const NAME: &str = "BRAIN_ATLAS";

/// The result of asking for a lock in an odd place.
struct Answer {
    who: Speaker,
    finished: Finished,
}

/// Lets `who` take a lock and give it back at once, as the last words of `wrapper` if there are any.
fn ask(locks: &SampleLocks, who: Speaker, wrapper: &[&str]) -> Answer {
    let command = locks.command(who, NAME, None);
    Answer { who, finished: run(&mut wrapped(wrapper, &command), "") }
}

/// Returns `command` as the last words of another.
pub(crate) fn wrapped(wrapper: &[&str], command: &Command) -> Command {
    let words = wrapper.iter().map(|word| (*word).into()).chain([command.get_program().to_owned()]);
    let words: Vec<_> = words.chain(command.get_args().map(ToOwned::to_owned)).collect();
    let mut wrapped = Command::new(&words[0]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped.args(&words[1..]);
    wrapped
}

impl Answer {
    /// Checks that the lock was taken, and nothing was complained about.
    #[track_caller]
    fn taken(&self, what: &str) {
        let Self { who, finished } = self;
        assert_eq!(finished.code, 0, "{who:?} {what}: {finished:?}");
        let complaints: Vec<&str> =
            finished.stderr.lines().filter(|line| !line.starts_with("reclaimed lock")).collect();
        assert!(complaints.is_empty(), "{who:?} {what}: {finished:?}");
    }

    /// Checks that the lock was taken, and that one line complains of `why`.
    #[track_caller]
    fn taken_but(&self, what: &str, why: &str) {
        let Self { who, finished } = self;
        assert_eq!(finished.code, 0, "{who:?} {what}: {finished:?}");
        let is_told = |line: &str| line.contains(why) && line.contains("history");
        assert!(finished.stderr.lines().any(is_told), "{who:?} {what}: {finished:?}");
    }

    /// Checks that the lock could not be taken, and that one line says why.
    #[track_caller]
    fn failed(&self, what: &str, why: &str) {
        let Self { who, finished } = self;
        assert_eq!(finished.code, 1, "{who:?} {what}: {finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.lines().any(|line| line.contains(why)), "{who:?} {what}: no {why}: {said}");
        assert!(!said.contains("held by PID"), "{who:?} {what}: {said}");
    }

    /// Checks that the lock was refused because it is held, and that one line says by whom.
    #[track_caller]
    fn refused(&self, what: &str, by: &str) {
        let Self { who, finished } = self;
        assert_eq!(finished.code, 75, "{who:?} {what}: {finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        let is_told = |line: &str| line.contains("is held by ") && line.contains(by);
        assert!(said.lines().any(is_told), "{who:?} {what}: no {by}: {said}");
    }
}

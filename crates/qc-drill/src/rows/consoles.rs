//! Keys that are pressed at consoles.

use qc_process::{Ask, Ended, Process, ask_all};

use crate::child::A_WHILE;
use crate::outcome::{Outcome, failed, skipped};
use crate::sandbox::{ON_WINDOWS, Sandbox};

/// A program that handles Ctrl-Break cleans up and ends.
pub(crate) fn ctrl_break(sandbox: &Sandbox) -> Outcome {
    if !ON_WINDOWS {
        return skipped("there is no such key; SIGTERM is the equivalent, and `Ctrl-C` sends it");
    }
    let file = sandbox.path().join("heard Ctrl-Break");
    let mut part = sandbox.part(["break".into(), file.clone().into()])?;
    match part.end()? {
        Ended::Code(0) if file.exists() => Ok("received, cleaned up, and ended".into()),
        Ended::Code(0) => failed("it ended without having cleaned up"),
        ended => failed(format!("{} ({ended})", part.line().unwrap_or_default())),
    }
}

/// Only the one who is asked hears it.
pub(crate) fn ctrl_c(sandbox: &Sandbox) -> Outcome {
    let files = ["asked", "not asked"].map(|name| sandbox.path().join(name));
    let [asked_file, other_file] = &files;
    let mut asked = sandbox.part(["clean-up".into(), asked_file.into()])?;
    let mut other = sandbox.part(["clean-up".into(), other_file.into()])?;
    let Some(process) = Process::open(asked.identity())? else {
        return failed("it has ended before it was asked");
    };
    for answer in ask_all(&[&process], Ask::Gently) {
        answer?;
    }
    match asked.end()? {
        Ended::Code(0) if asked_file.exists() => {}
        Ended::Code(0) => return failed("it ended without having cleaned up"),
        ended => return failed(format!("it ended with {ended}")),
    }
    if let Some(ended) = other.ended_within(A_WHILE)? {
        return failed(format!("its neighbour, which was not asked, ended with {ended}"));
    }
    if sandbox.is_interrupted() {
        return failed("this program heard it, too");
    }
    Ok("the one that was asked cleaned up and ended; its neighbour and this program did not hear it"
        .into())
}

/// Only the user closes a window or logs off.
pub(crate) fn closing(_ground: &Sandbox) -> Outcome {
    skipped("by hand, as docs/WINDOWS.md says: a program can neither close its window nor log off")
}

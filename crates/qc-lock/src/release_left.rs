//! `qc-lock release-left`, handed over to `qc-shutdown`: the fleet decides what may be ended, and this
//! program knows no fleet.

use std::ffi::OsString;

use qc_cli::{Exit, Failure, hand_over};

use crate::cli::{ReleaseLeftArgs, Shared};

pub(crate) fn run(args: &ReleaseLeftArgs, shared: &Shared) -> Result<Exit, Failure> {
    hand_over("qc-lock", "qc-shutdown", &words(args, shared))
}

fn words(args: &ReleaseLeftArgs, shared: &Shared) -> Vec<OsString> {
    let timeout = format!("{}ms", args.timeout.as_millis());
    let mut words: Vec<OsString> =
        ["--release-left", args.name.as_str(), "--timeout", &timeout].map(OsString::from).into();
    words.extend(shared.location.words());
    let flags = [("--yes", args.yes), ("--json", shared.json)];
    words.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.into()));
    words
}

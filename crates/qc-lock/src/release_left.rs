//! `qc-lock release-left`, handed over to `qc-shutdown`: the fleet decides what may be ended, and this
//! program knows no fleet.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use qc_cli::{Exit, Failure, chain, shown};
use qc_lock_core::run_unlocked;
use qc_process::Spawn;

use crate::cli::{ReleaseLeftArgs, Shared};

pub(crate) fn run(args: &ReleaseLeftArgs, shared: &Shared) -> Result<Exit, Failure> {
    let program = qc_shutdown();
    let spawn = Spawn { end_with_parent: true, ..Spawn::new(program.clone(), words(args, shared)) };
    let ended = run_unlocked(spawn).map_err(|error| {
        let message = format!("cannot run `{}`: {}", shown(&program), chain(&error));
        Failure::new(Exit::Failed, message, "install qc-shutdown beside qc-lock; it does this work")
    })?;
    Ok(Exit::Code(ended.code()))
}

/// Returns the file of `qc-shutdown`, which is installed beside this program.
fn qc_shutdown() -> PathBuf {
    let beside = env::current_exe().ok().and_then(|own| {
        let name = own.file_name()?.to_str()?.replacen("qc-lock", "qc-shutdown", 1);
        Some(own.with_file_name(name)).filter(|file| *file != own && file.is_file())
    });
    beside.unwrap_or_else(|| "qc-shutdown".into())
}

fn words(args: &ReleaseLeftArgs, shared: &Shared) -> Vec<OsString> {
    let timeout = format!("{}ms", args.timeout.as_millis());
    let mut words: Vec<OsString> =
        ["--release-left", args.name.as_str(), "--timeout", &timeout].map(OsString::from).into();
    let location = &shared.location;
    let places = [
        ("--root", &location.root),
        ("--config", &location.config),
        ("--lock-dir", &location.lock_dir),
    ];
    for (flag, place) in places {
        words.extend(place.iter().flat_map(|place| [flag.into(), place.clone().into()]));
    }
    let flags = [("--yes", args.yes), ("--json", shared.json)];
    words.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.into()));
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn each_flag_is_handed_over() {
        let line = "qc-lock --json --root r --config c --lock-dir l release-left A --timeout 2s -y";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Some(Command::ReleaseLeft(args)) = &cli.command else { panic!("{cli:?}") };
        let expected =
            "--release-left A --timeout 2000ms --root r --config c --lock-dir l --yes --json";
        assert!(words(args, &cli.shared).iter().eq(expected.split(' ')));
    }
}

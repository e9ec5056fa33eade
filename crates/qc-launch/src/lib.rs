//! `qc-launch`: starts, supervises and restarts the fleet.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod daemon;
mod moved;

use std::io::Write;

use cli::{Cli, Command, UpArgs};
use qc_cli::{Exit, Failure, Place, hold, parse, print_json, run_tool};

use crate::commands::{check, control, detach, drill, init, logs, unlatch};

pub use commands::autostart;
pub use daemon::metrics;

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc-launch", |output| run(&parse()?, output))
}

/// Returns the command line that the program takes, for completions and man pages.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let place = cli.place.resolve()?;
    match &cli.command {
        Some(Command::Hold(args)) => hold(args, &place.locks()?),
        Some(Command::Unlatch(args)) => unlatch::unlatch(args, &place, output),
        Some(Command::Check(args)) => check::run(args, &place, output),
        Some(Command::Init(args)) => init::run(args, &place, output),
        Some(Command::Schema) => {
            print_json(output, &qc_fleet::schema())?;
            Ok(Exit::Done)
        }
        Some(Command::Drill(args)) => drill::run(args, output),
        Some(Command::DrillPart(args)) => drill::play(args, output),
        Some(Command::Status(args)) => control::status::status(args, &place, output),
        Some(Command::Stop(args)) => control::stop::stop(args, &place, output),
        Some(Command::Start(args)) => control::start(args, &place, output),
        Some(Command::Restart(args)) => control::restart(args, &place, output),
        Some(Command::Reload) => control::reload(&place, output),
        Some(Command::Up(args)) => up(args, &place, output),
        Some(Command::Autostart(args)) => {
            autostart::autostart(args, &cli.place, &place.fleet()?, output)
        }
        Some(Command::Logs(args)) => logs::show(args, &place, output),
        None => up(&cli.up, &place, output),
    }
}

fn up(args: &UpArgs, place: &Place, output: &mut dyn Write) -> Result<Exit, Failure> {
    if args.detach {
        return detach::up(place, output);
    }
    daemon::up::up(&args.options(), place, output)
}

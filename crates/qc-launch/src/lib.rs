//! `qc-launch`: starts, supervises and restarts the fleet.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod daemon;

use std::io::Write;

use cli::{Cli, Command, UpArgs};
use qc_cli::{Exit, Failure, Location, hold, parse, print_json, run_tool};
use qc_fleet_cli::ReadFleet;

use crate::commands::{check, control, detach, init, logs, unlatch};

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc-launch", |output| run(&parse()?, output))
}

/// Returns the command line that the program takes, for completions and man pages.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let location = cli.location.resolve()?;
    match &cli.command {
        Some(Command::Hold(args)) => hold(args, &location.locks()?),
        Some(Command::Unlatch(args)) => unlatch::unlatch(args, &location, output),
        Some(Command::Check(args)) => check::run(args, &location, output),
        Some(Command::Init(args)) => init::run(args, &location, output),
        Some(Command::Schema) => {
            print_json(output, &qc_fleet::schema())?;
            Ok(Exit::Done)
        }
        Some(Command::Drill(args)) => qc_drill::run(args, output),
        Some(Command::DrillPart(args)) => qc_drill::run_child(args, output),
        Some(Command::Status(args)) => control::status::status(args, &location, output),
        Some(Command::Stop(args)) => control::stop::stop(args, &location, output),
        Some(Command::Start(args)) => control::start(args, &location, output),
        Some(Command::Restart(args)) => control::restart(args, &location, output),
        Some(Command::Reload) => control::reload(&location, output),
        Some(Command::Up(args)) => up(args, &location, output),
        Some(Command::Autostart(args)) => {
            qc_autostart::autostart(args, &cli.location, &location.fleet()?, output)
        }
        Some(Command::Logs(args)) => logs::show(args, &location, output),
        None => up(&cli.up, &location, output),
    }
}

fn up(args: &UpArgs, location: &Location, output: &mut dyn Write) -> Result<Exit, Failure> {
    if args.detach {
        return detach::up(location, output);
    }
    daemon::up::up(&args.options(), location, output)
}

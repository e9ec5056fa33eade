//! `qc`: one word for the tools. It understands the first word of its command line and hands over to
//! the tool behind it, which lies beside it.

#![forbid(unsafe_code)]

mod call;
mod cli;
mod words;

use call::call;
use clap::FromArgMatches;
use qc_cli::{Exit, Failure, LocationArgs, hand_over, parse_command, run_tool};
use qc_fleet_cli::ReadFleet;

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc", |_| run())
}

/// Returns the command line that the program takes, for completions and man pages.
pub fn command() -> clap::Command {
    cli::command()
}

/// Returns the same with the arguments of `tools` behind each word, for completions.
pub fn command_with(tools: &[clap::Command]) -> clap::Command {
    words::WORDS.iter().fold(cli::command(), |command, word| {
        let tool = tools.iter().find(|tool| tool.get_name() == word.tool);
        let behind = tool.and_then(|tool| match word.subcommand {
            Some(subcommand) => tool.find_subcommand(subcommand),
            None => Some(tool),
        });
        let Some(behind) = behind.cloned() else { return command };
        let [name, aliases @ ..] = word.names else { return command };
        let behind = behind.name(name).about(word.about).visible_aliases(aliases);
        command.mut_subcommand(name, |_| behind)
    })
}

fn run() -> Result<Exit, Failure> {
    let matches = parse_command(cli::command())?;
    let location = LocationArgs::from_arg_matches(&matches).map_err(cli::wrong)?;
    let (subcommand, inner) = matches.subcommand().expect("the command line requires one");
    let call = call(subcommand, inner, &location, || has_launcher(&location))?;
    hand_over("qc", call.tool, &call.words)
}

/// Whether a launcher runs in the fleet's folder.
fn has_launcher(location: &LocationArgs) -> Result<bool, Failure> {
    let location = location.resolve()?;
    let (fleet, _) = location.fleet_to_show()?;
    let lock = location.locks()?.status(&fleet.orchestrator)?;
    Ok(lock.is_some_and(|lock| lock.state.is_live()))
}

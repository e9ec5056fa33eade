//! The command line.

use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use qc_cli::{ColorChoice, LocationArgs, parse_duration};
use qc_fleet::{Role, State};
use qc_fleet_cli::{Column, Order};

/// The examples that `--help` opens with.
const EXAMPLES: &str = "\
Examples:
  qc-ps
  qc-ps --check";

/// Show what runs of the fleet, what should run and does not, and what is wrong
///
/// One line for each program that runs, however many processes it takes to run it, one for each
/// component that should run and does not, and one for each lock that neither has. The config and
/// the running launcher say what should run. A config that can't be read leaves what the locks, the
/// launcher and the processes show, and exit code 2. Read-only: takes no lock. Exit codes: 0 done,
/// 1 failed, 2 wrong usage or config, 3 something was found (`--check`), 130 interrupted.
///
/// States of what runs: `running`; `starting`, not ready yet; `stopping`; `duplicate`, another copy
/// runs beside it; `rogue`, it runs without its lock; `unguarded`, a brain whose watchdog does not
/// run; `orphan`, it runs under its lock but no living launcher supervises it; `foreign`, a copy in
/// another folder.
///
/// States of what does not run: `gave-up`, the launcher does not start it again; `backing-off`, it
/// failed and the launcher will start it again; `blocked`, another copy keeps it from being
/// started; `missing`, it should run and nothing asked for that; `stopped`, it was asked to, or
/// its launcher has ended in order or was never started; `waiting` for its turn; `finished`;
/// `not traded`, its account is not enabled; `stale`, a lock whose holder has ended; `elsewhere`, a
/// lock that another program or another machine holds.
#[derive(Debug, Parser)]
#[command(name = "qc-ps", version, before_long_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) location: LocationArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Print only what is wrong, one line each, and exit with 3 if anything is
    ///
    /// Wrong are components that are given up, backing off, blocked, missing, unguarded or stopped;
    /// a launcher that is alive and can't be asked; duplicates, copies in another folder that trade
    /// an account of this fleet, rogues, stale locks, orphans where there is or was a launcher, a
    /// latch, and processes that can't be read, because there may be more of everything.
    #[arg(long, conflicts_with_all = ["watch", "terminals"])]
    pub(crate) check: bool,
    /// With --check: components that are stopped are not wrong
    #[arg(long, requires = "check")]
    pub(crate) allow_stopped: bool,
    /// Print JSON instead of a table
    #[arg(long, conflicts_with = "watch")]
    pub(crate) json: bool,
    /// How to print the list
    #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with = "json")]
    pub(crate) format: Format,
    /// Columns to show, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', conflicts_with = "json")]
    pub(crate) columns: Vec<Column>,
    /// Columns to sort by, separated by commas; with `-` before one, the largest first
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', allow_hyphen_values = true, value_parser = Order::parse)]
    pub(crate) sort: Vec<Order>,
    /// List the programs of other fleets, too, and not only how many there are
    ///
    /// Those that trade an account of this fleet are always listed.
    #[arg(long, conflicts_with_all = ["check", "terminals"])]
    pub(crate) all: bool,
    /// Show the processes of each program: the wrappers and stubs before it, and itself
    #[arg(long)]
    pub(crate) tree: bool,
    /// List the trading terminals instead: which run, and whose they are
    #[arg(long, conflicts_with_all = ["tree", "columns", "sort", "watch", "role", "state", "name"])]
    pub(crate) terminals: bool,
    /// Show the list again and again, and mark what changed: every 2 seconds, or DURATION
    ///
    /// A number and a unit: `500ms`, `5s`, `1m`; without a unit, seconds. `q` or Ctrl-C ends it.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "2s", value_parser = pause)]
    pub(crate) watch: Option<Duration>,
    /// Show only the last three digits of account numbers, everywhere
    ///
    /// Passwords and tokens in command lines are never shown, with or without this.
    #[arg(long)]
    pub(crate) mask: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

/// Which part of the list is wanted; several values of one flag are alternatives.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only these accounts, by key or number
    #[arg(long, value_name = "ACCOUNT", num_args = 1.., value_delimiter = ',')]
    pub(crate) account: Vec<String>,
    /// Only these roles
    #[arg(long, value_name = "ROLE", num_args = 1.., value_delimiter = ',', value_parser = role)]
    pub(crate) role: Vec<Role>,
    /// Only these states
    #[arg(long, value_name = "STATE", num_args = 1.., value_delimiter = ',', value_parser = state)]
    pub(crate) state: Vec<State>,
    /// Only these components, such as BRAIN_ATLAS; `BRAIN_*` matches every name with that prefix
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) name: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table
    Table,
    /// Comma-separated values under a line with the columns' names
    Csv,
    /// The lines of the old script: `PID: <pid> | <command line>`
    Legacy,
}

const ROLES: [Role; 5] =
    [Role::Orchestrator, Role::Brain, Role::Watchdog, Role::Server, Role::Other];

fn role(text: &str) -> Result<Role, String> {
    one_of(text, &ROLES, Role::as_str)
}

fn state(text: &str) -> Result<State, String> {
    // A word with a blank needs quotes in a shell.
    one_of(&text.replace("not-traded", "not traded"), &State::ALL, State::as_str)
}

fn one_of<T: Copy>(text: &str, all: &[T], word: fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().copied().find(|&one| word(one).eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let words: Vec<&str> = all.iter().copied().map(word).collect();
        format!("it is one of {}", words.join(", "))
    })
}

/// The shortest pause between two looks; a faster one can't be read.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

fn pause(text: &str) -> Result<Duration, String> {
    let pause = parse_duration(text)?;
    if pause < SHORTEST_PAUSE {
        return Err("the shortest pause is 100ms".into());
    }
    Ok(pause)
}

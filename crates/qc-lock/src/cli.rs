//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use qc_cli::{ColorChoice, HoldArgs, LocationArgs, parse_duration};
use qc_lock_core::LockName;

/// The examples that `--help` opens with.
const EXAMPLES: &str = "\
Examples:
  qc-lock run BRAIN_ATLAS --account 730100411 -- python BRAIN_ATLAS.py
  qc-lock list";

/// The examples of `run`.
const RUN_EXAMPLES: &str = "\
Examples:
  qc-lock run BRAIN_ATLAS --account 730100411 -- python BRAIN_ATLAS.py
  qc-lock run BACKUP --wait 30s -- ./backup.sh";

/// Keep a program from running twice
///
/// A lock is held exactly as long as the process that took it lives; after a crash it is free
/// again by itself. Exit codes: 0 done, 1 failed, 2 wrong usage, 75 lock held (`run`), 126 and 127
/// command not runnable and not found; otherwise `run` returns the command's own code.
#[derive(Debug, Parser)]
#[command(name = "qc-lock", version, arg_required_else_help = true, before_long_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) old: OldFlags,
    #[command(flatten)]
    pub(crate) shared: Shared,
}

#[derive(Debug, Args)]
pub(crate) struct Shared {
    #[command(flatten)]
    pub(crate) location: LocationArgs,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

/// The command line of the old module.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct OldFlags {
    /// The same as `list`
    #[arg(long)]
    pub(crate) list: bool,
    /// The same as `clear-stale`
    #[arg(long)]
    pub(crate) clear_stale: bool,
    /// The same as `clear-all`
    #[arg(long)]
    pub(crate) clear_all: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Run a command while holding a lock
    #[command(before_long_help = RUN_EXAMPLES)]
    Run(HoldArgs),
    /// List the locks
    List {
        /// List who holds an account or a terminal on this machine, whatever the folder
        #[arg(long)]
        machine: bool,
    },
    /// Show one lock
    Status {
        /// Name of the lock, such as BRAIN_ATLAS
        name: LockName,
    },
    /// Remove the records of holders that have ended
    ///
    /// Never needed for a lock to be free again; it only tidies the list.
    ClearStale,
    /// Remove all records but those of processes that live on this machine
    ///
    /// Also removes records of other machines and containers: make sure that nothing runs there.
    ClearAll,
    /// End what keeps a lock open although its holder has ended
    ///
    /// A program that a brain has started in the background can inherit its lock, and keeps it when the
    /// brain has ended. This shows such programs, asks, lets them stop, and kills them after a while.
    /// A living holder and a trading terminal are never ended. What its last run has left behind without
    /// the lock is named, and goes on. Exit codes: 0 nothing keeps it open, 1 something does, 2 there is
    /// no terminal and --yes is missing, 4 cancelled, 75 the holder lives.
    ReleaseLeft(ReleaseLeftArgs),
    /// Show what happened to the locks
    History(HistoryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseLeftArgs {
    /// Name of the lock, such as BRAIN_ATLAS
    pub(crate) name: LockName,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// How long they may take to stop before they are killed
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Show only the last DURATION, such as 24h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// Show only this lock
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<LockName>,
    /// Go on showing what happens, until Ctrl-C; with --json, one object per line
    #[arg(short, long)]
    pub(crate) follow: bool,
}

//! What the user typed.

use clap::{Args, Parser, Subcommand};
use qc_cli::{ColorChoice, HoldArgs, PlaceArgs};

use crate::autostart::AutostartArgs;
use crate::logs::LogsArgs;

/// Start the fleet, keep it running, and stop it in order on Ctrl-C
///
/// Starts the server, the watchdogs and the brains of MASTER_CONFIG.json, each under its lock, and
/// restarts what ends. Refuses to start beside a fleet that already runs. Exit codes: 0 stopped as
/// asked, 1 failed, 2 wrong usage or config, 75 something is running already.
#[derive(Debug, Parser)]
#[command(name = "qc-launch", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) up: UpArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Start only these accounts (keys of ACCOUNTS), and the server
    #[arg(long, value_name = "KEY", num_args = 1..)]
    pub(crate) accounts: Vec<String>,
    /// Show what would be started, and start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Start although accounts have one terminal
    ///
    /// Terminals that several accounts have are then locked by none of them: this fleet still runs
    /// nothing twice, but other programs are not kept from those terminals.
    #[arg(long)]
    pub(crate) allow_shared_terminal: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Check a start of only these accounts (keys of ACCOUNTS), and the server
    #[arg(long, value_name = "KEY", num_args = 1..)]
    pub(crate) accounts: Vec<String>,
    /// Check a start with this flag
    #[arg(long)]
    pub(crate) allow_shared_terminal: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Print the section PROCESS_MANAGER instead, to be pasted into a config that exists
    #[arg(long)]
    pub(crate) section: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look for all that is in the way of a start, and start nothing
    ///
    /// A checklist with what to do about each line: accounts that share a number, a magic number or
    /// a terminal, scripts and programs that are missing, ports that are taken, what runs already,
    /// where the locks and logs lie. Exit code 2 if there is an error, 0 otherwise. A start goes
    /// through the same list: errors refuse it, warnings are logged.
    Check(CheckArgs),
    /// Write a MASTER_CONFIG.json to begin with, in which every key is explained
    ///
    /// It is written into the current folder, or the one named with --root. A config that exists is
    /// never touched.
    Init(InitArgs),
    /// Print the JSON Schema of MASTER_CONFIG.json
    ///
    /// Editors that know it complete keys and underline mistakes: save it beside the config and
    /// name it there, with "$schema": "MASTER_CONFIG.schema.json".
    Schema,
    /// Start the fleet at log-on
    Autostart(AutostartArgs),
    /// Show the end of a component's log
    Logs(LogsArgs),
    /// Hold a component's lock while it runs; used by qc-launch itself where a child can't inherit it
    #[command(hide = true)]
    Hold(HoldArgs),
}

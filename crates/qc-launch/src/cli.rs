//! What the user typed.

use clap::{Args, Parser, Subcommand};
use qc_cli::{HoldArgs, PlaceArgs};

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
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Print the section PROCESS_MANAGER instead, to be pasted into a config that exists
    #[arg(long)]
    pub(crate) section: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
    /// Hold a component's lock while it runs; used by qc-launch itself where a child can't inherit it
    #[command(hide = true)]
    Hold(HoldArgs),
}

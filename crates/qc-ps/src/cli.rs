//! What the user typed.

use clap::{Parser, ValueEnum};
use qc_cli::{ColorChoice, PlaceArgs};

/// Show what runs of the fleet, which locks it holds, and what is wrong
///
/// Only looks: takes no lock and disturbs nobody. Exit codes: 0 done, 1 failed, 2 wrong usage or
/// config, 3 something was found (`--check`).
#[derive(Debug, Parser)]
#[command(name = "qc-ps", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Print only what is wrong, and exit with 3 if anything is
    ///
    /// Wrong are duplicates, and components that run without their lock.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// How to print the list
    #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with = "json")]
    pub(crate) format: Format,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table
    Table,
    /// The lines of the old script: `PID: <pid> | <command line>`
    Legacy,
}

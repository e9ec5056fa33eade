//! What the user typed.

use std::time::Duration;

use clap::Parser;
use qc_cli::{PlaceArgs, parse_duration};

/// Stop the fleet gracefully: orchestrator, brains, watchdogs, server
///
/// Open trades are not closed and terminals are not touched. Each process is asked to stop, and
/// killed only if it has not ended at the timeout. Exit codes: 0 everything has stopped, 1
/// something survived, 2 wrong usage or config, 4 cancelled.
#[derive(Debug, Parser)]
#[command(name = "qc-shutdown", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Show what would be stopped, and stop nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short, alias = "force")]
    pub(crate) yes: bool,
    /// Time for each stage to end by itself before what is left is killed
    ///
    /// A number and a unit: `500ms`, `30s`, `5m`. Without this flag, 10 seconds, or what the
    /// config says.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

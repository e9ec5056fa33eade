//! The command line.

use std::time::Duration;

use clap::{Args, Parser};
use qc_cli::{LocationArgs, parse_duration};
use qc_fleet::Role;
use qc_lock_core::LockName;

/// The examples that `--help` opens with.
const EXAMPLES: &str = "\
Examples:
  qc-shutdown --dry-run
  qc-shutdown --account ATLAS --yes";

/// Stop the fleet gracefully: brains, watchdogs, server, orchestrator
///
/// Open trades are not closed and terminals are not touched. A running qc-launch is told to stop
/// its fleet; what is left is asked to stop, all of a stage at once, and killed only if it has not
/// ended at the timeout. Without a scope (--account, --role, --name, --keep-watchdogs) everything
/// is stopped. Exit codes: 0 everything has stopped, 1 something survived, 2 wrong usage or config,
/// 4 cancelled, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "qc-shutdown", version, before_long_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) location: LocationArgs,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Forbid every start from now on, for REASON, until `qc-launch unlatch`
    ///
    /// Set before anything is stopped. No lock is given any more, to qc-launch, `qc-lock run` or a
    /// script with process_lock.py, also after a reboot. What runs and is not stopped runs on.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub(crate) latch: Option<String>,
    /// Show what would be stopped, and stop nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short, alias = "force")]
    pub(crate) yes: bool,
    /// Time for each process to end by itself before it is killed
    ///
    /// A number and a unit: `500ms`, `30s`, `5m`. Without this flag, what the config says of each
    /// component, 10 seconds if it says nothing.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Do the work of `qc-lock release-left`
    #[arg(long, value_name = "NAME", hide = true)]
    pub(crate) release_left: Option<LockName>,
}

/// Which part of what runs is to be stopped. Several values of one flag are alternatives; of
/// several flags, all have to fit.
#[derive(Debug, Args)]
pub(crate) struct ScopeArgs {
    /// Only these accounts, by key or number
    #[arg(long, value_name = "ACCOUNT", num_args = 1.., value_delimiter = ',')]
    pub(crate) account: Vec<String>,
    /// Only these roles: brain, watchdog, server, other
    #[arg(long, value_name = "ROLE", num_args = 1.., value_delimiter = ',', value_parser = role)]
    pub(crate) role: Vec<Role>,
    /// Only these components, such as BRAIN_ATLAS
    ///
    /// With a watchdog, the brains that it guards are stopped, too.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) name: Vec<String>,
    /// Stop trading, keep protection: watchdogs and the server run on
    #[arg(long)]
    pub(crate) keep_watchdogs: bool,
    /// Also copies whose scripts lie in other folders
    #[arg(long)]
    pub(crate) all_roots: bool,
}

fn role(text: &str) -> Result<Role, String> {
    let roles = [Role::Brain, Role::Watchdog, Role::Server, Role::Other];
    let found = roles.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let words = roles.map(Role::as_str).join(", ");
        format!("the roles are {words}; the orchestrator is stopped with all of them, or with `qc-launch stop`")
    })
}

/// The longest reason: one that still can be read at a glance.
const REASON: usize = 500;

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > REASON || text.chars().any(char::is_control) {
        return Err(format!("say why, in one line of 1 to {REASON} characters"));
    }
    Ok(text.to_owned())
}

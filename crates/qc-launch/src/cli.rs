//! The command line.

use clap::{Args, Parser, Subcommand};
use qc_autostart::AutostartArgs;
use qc_cli::{ColorChoice, HoldArgs, LocationArgs};
use qc_drill::{ChildArgs, DrillArgs};
use qc_fleet_cli::SelectionArgs;
use qc_metrics::LocalAddress;

use crate::commands::logs::LogsArgs;
use crate::daemon::up::Options;

/// The examples that `--help` opens with.
const EXAMPLES: &str = "\
Examples:
  qc-launch up --detach
  qc-launch logs -f BRAIN_ATLAS";

/// Start the fleet, keep it running, and stop it in order on Ctrl-C
///
/// Starts the server, the watchdogs and the brains of MASTER_CONFIG.json, each under its lock, and
/// restarts what ends. Refuses to start beside a fleet that already runs. Exit codes: 0 stopped as
/// asked, 1 failed, 2 wrong usage or config, 75 something is running already.
#[derive(Debug, Parser)]
#[command(name = "qc-launch", version, before_long_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) up: UpArgs,
    #[command(flatten)]
    pub(crate) location: LocationArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Start only these accounts (keys of ACCOUNTS), and the server
    #[arg(long, value_name = "KEY", num_args = 1..)]
    pub(crate) accounts: Vec<String>,
    /// Show what would be started, and start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse to start beside components that run, instead of taking them over
    ///
    /// Without this flag, components that an earlier qc-launch has left running under their locks
    /// are supervised from now on, without being restarted.
    #[arg(long)]
    pub(crate) no_adopt: bool,
    /// Return when the fleet is ready, and go on in the background
    ///
    /// Exit code 0 says that all components are ready; 1, that some were given up, which are named.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) detach: bool,
    /// Say when all components are ready or were given up; used by --detach
    #[arg(long, hide = true)]
    pub(crate) announce: bool,
    /// Start although accounts have one terminal
    ///
    /// Terminals that several accounts have are then locked by none of them: this fleet still runs
    /// nothing twice, but other programs are not kept from those terminals.
    #[arg(long)]
    pub(crate) allow_shared_terminal: bool,
    /// How to write the log, in the file and on the terminal
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) log_format: LogFormat,
    /// Serve metrics for Prometheus at ADDRESS, such as 127.0.0.1:9464
    ///
    /// Only this machine can ask, at http://ADDRESS/metrics. Without this flag, at the address that
    /// the config names as PROCESS_MANAGER.metrics, if it does.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<LocalAddress>,
}

impl UpArgs {
    /// Returns what the launcher is to know.
    pub(crate) fn options(&self) -> Options {
        Options {
            accounts: self.accounts.clone(),
            dry_run: self.dry_run,
            adopt: !self.no_adopt,
            announce: self.announce,
            allow_shared_terminal: self.allow_shared_terminal,
            log_format: self.log_format.into(),
            metrics: self.metrics,
        }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// `[time] text`
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

impl From<LogFormat> for qc_logs::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
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
pub(crate) struct StatusArgs {
    /// Show it again whenever it changes, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Args)]
pub(crate) struct UnlatchArgs {
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Print the section PROCESS_MANAGER instead, to be pasted into a config that exists
    #[arg(long)]
    pub(crate) section: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the fleet; the same as no command
    Up(UpArgs),
    /// Show every component of the running fleet
    Status(StatusArgs),
    /// Stop components in order: brains before their watchdogs
    ///
    /// Without any, all are stopped, and the running qc-launch with them. With a watchdog, the brains
    /// that it guards are stopped, too. Open trades are not closed. Returns when they have ended.
    Stop(SelectionArgs),
    /// Start components that were stopped or given up
    ///
    /// Returns when they are ready; exit code 1 if one is not.
    Start(SelectionArgs),
    /// Stop components and start them again
    Restart(SelectionArgs),
    /// Read the config again, and do what has changed
    ///
    /// New components are started, those that are gone are stopped, and only those whose command,
    /// folder, environment, account or terminal has changed are restarted. A config with a mistake
    /// changes nothing.
    Reload,
    /// Allow starts again that `qc-shutdown --latch` has forbidden
    ///
    /// Says what had forbidden them, and asks. Nothing is started. Exit codes: 0 starts are
    /// allowed, 4 cancelled.
    Unlatch(UnlatchArgs),
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
    /// Try out on this machine what qc relies on, with a throw-away fleet
    ///
    /// Starts copies of this program in a temporary folder, kills and stops them, and says of each
    /// thing what was seen: locks and their late release, Ctrl-C and Ctrl-Break, files that are
    /// open or denied, long paths, terminals that must be spared. No fleet of this machine is
    /// looked at or touched. docs/WINDOWS.md explains each line. Exit codes: 0 nothing failed,
    /// 3 something did.
    Drill(DrillArgs),
    /// Play a part in a drill; used by `qc-launch drill` itself
    #[command(hide = true)]
    DrillPart(ChildArgs),
    /// Hold a component's lock while it runs; used by qc-launch itself where a child can't inherit
    /// it
    #[command(hide = true)]
    Hold(HoldArgs),
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, CommandFactory};
    use qc_fleet::launcher::{LIST_OPTION, UP, VALUE_OPTIONS};

    use super::*;

    #[test]
    fn the_options_of_a_launcher_are_known_where_its_command_line_is_read() {
        let command = Cli::command();
        assert!(command.get_subcommands().any(|one| one.get_name() == UP));
        let takes_value = |action: &ArgAction| matches!(action, ArgAction::Set | ArgAction::Append);
        let options = command.get_arguments().filter(|one| takes_value(one.get_action()));
        for option in options.filter_map(|one| one.get_long()) {
            let option = format!("--{option}");
            let is_known = option == LIST_OPTION || VALUE_OPTIONS.contains(&option.as_str());
            assert!(is_known, "{option} takes a value");
        }
    }
}

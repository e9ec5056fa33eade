//! `qc-launch logs`.

use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::Args;
use qc_cli::{Exit, Failure, Location, shown, warn_text};
use qc_fleet::Launcher;
use qc_fleet_cli::ReadFleet;
use qc_logs::{Follower, LogFolder, Utf8};

/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// The name of the launcher's own log.
const LAUNCHER_LOG: &str = "orchestrator";

/// The command line of `logs`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsArgs {
    /// Component to show, such as BRAIN_ATLAS; `orchestrator` or MASTER_LAUNCH is qc-launch itself
    name: String,
    /// Go on as the log grows, also over restarts, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Show the last LINES lines
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 50)]
    lines: usize,
}

/// Shows a log. Without a config that can be read, the folder is the one that the launcher writes
/// to, or the usual one.
pub(crate) fn show(
    args: &LogsArgs,
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let (fleet, trouble) = location.fleet_to_show()?;
    let mut args = args.clone();
    // The launcher's lock has another name than its log.
    if args.name.eq_ignore_ascii_case(fleet.orchestrator.as_str()) {
        args.name = LAUNCHER_LOG.into();
    }
    let args = &args;
    let Some(trouble) = trouble else {
        return show_log(args, &LogFolder::new(fleet.logs.folder), output);
    };
    // First: a log that is followed does not end.
    warn_text(&format!("the config can't be read: {}", trouble.message()));
    let launcher = Launcher::ask(&location.locks()?, &fleet.orchestrator);
    let mut logs = launcher.status().into_iter().flat_map(|status| &status.components);
    let log = logs.find_map(|one| Path::new(one.log.as_ref()?).parent());
    let folder = log.map_or(fleet.logs.folder, Path::to_path_buf);
    show_log(args, &LogFolder::new(folder), output)?;
    Err(Failure::new(trouble.exit(), "", "correct the config; the log above is complete"))
}

/// Shows the end of a component's log. The launcher need not be running.
///
/// # Errors
/// If there is no such log (exit code 2), or it can't be read.
fn show_log(args: &LogsArgs, folder: &LogFolder, output: &mut dyn Write) -> Result<Exit, Failure> {
    let component = component(&args.name, folder)?;
    let started = Follower::start(folder, &component, args.lines);
    let Some((mut follower, text)) = started.map_err(|error| unreadable(&error, folder))? else {
        return Err(no_log(&args.name, &[]));
    };
    let mut text = Utf8::new(text);
    text.write_to(output)?;
    if !args.follow {
        text.finish(output)?;
        return Ok(Exit::Done);
    }
    loop {
        let more = follower.read().map_err(|error| unreadable(&error, folder))?;
        if more.is_empty() {
            thread::sleep(PAUSE);
        }
        text.add(&more);
        text.write_to(output)?;
    }
}

/// Finds the component that is meant, in whatever case it was typed.
fn component(name: &str, folder: &LogFolder) -> Result<String, Failure> {
    let files = folder.list().map_err(|error| unreadable(&error, folder))?;
    let mut known: Vec<&str> = files.iter().map(|file| file.name.component()).collect();
    known.dedup();
    let is_meant = |known: &&&str| known.to_lowercase() == name.to_lowercase();
    let exact = known.iter().find(|known| **known == name);
    match exact.or_else(|| known.iter().find(is_meant)) {
        Some(component) => Ok((*component).to_owned()),
        None => Err(no_log(name, &known)),
    }
}

fn no_log(name: &str, known: &[&str]) -> Failure {
    let hint = if known.is_empty() {
        "nothing has been started here yet; see whether --root names the fleet's folder".into()
    } else {
        format!("there are logs of {}", known.join(", "))
    };
    Failure::new(Exit::Usage, format!("there is no log of `{name}`"), hint)
}

fn unreadable(error: &std::io::Error, folder: &LogFolder) -> Failure {
    let message = format!("cannot read the logs in {}: {error}", shown(folder.path()));
    Failure::new(Exit::Failed, message, "see whether the folder may be read")
}

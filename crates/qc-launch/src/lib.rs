//! `qc-launch`: starts, supervises and restarts the fleet.

#![forbid(unsafe_code)]

mod adopt;
mod ask;
pub mod autostart;
mod check;
mod cli;
mod detach;
mod drill;
mod init;
mod interrupts;
mod last_words;
pub mod logs;
mod look;
pub mod metrics;
mod moved;
pub mod notify;
mod preflight;
mod probe;
mod report;
mod roster;
mod runtime;
mod start;
mod status;
mod stop;
mod unlatch;
mod waiting;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use cli::{Cli, Command, UpArgs};
use qc_cli::{
    Exit, Failure, Place, describe, hold, local_time, parse, print_json, run_tool, shown, visible,
    warn, warn_text,
};
use qc_fleet::check::has_old_module;
use qc_fleet::{Component, Fleet, Launcher, NotifyEvent, share_terminals, with_scripts};
use qc_lock_core::{LockDir, LockError, LockState, Request};

use crate::interrupts::Interrupts;
use crate::logs::{LogFolder, LogsArgs};
use crate::look::Look;
use crate::notify::Notice;
use crate::preflight::wanted;
use crate::report::{Report, tell_refusal};
use crate::runtime::{End, Run, Runtime};

/// The step to suggest where a launcher runs.
const RUNS_HINT: &str = "see `qc-launch status`; `qc-launch reload` applies a changed config";

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc-launch", |output| run(&parse()?, output))
}

/// Returns the command line that the program takes, for completions and man pages.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let place = cli.place.resolve()?;
    match &cli.command {
        Some(Command::Hold(args)) => hold(args, &place.locks()?),
        Some(Command::Unlatch(args)) => unlatch::unlatch(args, &place, output),
        Some(Command::Check(args)) => check::run(args, &place, output),
        Some(Command::Init(args)) => init::run(args, &place, output),
        Some(Command::Schema) => {
            print_json(output, &qc_fleet::schema())?;
            Ok(Exit::Done)
        }
        Some(Command::Drill(args)) => drill::run(args, output),
        Some(Command::DrillPart(args)) => drill::play(args, output),
        Some(Command::Status(args)) => status::status(args, &place, output),
        Some(Command::Stop(args)) => stop::stop(args, &place, output),
        Some(Command::Start(args)) => ask::start(args, &place, output),
        Some(Command::Restart(args)) => ask::restart(args, &place, output),
        Some(Command::Reload) => ask::reload(&place, output),
        Some(Command::Up(args)) => up(args, &place, output),
        Some(Command::Autostart(args)) => {
            autostart::autostart(args, &cli.place, &place.fleet()?, output)
        }
        Some(Command::Logs(args)) => show_logs(args, &place, output),
        None => up(&cli.up, &place, output),
    }
}

/// Shows a log. Without a config that can be read, the folder is the one that the launcher writes to,
/// or the usual one.
fn show_logs(args: &LogsArgs, place: &Place, output: &mut dyn Write) -> Result<Exit, Failure> {
    let (fleet, trouble) = place.fleet_to_show()?;
    let Some(trouble) = trouble else {
        return logs::logs(args, &LogFolder::new(fleet.logs.folder), output);
    };
    // First: a log that is followed does not end.
    warn_text(&format!("the config can't be read: {}", trouble.message()));
    let launcher = Launcher::ask(&place.locks()?, &fleet.orchestrator);
    let mut logs = launcher.status().into_iter().flat_map(|status| &status.components);
    let log = logs.find_map(|one| Path::new(one.log.as_ref()?).parent());
    let folder = log.map_or(fleet.logs.folder, Path::to_path_buf);
    logs::logs(args, &LogFolder::new(folder), output)?;
    Err(Failure::new(trouble.exit(), "", "correct the config; the log above is complete"))
}

fn up(args: &UpArgs, place: &Place, output: &mut dyn Write) -> Result<Exit, Failure> {
    if args.detach {
        return detach::up(place, output);
    }
    let (fleet, locks) = (place.fleet_to_start()?, place.locks()?);
    let Selected { components, warnings, look } = selected(&fleet, args, &locks)?;
    if args.dry_run {
        check::refuse_latched(&locks)?;
        refuse_running(&fleet, &locks)?;
        let is_free = |one: &&Arc<Component>| look.snapshot.latch_of(one).is_none();
        let starting: Vec<Arc<Component>> = components.iter().filter(is_free).cloned().collect();
        write_plan(&fleet, &starting, &warnings, output)?;
        adopt::adopt(&fleet, &components, &locks, look, !args.no_adopt)?;
        return Ok(Exit::Done);
    }

    let interrupts = Interrupts::watch()?;
    // The lock first: of two launchers started at once, one goes no further than this.
    let request = Request::new(fleet.orchestrator.clone()).program("qc-launch");
    let own = locks
        .acquire(&request)
        .map_err(|error| runs_already(&fleet, &locks, error))
        .inspect_err(|refusal| told_refused(&fleet, refusal))?;
    interrupts.keep(own);
    let found = adopt::adopt(&fleet, &components, &locks, look, !args.no_adopt);
    // Asked to stop meanwhile, the program is ending and has given the lock back.
    let Some(own) = interrupts.give_back() else { return Ok(Exit::Interrupted) };
    let opened = found.and_then(|found| Ok((found, Report::open(&fleet, args)?)));
    let ((adopted, look), mut report) = match opened {
        Ok(opened) => opened,
        Err(refusal) => {
            // The refusal is what counts, whether or not the history can be written.
            if let Err(error) = own.refuse(&refusal.message().replace("\n ", "")) {
                warn(&error);
            }
            told_refused(&fleet, &refusal);
            return Err(refusal);
        }
    };
    let root = fleet.root.display();
    report.info("launcher", &format!("qc-launch {} in {root}", env!("CARGO_PKG_VERSION")));
    for reclaimed in own.reclaimed() {
        let text = format!("reclaimed lock {} {reclaimed}", fleet.orchestrator);
        report.info("reclaimed", &text);
    }
    if let Some(error) = own.history_error() {
        report.warn("history", &describe(error));
    }
    report.metrics().held_since(fleet.orchestrator.as_str(), Some(SystemTime::now()));
    clear_stale(&locks, &mut report)?;
    for warning in &warnings {
        report.warn("check", warning);
    }
    let scripts_lock = has_old_module(&fleet.root);
    let run = Run {
        place,
        args,
        fleet,
        locks: &locks,
        scripts_lock,
        components,
        adopted,
        look,
        report: &mut report,
        interrupts,
    };
    let end = Runtime::new(run).and_then(|runtime| runtime.serve().run());
    // How supervision ended is what counts; what is left of the lock heals.
    if let Err(error) = own.release() {
        warn(&error);
    }
    report.finish();
    match end? {
        End::Stopped => Ok(Exit::Done),
        End::NothingLeft => {
            let hint = "see `qc-launch logs orchestrator` for why each component was given up";
            Err(Failure::new(Exit::Failed, "nothing is left to supervise", hint))
        }
        End::Survivors => {
            let hint = "see `qc-ps` for what still runs, and run `qc-shutdown` elevated";
            Err(Failure::new(Exit::Failed, "not everything could be stopped", hint))
        }
    }
}

/// The input of a start.
struct Selected {
    /// The components that are wanted and can be started.
    components: Vec<Arc<Component>>,
    /// Warnings to print first.
    warnings: Vec<String>,
    /// The processes that run.
    look: Look,
}

/// Selects what is to be started; refuses where that can't go well.
fn selected(fleet: &Fleet, args: &UpArgs, locks: &LockDir) -> Result<Selected, Failure> {
    let mut wanted = wanted(fleet, &args.accounts)?;
    if args.allow_shared_terminal {
        share_terminals(&mut wanted);
    }
    let (warnings, look) = check::before_start(fleet, &wanted, locks)?;
    Ok(Selected { components: with_scripts(wanted), warnings, look })
}

/// Turns the refusal of the orchestrator's lock into one that names the launcher that runs.
fn runs_already(fleet: &Fleet, locks: &LockDir, error: LockError) -> Failure {
    match &error {
        LockError::Held { holder, foreign: false, .. } if holder.pid.is_some() => {
            let pid = holder.pid.unwrap_or_default();
            if let Some(refusal) = moved::held(fleet, locks, pid) {
                return refusal;
            }
            let since = since(holder.since.as_deref());
            let message = format!("it runs already (PID {pid}{since}): {error}");
            Failure::new(Exit::Held, message, RUNS_HINT)
        }
        _ => Failure::from(error),
    }
}

/// Refuses a dry run where a launcher holds the lock that a start would take.
fn refuse_running(fleet: &Fleet, locks: &LockDir) -> Result<(), Failure> {
    let Some(lock) = locks.status(&fleet.orchestrator)? else { return Ok(()) };
    let Some(pid) = lock.pid.filter(|_| lock.state == LockState::Held) else { return Ok(()) };
    if let Some(refusal) = moved::held(fleet, locks, pid) {
        return Err(refusal);
    }
    let (name, since) = (&fleet.orchestrator, since(lock.since.as_deref()));
    let message = format!("it runs already (PID {pid}{since}): lock `{name}` is held");
    Err(Failure::new(Exit::Held, message, RUNS_HINT))
}

fn since(time: Option<&str>) -> String {
    time.map(|time| format!(", since {}", local_time(time))).unwrap_or_default()
}

/// Tells people that a second launcher, or one beside something that runs, was refused.
fn told_refused(fleet: &Fleet, refusal: &Failure) {
    if refusal.exit() == Exit::Held {
        let name = fleet.orchestrator.as_str();
        tell_refusal(fleet, Notice::new(NotifyEvent::Blocked, name, refusal.message()));
    }
}

/// Clears what the dead have left behind, and says so: it is no reason to refuse.
fn clear_stale(locks: &LockDir, report: &mut Report) -> Result<(), Failure> {
    let result = locks.clear_stale()?;
    for entry in result.cleared {
        let pid = entry.pid.map(|pid| format!(" (PID {pid} has ended)")).unwrap_or_default();
        report.info("reclaimed", &format!("reclaimed stale lock {}{pid}", entry.name));
    }
    for error in result.failed.iter().chain(&result.history_error) {
        report.warn("locks", &describe(error));
    }
    Ok(())
}

fn write_plan(
    fleet: &Fleet,
    components: &[Arc<Component>],
    warnings: &[String],
    output: &mut dyn Write,
) -> Result<(), Failure> {
    writeln!(output, "To be started in {}, in this order:", shown(&fleet.root))?;
    for (number, component) in components.iter().enumerate() {
        let account = component
            .account
            .as_ref()
            .map(|account| format!(" (account {account})"))
            .unwrap_or_default();
        writeln!(
            output,
            "  {}. {}{account}: {}",
            number + 1,
            component.name,
            visible(&component.shown_command())
        )?;
    }
    for warning in warnings {
        writeln!(output, "WARNING: {}", visible(warning))?;
    }
    Ok(())
}

//! `qc-launch`: starts, supervises and restarts the fleet.

#![forbid(unsafe_code)]

pub mod autostart;
mod check;
mod cli;
mod init;
mod log;
pub mod logs;
pub mod metrics;
pub mod notify;
mod preflight;
mod runtime;
mod supervisor;

use std::io::Write;

use cli::{Cli, Command, UpArgs};
use qc_cli::{Exit, Failure, Place, describe, hold, parse, print_json, run_tool, warn};
use qc_fleet::check::has_old_module;
use qc_fleet::{Component, Fleet, Snapshot, share_terminals};
use qc_lock_core::{Event, LockDir, Request};

use crate::log::Log;
use crate::logs::LogFolder;
use crate::preflight::{refuse_beside, wanted};
use crate::runtime::{End, Runtime};

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc-launch", |output| run(&parse()?, output))
}

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let place = cli.place.resolve()?;
    match &cli.command {
        Some(Command::Hold(args)) => hold(args, &place.locks()?),
        Some(Command::Check(args)) => check::run(args, &place, output),
        Some(Command::Init(args)) => init::run(args, &place, output),
        Some(Command::Schema) => {
            print_json(output, &qc_fleet::schema())?;
            Ok(Exit::Done)
        }
        Some(Command::Autostart(args)) => {
            autostart::autostart(args, &cli.place, &place.fleet()?, output)
        }
        Some(Command::Logs(args)) => {
            logs::logs(args, &LogFolder::new(place.fleet()?.logs.folder), output)
        }
        None => up(&cli.up, &place, output),
    }
}

fn up(args: &UpArgs, place: &Place, output: &mut dyn Write) -> Result<Exit, Failure> {
    let fleet = place.fleet_to_start()?;
    let locks = place.locks()?;
    let mut wanted = wanted(&fleet, &args.accounts)?;
    if args.allow_shared_terminal {
        share_terminals(&mut wanted);
    }
    let components: Vec<Component> =
        wanted.iter().filter(|one| one.missing_script().is_none()).cloned().collect();
    let warnings = check::before_start(&fleet, &wanted, &locks)?;
    if args.dry_run {
        write_plan(&fleet, &components, &warnings, output)?;
        refuse_beside(&Snapshot::take(&fleet, locks.list()?)?)?;
        return Ok(Exit::Done);
    }

    // The lock first: of two launchers started at once, one goes no further than this.
    let own = locks.acquire(&Request::new(fleet.orchestrator.clone()).program("qc-launch"))?;
    let snapshot = Snapshot::take(&fleet, locks.list()?)?;
    if let Err(refusal) = refuse_beside(&snapshot.without_process(std::process::id())) {
        let entry =
            locks.entry(Event::Blocked, fleet.orchestrator.as_str()).pid(Some(std::process::id()));
        // The refusal is what counts, whether or not the history can be written.
        if let Err(error) = locks.append(&entry.detail(refusal.message().replace("\n ", ""))) {
            warn(&error);
        }
        return Err(refusal);
    }

    let mut log = Log::open(&fleet.root).map_err(|error| {
        let hint = "see whether the fleet's folder may be written to and whether the disk is full";
        Failure::from_error(Exit::Failed, &error, hint)
    })?;
    log.say(&format!("qc-launch {} in {}", env!("CARGO_PKG_VERSION"), fleet.root.display()));
    for reclaimed in own.reclaimed() {
        log.say(&format!("reclaimed lock {} {reclaimed}", fleet.orchestrator));
    }
    if let Some(error) = own.history_error() {
        log.say(&format!("WARNING: {}", describe(error)));
    }
    clear_stale(&locks, &mut log)?;
    for warning in &warnings {
        log.say(&format!("WARNING: {warning}"));
    }
    let scripts_lock = has_old_module(&fleet.root);
    let components = &components;
    let end = Runtime { fleet: &fleet, locks: &locks, components, scripts_lock, log }.run()?;
    // How supervision ended is what counts; what is left of the lock heals.
    if let Err(error) = own.release() {
        warn(&error);
    }
    match end {
        End::Stopped => Ok(Exit::Done),
        End::NothingLeft => {
            let hint = "see orchestrator_logs for why each component was given up";
            Err(Failure::new(Exit::Failed, "nothing is left to supervise", hint))
        }
        End::Survivors => {
            let hint = "see `qc-ps` for what still runs, and run `qc-shutdown` elevated";
            Err(Failure::new(Exit::Failed, "not everything could be stopped", hint))
        }
    }
}

/// Clears what the dead have left behind, and says so: it is no reason to refuse.
fn clear_stale(locks: &LockDir, log: &mut Log) -> Result<(), Failure> {
    let result = locks.clear_stale()?;
    for entry in result.cleared {
        let pid = entry.pid.map(|pid| format!(" (PID {pid} has ended)")).unwrap_or_default();
        log.say(&format!("reclaimed stale lock {}{pid}", entry.name));
    }
    for error in result.failed.iter().chain(&result.history_error) {
        log.say(&format!("WARNING: {}", describe(error)));
    }
    Ok(())
}

fn write_plan(
    fleet: &Fleet,
    components: &[Component],
    warnings: &[String],
    output: &mut dyn Write,
) -> Result<(), Failure> {
    writeln!(output, "To be started in {}, in this order:", fleet.root.display())?;
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
            component.shown_command()
        )?;
    }
    for warning in warnings {
        writeln!(output, "WARNING: {warning}")?;
    }
    Ok(())
}

//! `qc-launch up`: takes the launcher's lock, adopts what runs, and supervises until all is
//! stopped.

use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

use qc_cli::{Exit, Failure, Location, describe, local_time, shown, visible, warn};
use qc_fleet::{Component, Fleet, NotifyEvent};
use qc_fleet_cli::{ReadFleet, runs_elsewhere};
use qc_lock_core::{LockDir, LockError, LockState, Request, has_old_module};
use qc_logs::Format;
use qc_metrics::LocalAddress;
use qc_notify::Notification;
use qc_start::{Beginning, adopt};

use crate::daemon::event_loop::{End, Run, Runtime, copies_text};
use crate::daemon::interrupts::Interrupts;
use crate::daemon::preflight::{Selected, refuse_latched, selected};
use crate::daemon::report::{Report, notify_refusal};

/// The step to suggest where a launcher runs.
const RUNS_HINT: &str = "see `qc-launch status`; `qc-launch reload` applies a changed config";

/// How a start is wanted.
#[derive(Debug)]
pub(crate) struct Options {
    /// The accounts to start, by their keys in the config; none are all.
    pub(crate) accounts: Vec<String>,
    /// Whether the start is only shown.
    pub(crate) dry_run: bool,
    /// Whether components that run under their locks are taken over.
    pub(crate) adopt: bool,
    /// Whether the outcome of the start is announced on standard output.
    pub(crate) announce: bool,
    /// Whether accounts may have one terminal.
    pub(crate) allow_shared_terminal: bool,
    /// How the log is written.
    pub(crate) log_format: Format,
    /// Where metrics are served, whatever the config says.
    pub(crate) metrics: Option<LocalAddress>,
}

/// Supervises the fleet until it has been stopped.
pub(crate) fn up(
    args: &Options,
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let (fleet, locks) = (location.fleet_to_start()?, location.locks()?);
    let Selected { components, warnings, look } = selected(&fleet, args, &locks)?;
    if args.dry_run {
        refuse_latched(&locks)?;
        refuse_running(&fleet, &locks)?;
        let is_free = |one: &&Arc<Component>| look.snapshot.latch_of(one).is_none();
        let starting: Vec<Arc<Component>> = components.iter().filter(is_free).cloned().collect();
        write_plan(&fleet, &starting, &warnings, output)?;
        let Beginning { blocked, .. } = adopt(&fleet, &components, &locks, look, args.adopt)?;
        for one in blocked {
            let why = copies_text(&one.obstacles);
            writeln!(output, "BLOCKED {}: {}", one.name, visible(&why))?;
        }
        return Ok(Exit::Done);
    }

    let interrupts = Interrupts::watch()?;
    // The lock first: of two launchers started at once, one goes no further than this.
    let request = Request::new(fleet.orchestrator.clone()).program("qc-launch");
    let own = locks
        .acquire(&request)
        .map_err(|error| runs_already(&fleet, &locks, error))
        .inspect_err(|refusal| notify_refused(&fleet, refusal))?;
    interrupts.keep(own);
    let found = adopt(&fleet, &components, &locks, look, args.adopt);
    // Asked to stop meanwhile, the program is ending and has given the lock back.
    let Some(own) = interrupts.give_back() else { return Ok(Exit::Interrupted) };
    let opened = found.and_then(|found| Ok((found, Report::open(&fleet, args)?)));
    let (Beginning { adopted, look, .. }, mut report) = match opened {
        Ok(opened) => opened,
        Err(refusal) => {
            // The refusal is what counts, whether or not the history can be written.
            if let Err(error) = own.refuse(&refusal.message().replace("\n ", "")) {
                warn(&error);
            }
            notify_refused(&fleet, &refusal);
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
        location,
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

/// Turns the refusal of the orchestrator's lock into one that names the launcher that runs.
fn runs_already(fleet: &Fleet, locks: &LockDir, error: LockError) -> Failure {
    match &error {
        LockError::Held { holder, foreign: false, .. } if holder.pid.is_some() => {
            let pid = holder.pid.unwrap_or_default();
            if let Some(refusal) = runs_elsewhere(fleet, locks, pid) {
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
    if let Some(refusal) = runs_elsewhere(fleet, locks, pid) {
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
fn notify_refused(fleet: &Fleet, refusal: &Failure) {
    if refusal.exit() == Exit::Held {
        let name = fleet.orchestrator.as_str();
        notify_refusal(fleet, Notification::new(NotifyEvent::Blocked, name, refusal.message()));
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

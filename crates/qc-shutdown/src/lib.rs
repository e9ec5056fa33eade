//! `qc-shutdown`: stops the fleet gracefully and in a safe order.

#![forbid(unsafe_code)]

mod channel;
mod cli;
mod display;
mod orchestrator;
mod planner;
mod records;
mod release_left;
mod report;
mod rounds;
mod starters;

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::thread;

use cli::Cli;
use display::Display;
use planner::Planner;
use qc_cli::{Exit, Failure, parse, print_json, run_tool};
use qc_fleet::{Instance, Role, Snapshot, StopPlan};
use qc_fleet_cli::{Answer, asking_component, confirm};
use qc_lock_core::LockDir;
use report::Report;
use rounds::{SECOND_LOOK, stop_everything};

/// Runs the program.
pub fn main() -> ! {
    run_tool(tool(), |output| {
        let mut output = BufWriter::new(output);
        let exit = run(&parse()?, &mut output)?;
        output.flush()?;
        Ok(exit)
    })
}

/// Returns the command line that the program takes, for completions and man pages.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Returns the tool that the user has called, see [`release_left`].
fn tool() -> &'static str {
    let is_handed_over = std::env::args_os().nth(1).is_some_and(|word| word == "--release-left");
    if is_handed_over { release_left::CALLER } else { "qc-shutdown" }
}

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    if let Some(name) = &cli.release_left {
        return release_left::run(name, cli, output);
    }
    let location = cli.location.resolve()?;
    let locks = location.locks()?;
    let mut planner = Planner::new(&location, &locks, cli)?;
    let trouble = planner.trouble.as_ref().map(|failure| failure.message().to_owned());
    let (snapshot, mut plan) = plan_for_sure(&planner)?;
    planner.without_deaf(&mut plan)?;
    planner.check(&snapshot)?;
    let mut report = Report::new(&plan, &planner, &snapshot, trouble.as_deref(), cli.dry_run);
    if !cli.json {
        let latch = cli.latch.as_deref();
        report::write_plan(&plan, &planner, &snapshot, trouble.as_deref(), latch, output)?;
    }
    if !cli.dry_run {
        let acts = !plan.is_idle() || cli.latch.is_some();
        if acts && !cli.yes {
            output.flush()?;
            // Without its config it is not known what the user means by the fleet.
            ask(&plan).map_err(|cancelled| planner.trouble.take().unwrap_or(cancelled))?;
        }
        let latched = latch(cli, &locks).and(hold_back(&planner, &plan, &snapshot, &locks));
        report.held_back = latched.as_deref().map(<[String]>::to_vec).unwrap_or_default();
        let mut results = Vec::new();
        let mut snapshots = vec![snapshot];
        if !plan.is_idle() {
            let shown: Option<&mut dyn Write> = if cli.json { None } else { Some(&mut *output) };
            let mut display = Display::new(shown, plan.targets().count());
            let done = stop_everything(&planner, &locks, &plan, &mut snapshots, &mut display)?;
            report.interrupted = done.interrupted;
            report.loops = done.loops;
            report.add_told(&plan, done.told);
            results = done.results;
        }
        report.add_results(&results);
        let is_all = report.is_all_stopped();
        report.cleared = records::clear(&planner.fleet, &locks, &snapshots, &results, is_all)?;
        if is_all {
            records::settle_crash(&planner.fleet, &locks)?;
        }
        report.lingering = starters::lingering(&snapshots, &results);
        report.latch = locks.latch();
        finish(cli, &report, output)?;
        latched?;
    } else {
        report.latch = locks.latch();
        finish(cli, &report, output)?;
    }
    if report.interrupted {
        return Ok(Exit::Interrupted);
    }
    match planner.trouble.take() {
        Some(trouble) if report.has_results() => {
            let hint = "correct the file before the next start; what is listed above was stopped";
            Err(Failure::new(trouble.exit(), trouble.message(), hint))
        }
        Some(trouble) => Err(trouble),
        None if report.is_left() || report.is_untold() || report.is_moved() => Ok(Exit::Failed),
        None => Ok(Exit::Done),
    }
}

/// Looks and plans. That nothing runs is believed at the second look.
fn plan_for_sure(planner: &Planner<'_>) -> Result<(Snapshot, StopPlan), Failure> {
    let (snapshot, plan) = planner.plan_now()?;
    if !plan.is_empty() {
        return Ok((snapshot, plan));
    }
    thread::sleep(SECOND_LOOK);
    planner.plan_now()
}

fn finish(cli: &Cli, report: &Report, output: &mut dyn Write) -> Result<(), Failure> {
    if cli.json { print_json(output, report) } else { Ok(report.write_end(output)?) }
}

/// Forbids every start, if that is wanted. Where it can't be done, what runs is stopped nevertheless,
/// and the failure is reported at the end.
fn latch(cli: &Cli, locks: &LockDir) -> Result<(), Failure> {
    let Some(reason) = &cli.latch else { return Ok(()) };
    locks.set_latch(reason)?;
    Ok(())
}

/// Where a component asks, or the launcher can't be told, what is stopped stays stopped until the user starts it by name, whatever becomes
/// of the launcher meanwhile: a watchdog at its limit wants no brain back after a reboot.
fn hold_back(
    planner: &Planner<'_>,
    plan: &StopPlan,
    snapshot: &Snapshot,
    locks: &LockDir,
) -> Result<Vec<String>, Failure> {
    let fleet = &planner.fleet;
    let asks = |one: &&Instance| {
        one.role != Role::Orchestrator
            && planner.scope.spared.iter().any(|asker| one.includes(asker.pid))
    };
    let asker = snapshot.own().find(asks).map(|one| one.component.clone());
    let reason = match (asker.or_else(asking_component), &planner.deaf) {
        (Some(asker), _) => format!("{asker} has run qc-shutdown"),
        (None, Some(_)) => "qc-shutdown has stopped it and could not tell the launcher".into(),
        (None, None) => return Ok(Vec::new()),
    };
    let own = plan.targets().chain(plan.run_on()).filter(|one| one.elsewhere.is_none());
    let stopped = own.map(|one| &*one.component).chain(plan.withheld.iter().map(String::as_str));
    let stopped: BTreeSet<&str> = stopped.collect();
    let stopped = stopped.into_iter().filter_map(|name| fleet.component(name));
    stopped
        .filter(|component| component.enabled)
        .map(|component| {
            locks.set_latch_of(&component.request(), &reason)?;
            Ok(component.name.to_string())
        })
        .collect()
}

fn ask(plan: &StopPlan) -> Result<(), Failure> {
    let refused = |message: &str, hint: &str| Err(Failure::new(Exit::Cancelled, message, hint));
    let question = match (plan.is_empty(), plan.is_idle()) {
        (true, true) => "Type YES to forbid every start",
        (true, false) => "Type YES to keep them from being started",
        (false, _) => "Type YES to stop them",
    };
    match confirm(question)? {
        Answer::Yes => Ok(()),
        Answer::No => {
            refused("cancelled, nothing was stopped", "type YES in capitals to stop the fleet")
        }
        Answer::Nobody => refused("no answer; nothing was stopped", "use --yes in scripts"),
    }
}

#[cfg(test)]
mod testing {
    use std::time::Duration;

    use qc_fleet::{Role, Target};
    use qc_process::Identity;

    /// A supervised process of this folder's fleet.
    pub(crate) fn target(component: &str, role: Role, pid: u32) -> Target {
        Target {
            component: component.into(),
            role,
            account_key: None,
            account: None,
            elsewhere: None,
            wrappers: Vec::new(),
            is_unmanaged: false,
            is_worker: false,
            helper: None,
            cannot_be_told: None,
            identity: Identity { pid, started: 1, boot_id: "boot".into() },
            timeout: Duration::ZERO,
            signal: None,
        }
    }
}

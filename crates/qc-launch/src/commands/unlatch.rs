//! `qc-launch unlatch`: starts are allowed again.

use std::io::Write;

use qc_cli::{Exit, Failure, Location, visible};
use qc_control::{ComponentStatus, Request};
use qc_fleet::connect_to_launcher;
use qc_fleet_cli::{Answer, ReadFleet, confirm};
use qc_lock_core::{Latch, LockDir};

use crate::cli::UnlatchArgs;
use crate::commands::control::failure;

const STILL: &str = "cancelled; starts stay forbidden";

pub(crate) fn unlatch(
    args: &UnlatchArgs,
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let locks = location.locks()?;
    let latches: Vec<Latch> = locks.latch().into_iter().chain(locks.scoped_latches()).collect();
    if latches.is_empty() {
        writeln!(output, "Starts are not forbidden.")?;
        return Ok(Exit::Done);
    }
    for latch in &latches {
        writeln!(output, "{}", capitalized(&latch.sentence()))?;
    }
    if !args.yes {
        let cancelled = |message: &str, hint: &str| Failure::new(Exit::Cancelled, message, hint);
        match confirm("Type YES to allow starts again")? {
            Answer::Yes => {}
            Answer::No => {
                return Err(cancelled(STILL, "type YES in capitals to allow starts again"));
            }
            Answer::Nobody => {
                return Err(cancelled("no answer; starts stay forbidden", "use --yes in scripts"));
            }
        }
    }
    let removed = locks.unlatch()?;
    writeln!(output, "Starts are allowed again; nothing was started.")?;
    write_next_step(&removed, location, &locks, output)?;
    Ok(Exit::Done)
}

/// Lets a running launcher restart what runs of the components that were latched, and names those
/// that do not run.
fn write_next_step(
    removed: &[Latch],
    location: &Location,
    locks: &LockDir,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let Ok((fleet, _)) = location.fleet_to_show() else { return Ok(()) };
    let Ok(mut client) = connect_to_launcher(locks, fleet.orchestrator.as_str()) else {
        return Ok(writeln!(output, "`qc-launch` starts the fleet.")?);
    };
    let status = client.ask(&Request::Status).map_err(failure)?;
    let is_latched = |one: &&ComponentStatus| {
        let component = fleet.component(&one.name);
        let request = component.map(|component| component.request());
        request.is_some_and(|request| {
            removed.iter().any(|latch| latch.scope.is_none() || latch.is_of(&request))
        })
    };
    let latched: Vec<&ComponentStatus> = status.components.iter().filter(is_latched).collect();
    let (running, resting): (Vec<_>, Vec<_>) =
        latched.into_iter().partition(|one| one.pid.is_some());
    let names = |of: &[&ComponentStatus]| of.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    let running = names(&running);
    if !running.is_empty() {
        // The launcher was asked not to start these again; the request to start them revokes that.
        if let Err(error) = client.ask(&Request::Start { names: running }) {
            let hint = "restart it by `qc-launch restart NAME`";
            writeln!(output, "What runs is not restarted when it ends: {error}; {hint}")?;
        }
    }
    let resting = names(&resting).join(" ");
    if !resting.is_empty() {
        writeln!(output, "`qc-launch start {}` starts what is stopped.", visible(&resting))?;
    }
    Ok(())
}

/// Returns a text as a sentence begins.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

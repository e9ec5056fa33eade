//! `qc-launch stop`: the running launcher stops its components, this command stops their copies.

use std::collections::HashSet;
use std::io::Write;
use std::thread;
use std::time::Duration;

use qc_cli::{Exit, Failure, Location, visible};
use qc_control::{Client, ComponentStatus, ControlError, Request, StateWord, Status};
use qc_fleet::{Fleet, Role, Scope, Snapshot, StopPlan, dead_holder_text, shown_name};
use qc_fleet_cli::{ReadFleet, SelectionArgs};
use qc_lock_core::{Entry, Event, HistoryTail, LockDir};

use crate::commands::control::copies::{Copies, runs_on};
use crate::commands::control::{connect, failure, next, report, selected, wait, write_text};

/// The pause between two looks at a lock.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn stop(
    args: &SelectionArgs,
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let locks = location.locks()?;
    let mut client = connect(location, &locks)?;
    let mut kills = Kills::new(&locks);
    let status = client.ask(&Request::Status).map_err(failure)?;
    if args.is_empty() {
        let fleet = location.fleet_to_show().ok().map(|(fleet, _)| fleet);
        if let Some(fleet) = &fleet {
            refuse_to_leave_unguarded(fleet, &locks)?;
        }
        let asked = match client.ask(&Request::Stop { names: Vec::new() }) {
            // A launcher with nothing left to stop may end before it has answered.
            Err(ControlError::Ended) => status,
            answer => answer.map_err(failure)?,
        };
        return stop_all(client, &asked, &locks, &mut kills, fleet.as_ref(), output);
    }
    let names = selected(args, &status, location)?;
    // The components of which copies, or what their runs had left, were stopped here.
    let mut copied: Vec<String> = Vec::new();
    let has = |name: &String| status.components.iter().any(|one| is_named(one, name));
    if names.iter().all(has)
        && let Ok((fleet, _)) = location.fleet_to_show()
    {
        let copies = Copies::new(fleet, &names, &locks)?;
        copied.extend(copies.stop_brains(&mut client, &status, output)?);
        // The launcher closes a connection that was silent for long.
        client = connect(location, &locks)?;
        ask_to_stop(&mut client, &names, output)?;
        copied.extend(copies.stop(&mut client, None, output)?);
        client = connect(location, &locks)?;
        settle_locks(copies.names(), &locks, output)?;
    } else {
        ask_to_stop(&mut client, &names, output)?;
        settle_locks(&names, &locks, output)?;
    }
    let is_idle = |name: &str| {
        let before = status.components.iter().find(|one| is_named(one, name));
        let rests = [StateWord::Stopped, StateWord::Finished];
        before.is_some_and(|one| rests.contains(&one.state))
            && !copied.iter().any(|other| other.eq_ignore_ascii_case(name))
    };
    let settled = client.ask(&Request::Status).map_err(failure)?;
    kills.report(settled.pid, output)?;
    report(&settled, &names, output, |component| match component.state {
        StateWord::Running | StateWord::Starting => Err("runs again".into()),
        _ if is_idle(&component.name) => {
            Ok(format!("{} does not run; nothing to stop", component.name))
        }
        _ => Ok(format!("{} does not run", component.name)),
    })
}

/// Clears the records of the dead under these locks: what has kept one may have ended only when this
/// command stopped it. Names whatever living process still keeps one.
fn settle_locks(names: &[String], locks: &LockDir, output: &mut dyn Write) -> Result<(), Failure> {
    let dead = locks.clear_dead(names)?.kept.into_iter().filter(|entry| !entry.state.is_live());
    for lock in locks.with_openers(dead.collect()) {
        writeln!(output, "{}", visible(&dead_holder_text(&lock)))?;
    }
    Ok(())
}

pub(super) fn is_named(component: &ComponentStatus, name: &str) -> bool {
    component.name.eq_ignore_ascii_case(name)
}

/// Asks the launcher to stop components, and waits until they have settled.
pub(super) fn ask_to_stop(
    client: &mut Client,
    names: &[String],
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let asked = client.ask(&Request::Stop { names: names.to_vec() }).map_err(failure)?;
    write_text(&asked, output)?;
    let names = with_brains(&asked, names);
    wait(client, asked, &names, |one| one.state.is_settled()).map(drop)
}

/// Adds the brains that are being stopped because their watchdog is named. A watchdog that does not
/// run has settled before they have.
fn with_brains(status: &Status, names: &[String]) -> Vec<String> {
    let is_wanted = |one: &&ComponentStatus| names.iter().any(|name| is_named(one, name));
    let accounts: HashSet<&String> = status
        .components
        .iter()
        .filter(is_wanted)
        .filter(|one| one.role == Role::Watchdog.as_str())
        .filter_map(|one| one.account.as_ref())
        .collect();
    let brains = status.components.iter().filter(|one| {
        one.role == Role::Brain.as_str()
            && one.state == StateWord::Stopping
            && one.account.as_ref().is_some_and(|account| accounts.contains(account))
    });
    names.iter().cloned().chain(brains.map(|one| one.name.clone())).collect()
}

/// Fails if a watchdog of the fleet protects a brain that runs in another folder: a launcher that
/// stops everything would stop it, too.
fn refuse_to_leave_unguarded(fleet: &Fleet, locks: &LockDir) -> Result<(), Failure> {
    let snapshot = Snapshot::take(fleet, locks.list()?)?;
    let plan = StopPlan::new(fleet, &snapshot, &Scope::default(), None);
    match plan.kept.first() {
        Some(one) => Err(runs_on(one, "nothing was stopped; `qc-shutdown` stops all the rest")),
        None => Ok(()),
    }
}

/// The processes that the launcher had to kill, as its history records them.
struct Kills(HistoryTail);

impl Kills {
    /// Starts at the present end of the history.
    fn new(locks: &LockDir) -> Self {
        let mut tail = locks.history_tail();
        // An unreadable history costs only the lines of `report`.
        let _ = tail.read();
        Self(tail)
    }

    fn report(&mut self, launcher: u32, output: &mut dyn Write) -> Result<(), Failure> {
        let Ok(history) = self.0.read() else { return Ok(()) };
        let is_kill = |one: &&Entry| one.event == Event::Killed && one.by_pid == Some(launcher);
        for one in history.entries.iter().filter(is_kill) {
            let pid = one.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
            let name = shown_name(&one.name, one.helper.as_deref());
            writeln!(output, "{}{pid} was KILLED: it did not end when asked", visible(&name))?;
        }
        Ok(())
    }
}

/// Waits until the running `qc-launch` has ended, and looks whether anything is left.
fn stop_all(
    mut client: Client,
    asked: &Status,
    locks: &LockDir,
    kills: &mut Kills,
    fleet: Option<&Fleet>,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut told: Vec<&str> = Vec::new();
    let mut seen = asked.clone();
    // It answers as long as it supervises anything.
    loop {
        for component in &asked.components {
            let now = seen.components.iter().find(|other| other.name == component.name);
            let rests =
                now.is_none_or(|now| now.state.is_settled() && now.state != StateWord::Running);
            if rests && !told.contains(&component.name.as_str()) {
                writeln!(output, "{} does not run", component.name)?;
                told.push(&component.name);
            }
        }
        match next(&mut client, &seen) {
            Ok(status) => seen = status,
            Err(_) => break,
        }
    }
    client.wait_for_end();
    // Its own lock is the last thing that it gives back, should that have taken longer than it
    // keeps a connection.
    while locks.list()?.iter().any(|lock| lock.state.is_live() && lock.pid == Some(asked.pid)) {
        thread::sleep(PAUSE);
    }
    kills.report(asked.pid, output)?;
    let names: Vec<String> = asked.components.iter().map(|one| one.name.clone()).collect();
    settle_locks(&names, locks, output)?;
    let is_live = |name: &str| {
        let entries = locks.list().unwrap_or_default();
        entries.iter().any(|lock| lock.name.eq_ignore_ascii_case(name) && lock.state.is_live())
    };
    let live = asked.components.iter().filter(|component| is_live(&component.name));
    // Under the lock of one that did not run here is a program that this launcher has not started.
    let (left, outside): (Vec<&ComponentStatus>, Vec<_>) =
        live.partition(|component| component.pid.is_some());
    for component in outside {
        let name = &component.name;
        writeln!(
            output,
            "lock {name} is held by a program that qc-launch did not start; see `qc-ps`"
        )?;
    }
    let left: Vec<&str> = left.iter().map(|component| component.name.as_str()).collect();
    if left.is_empty() {
        let has_accounts = fleet.is_none_or(|fleet| fleet.has_accounts());
        let trades = if has_accounts { "; open trades were NOT closed" } else { "" };
        writeln!(output, "The fleet is stopped{trades}.")?;
        return Ok(Exit::Done);
    }
    let message = format!("not everything could be stopped: {}", left.join(", "));
    let hint = "`qc-ps` shows what still runs, and `qc-shutdown` stops it; for programs of another \
                user, run it elevated";
    Err(Failure::new(Exit::Failed, message, hint))
}

//! `qc-launch stop`: asking the one that runs, and stopping what it has not started.

use std::io::Write;
use std::thread;
use std::time::Duration;

use qc_cli::{Exit, Failure, Place, visible};
use qc_control::{Client, ComponentStatus, ControlError, Request, StateWord, Status};
use qc_fleet::{Fleet, Instance, Progress, Role, Scope, Snapshot, StopPlan, Stopped, perform};
use qc_lock_core::{Event, HistoryTail, LockDir};

use crate::ask::{connect, failure, next, report, wait, write_text};
use crate::cli::StopArgs;
use crate::runtime::told_of;

/// The pause between two looks at a lock.
const PAUSE: Duration = Duration::from_millis(100);

/// How often what is found beside the launcher's own is stopped.
const SWEEPS: u32 = 3;

/// What a copy is called that the launcher has not started.
const BESIDE: &str = "not started by qc-launch";

pub(crate) fn stop(
    args: &StopArgs,
    place: &Place,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let locks = place.locks()?;
    let mut client = connect(place, &locks)?;
    let mut kills = Kills::new(&locks);
    if args.names.is_empty() {
        let before = client.ask(&Request::Status).map_err(failure)?;
        let asked = match client.ask(&Request::Stop { names: Vec::new() }) {
            // With nothing left to stop it ends at once, perhaps before it has answered.
            Err(ControlError::Ended) => before,
            answer => answer.map_err(failure)?,
        };
        return stop_all(client, &asked, &locks, &mut kills, output);
    }
    // Without a fleet nobody knows what else belongs to it.
    let beside =
        place.fleet_to_show().ok().map(|(fleet, _)| Beside::new(fleet, &args.names, &locks));
    let beside = beside.transpose()?;
    let status = client.ask(&Request::Status).map_err(failure)?;
    let is_known =
        |name: &String| status.components.iter().any(|one| one.name.eq_ignore_ascii_case(name));
    if let Some(beside) = beside.as_ref().filter(|_| args.names.iter().all(is_known)) {
        let copies = beside.plan(&status, Some(Role::Brain))?;
        if !copies.is_empty() {
            // A brain that waits for the end of its copy is not to start then; and no watchdog ends
            // before a brain that it protects.
            let brains = beside.brains(&copies, &status);
            let asked = client.ask(&Request::Stop { names: brains.clone() }).map_err(failure)?;
            wait(&mut client, asked, &brains, |one| one.state.is_settled())?;
            beside.stop(&copies, output)?;
            // It closes the connection of whoever asks nothing for long.
            client = connect(place, &locks)?;
        }
    }
    let asked = client.ask(&Request::Stop { names: args.names.clone() }).map_err(failure)?;
    write_text(&asked, output)?;
    let mut settled = wait(&mut client, asked, &args.names, |one| one.state.is_settled())?;
    if let Some(beside) = &beside {
        for _ in 0..SWEEPS {
            let left = beside.plan(&settled, None)?;
            if left.is_empty() {
                break;
            }
            beside.stop(&left, output)?;
            client = connect(place, &locks)?;
            settled = client.ask(&Request::Status).map_err(failure)?;
        }
    }
    kills.tell(settled.pid, output)?;
    report(&settled, &args.names, output, |component| match component.state {
        StateWord::Running | StateWord::Starting => Err("it runs again".into()),
        _ => Ok(format!("{} does not run", component.name)),
    })
}

/// What runs of the named components, and of the brains that named watchdogs protect, besides what
/// the launcher has started.
struct Beside<'a> {
    fleet: Fleet,
    scope: Scope,
    locks: &'a LockDir,
}

impl<'a> Beside<'a> {
    fn new(fleet: Fleet, names: &[String], locks: &'a LockDir) -> Result<Self, Failure> {
        let spared = qc_process::lineage()?;
        Ok(Self {
            fleet,
            scope: Scope { names: names.to_vec(), spared, ..Scope::default() },
            locks,
        })
    }

    /// Plans to stop the copies, of one role or of all. Fails if one of them is never stopped.
    fn plan(&self, status: &Status, role: Option<Role>) -> Result<StopPlan, Failure> {
        let snapshot = Snapshot::take(&self.fleet, self.locks.list()?)?;
        let is_own = |one: &&Instance| {
            status.components.iter().filter_map(|it| it.pid).any(|pid| one.includes(pid))
        };
        let own: Vec<&Instance> = snapshot.instances.iter().filter(is_own).collect();
        let plan = StopPlan::new(&self.fleet, &snapshot, &self.scope, None);
        if let Some(one) = plan.untouchable.iter().chain(&plan.kept).next() {
            let (name, pid) = (&one.target.component, one.target.identity.pid);
            let message = format!("{name} (PID {pid}) runs on: {}", one.reason);
            return Err(Failure::new(Exit::Failed, message, "see `qc-ps` for what runs"));
        }
        Ok(plan.without(|target| {
            own.iter().any(|one| one.includes(target.identity.pid))
                || role.is_some_and(|role| target.role != role)
        }))
    }

    /// Returns the names that the launcher knows of what is planned.
    fn brains(&self, plan: &StopPlan, status: &Status) -> Vec<String> {
        let known = status.components.iter().map(|one| one.name.clone());
        known
            .filter(|name| plan.targets().any(|one| one.component.eq_ignore_ascii_case(name)))
            .collect()
    }

    /// Stops them; fails if one runs on.
    fn stop(&self, plan: &StopPlan, output: &mut dyn Write) -> Result<(), Failure> {
        let mut written = Ok(());
        let stopped = perform(plan, &mut |progress| {
            if let Progress::Done(Stopped { target, outcome, took, .. }) = progress {
                let who = format!("{} (PID {}, {BESIDE})", target.component, target.identity.pid);
                let line = told_of(&who, outcome, *took);
                written = std::mem::replace(&mut written, Ok(()))
                    .and_then(|()| writeln!(output, "{}", visible(&line)));
            }
        })?;
        written?;
        let alive = stopped.iter().filter(|one| one.outcome.is_alive());
        let names: Vec<String> = alive
            .map(|one| format!("{} (PID {})", one.target.component, one.target.identity.pid))
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let message = format!("not everything could be stopped: {}", names.join(", "));
        Err(Failure::new(Exit::Failed, message, "see `qc-ps` for what runs, and stop it elevated"))
    }
}

/// What the launcher had to kill, as it writes it down.
struct Kills(HistoryTail);

impl Kills {
    /// From now on.
    fn new(locks: &LockDir) -> Self {
        let mut tail = locks.history_tail();
        // Without a history nothing is lost but this line.
        let _ = tail.read();
        Self(tail)
    }

    fn tell(&mut self, launcher: u32, output: &mut dyn Write) -> Result<(), Failure> {
        let Ok(history) = self.0.read() else { return Ok(()) };
        let is_kill =
            |one: &&qc_lock_core::Entry| one.event == Event::Killed && one.by_pid == Some(launcher);
        for one in history.entries.iter().filter(is_kill) {
            let pid = one.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
            writeln!(output, "{}{pid} was KILLED: it did not end when asked", visible(&one.name))?;
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
    // Its own lock is the last thing that it gives back, should that have taken longer than it keeps
    // a connection.
    while locks.list()?.iter().any(|lock| lock.state.is_live() && lock.pid == Some(asked.pid)) {
        thread::sleep(PAUSE);
    }
    kills.tell(asked.pid, output)?;
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
        writeln!(output, "The fleet is stopped; open trades were NOT closed.")?;
        return Ok(Exit::Done);
    }
    let message = format!("not everything could be stopped: {}", left.join(", "));
    let hint = "see `qc-ps` for what still runs, and run `qc-shutdown` elevated";
    Err(Failure::new(Exit::Failed, message, hint))
}

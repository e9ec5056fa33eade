//! `qc-lock release-left`: ends what keeps a lock open although its holder has ended.
//!
//! `qc-lock` hands its command line over to this program: the fleet decides what may be ended, and
//! `qc-lock`, of which one runs for each locked program, knows no fleet.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use qc_cli::{Exit, Failure, local_time, print_json, visible};
use qc_fleet::{
    Fate, Fleet, LeftOver, Outcome, Role, Stage, StopPlan, Stopped, judge_left_over, left_over,
    perform, rfc3339,
};
use qc_fleet_cli::{Answer, ReadFleet, confirm};
use qc_lock_core::{Event, LockDir, LockEntry, LockName, Opener};
use qc_process::lineage;
use serde::Serialize;

use crate::cli::Cli;

/// The tool that the user has called, for messages and the history.
pub(crate) const CALLER: &str = "qc-lock";

/// The answer as JSON.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    name: &'a str,
    left: Vec<Left<'a>>,
    goes_on: Vec<Left<'a>>,
}

/// A process in it.
#[derive(Serialize)]
struct Left<'a> {
    pid: u32,
    program: String,
    since: String,
    kept: Option<String>,
    end: Option<&'a Outcome>,
}

/// The pause before the second look: a program that is just taking the lock has written its record then.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// How long they may take to stop before they are killed, unless the command line says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn run(name: &LockName, cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let location = cli.location.resolve()?;
    let locks = &location.locks()?.by(CALLER);
    let json = cli.json;
    let (fleet, _) = location.fleet_to_show()?;
    // A launcher that waits for the lock keeps the guards that it could take for its component.
    let launcher = locks.status(&fleet.orchestrator)?.filter(|it| it.state.is_live());
    let launcher = launcher.and_then(|entry| entry.pid);
    let Some(openers) = left_open(locks, name, launcher)? else {
        let goes_on = going_on(&fleet, locks, name)?;
        if json {
            let goes_on = goes_on.iter().map(|one| to_json(one, &[])).collect();
            let report = Report { version: 1, name: name.as_str(), left: Vec::new(), goes_on };
            print_json(output, &report)?;
            return Ok(Exit::Done);
        }
        match launcher.filter(|pid| is_open_in(locks, name, *pid)) {
            Some(pid) => writeln!(
                output,
                "The launcher (PID {pid}) keeps {name} for its component; `qc-launch status` shows what it waits for."
            )?,
            None => {
                writeln!(output, "{name} is not kept open by anything that this user can see.")?
            }
        }
        write_going_on(&goes_on, output)?;
        return Ok(Exit::Done);
    };
    let pids: HashMap<u32, String> =
        openers.iter().map(|one| (one.pid, name.to_string())).collect();
    let left = judge_left_over(&fleet, &pids, &lineage()?, &locks.list()?)?;
    if !json {
        write_left(name, &left, output)?;
    }
    let (ending, kept): (Vec<LeftOver>, Vec<LeftOver>) =
        left.into_iter().partition(|one| one.fate == Fate::Ends);
    if !ending.is_empty() && !cli.yes {
        output.flush()?;
        ask(name)?;
    }
    let stopped = stop(&fleet, &ending, cli.timeout.unwrap_or(TIMEOUT))?;
    note(locks, name, &stopped);
    let mut goes_on = going_on(&fleet, locks, name)?;
    goes_on.retain(|one| !kept.iter().chain(&ending).any(|it| is_same(it, one)));
    if json {
        let left = ending.iter().map(|one| to_json(one, &stopped));
        let left = left.chain(kept.iter().map(|one| to_json(one, &[])));
        let left = left.collect();
        let goes_on = goes_on.iter().map(|one| to_json(one, &[])).collect();
        print_json(output, &Report { version: 1, name: name.as_str(), left, goes_on })?;
    } else {
        for one in &ending {
            writeln!(output, "{} {}", visible(&one.text()), end_of(one, &stopped))?;
        }
    }
    let alive = stopped.iter().any(|one| one.outcome.is_alive());
    let (holder, is_open) = now(locks, name, launcher)?;
    if alive || !kept.is_empty() || (holder.is_none() && is_open) {
        let message = format!("{name} is still kept open");
        let hint =
            "what is never ended here is for you to end; `qc-ps --tree` shows where it belongs";
        return Err(Failure::new(Exit::Failed, message, hint));
    }
    if !json {
        match holder {
            // A launcher that waited for the lock has started its component.
            Some(entry) => {
                let pid = entry.pid.map_or_else(String::new, |pid| format!(" (PID {pid})"));
                writeln!(output, "{name} was freed, and runs again{pid}.")?;
            }
            None => {
                writeln!(output, "{name} is free.")?;
                write_going_on(&goes_on, output)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Returns who keeps the lock open although no living process holds it; `None` if there are none.
fn left_open(
    locks: &LockDir,
    name: &LockName,
    launcher: Option<u32>,
) -> Result<Option<Vec<Opener>>, Failure> {
    let look = || {
        let entry = locks.status(name)?;
        if let Some(entry) = entry.as_ref().filter(|entry| entry.state.is_live()) {
            let pid = entry.pid.map(|pid| format!("PID {pid}"));
            let holder = pid.unwrap_or_else(|| "a process".into());
            let message = format!("{name} is held by {holder}, which lives");
            let hint = format!("stop it with `qc-shutdown --name {name}`");
            return Err(Failure::new(Exit::Held, message, hint));
        }
        let mut openers = locks.openers_of_lock(name, entry.as_ref());
        openers.retain(|one| Some(one.pid) != launcher);
        Ok(openers)
    };
    let mut openers: Vec<Opener> = look()?;
    if openers.is_empty() {
        return Ok(None);
    }
    thread::sleep(SECOND_LOOK);
    let again = look()?;
    openers.retain(|one| again.contains(one));
    Ok(Some(openers).filter(|openers| !openers.is_empty()))
}

/// Returns what the last run of the component has left behind that goes on without the lock: a worker that
/// has closed what it had inherited may still trade.
fn going_on(fleet: &Fleet, locks: &LockDir, name: &LockName) -> Result<Vec<LeftOver>, Failure> {
    let is_meant = |one: &str| one.eq_ignore_ascii_case(name.as_str());
    let is_held = || {
        let entry = locks.status(name)?;
        Ok::<_, Failure>(entry.is_some_and(|entry| entry.state.is_live()))
    };
    if is_held()? {
        return Ok(Vec::new());
    }
    let nothing = HashMap::new();
    let mut left = left_over(fleet, locks.path(), is_meant, &nothing, &[], &lineage()?)?;
    left.retain(LeftOver::ends_with_fleet);
    // A run that has begun meanwhile has left nothing behind.
    Ok(if is_held()? { Vec::new() } else { left })
}

fn write_going_on(goes_on: &[LeftOver], output: &mut dyn Write) -> io::Result<()> {
    for one in goes_on {
        writeln!(output, "{}; {}.", visible(&one.behind()), visible(&one.way_out()))?;
    }
    Ok(())
}

fn is_same(one: &LeftOver, other: &LeftOver) -> bool {
    one.process.identity == other.process.identity
}

/// Whether the process `pid` has the lock open.
fn is_open_in(locks: &LockDir, name: &LockName, pid: u32) -> bool {
    let entry = locks.status(name).ok().flatten();
    locks.openers_of_lock(name, entry.as_ref()).iter().any(|one| one.pid == pid)
}

/// Returns the lock's living holder, and whether others keep it open.
fn now(
    locks: &LockDir,
    name: &LockName,
    launcher: Option<u32>,
) -> Result<(Option<LockEntry>, bool), Failure> {
    let look = || {
        let entry = locks.status(name)?;
        // The list leaves out the processes that the command was started from.
        let mut open = locks.openers_of_lock(name, entry.as_ref());
        open.retain(|one| Some(one.pid) != launcher);
        Ok::<_, Failure>((entry.filter(|entry| entry.state.is_live()), open))
    };
    let (holder, open) = look()?;
    if holder.is_some() || open.is_empty() {
        return Ok((holder, false));
    }
    thread::sleep(SECOND_LOOK);
    let (holder, again) = look()?;
    Ok((holder, open.iter().any(|one| again.contains(one))))
}

fn write_left(name: &LockName, left: &[LeftOver], output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "{name} has no living holder and is kept open by:")?;
    for one in left {
        let since = local_time(&rfc3339(one.process.since));
        let kept = match &one.fate {
            Fate::Ends => String::new(),
            Fate::Copy(of) => format!("; a copy of {of}: stop it with `qc-shutdown --name {of}`"),
            Fate::Spared(what) => format!("; {what}, which is never ended"),
        };
        writeln!(output, "  {} since {since}{}", visible(&one.text()), visible(&kept))?;
    }
    Ok(())
}

fn ask(name: &LockName) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let message = format!("no terminal to ask whether to end what keeps {name} open");
        return Err(Failure::new(Exit::Usage, message, "use --yes in scripts"));
    }
    match confirm("Type YES to end them")? {
        Answer::Yes => Ok(()),
        Answer::No | Answer::Nobody => {
            let hint = "type YES in capitals to end them";
            Err(Failure::new(Exit::Cancelled, "cancelled, nothing was ended", hint))
        }
    }
}

fn stop(fleet: &Fleet, ending: &[LeftOver], timeout: Duration) -> io::Result<Vec<Stopped>> {
    let role = Role::Other;
    let target = |one: &LeftOver| qc_fleet::Target { role, timeout, ..one.target(fleet) };
    let targets = ending.iter().map(target).collect();
    let plan = StopPlan { stages: vec![Stage { role, targets }], ..StopPlan::default() };
    perform(&plan, &mut |_| ())
}

/// Writes into the history what was ended.
fn note(locks: &LockDir, name: &LockName, stopped: &[Stopped]) {
    for one in stopped {
        let event = match one.outcome {
            Outcome::Stopped => Event::Stopped,
            Outcome::Killed => Event::Killed,
            Outcome::AlreadyGone | Outcome::ByItself => continue,
            Outcome::Denied(_) | Outcome::Survived(_) | Outcome::Left(_) | Outcome::Kept(_) => {
                Event::Survived
            }
        };
        let entry = locks.entry(event, name.as_str()).pid(Some(one.target.identity.pid));
        // The programs have ended, with or without a line in the history.
        let _ = locks.append(&entry.detail("kept the lock open after its holder had ended"));
    }
}

fn outcome<'a>(one: &LeftOver, stopped: &'a [Stopped]) -> Option<&'a Outcome> {
    let its = stopped.iter().find(|it| it.target.identity == one.process.identity);
    its.map(|its| &its.outcome)
}

fn end_of(one: &LeftOver, stopped: &[Stopped]) -> String {
    match outcome(one, stopped) {
        None | Some(Outcome::AlreadyGone | Outcome::ByItself) => "has ended".into(),
        Some(Outcome::Stopped) => "ended when asked".into(),
        Some(Outcome::Killed) => "was KILLED: it did not end when asked".into(),
        Some(
            Outcome::Denied(why) | Outcome::Survived(why) | Outcome::Left(why) | Outcome::Kept(why),
        ) => format!("is STILL RUNNING: {}", visible(why)),
    }
}

fn to_json<'a>(one: &LeftOver, stopped: &'a [Stopped]) -> Left<'a> {
    let kept = match &one.fate {
        Fate::Ends => None,
        Fate::Copy(of) => Some(format!("a copy of {of}")),
        Fate::Spared(what) => Some((*what).to_owned()),
    };
    Left {
        pid: one.process.identity.pid,
        program: one.text(),
        since: rfc3339(one.process.since),
        kept,
        end: outcome(one, stopped),
    }
}

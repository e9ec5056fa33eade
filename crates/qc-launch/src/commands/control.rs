//! `qc-launch start`, `restart`, `reload`, and what they share with `stop`: asking the one that
//! runs.

mod copies;
pub(crate) mod status;
pub(crate) mod stop;

use qc_cli::{Exit, Failure, Location, print_waiting, visible};
use qc_control::{Client, ComponentStatus, ControlError, Request, StateWord, Status};
use qc_fleet::connect_to_launcher;
use qc_fleet_cli::{Candidate, ReadFleet, SelectionArgs, no_launcher};
use qc_lock_core::LockDir;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use crate::commands::last_words::LastWords;
use crate::commands::waiting::Waiting;

pub(crate) fn start(
    args: &SelectionArgs,
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    bring_up(|names| Request::Start { names }, false, args, location, output)
}

pub(crate) fn restart(
    args: &SelectionArgs,
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    bring_up(|names| Request::Restart { names }, true, args, location, output)
}

pub(crate) fn reload(location: &Location, output: &mut dyn Write) -> Result<Exit, Failure> {
    let status = connect(location, &location.locks()?)?.ask(&Request::Reload).map_err(failure)?;
    write_text(&status, output)?;
    if status.refused.is_empty() {
        return Ok(Exit::Done);
    }
    let refused: Vec<String> =
        status.refused.iter().map(|line| visible(line).to_string()).collect();
    let hint = "the rest of the config was taken over; `qc-launch status` shows how it goes on";
    Err(Failure::new(Exit::Failed, refused.join("\n  "), hint))
}

/// Prints what the launcher has to say to a request.
pub(crate) fn write_text(status: &Status, output: &mut dyn Write) -> Result<(), Failure> {
    for line in &status.text {
        writeln!(output, "{}", visible(line))?;
    }
    Ok(())
}

/// Starts or restarts, and waits until each has stayed up for its `start_seconds` or has failed.
fn bring_up(
    request: fn(Vec<String>) -> Request,
    is_restart: bool,
    args: &SelectionArgs,
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut last_words = LastWords::from_now(location);
    let mut client = connect(location, &location.locks()?)?;
    let before = client.ask(&Request::Status).map_err(failure)?;
    let names = selected(args, &before, location)?;
    if names.is_empty() {
        let hint = "name them, or `all`; `qc-launch status` lists them";
        return Err(Failure::new(Exit::Usage, "no component is named", hint));
    }
    let ending = before.components.iter().filter_map(|one| one.log.as_ref());
    ending.filter(|_| is_restart).for_each(|log| last_words.leave_out(Path::new(log)));
    let before: HashMap<&str, u32> =
        before.components.iter().map(|one| (&*one.name, one.generation)).collect();
    let asked = client.ask(&request(names.clone())).map_err(failure)?;
    write_text(&asked, output)?;
    // The first run of each that counts, and how often it had been restarted before.
    let mut counts: HashMap<String, (u32, u32)> = HashMap::new();
    for one in &asked.components {
        let is_new = before.get(&*one.name).is_some_and(|&generation| one.generation > generation);
        let runs = matches!(one.state, StateWord::Starting | StateWord::Running);
        // A start waits for the current run; a restart waits for the run after it.
        let is_it = runs && (is_new || !is_restart);
        match &one.log {
            Some(log) if is_it => last_words.count(Path::new(log)),
            // The run that a restart ends may not have written anything before.
            Some(log) => last_words.leave_out(Path::new(log)),
            None => {}
        }
        let first = if is_it { one.generation } else { one.generation.saturating_add(1) };
        counts.insert(one.name.clone(), (first, one.restarts));
    }
    let has_failed = |one: &ComponentStatus| {
        let (first, restarts) = counts.get(&one.name).copied().unwrap_or_default();
        one.generation >= first && (one.state == StateWord::BackingOff || one.restarts > restarts)
    };
    let is_done = |one: &ComponentStatus| match one.state {
        _ if has_failed(one) => true,
        StateWord::Running => one.stayed_up,
        state => state.is_settled(),
    };
    let settled = wait(&mut client, asked, &names, is_done)?;
    for one in &settled.components {
        let counts = counts.get(&one.name).is_some_and(|&(first, _)| one.generation >= first);
        if let Some(log) = one.log.as_ref().filter(|_| counts) {
            last_words.count(Path::new(log));
        }
    }
    let words = |one: &ComponentStatus| last_words.of(&one.name);
    report(&settled, &names, output, |one| match one.state {
        state if state != StateWord::GaveUp && has_failed(one) => {
            let why = one.detail.as_deref().unwrap_or("did not stay up");
            Err(format!("{why}, and is started again{}", words(one)))
        }
        StateWord::Running => {
            let pid = one.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
            Ok(format!("{} runs{pid}", one.name))
        }
        StateWord::Finished => Ok(format!("{} has finished", one.name)),
        state => {
            let what = match state {
                StateWord::GaveUp => "has been given up".to_owned(),
                state => format!("is {state}"),
            };
            Err(format!("{what}{}{}", detail(one), words(one)))
        }
    })
}

/// Returns the names of the components that are meant, of those that the launcher has.
pub(crate) fn selected(
    args: &SelectionArgs,
    status: &Status,
    location: &Location,
) -> Result<Vec<String>, Failure> {
    let candidates = status.components.iter().map(|one| Candidate {
        name: &one.name,
        role: &one.role,
        account: one.account.as_deref(),
    });
    let fleet = location.fleet_to_show().ok().map(|(fleet, _)| fleet);
    args.resolve(&candidates.collect::<Vec<_>>(), fleet.as_ref())
}

pub(crate) fn connect(location: &Location, locks: &LockDir) -> Result<Client, Failure> {
    let fleet = location.fleet_to_show().ok().map(|(fleet, _)| fleet);
    let client = match &fleet {
        Some(fleet) => connect_to_launcher(locks, fleet.orchestrator.as_str()),
        // Without a fleet, nothing says which lock is the launcher's.
        None => Client::connect(locks.path(), None),
    };
    client.map(|client| client.on_wait(print_waiting)).map_err(|error| {
        let fleet = matches!(error, ControlError::NotRunning).then_some(fleet.as_ref()).flatten();
        fleet.and_then(|fleet| no_launcher(fleet, locks)).unwrap_or_else(|| failure(error))
    })
}

pub(crate) fn failure(error: ControlError) -> Failure {
    let exit = match &error {
        ControlError::Refused { is_usage: true, .. } => Exit::Usage,
        ControlError::Refused { is_usage: false, .. }
        | ControlError::NotRunning
        | ControlError::Denied { .. }
        | ControlError::Stranger { .. }
        | ControlError::Ended
        | ControlError::Silent { .. }
        | ControlError::Version
        | ControlError::System { .. } => Exit::Failed,
    };
    let hint = error.hint().to_owned();
    Failure::from_error(exit, &error, hint)
}

/// Returns how the fleet is as soon as that differs from `seen`, or after some seconds.
pub(crate) fn next(client: &mut Client, seen: &Status) -> Result<Status, Failure> {
    client.ask(&Request::Wait { seen: seen.tag.clone() }).map_err(failure)
}

/// Waits until `is_done` says so of each named component.
pub(crate) fn wait(
    client: &mut Client,
    mut status: Status,
    names: &[String],
    is_done: impl Fn(&ComponentStatus) -> bool,
) -> Result<Status, Failure> {
    let mut waiting = Waiting::new();
    while !of_names(&status, names).all(&is_done) {
        let awaited = of_names(&status, names).filter(|one| !is_done(one));
        let _saying = waiting.say_later(&status, awaited);
        status = next(client, &status)?;
    }
    Ok(status)
}

fn of_names<'a>(
    status: &'a Status,
    names: &'a [String],
) -> impl Iterator<Item = &'a ComponentStatus> {
    let is_named = |name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    status.components.iter().filter(move |component| is_named(&component.name))
}

/// Prints what became of each named component; fails if one is not as it was wanted. `judge`
/// returns a line, or what follows the name in the message of the failure.
pub(crate) fn report(
    status: &Status,
    names: &[String],
    output: &mut dyn Write,
    judge: impl Fn(&ComponentStatus) -> Result<String, String>,
) -> Result<Exit, Failure> {
    let mut failed = Vec::new();
    for component in of_names(status, names) {
        match judge(component) {
            Ok(line) => writeln!(output, "{line}")?,
            Err(why) => failed.push(format!("{} {why}", component.name)),
        }
    }
    if failed.is_empty() {
        return Ok(Exit::Done);
    }
    let hint = "qc-launch and the rest run on; `qc-launch status` shows how it goes on, `qc-launch logs NAME` why";
    Err(Failure::new(Exit::Failed, failed.join("\n  "), hint))
}

fn detail(component: &ComponentStatus) -> String {
    component.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default()
}

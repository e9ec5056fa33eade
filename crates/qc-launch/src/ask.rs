//! `qc-launch start`, `restart`, `reload`, and what they share with `stop`: asking the one that runs.

use qc_cli::{Exit, Failure, Place, say_waiting, visible};
use qc_control::{Client, ComponentStatus, ControlError, Request, StateWord, Status};
use qc_fleet::connect_to_launcher;
use qc_lock_core::LockDir;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use crate::cli::NamesArgs;
use crate::last_words::LastWords;

pub(crate) fn start(
    args: &NamesArgs,
    place: &Place,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    bring_up(Request::Start { names: args.names.clone() }, args, place, output)
}

pub(crate) fn restart(
    args: &NamesArgs,
    place: &Place,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    bring_up(Request::Restart { names: args.names.clone() }, args, place, output)
}

pub(crate) fn reload(place: &Place, output: &mut dyn Write) -> Result<Exit, Failure> {
    let status = connect(place, &place.locks()?)?.ask(&Request::Reload).map_err(failure)?;
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
    request: Request,
    args: &NamesArgs,
    place: &Place,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut last_words = LastWords::from_now(place);
    let mut client = connect(place, &place.locks()?)?;
    let asked = client.ask(&request).map_err(failure)?;
    write_text(&asked, output)?;
    let is_restart = matches!(request, Request::Restart { .. });
    let is_named =
        |one: &&ComponentStatus| args.names.iter().any(|name| name.eq_ignore_ascii_case(&one.name));
    // What runs already: a start waits for that, and a restart for the run after it.
    let lives = |one: &&ComponentStatus| {
        use StateWord::{Running, Starting, Stopping};
        is_named(one) && matches!(one.state, Starting | Running | Stopping)
    };
    let living: Vec<&ComponentStatus> = asked.components.iter().filter(lives).collect();
    if !is_restart {
        let logs = living.iter().filter_map(|one| one.log.as_ref());
        logs.for_each(|log| last_words.take_in(Path::new(log)));
    }
    let ending: HashMap<String, u32> =
        living.into_iter().filter(|_| is_restart).map(|one| (one.name.clone(), one.life)).collect();
    // A restart that happened before the request was heard is none of its own.
    let before: HashMap<String, u32> =
        asked.components.iter().map(|one| (one.name.clone(), one.restarts)).collect();
    let has_failed = |one: &ComponentStatus| {
        let restarts = before.get(&one.name);
        let is_of_next = ending.get(&one.name).is_none_or(|&life| one.life > life);
        let fails = one.state == StateWord::BackingOff;
        is_of_next && (fails || restarts.is_some_and(|&it| one.restarts > it))
    };
    let is_done = |one: &ComponentStatus| match one.state {
        _ if has_failed(one) => true,
        StateWord::Running => one.stayed_up,
        state => state.is_settled(),
    };
    let settled = wait(&mut client, asked, &args.names, is_done)?;
    let words = |one: &ComponentStatus| last_words.of(&one.name);
    report(&settled, &args.names, output, |one| match one.state {
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

pub(crate) fn connect(place: &Place, locks: &LockDir) -> Result<Client, Failure> {
    let client = match place.fleet_to_show() {
        Ok((fleet, _)) => connect_to_launcher(locks, fleet.orchestrator.as_str()),
        // Without a fleet, nothing says which lock is the launcher's.
        Err(_) => Client::connect(locks.path(), None),
    };
    client.map(|client| client.on_wait(say_waiting)).map_err(failure)
}

pub(crate) fn failure(error: ControlError) -> Failure {
    let exit = match &error {
        ControlError::Refused { is_usage: true, .. } => Exit::Usage,
        ControlError::Refused { is_usage: false, .. }
        | ControlError::NotRunning
        | ControlError::Denied { .. }
        | ControlError::Stranger { .. }
        | ControlError::Ended
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
    while !of_names(&status, names).all(&is_done) {
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

/// Prints what became of each named component; fails if one is not as it was wanted. `judge` returns
/// a line, or what follows the name in the message of the failure.
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

//! `qc-launch stop`, `start`, `restart`, `reload`: asking the one that runs.

use qc_cli::{Exit, Failure, Place, say_waiting, visible};
use qc_control::{Client, ComponentStatus, ControlError, Request, StateWord, Status};
use qc_fleet::connect_to_launcher;
use qc_lock_core::LockDir;
use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::cli::{NamesArgs, StopArgs};
use crate::last_words;

/// The pause between two looks at a lock.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn stop(
    args: &StopArgs,
    place: &Place,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let locks = place.locks()?;
    let mut client = connect(place, &locks)?;
    let names = args.names.clone();
    let asked = client.ask(&Request::Stop { names: names.clone() }).map_err(failure)?;
    if names.is_empty() {
        return stop_all(client, &asked, &locks, output);
    }
    write_text(&asked, output)?;
    let settled = wait(&mut client, asked, &names, |one| one.state.is_settled())?;
    report(&settled, &names, output, |component| match component.state {
        StateWord::Running | StateWord::Starting => Err("it runs again".into()),
        _ => Ok(format!("{} does not run", component.name)),
    })
}

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
    Ok(Exit::Done)
}

/// Prints what the launcher has to say to a request.
fn write_text(status: &Status, output: &mut dyn Write) -> Result<(), Failure> {
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
    let mut client = connect(place, &place.locks()?)?;
    let before = client.ask(&Request::Status).map_err(failure)?;
    let asked = client.ask(&request).map_err(failure)?;
    write_text(&asked, output)?;
    let has_failed = |one: &ComponentStatus| {
        let restarts = before.components.iter().find(|other| other.name == one.name);
        one.state == StateWord::BackingOff || restarts.is_some_and(|it| one.restarts > it.restarts)
    };
    let is_done = |one: &ComponentStatus| match one.state {
        _ if has_failed(one) => true,
        StateWord::Running => one.stayed_up,
        state => state.is_settled(),
    };
    let settled = wait(&mut client, asked, &args.names, is_done)?;
    let words = |one: &ComponentStatus| last_words::of(&one.name, place);
    report(&settled, &args.names, output, |one| match one.state {
        _ if has_failed(one) => {
            let why = one.detail.as_deref().unwrap_or("did not stay up");
            Err(format!("it {why}, and is started again{}", words(one)))
        }
        StateWord::Running => {
            let pid = one.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
            Ok(format!("{} runs{pid}", one.name))
        }
        StateWord::Finished => Ok(format!("{} has finished", one.name)),
        state => Err(format!("it is {state}{}{}", detail(one), words(one))),
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
fn wait(
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

/// Prints what became of each named component; fails if one is not as it was wanted.
fn report(
    status: &Status,
    names: &[String],
    output: &mut dyn Write,
    judge: impl Fn(&ComponentStatus) -> Result<String, String>,
) -> Result<Exit, Failure> {
    let mut failed = Vec::new();
    for component in of_names(status, names) {
        match judge(component) {
            Ok(line) => writeln!(output, "{line}")?,
            Err(why) => failed.push(format!("{}: {why}", component.name)),
        }
    }
    if failed.is_empty() {
        return Ok(Exit::Done);
    }
    let hint = "qc-launch and the rest run on; `qc-launch status` shows how it goes on, `qc-launch logs NAME` why";
    Err(Failure::new(Exit::Failed, failed.join("\n  "), hint))
}

/// Waits until the running `qc-launch` has ended, and looks whether anything is left.
fn stop_all(
    mut client: Client,
    asked: &Status,
    locks: &LockDir,
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

fn detail(component: &ComponentStatus) -> String {
    component.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default()
}

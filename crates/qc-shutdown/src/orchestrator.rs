//! Orchestrators first: told through their control channel, so that nothing is started again while
//! it is being stopped. One that does not answer is stopped itself.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use qc_control::{Client, ControlError, Request};
use qc_fleet::{Pace, Role, STOP_ORDER, StopPlan, Stopping, Target};

/// How long an orchestrator may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What came of telling.
enum Answer {
    /// It stops what it was told.
    Obeys,
    /// There is no channel: an old launcher, or one that is just starting or ending.
    NoChannel,
    /// It does not answer, or refuses; says how.
    Silent(String),
}

/// Stops what the orchestrators of the plan can be told to stop, and those that end with their
/// fleet. Returns the pids of those that obeyed.
pub(crate) fn stop(
    stopping: &mut Stopping<'_>,
    plan: &StopPlan,
    lock_dir: &Path,
    warn: &mut dyn FnMut(&str),
) -> Vec<u32> {
    let ending = plan.stages.iter().filter(|stage| stage.role == Role::Orchestrator);
    let ending: Vec<&Target> = ending.flat_map(|stage| &stage.targets).collect();
    let mut groups: Vec<(&Option<PathBuf>, bool)> = Vec::new();
    for (target, ends) in
        ending.iter().map(|&one| (one, true)).chain(plan.told.iter().map(|one| (one, false)))
    {
        if !groups.iter().any(|(elsewhere, _)| **elsewhere == target.elsewhere) {
            groups.push((&target.elsewhere, ends));
        }
    }
    let mut obeyed = Vec::new();
    for (elsewhere, ends) in groups {
        let is_its = |target: &Target| target.elsewhere == *elsewhere;
        let names: Vec<String> =
            plan.targets().filter(|one| is_its(one)).map(|one| one.component.clone()).collect();
        let dir = elsewhere.as_ref().map_or(lock_dir.to_path_buf(), |root| root.join(".locks"));
        let answer = tell(dir, if ends { None } else { Some(names.clone()) });
        let is_told =
            |target: &Target| is_its(target) && (ends || names.contains(&target.component));
        match &answer {
            Answer::Obeys => {
                stopping.note_told(is_told);
                let pids = ending.iter().copied().chain(&plan.told).filter(|one| is_its(one));
                obeyed.extend(pids.map(|one| one.identity.pid));
                for role in STOP_ORDER.into_iter().filter(|&role| role != Role::Orchestrator) {
                    stopping.stop_those(role, Pace::Told, &is_told);
                }
            }
            Answer::NoChannel => {}
            Answer::Silent(why) => warn(&format!(
                "the orchestrator does not do as it is told ({why}); it is stopped, and the rest directly"
            )),
        }
        let pace = match (&answer, ends) {
            (Answer::Obeys, false) => continue,
            (Answer::Obeys | Answer::NoChannel, true) => Pace::Fleet,
            (Answer::Silent(_), true) => Pace::Full,
            // Asked, it would stop more than is meant.
            (Answer::NoChannel | Answer::Silent(_), false) => Pace::Kill,
        };
        stopping.add(plan.told.iter().filter(|one| !ends && is_its(one)));
        stopping.stop_those(Role::Orchestrator, pace, &is_its);
    }
    obeyed
}

/// Tells the orchestrator whose locks are in `lock_dir` to stop these components, or everything.
fn tell(lock_dir: PathBuf, names: Option<Vec<String>>) -> Answer {
    let (sender, answer) = mpsc::sync_channel(1);
    // Nobody waits for it longer than that; it ends with this program.
    thread::spawn(move || {
        // Who does not wait any more does not miss it.
        let _ = sender.send(ask(&lock_dir, names));
    });
    match answer.recv_timeout(ANSWER) {
        Ok(Ok(())) => Answer::Obeys,
        Ok(Err(ControlError::NotRunning)) => Answer::NoChannel,
        Ok(Err(error)) => Answer::Silent(error.to_string()),
        Err(_) => Answer::Silent(format!("no answer within {} s", ANSWER.as_secs())),
    }
}

fn ask(lock_dir: &Path, names: Option<Vec<String>>) -> Result<(), ControlError> {
    let mut client = Client::connect(lock_dir)?;
    let names = match names {
        None => Vec::new(),
        Some(names) => {
            // What it does not know it does not start again, either.
            let known = client.ask(&Request::Status)?.components;
            let is_known = |name: &String| {
                known.iter().any(|component| component.name.eq_ignore_ascii_case(name))
            };
            let names: Vec<String> = names.into_iter().filter(is_known).collect();
            if names.is_empty() {
                return Ok(());
            }
            names
        }
    };
    client.ask(&Request::Stop { names })?;
    Ok(())
}

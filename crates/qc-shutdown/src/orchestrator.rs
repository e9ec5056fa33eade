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

/// The orchestrators of one folder: those of the plan, or those that run on.
struct Group<'a> {
    elsewhere: &'a Option<PathBuf>,
    lock_dir: PathBuf,
    /// Whether they end with their fleet.
    ends: bool,
    /// What of their fleet is to be stopped, by name.
    names: Vec<String>,
}

impl Group<'_> {
    fn includes(&self, target: &Target) -> bool {
        target.elsewhere == *self.elsewhere
    }

    /// Whether it stops this one when it is told.
    fn knows(&self, target: &Target) -> bool {
        self.includes(target)
            && !target.is_stray
            && (self.ends || self.names.contains(&target.component))
    }
}

/// Stops what the orchestrators of the plan can be told to stop, and those that end with their
/// fleet. Returns the pids of those that obeyed.
pub(crate) fn stop(
    stopping: &mut Stopping<'_>,
    plan: &StopPlan,
    lock_dir: &Path,
    warn: &mut dyn FnMut(&str),
) -> Vec<u32> {
    let mut groups = groups(plan, lock_dir);
    // One that looks after all brains that are meant keeps the order by itself; but it does not know
    // of their workers.
    let is_alone = |one: &Target| {
        is_brain(one) && (one.is_worker || !groups.iter().any(|group| group.knows(one)))
    };
    if groups.len() > 1 || (!groups.is_empty() && plan.targets().any(is_alone)) {
        groups = brains_first(stopping, plan, groups, warn);
    }
    let mut obeyed = Vec::new();
    for group in &groups {
        let of_group = orchestrators(plan).filter(|one| group.includes(one));
        let pids: Vec<u32> = of_group.map(|one| one.identity.pid).collect();
        if stopping.is_interrupted() {
            // What it has written of those that it has stopped counts.
            obeyed.extend(pids);
            continue;
        }
        let all = if group.ends { None } else { Some(group.names.clone()) };
        let answer = tell(group.lock_dir.clone(), all);
        if matches!(answer, Answer::Obeys) {
            stopping.note_told(|one| group.knows(one));
            obeyed.extend(pids);
            for role in STOP_ORDER.into_iter().filter(|&role| role != Role::Orchestrator) {
                stopping.stop_those(role, Pace::Told, &|one| group.knows(one));
            }
        }
        stop_itself(stopping, plan, group, &answer, warn);
    }
    obeyed
}

/// The orchestrators that the plan ends, and those that it only tells.
fn orchestrators(plan: &StopPlan) -> impl Iterator<Item = &Target> {
    plan.targets().filter(|one| one.role == Role::Orchestrator).chain(&plan.told)
}

fn groups<'a>(plan: &'a StopPlan, lock_dir: &Path) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for one in orchestrators(plan) {
        if groups.iter().any(|group| group.includes(one)) {
            continue;
        }
        let elsewhere = &one.elsewhere;
        let names = plan.targets().filter(|other| other.elsewhere == *elsewhere);
        groups.push(Group {
            elsewhere,
            lock_dir: elsewhere.as_ref().map_or(lock_dir.into(), |root| root.join(".locks")),
            ends: !plan.told.contains(one),
            names: names.map(|other| other.component.clone()).collect(),
        });
    }
    groups
}

/// Stops the brains alone, those of all orchestrators and at the same time those that none of them
/// looks after: an account may be guarded from one folder and traded from another, so no watchdog
/// is to end before all brains have. Returns the orchestrators that are still to be stopped or
/// told of the rest.
fn brains_first<'a>(
    stopping: &mut Stopping<'_>,
    plan: &StopPlan,
    groups: Vec<Group<'a>>,
    warn: &mut dyn FnMut(&str),
) -> Vec<Group<'a>> {
    let (mut obedient, mut old) = (Vec::new(), Vec::new());
    for group in groups {
        let brains = plan.targets().filter(|one| is_brain(one) && group.includes(one));
        let names = brains.map(|one| one.component.clone()).collect();
        match tell(group.lock_dir.clone(), Some(names)) {
            Answer::Obeys => {
                stopping.note_told(|one| is_brain(one) && group.knows(one));
                obedient.push(group);
            }
            // It can only be asked to end, and then stops its brains itself before its watchdogs.
            Answer::NoChannel if group.ends => old.push(group),
            // Its brains are stopped directly, so it must not start them again.
            answer @ (Answer::NoChannel | Answer::Silent(_)) => {
                stop_itself(stopping, plan, &group, &answer, warn);
            }
        }
    }
    // Those that still have brains come first.
    old.append(&mut obedient);
    let groups = old;
    let is_known = |one: &Target| groups.iter().any(|group| group.knows(one));
    stopping.stop_those(Role::Brain, Pace::Full, &|one| !is_known(one));
    stopping.stop_those(Role::Brain, Pace::Told, &is_known);
    groups
}

fn is_brain(target: &Target) -> bool {
    target.role == Role::Brain
}

/// Stops orchestrators themselves, if they are to end or don't do as they are told.
fn stop_itself(
    stopping: &mut Stopping<'_>,
    plan: &StopPlan,
    group: &Group<'_>,
    answer: &Answer,
    warn: &mut dyn FnMut(&str),
) {
    if let Answer::Silent(why) = answer {
        warn(&format!(
            "the orchestrator does not do as it is told ({why}); it is stopped, and the rest directly"
        ));
    }
    let pace = match (answer, group.ends) {
        (Answer::Obeys, false) => return,
        (Answer::Obeys | Answer::NoChannel, true) => Pace::Fleet,
        (Answer::Silent(_), true) => Pace::Full,
        // Asked, it would stop more than is meant.
        (Answer::NoChannel | Answer::Silent(_), false) => Pace::Kill,
    };
    stopping.add(plan.told.iter().filter(|one| !group.ends && group.includes(one)));
    stopping.stop_those(Role::Orchestrator, pace, &|one| group.includes(one));
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

//! Orchestrators first: told through their control channel, so that nothing is started again while
//! it is being stopped. One that does not answer is stopped itself, and so is one that can't be told.

mod told;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use qc_fleet::{CannotBeTold, Outcome, Role, STOP_ORDER, StopMode, StopPlan, Stopping, Target};
use qc_process::{Identity, Liveness, liveness};

pub(crate) use self::told::Told;
use crate::channel::{Answer, Order, send};

/// The orchestrators of one folder: those of the plan, or those that run on.
struct Group<'a> {
    elsewhere: &'a Option<PathBuf>,
    lock_dir: PathBuf,
    /// Whether they end with their fleet.
    ends: bool,
    /// Whether the command that asks was started from them: they are never stopped.
    is_spared: bool,
    /// Why they can't be told, if they can't: the plan has decided that.
    cannot_be_told: Option<CannotBeTold>,
    /// The name of their lock.
    lock: String,
    /// The names of the components that are to be stopped and not to be started again.
    names: Vec<String>,
    /// Components that asked for the stop themselves: they run on, and are not started again.
    run_on: Vec<String>,
}

impl Group<'_> {
    fn includes(&self, target: &Target) -> bool {
        target.elsewhere == *self.elsewhere
    }

    /// Whether it stops this one when it is told.
    fn knows(&self, target: &Target) -> bool {
        self.includes(target)
            && !target.is_unmanaged
            && (self.ends || self.names.contains(&target.component))
    }

    /// Leaves out what was kept, which needs an orchestrator that runs on.
    fn spare_kept(&mut self, stopping: &Stopping<'_>) {
        let kept = stopping.done().iter().filter(|one| matches!(one.outcome, Outcome::Kept(_)));
        let kept: Vec<&Target> =
            kept.map(|one| &one.target).filter(|one| self.includes(one)).collect();
        self.ends &= kept.is_empty();
        self.names.retain(|name| !kept.iter().any(|one| one.component.eq_ignore_ascii_case(name)));
    }

    /// Returns what it is told in the end.
    fn order(&self) -> Order {
        match self.ends {
            true => Order::End,
            false => Order::Stop { names: self.names.clone(), run_on: self.run_on.clone() },
        }
    }

    fn send(&self, plan: &StopPlan, order: &Order) -> Answer {
        let is_alive = || {
            let mut of_group = orchestrators(plan).filter(|one| self.includes(one));
            of_group.any(|one| liveness(&one.identity) == Liveness::Alive)
        };
        // One that ends with its fleet can be asked without a channel, too.
        send(&self.lock_dir, &self.lock, order, &|| !self.ends && is_alive())
    }
}

/// Stops what the orchestrators of the plan can be told to stop, and those that end with their
/// fleet. `brains_are_gone` stops the brains that come up meanwhile. What was told is added to `told`.
pub(crate) fn stop(
    stopping: &mut Stopping<'_>,
    plan: &StopPlan,
    lock_dir: &Path,
    warn: &mut dyn FnMut(&str),
    told: &mut Told,
    brains_are_gone: &mut dyn FnMut(&mut Stopping<'_>, &mut Told),
) {
    let (deaf, mut groups): (Vec<_>, Vec<_>) =
        groups(plan, lock_dir).into_iter().partition(|group| group.cannot_be_told.is_some());
    for group in &deaf {
        stop_itself(stopping, plan, group, &Answer::NoChannel, warn);
    }
    // One that looks after all brains that are meant keeps the order by itself; but it does not know
    // of their workers, nor what a brain that can't be stopped needs.
    let is_alone = |one: &Target| {
        is_brain(one) && (one.is_worker || !groups.iter().any(|group| group.knows(one)))
    };
    let is_stuck =
        stopping.done().iter().any(|one| is_brain(&one.target) && one.outcome.is_alive());
    if groups.len() > 1 || (!groups.is_empty() && (is_stuck || plan.targets().any(is_alone))) {
        groups = brains_first(stopping, plan, groups, warn);
        told.processes.extend(plan.targets().filter(|one| is_brain(one)).map(identity));
        brains_are_gone(stopping, told);
        if stopping.keep_protection() {
            groups.iter_mut().for_each(|group| group.spare_kept(stopping));
        }
    }
    told.processes.extend(plan.targets().map(identity));
    let here = groups.iter().filter(|one| one.elsewhere.is_none()).flat_map(|one| &one.names);
    told.withheld.extend(here.map(|name| name.to_ascii_lowercase()));
    for group in &groups {
        if stopping.is_interrupted() {
            // Its written account of the components that it has stopped counts.
            told.obeyed(plan, group, &[]);
            continue;
        }
        let answer = group.send(plan, &group.order());
        if let Answer::Obeys(known) = &answer {
            stopping.note_told(|one| group.knows(one));
            if group.ends {
                stopping.note_swept(|one| group.includes(one) && plan.is_left_over(one));
            }
            told.obeyed(plan, group, known);
            for role in STOP_ORDER.into_iter().filter(|&role| role != Role::Orchestrator) {
                stopping.stop_those(role, StopMode::AfterOrchestrator, &|one| group.knows(one));
            }
        }
        stop_itself(stopping, plan, group, &answer, warn);
    }
}

/// Tells orchestrators that run on what has turned up since, so that it does not come again: what
/// runs and has its turn, which is stopped by that, or, without a turn, what does not run now.
pub(crate) fn send_changes(
    stopping: &mut Stopping<'_>,
    plan: &StopPlan,
    lock_dir: &Path,
    turn: Option<Role>,
    warn: &mut dyn FnMut(&str),
    told: &mut Told,
) {
    if stopping.is_interrupted() {
        return;
    }
    stopping.note_told(|one| told.covers(plan, one));
    for group in
        groups(plan, lock_dir).iter().filter(|one| !one.ends && one.cannot_be_told.is_none())
    {
        let names = told.news(plan, group, turn);
        if names.is_empty() {
            continue;
        }
        let order = Order::Stop { names: names.clone(), run_on: Vec::new() };
        let answer = group.send(plan, &order);
        if let Answer::Obeys(known) = &answer {
            told.obeyed(plan, group, known);
            let is_named = |one: &Target| {
                Some(one.role) == turn && group.knows(one) && names.contains(&one.component)
            };
            stopping.note_told(is_named);
            if let Some(role) = turn {
                stopping.stop_those(role, StopMode::AfterOrchestrator, &is_named);
            }
        }
        stop_itself(stopping, plan, group, &answer, warn);
    }
}

fn identity(target: &Target) -> Identity {
    target.identity.clone()
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
        let of_folder = |other: &&Target| other.elsewhere == *elsewhere;
        let is_deaf = |one: &Target| one.cannot_be_told.is_some();
        let name = |one: &Target| one.component.clone();
        let withheld = plan.withheld.iter().filter(|_| elsewhere.is_none()).cloned();
        let mut names: Vec<String> =
            plan.targets().filter(of_folder).map(name).chain(withheld).collect();
        names.dedup();
        let mut run_on: Vec<String> = plan.run_on().filter(of_folder).map(name).collect();
        run_on.dedup();
        groups.push(Group {
            elsewhere,
            lock_dir: elsewhere.as_ref().map_or(lock_dir.into(), |root| root.join(".locks")),
            ends: !plan.told.contains(one),
            is_spared: orchestrators(plan).filter(of_folder).any(|one| plan.spares(one)),
            cannot_be_told: match orchestrators(plan).filter(of_folder).all(is_deaf) {
                true => one.cannot_be_told,
                false => None,
            },
            lock: one.component.clone(),
            names,
            run_on,
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
    let (mut obedient, mut mute) = (Vec::new(), Vec::new());
    for group in groups {
        let brains = plan.targets().filter(|one| is_brain(one) && group.includes(one));
        let names: BTreeSet<String> = brains.map(|one| one.component.clone()).collect();
        let names: Vec<String> = names.into_iter().collect();
        match group.send(plan, &Order::Stop { names, run_on: Vec::new() }) {
            Answer::Obeys(_) => {
                stopping.note_told(|one| is_brain(one) && group.knows(one));
                obedient.push(group);
            }
            // It can only be asked to end, and then stops its brains itself before its watchdogs.
            Answer::NoChannel | Answer::Busy(_) if group.ends => mute.push(group),
            // Its brains are stopped directly, so it must not start them again.
            answer @ (Answer::NoChannel | Answer::Busy(_) | Answer::Silent { .. }) => {
                stop_itself(stopping, plan, &group, &answer, warn);
            }
        }
    }
    // The groups that still have brains come first.
    mute.append(&mut obedient);
    let groups = mute;
    let is_known = |one: &Target| groups.iter().any(|group| group.knows(one));
    stopping.stop_those(Role::Brain, StopMode::Escalate, &|one| !is_known(one));
    stopping.stop_those(Role::Brain, StopMode::AfterOrchestrator, &is_known);
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
    let is_mine = |one: &Target| group.includes(one);
    let mode = match answer {
        Answer::Obeys(_) if !group.ends => return,
        Answer::Obeys(_) => StopMode::WholeFleet,
        Answer::NoChannel | Answer::Busy(_) | Answer::Silent { .. } if group.is_spared => {
            return warn(
                "the orchestrator that this command was started from can't be told: it may start again what is stopped",
            );
        }
        Answer::NoChannel | Answer::Busy(_) | Answer::Silent { .. }
            if !plan.targets().any(is_mine) =>
        {
            return warn("the orchestrator can't be told what not to start; it runs on");
        }
        Answer::NoChannel if let Some(reason) = group.cannot_be_told => {
            warn(&format!("{} is killed first: {}", group.lock, reason.why_killed()));
            StopMode::KillNow
        }
        Answer::NoChannel if group.ends => StopMode::WholeFleet,
        Answer::Busy(why) if group.ends => {
            warn(&format!("the orchestrator is busy ({why}); it is asked to end in another way"));
            StopMode::WholeFleet
        }
        // It would start again what is stopped without it.
        Answer::Busy(why) => {
            let reason =
                format!("its orchestrator is busy and could not be told to stop it ({why})");
            return stopping.leave_those(&reason, |one| group.knows(one));
        }
        Answer::Silent { why, has_heard } => {
            if group.ends && *has_heard {
                // It may end by that before it is asked in another way.
                stopping.note_told(|one| one.role == Role::Orchestrator && is_mine(one));
            }
            warn(&format!(
                "the orchestrator ignores the request ({why}); it is stopped, and the rest directly"
            ));
            if group.ends { StopMode::Escalate } else { StopMode::KillNow }
        }
        // Asked, it would stop more than is meant.
        Answer::NoChannel => StopMode::KillNow,
    };
    stopping.add(plan.told.iter().filter(|one| !group.ends && is_mine(one)));
    stopping.stop_those(Role::Orchestrator, mode, &is_mine);
}

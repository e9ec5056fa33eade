//! From what runs to what will be stopped: one decision, for showing it and for doing it.

use std::time::Duration;

use qc_process::Identity;

use super::elsewhere::Elsewhere;
use super::guarded::{is_to_protect, protects, reason};
use super::target::targets;
use super::{CannotBeTold, Exposure, Scope, Target};
use crate::{Fleet, Instance, LeftOver, Role, Snapshot};

/// The order of stopping. Watchdogs outlive the brains whose positions they guard.
pub const STOP_ORDER: [Role; 5] =
    [Role::Orchestrator, Role::Brain, Role::Watchdog, Role::Server, Role::Other];

/// Which processes to stop, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopPlan {
    /// One after the other, as they end.
    pub stages: Vec<Stage>,
    /// Orchestrators that run on: they are told to stop their part and not to start it again. One that
    /// can't be told is among the stages instead, unless it is spared.
    pub told: Vec<Target>,
    /// The processes that are meant but run on, because the command that asks was started from
    /// them.
    pub spared: Vec<Target>,
    /// The processes that look like a component and are never stopped.
    pub untouchable: Vec<Kept>,
    /// The processes that are meant but run on, because they protect a brain that runs on.
    pub kept: Vec<Kept>,
    /// Whether one of these protects a brain in another folder, which this stop does not reach.
    pub protects_elsewhere: bool,
    /// Components of this fleet that are meant and do not run: an orchestrator that runs on must not
    /// start them, either.
    pub withheld: Vec<String>,
    /// The accounts left without protection.
    pub exposure: Exposure,
    /// The process that asks, and those it descends from.
    pub asked_by: Vec<Identity>,
    /// The programs among the stages that ended runs have left behind, each with a description.
    pub left_over: Vec<(Identity, String)>,
}

/// Processes that are stopped at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Their role.
    pub role: Role,
    /// The processes.
    pub targets: Vec<Target>,
}

/// A process that is meant but runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The process.
    pub target: Target,
    /// Why it runs on.
    pub reason: String,
}

impl StopPlan {
    /// Plans to stop what `scope` means of what runs. `timeout` replaces what the config says.
    ///
    /// With a watchdog, the brains of its account are stopped, too, as `qc-launch stop` does: a
    /// brain is never left to trade unguarded by a stop.
    pub fn new(
        fleet: &Fleet,
        snapshot: &Snapshot,
        scope: &Scope,
        timeout: Option<Duration>,
    ) -> Self {
        let reached: Vec<&Instance> =
            snapshot.instances.iter().filter(|one| scope.reaches(fleet, one)).collect();
        let mut chosen: Vec<bool> = reached.iter().map(|one| scope.means(one)).collect();
        for (position, brain) in reached.iter().enumerate() {
            let guard = |(one, &chosen): (&&Instance, &bool)| {
                chosen && one.role == Role::Watchdog && same_account(one, brain)
            };
            chosen[position] |= brain.role == Role::Brain && reached.iter().zip(&chosen).any(guard);
        }
        let targets = |instance: &Instance| targets(fleet, instance, timeout);
        let mut plan = Self { asked_by: scope.spared.clone(), ..Self::default() };
        for (one, chosen) in reached.iter().zip(&mut chosen).filter(|(_, chosen)| **chosen) {
            if let Some(reason) = scope.forbids(one) {
                *chosen = false;
                let kept = |target| Kept { target, reason: reason.clone() };
                plan.untouchable.extend(targets(one).into_iter().map(kept));
            }
        }
        for (one, chosen) in reached.iter().zip(&mut chosen) {
            if *chosen && scope.spares(one) {
                *chosen = false;
                plan.spared.extend(targets(one));
            }
        }
        let running_on = plan.spared.iter().chain(plan.untouchable.iter().map(|one| &one.target));
        let brains: Vec<&Target> = running_on.filter(|one| one.role == Role::Brain).collect();
        let elsewhere = Elsewhere::new(snapshot, &reached, &chosen);
        plan.protects_elsewhere = elsewhere.keeps_any();
        for (one, chosen) in reached.iter().zip(&mut chosen).filter(|(_, chosen)| **chosen) {
            let targets = targets(one);
            let brain = targets.first().and_then(|target| protects(target, &brains));
            if let Some(reason) = brain.map(reason).or_else(|| elsewhere.reason(one)) {
                *chosen = false;
                let kept = |target| Kept { target, reason: reason.clone() };
                plan.kept.extend(targets.into_iter().map(kept));
            }
        }
        // One that runs on needs an orchestrator that goes on looking after it.
        if !plan.spared.is_empty() || !plan.kept.is_empty() {
            let of_orchestrators = reached.iter().zip(&mut chosen);
            of_orchestrators
                .filter(|(one, _)| one.role == Role::Orchestrator)
                .for_each(|(_, chosen)| *chosen = false);
        }
        plan.exposure = Exposure::after(&reached, &chosen);
        let mut orchestrators = Vec::new();
        for role in STOP_ORDER {
            let of_role = reached.iter().zip(&chosen).filter(|(one, _)| one.role == role);
            let (stay, go): (Vec<_>, Vec<_>) = of_role.partition(|(_, chosen)| !**chosen);
            let go: Vec<Target> = go.into_iter().flat_map(|(one, _)| targets(one)).collect();
            if role == Role::Orchestrator {
                plan.told = stay.into_iter().flat_map(|(one, _)| targets(one)).collect();
                orchestrators = go;
            } else if !go.is_empty() {
                plan.stages.push(Stage { role, targets: go });
            }
        }
        plan.withheld = withheld(fleet, &reached, scope, &brains);
        // One that has nothing to do with it is left alone, as is its folder.
        let has_part = |one: &Target| {
            let is_here = |target: &Target| target.elsewhere == one.elsewhere;
            let is_withheld = one.elsewhere.is_none() && !plan.withheld.is_empty();
            plan.targets().any(is_here)
                || (!is_scripted(one) && (is_withheld || plan.run_on().any(is_here)))
        };
        let told = plan.told.iter().filter(|one| has_part(one)).cloned();
        // One that can't be told would start again what is stopped beside it.
        let would_start_again = |one: &Target| {
            let stops_beside = plan.targets().any(|target| target.elsewhere == one.elsewhere);
            one.cannot_be_told.is_some() && stops_beside && !plan.spares(one)
        };
        let (deaf, told): (Vec<Target>, Vec<Target>) = told.partition(would_start_again);
        plan.told = told;
        let may_go = |one: &Target| plan.untouchable.iter().all(|kept| kept.target != *one);
        orchestrators.extend(deaf.into_iter().filter(may_go));
        // A launcher that was told stops its fleet before it ends itself.
        let (first, last): (Vec<Target>, Vec<Target>) =
            orchestrators.into_iter().partition(|one| one.cannot_be_told.is_some());
        let stage = |targets: Vec<Target>| {
            (!targets.is_empty()).then_some(Stage { role: Role::Orchestrator, targets })
        };
        plan.stages = stage(first).into_iter().chain(plan.stages).chain(stage(last)).collect();
        plan
    }

    /// Whether `target` is an orchestrator that the command that asks was started from.
    pub fn spares(&self, target: &Target) -> bool {
        self.asked_by.contains(&target.identity)
    }

    /// Whether an ended run has left `target` behind.
    pub fn is_left_over(&self, target: &Target) -> bool {
        self.left_over.iter().any(|(left, _)| *left == target.identity)
    }

    /// Returns what is not to be started again once it has ended by itself: what is meant and has
    /// asked for that. A watchdog goes on protecting.
    pub fn run_on(&self) -> impl Iterator<Item = &Target> {
        let runs_on = |one: &&Target| !matches!(one.role, Role::Orchestrator | Role::Watchdog);
        self.spared.iter().filter(runs_on)
    }

    /// Plans to stop these instances, whatever else runs.
    pub fn of<'a>(fleet: &Fleet, instances: impl IntoIterator<Item = &'a Instance>) -> Self {
        let snapshot =
            Snapshot { instances: instances.into_iter().cloned().collect(), ..Snapshot::default() };
        Self::new(fleet, &snapshot, &Scope { all_roots: true, ..Scope::default() }, None)
    }

    /// Adds what components have left behind that are meant and do not run any more: each is stopped with
    /// those of its component's role. `timeout` replaces what the config says.
    pub fn with_left_over(
        mut self,
        fleet: &Fleet,
        left: &[LeftOver],
        timeout: Option<Duration>,
    ) -> Self {
        for one in left {
            let target = one.target(fleet);
            let target = Target { timeout: timeout.unwrap_or(target.timeout), ..target };
            let is_known = |it: &Target| it.identity == target.identity;
            if self.targets().chain(self.run_on()).chain(&self.told).any(is_known) {
                continue;
            }
            let text = format!("{} has left {} behind", target.component, one.text());
            self.left_over.push((target.identity.clone(), text));
            self.stage(target.role).push(target);
        }
        self
    }

    /// Returns the processes of one role to add to, in their place among the stages.
    fn stage(&mut self, role: Role) -> &mut Vec<Target> {
        let turn = |role: Role| STOP_ORDER.iter().position(|&one| one == role);
        let found = self.stages.iter().position(|stage| stage.role == role);
        let position = found.unwrap_or_else(|| {
            // An orchestrator is the first, or the last after it has stopped its fleet.
            let is_later =
                |stage: &Stage| stage.role == Role::Orchestrator || turn(stage.role) > turn(role);
            let lead = self.stages.iter().take_while(|it| it.role == Role::Orchestrator).count();
            let lead = if lead == self.stages.len() { 0 } else { lead };
            let rest = self.stages[lead..].iter().position(is_later);
            let position = rest.map_or(self.stages.len(), |at| lead + at);
            self.stages.insert(position, Stage { role, targets: Vec::new() });
            position
        });
        &mut self.stages[position].targets
    }

    /// Returns the same plan without some processes.
    pub fn without(mut self, skipped: impl Fn(&Target) -> bool) -> Self {
        for stage in &mut self.stages {
            stage.targets.retain(|target| !skipped(target));
        }
        self.stages.retain(|stage| !stage.targets.is_empty());
        self
    }

    /// Whether there is nothing to stop and no orchestrator to tell.
    pub fn is_idle(&self) -> bool {
        self.stages.is_empty() && self.told.is_empty()
    }

    /// Whether there is nothing to stop.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Returns all processes, in the order of stopping.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.stages.iter().flat_map(|stage| &stage.targets)
    }
}

fn is_scripted(one: &Target) -> bool {
    one.cannot_be_told == Some(CannotBeTold::Scripted)
}

fn same_account(one: &Instance, other: &Instance) -> bool {
    let same = |one: &Option<String>, other: &Option<String>| match (one, other) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    };
    one.other_root == other.other_root
        && (same(&one.account_key, &other.account_key) || same(&one.account, &other.account))
}

/// `brains` run on, so that what protects them is needed.
fn withheld(
    fleet: &Fleet,
    reached: &[&Instance],
    scope: &Scope,
    brains: &[&Target],
) -> Vec<String> {
    let runs = |name: &str| {
        let mut own = reached.iter().filter(|one| one.other_root.is_none());
        own.any(|one| one.component.eq_ignore_ascii_case(name))
    };
    let meant = fleet
        .components
        .iter()
        .filter(|one| scope.means_component(one) && !is_to_protect(one, brains));
    meant.map(|one| one.name.to_string()).filter(|name| !runs(name)).collect()
}

#[cfg(test)]
mod tests;

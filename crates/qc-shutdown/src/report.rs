//! The output before and after.

mod end;
mod plan;

use qc_fleet::{
    Exposure, Instance, Kept, MovedFleet, Outcome, Role, Snapshot, StopPlan, Stopped, Target,
};
use qc_lock_core::Latch;
use serde::Serialize;

pub(crate) use self::end::how;
pub(crate) use self::plan::write_plan;
use self::plan::{concerns_accounts, withheld};
use crate::orchestrator::Told;
use crate::planner::Planner;
use crate::starters::Loop;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: u32,
    dry_run: bool,
    /// The latch that forbids every start at the end.
    pub(crate) latch: Option<Latch>,
    /// The processes of this folder's fleet that run in another one, and are for that folder to stop.
    moved: Vec<Planned>,
    /// The same in words, each with the command that stops it there.
    #[serde(skip)]
    moved_texts: Vec<(String, String)>,
    /// Why the config could not be read; then only locks and usual names tell what runs.
    config_error: Option<String>,
    /// Why there may be more than is listed.
    unreadable: Option<String>,
    plan: Vec<PlannedStage>,
    /// Orchestrators that run on and are told to stop their part.
    told: Vec<Planned>,
    /// The processes that are meant but run on, because this command was started from them.
    spared: Vec<Planned>,
    /// The processes that hold the lock of a component that is meant, and are never stopped.
    untouchable: Vec<PlannedKept>,
    /// The processes that are meant but run on, because they protect a brain that runs on.
    kept: Vec<PlannedKept>,
    #[serde(skip)]
    protects_elsewhere: bool,
    /// The components that are meant and do not run: an orchestrator that runs on is asked not to
    /// start them.
    withheld: Vec<String>,
    exposure: Exposure,
    /// The programs among the stages that ended runs have left behind, in words.
    left_over: Vec<String>,
    /// The components that are started again as often as they are stopped.
    pub(crate) loops: Vec<Loop>,
    /// The programs that have started a component, run on without it, and may start it again.
    pub(crate) lingering: Vec<Loop>,
    /// Whether an orchestrator that runs on was told what not to start again.
    is_told: bool,
    /// Whether what was stopped may have traded.
    #[serde(skip)]
    has_accounts: bool,
    /// Whether the whole fleet was meant.
    #[serde(skip)]
    is_whole: bool,
    /// Components that the orchestrator of this folder, which runs on, does not start again.
    #[serde(skip)]
    not_again: Vec<String>,
    /// Components that no launcher starts until the user starts them by name.
    pub(crate) held_back: Vec<String>,
    /// Whether stopping was interrupted.
    pub(crate) interrupted: bool,
    results: Vec<Ended>,
    /// Locks whose records were removed because their holders have ended.
    pub(crate) cleared: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PlannedStage {
    role: Role,
    targets: Vec<Planned>,
}

#[derive(Debug, Serialize)]
struct Planned {
    component: String,
    role: Role,
    account: Option<String>,
    pid: u32,
    /// The folder of its fleet, if that is not this one.
    folder: Option<String>,
    /// Whether it is only stopped if it outlives the component that started it.
    worker: bool,
    /// The programs that started it and end with it.
    wrapper_pids: Vec<u32>,
    timeout_seconds: f64,
}

#[derive(Debug, Serialize)]
struct PlannedKept {
    #[serde(flatten)]
    target: Planned,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Ended {
    component: String,
    role: Role,
    account: Option<String>,
    pid: u32,
    /// Its program, where it is a helper that the component has started.
    helper: Option<String>,
    #[serde(flatten)]
    outcome: Outcome,
    seconds: f64,
    /// Why it could not be asked and was killed without that.
    unasked: Option<String>,
}

impl From<&Target> for Planned {
    fn from(target: &Target) -> Self {
        Self {
            component: target.component.clone(),
            role: target.role,
            account: target.account.clone(),
            pid: target.identity.pid,
            folder: target.elsewhere.as_ref().map(|folder| folder.display().to_string()),
            worker: target.is_worker,
            wrapper_pids: target.wrappers.clone(),
            timeout_seconds: target.timeout.as_secs_f64(),
        }
    }
}

/// Returns the processes of a fleet that runs in another folder.
fn planned_moved(fleet: &MovedFleet<'_>) -> Vec<Planned> {
    let of = |one: &Instance| {
        let planned = |pid: u32| Planned {
            component: one.component.clone(),
            role: one.role,
            account: one.account.clone(),
            pid,
            folder: Some(fleet.folder.display().to_string()),
            worker: false,
            wrapper_pids: one.wrappers.iter().map(|it| it.identity.pid).collect(),
            timeout_seconds: 0.0,
        };
        one.pids().into_iter().map(planned).collect::<Vec<Planned>>()
    };
    fleet.instances.iter().flat_map(|one| of(one)).collect()
}

impl From<&Kept> for PlannedKept {
    fn from(kept: &Kept) -> Self {
        Self { target: Planned::from(&kept.target), reason: kept.reason.clone() }
    }
}

impl Report {
    pub(crate) fn new(
        plan: &StopPlan,
        planner: &Planner<'_>,
        snapshot: &Snapshot,
        config_error: Option<&str>,
        dry_run: bool,
    ) -> Self {
        let planned = |targets: &[Target]| targets.iter().map(Planned::from).collect();
        let stages = plan.stages.iter();
        let moved = planner.scope.moved(snapshot);
        let stages =
            stages.map(|stage| PlannedStage { role: stage.role, targets: planned(&stage.targets) });
        Self {
            version: 1,
            dry_run,
            latch: None,
            moved: moved.iter().flat_map(planned_moved).collect(),
            moved_texts: moved.iter().map(|one| (one.text(), one.stop_command())).collect(),
            config_error: config_error.map(str::to_owned),
            unreadable: snapshot.unreadable_text(),
            plan: stages.collect(),
            told: planned(&plan.told),
            spared: planned(&plan.spared),
            untouchable: plan.untouchable.iter().map(PlannedKept::from).collect(),
            protects_elsewhere: plan.protects_elsewhere,
            kept: plan.kept.iter().map(PlannedKept::from).collect(),
            withheld: withheld(plan, &planner.fleet).map(str::to_owned).collect(),
            exposure: plan.exposure.clone(),
            left_over: plan.left_over.iter().map(|(_, text)| text.clone()).collect(),
            loops: Vec::new(),
            lingering: Vec::new(),
            is_told: false,
            has_accounts: concerns_accounts(plan, &planner.fleet),
            is_whole: planner.scope.is_whole(),
            not_again: Vec::new(),
            held_back: Vec::new(),
            interrupted: false,
            results: Vec::new(),
            cleared: Vec::new(),
        }
    }

    pub(crate) fn add_told(&mut self, plan: &StopPlan, told: Told) {
        self.is_told = plan.told.iter().any(|one| told.pids.contains(&one.identity.pid));
        self.not_again = told.names;
        self.not_again.sort();
        self.not_again.dedup();
    }

    pub(crate) fn add_results(&mut self, results: &[Stopped]) {
        self.results.extend(results.iter().map(|one| Ended {
            component: one.target.component.clone(),
            role: one.target.role,
            account: one.target.account.clone(),
            pid: one.target.identity.pid,
            helper: one.target.helper.clone(),
            outcome: one.outcome.clone(),
            seconds: (one.took.as_secs_f64() * 1000.0).round() / 1000.0,
            unasked: one.unasked.clone(),
        }));
    }

    /// Whether anything was to be stopped.
    pub(crate) fn has_results(&self) -> bool {
        !self.results.is_empty()
    }

    /// Whether anything that was to be stopped may still run.
    pub(crate) fn is_left(&self) -> bool {
        !self.loops.is_empty()
            || !self.untouchable.is_empty()
            || self.protects_elsewhere
            || self.results.iter().any(|one| one.outcome.is_alive())
    }

    /// Whether anything that is meant runs in another folder, which was this one.
    pub(crate) fn is_moved(&self) -> bool {
        !self.moved.is_empty()
    }

    /// Whether the whole fleet was meant and nothing of it runs on.
    pub(crate) fn is_all_stopped(&self) -> bool {
        self.is_whole
            && !self.interrupted
            && !self.is_left()
            && !self.is_moved()
            && [&self.told, &self.spared].into_iter().all(Vec::is_empty)
            && self.kept.is_empty()
    }

    /// Whether telling was all there was to do, and could not be done.
    pub(crate) fn is_untold(&self) -> bool {
        !self.dry_run && self.plan.is_empty() && !self.told.is_empty() && !self.is_told
    }
}

pub(crate) fn heading(role: Role) -> &'static str {
    match role {
        Role::Orchestrator => "orchestrator",
        Role::Brain => "brains",
        Role::Watchdog => "watchdogs",
        Role::Server => "server",
        Role::Other => "others",
    }
}

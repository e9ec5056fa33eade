//! Stopping in order: the orchestrator, brains, watchdogs, the server. The plan is made from what
//! was seen; performing it touches exactly those processes and nothing else.

use std::time::{Duration, Instant};

use qc_process::{Ask, Identity, Process, StopError, ask_all, wait_any};
use serde::Serialize;

use crate::{Instance, Role, Snapshot};

/// The order of stopping. Watchdogs outlive the brains whose positions they guard.
const ORDER: [Role; 5] =
    [Role::Orchestrator, Role::Brain, Role::Watchdog, Role::Server, Role::Other];

/// Brains, watchdogs and the server, and one more for the orchestrator itself.
const FLEET_STAGES: u32 = 4;

/// How long a killed process may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// Which processes to stop, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopPlan {
    /// One after the other.
    pub stages: Vec<Stage>,
}

/// Processes that are stopped at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// What they do.
    pub role: Role,
    /// The processes.
    pub targets: Vec<Target>,
}

/// One process to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its component.
    pub component: String,
    /// Its account.
    pub account: Option<String>,
    /// Who it is.
    pub identity: Identity,
}

/// How stopping one process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "reason")]
pub enum Outcome {
    /// It had ended before it was asked.
    AlreadyGone,
    /// It was asked and ended by itself.
    Stopped,
    /// It was killed at the deadline.
    Killed,
    /// It lives; says why.
    Survived(String),
}

/// What [`perform`] reports while it works.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A stage begins.
    Stage(&'a Stage),
    /// A process ended, or could not be stopped.
    Done(&'a Target, &'a Outcome, Duration),
}

impl StopPlan {
    /// Plans to stop `instances`.
    pub fn new<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> Self {
        let instances: Vec<&Instance> = instances.into_iter().collect();
        let stage = |role: Role| {
            let of_role = instances.iter().filter(|instance| instance.role == role);
            let targets: Vec<Target> = of_role.flat_map(|instance| targets(instance)).collect();
            (!targets.is_empty()).then_some(Stage { role, targets })
        };
        Self { stages: ORDER.into_iter().filter_map(stage).collect() }
    }

    /// Plans to stop all that runs of this fleet.
    pub fn everything(snapshot: &Snapshot) -> Self {
        Self::new(snapshot.own())
    }

    /// Returns the same plan without some processes.
    pub fn without(mut self, skipped: impl Fn(&Target) -> bool) -> Self {
        for stage in &mut self.stages {
            stage.targets.retain(|target| !skipped(target));
        }
        self.stages.retain(|stage| !stage.targets.is_empty());
        self
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

fn targets(instance: &Instance) -> impl Iterator<Item = Target> {
    instance.processes.iter().map(|process| Target {
        component: instance.component.clone(),
        account: instance.account.clone(),
        identity: process.identity.clone(),
    })
}

/// Performs `plan`: in each stage asks all at once, waits for all at once, and kills at `timeout`
/// what is left. Returns each process with how it ended.
pub fn perform(
    plan: &StopPlan,
    timeout: Duration,
    report: &mut dyn FnMut(Progress<'_>),
) -> Vec<(Target, Outcome, Duration)> {
    let mut results = Vec::new();
    for stage in &plan.stages {
        report(Progress::Stage(stage));
        results.extend(stop_stage(stage, timeout, report));
    }
    results
}

/// A process that is being stopped.
struct Running<'a> {
    target: &'a Target,
    process: Process,
    /// Why asking failed, for a process that then has to be killed.
    unasked: Option<StopError>,
}

fn stop_stage(
    stage: &Stage,
    timeout: Duration,
    report: &mut dyn FnMut(Progress<'_>),
) -> Vec<(Target, Outcome, Duration)> {
    let began = Instant::now();
    let mut results = Vec::new();
    let mut done = |target: &Target, outcome: Outcome| {
        let took = began.elapsed();
        report(Progress::Done(target, &outcome, took));
        results.push((target.clone(), outcome, took));
    };
    let mut running = Vec::new();
    for target in &stage.targets {
        match Process::open(&target.identity) {
            Ok(Some(process)) => running.push(Running { target, process, unasked: None }),
            Ok(None) => done(target, Outcome::AlreadyGone),
            Err(error) => done(target, Outcome::Survived(error.to_string())),
        }
    }

    ask(&mut running, Ask::Gently);
    let deadline =
        began + patience(stage.role, timeout, running.iter().any(|one| one.unasked.is_none()));
    let timeout = deadline - began;
    // The last quarter belongs to a second, firmer request, for programs that only know that one.
    wait(&mut running, deadline - timeout / 4, &mut |one| done(one.target, Outcome::Stopped));
    ask(&mut running, Ask::Firmly);
    wait(&mut running, deadline, &mut |one| done(one.target, Outcome::Stopped));

    let mut refused = Vec::new();
    running.retain(|one| match one.process.kill() {
        Ok(()) => true,
        Err(error) => {
            refused.push((one.target, error));
            false
        }
    });
    for (target, error) in refused {
        done(target, Outcome::Survived(error.to_string()));
    }
    wait(&mut running, Instant::now() + AFTER_KILL, &mut |one| done(one.target, Outcome::Killed));
    for one in running {
        let reason = one
            .unasked
            .map_or_else(|| "it does not end although it was killed".into(), |e| e.to_string());
        done(one.target, Outcome::Survived(reason));
    }
    results
}

/// How long a stage may take. An orchestrator that was asked stops its own fleet, stage by stage,
/// before it ends; one that can't be asked knows of nothing, and its fleet is stopped directly.
fn patience(role: Role, timeout: Duration, asked: bool) -> Duration {
    match role {
        Role::Orchestrator if asked => timeout * FLEET_STAGES,
        Role::Orchestrator => Duration::ZERO,
        Role::Brain | Role::Watchdog | Role::Server | Role::Other => timeout,
    }
}

fn ask(running: &mut [Running<'_>], how: Ask) {
    let processes: Vec<&Process> = running.iter().map(|one| &one.process).collect();
    let answers = ask_all(&processes, how);
    for (one, answer) in running.iter_mut().zip(answers) {
        one.unasked = answer.err();
    }
}

/// Waits until all have ended or the deadline is over; those that ended are reported and removed.
fn wait(running: &mut Vec<Running<'_>>, deadline: Instant, ended: &mut dyn FnMut(&Running<'_>)) {
    while !running.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let processes: Vec<&Process> = running.iter().map(|one| &one.process).collect();
        // Should waiting itself fail, the processes count as still running, and are killed.
        let positions = wait_any(&processes, left).unwrap_or_default();
        if positions.is_empty() {
            break;
        }
        for position in positions.into_iter().rev() {
            ended(&running.remove(position));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::{process, snapshot};

    #[test]
    fn only_an_orchestrator_that_hears_gets_the_time_for_its_fleet() {
        let timeout = Duration::from_secs(10);
        assert_eq!(patience(Role::Orchestrator, timeout, true), timeout * 4);
        assert_eq!(patience(Role::Orchestrator, timeout, false), Duration::ZERO);
        assert_eq!(patience(Role::Brain, timeout, false), timeout);
    }

    #[test]
    fn watchdogs_stop_after_brains_and_strangers_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let processes = vec![
            process(root.path(), 10, 1, "python quantum_server.py"),
            process(root.path(), 11, 1, "python STOPLOSS_WATCHDOG_V2.py --account A"),
            process(root.path(), 12, 1, "python BRAIN_A.py"),
            process(root.path(), 13, 1, "qc-launch"),
            process(root.path(), 14, 1, r"C:\MT5\terminal64.exe"),
            process(root.path(), 15, 1, "notepad BRAIN_A.py"),
            process(elsewhere.path(), 16, 1, "python BRAIN_A.py"),
        ];
        let plan = StopPlan::everything(&snapshot(root.path(), processes, Vec::new()));
        let order: Vec<u32> = plan.targets().map(|target| target.identity.pid).collect();
        assert_eq!(order, [13, 12, 11, 10]);
    }
}

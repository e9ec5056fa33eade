//! The output before and after.

mod plan;

use std::io::{self, Write};

use qc_cli::visible;
use qc_fleet::{
    Exposure, Instance, Kept, MovedFleet, Outcome, Role, Snapshot, StopPlan, Stopped, Target,
    shown_name,
};
use qc_lock_core::Latch;
use serde::Serialize;

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

    pub(crate) fn write_end(&self, output: &mut dyn Write) -> io::Result<()> {
        if !self.cleared.is_empty() {
            writeln!(output, "Cleared the records of {}.", self.cleared.join(", "))?;
        }
        if self.dry_run {
            return Ok(());
        }
        if self.results.is_empty() {
            self.write_told(output)?;
            if self.is_left() {
                self.write_left(output)?;
            }
        } else {
            self.write_counts(output)?;
        }
        for (text, command) in &self.moved_texts {
            writeln!(output, "STILL RUNNING: {}.", visible(text))?;
            writeln!(
                output,
                "Nothing of that was touched. To stop it, run `{}`.",
                visible(command)
            )?;
        }
        if !self.held_back.is_empty() {
            let names = self.held_back.join(", ");
            writeln!(
                output,
                "No start of the launcher starts {names}; `qc-launch start NAME` does, and `qc-launch unlatch` allows it."
            )?;
        }
        if let Some(latch) = &self.latch {
            writeln!(output, "EVERY START IS FORBIDDEN: {latch}")?;
            writeln!(output, "When trading may start again, run `qc-launch unlatch`.")?;
        }
        Ok(())
    }

    fn write_counts(&self, output: &mut dyn Write) -> io::Result<()> {
        let count = |wanted: fn(&Outcome) -> bool| {
            self.results.iter().filter(|one| wanted(&one.outcome)).count()
        };
        let killed = count(|outcome| *outcome == Outcome::Killed);
        let stopped = count(|outcome| *outcome == Outcome::Stopped);
        let by_itself =
            count(|outcome| matches!(outcome, Outcome::ByItself | Outcome::AlreadyGone));
        writeln!(output, "\n{stopped} ended gracefully, {killed} had to be killed.")?;
        if by_itself > 0 {
            writeln!(output, "{by_itself} ended by itself, before it was asked.")?;
        }
        self.write_told(output)?;
        for one in &self.lingering {
            writeln!(output, "WARNING: {}.", one.lingering_text())?;
        }
        if self.is_left() {
            return self.write_left(output);
        }
        let what = match self.is_all_stopped() {
            true => "All automation",
            false => "What was to be stopped",
        };
        let trades = match self.has_accounts {
            true => " Open trades were NOT closed; terminals run on.",
            false => "",
        };
        writeln!(output, "{what} has stopped.{trades}")
    }

    /// Writes which components an orchestrator that runs on does not start from now on.
    fn write_told(&self, output: &mut dyn Write) -> io::Result<()> {
        if !self.is_told || self.not_again.is_empty() {
            return Ok(());
        }
        let names = self.not_again.join(", ");
        for one in self.told.iter().filter(|one| one.folder.is_none()) {
            let (name, pid) = (&one.component, one.pid);
            writeln!(
                output,
                "{name} (PID {pid}) runs on and does not start {names} again until `qc-launch start` asks for it."
            )?;
        }
        Ok(())
    }

    fn write_left(&self, output: &mut dyn Write) -> io::Result<()> {
        writeln!(output, "STILL RUNNING:")?;
        for one in &self.results {
            match &one.outcome {
                Outcome::Denied(reason)
                | Outcome::Survived(reason)
                | Outcome::Left(reason)
                | Outcome::Kept(reason) => {
                    let name = shown_name(&one.component, one.helper.as_deref());
                    writeln!(output, "  {name} (PID {}): {reason}", one.pid)?;
                }
                Outcome::AlreadyGone | Outcome::ByItself | Outcome::Stopped | Outcome::Killed => {}
            }
        }
        for PlannedKept { target, reason } in self.untouchable.iter().chain(&self.kept) {
            writeln!(output, "  {} (PID {}): {reason}", target.component, target.pid)?;
        }
        let is_denied = |one: &Ended| matches!(one.outcome, Outcome::Denied(_));
        if self.interrupted {
            writeln!(output, "INTERRUPTED: run the command again to stop the rest.")
        } else if !self.loops.is_empty() {
            let starters: Vec<String> =
                self.loops.iter().filter_map(|one| Some(one.starter_pid?.to_string())).collect();
            let first = match starters.is_empty() {
                true => "what starts them again".into(),
                false => format!("what starts them again (PID {})", starters.join(", ")),
            };
            writeln!(output, "Stop {first} first, then run the command again.")
        } else if self.protects_elsewhere {
            writeln!(output, "Stop the brains that they protect first, then run the command again.")
        } else if self.results.iter().any(is_denied) {
            writeln!(output, "Run the command again as the user who started them, or elevated.")
        } else {
            writeln!(output, "Run the command again, or end them by hand.")
        }
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

/// How one ended, in words.
pub(crate) fn how(stopped: &Stopped) -> String {
    let seconds = stopped.took.as_secs_f64();
    match &stopped.outcome {
        Outcome::AlreadyGone => "has ended".to_owned(),
        Outcome::ByItself => "ended by itself, before it was asked".to_owned(),
        Outcome::Stopped => format!("ended when asked, after {seconds:.1} s"),
        Outcome::Killed => match &stopped.unasked {
            Some(why) => format!("KILLED after {seconds:.1} s; it could not be asked: {why}"),
            None => format!("KILLED after {seconds:.1} s"),
        },
        Outcome::Denied(reason)
        | Outcome::Survived(reason)
        | Outcome::Left(reason)
        | Outcome::Kept(reason) => format!("STILL RUNNING: {reason}"),
    }
}

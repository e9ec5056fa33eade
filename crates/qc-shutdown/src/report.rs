//! What is shown before, during and after.

use std::io::{self, Write};
use std::time::Duration;

use qc_fleet::{Outcome, Progress, Role, StopPlan, Target};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: u32,
    dry_run: bool,
    plan: Vec<PlannedStage>,
    results: Vec<Ended>,
    /// Locks whose records were removed because their holders have ended.
    cleared: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PlannedStage {
    role: Role,
    targets: Vec<Planned>,
}

#[derive(Debug, Serialize)]
struct Planned {
    component: String,
    account: Option<String>,
    pid: u32,
}

#[derive(Debug, Serialize)]
struct Ended {
    component: String,
    pid: u32,
    #[serde(flatten)]
    outcome: Outcome,
    seconds: f64,
}

impl Report {
    pub(crate) fn new(plan: &StopPlan, dry_run: bool) -> Self {
        let planned = |target: &Target| Planned {
            component: target.component.clone(),
            account: target.account.clone(),
            pid: target.identity.pid,
        };
        let stages = plan.stages.iter();
        let stages = stages.map(|stage| PlannedStage {
            role: stage.role,
            targets: stage.targets.iter().map(planned).collect(),
        });
        Self {
            version: 1,
            dry_run,
            plan: stages.collect(),
            results: Vec::new(),
            cleared: Vec::new(),
        }
    }

    pub(crate) fn add_results(&mut self, results: &[(Target, Outcome, Duration)]) {
        self.results.extend(results.iter().map(|(target, outcome, took)| Ended {
            component: target.component.clone(),
            pid: target.identity.pid,
            outcome: outcome.clone(),
            seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
        }));
    }

    pub(crate) fn add_cleared(&mut self, names: &[String]) {
        self.cleared.extend(names.iter().cloned());
    }

    pub(crate) fn survived(&self) -> bool {
        self.results.iter().any(|one| matches!(one.outcome, Outcome::Survived(_)))
    }

    pub(crate) fn write_end(&self, output: &mut dyn Write) -> io::Result<()> {
        if !self.cleared.is_empty() {
            writeln!(output, "Cleared the records of {}.", self.cleared.join(", "))?;
        }
        if self.dry_run || self.results.is_empty() {
            return Ok(());
        }
        let count = |wanted: fn(&Outcome) -> bool| {
            self.results.iter().filter(|one| wanted(&one.outcome)).count()
        };
        let killed = count(|outcome| *outcome == Outcome::Killed);
        let ended = count(|outcome| matches!(outcome, Outcome::Stopped | Outcome::AlreadyGone));
        writeln!(output, "\n{ended} ended gracefully, {killed} had to be killed.")?;
        if self.survived() {
            writeln!(output, "STILL RUNNING:")?;
            for one in &self.results {
                if let Outcome::Survived(reason) = &one.outcome {
                    writeln!(output, "  {} (PID {}): {reason}", one.component, one.pid)?;
                }
            }
            writeln!(output, "Run the command again elevated, or end them in the Task Manager.")
        } else {
            writeln!(
                output,
                "All automation has stopped. Open trades were NOT closed; terminals run on."
            )
        }
    }
}

pub(crate) fn write_plan(plan: &StopPlan, output: &mut dyn Write) -> io::Result<()> {
    if plan.is_empty() {
        return writeln!(output, "Nothing of the fleet is running.");
    }
    writeln!(output, "To be stopped, in this order:")?;
    for (number, stage) in plan.stages.iter().enumerate() {
        writeln!(output, "  {}. {}", number + 1, heading(stage.role))?;
        for target in &stage.targets {
            let account = target
                .account
                .as_ref()
                .map(|account| format!(", account {account}"))
                .unwrap_or_default();
            writeln!(output, "       {} (PID {}{account})", target.component, target.identity.pid)?;
        }
    }
    writeln!(output)?;
    writeln!(output, "WARNING: open trades are NOT closed, and terminals are not touched.")?;
    let mut guarded: Vec<&str> = plan
        .stages
        .iter()
        .filter(|stage| stage.role == Role::Watchdog)
        .flat_map(|stage| stage.targets.iter().map(|target| target.component.as_str()))
        .collect();
    guarded.dedup();
    match guarded.len() {
        0 => {}
        1 => writeln!(output, "WARNING: 1 account loses its stop-loss watchdog.")?,
        count => writeln!(output, "WARNING: {count} accounts lose their stop-loss watchdogs.")?,
    }
    writeln!(output)
}

fn heading(role: Role) -> &'static str {
    match role {
        Role::Orchestrator => "the orchestrator",
        Role::Brain => "brains",
        Role::Watchdog => "watchdogs",
        Role::Server => "the server",
        Role::Other => "others",
    }
}

pub(crate) fn write_progress(progress: &Progress<'_>, output: &mut dyn Write) -> io::Result<()> {
    match progress {
        Progress::Stage(stage) => writeln!(output, "Stopping {} ...", heading(stage.role))?,
        Progress::Done(target, outcome, took) => {
            let seconds = took.as_secs_f64();
            let how = match outcome {
                Outcome::AlreadyGone => "has ended".to_owned(),
                Outcome::Stopped => format!("ended by itself after {seconds:.1} s"),
                Outcome::Killed => format!("KILLED after {seconds:.1} s"),
                Outcome::Survived(reason) => format!("STILL RUNNING: {reason}"),
            };
            writeln!(output, "  {} (PID {}): {how}", target.component, target.identity.pid)?;
        }
    }
    output.flush()
}

//! Copies of components that the launcher has not started: `qc-launch stop` stops them itself.

use std::collections::HashMap;
use std::io::Write;
use std::thread;
use std::time::Duration;

use qc_cli::{Exit, Failure, visible};
use qc_control::{Client, ComponentStatus, Request, Status};
use qc_fleet::{
    Component, Fate, Fleet, Instance, Kept, Progress, Role, Scope, Snapshot, StopPlan, Stopped,
    Target, left_over, perform, plan_seen,
};
use qc_fleet_cli::origin;
use qc_lock_core::LockDir;

use crate::commands::control::failure;
use crate::commands::control::stop::{ask_to_stop, is_named};
use crate::daemon::event_loop::outcome_text;

/// The attempts to stop copies that come back before the command gives up.
const SWEEPS: u32 = 3;

/// The pause before the second look at copies that were stopped: a loop starts them again.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// The description of a copy in messages.
const UNMANAGED: &str = "not started by qc-launch";

/// The description of a program that a run of a component has left.
const LEFT_OVER: &str = "left behind by its last run";

/// Processes of the named components, and of the brains of named watchdogs, that the launcher has
/// not started.
pub(super) struct Copies<'a> {
    fleet: Fleet,
    scope: Scope,
    locks: &'a LockDir,
}

impl<'a> Copies<'a> {
    pub(super) fn new(fleet: Fleet, names: &[String], locks: &'a LockDir) -> Result<Self, Failure> {
        let spared = origin(&fleet, locks)?;
        let is_named =
            |one: &Component| names.iter().any(|name| one.name.as_str().eq_ignore_ascii_case(name));
        let is_guarded = |brain: &Component| {
            brain.account.is_some()
                && fleet.components.iter().any(|one| {
                    one.role == Role::Watchdog && one.account == brain.account && is_named(one)
                })
        };
        let brains = fleet.components.iter();
        let brains = brains.filter(|one| one.role == Role::Brain && is_guarded(one));
        let brains = brains.map(|one| one.name.to_string());
        let names = names.iter().cloned().chain(brains).collect();
        let scope = Scope { names, spared, ..Scope::default() };
        Ok(Self { fleet, scope, locks })
    }

    /// Returns the named components, and the brains of named watchdogs.
    pub(super) fn names(&self) -> &[String] {
        &self.scope.names
    }

    /// Stops copies of brains, and brains whose helpers will have to be stopped after them, before
    /// the launcher stops anything else. No watchdog may end before a brain that it protects; and a
    /// brain that the launcher holds back because of a copy must not start when the copy ends.
    pub(super) fn stop_brains(
        &self,
        client: &mut Client,
        status: &Status,
        output: &mut dyn Write,
    ) -> Result<Vec<String>, Failure> {
        let copies = self.plan(status, Some(Role::Brain))?;
        let is_meant =
            |name: &str| self.scope.names.iter().any(|one| one.eq_ignore_ascii_case(name));
        let helpers = left_over(
            &self.fleet,
            self.locks.path(),
            is_meant,
            &HashMap::new(),
            &[],
            &self.scope.spared,
        )?;
        let has_helper = |name: &str| {
            helpers
                .iter()
                .any(|one| one.fate == Fate::Ends && one.component.eq_ignore_ascii_case(name))
        };
        let is_copied = |one: &&ComponentStatus| {
            copies.targets().any(|target| is_named(one, &target.component))
                || one.role == Role::Brain.as_str() && has_helper(&one.name)
        };
        let brains: Vec<String> =
            status.components.iter().filter(is_copied).map(|one| one.name.clone()).collect();
        if !brains.is_empty() {
            ask_to_stop(client, &brains, output)?;
        }
        self.stop(client, Some(Role::Brain), output)
    }

    /// Stops the copies of one role or of all, and returns whose they were; fails if one survives
    /// or comes back.
    pub(super) fn stop(
        &self,
        client: &mut Client,
        role: Option<Role>,
        output: &mut dyn Write,
    ) -> Result<Vec<String>, Failure> {
        let status = client.ask(&Request::Status).map_err(failure)?;
        let mut plan = self.plan(&status, role)?;
        let mut stopped: Vec<String> = Vec::new();
        for _ in 0..SWEEPS {
            if plan.is_empty() {
                return Ok(stopped);
            }
            stopped.extend(plan.targets().map(|target| target.component.clone()));
            stop_planned(&plan, output)?;
            thread::sleep(SECOND_LOOK);
            plan = self.plan(&status, role)?;
        }
        if plan.is_empty() {
            return Ok(stopped);
        }
        let names: Vec<String> = plan.targets().map(name_and_pid).collect();
        let message = format!("started again as often as it is stopped: {}", names.join(", "));
        let hint = "stop the program that starts it first; `qc-ps --tree` shows its parent";
        Err(Failure::new(Exit::Failed, message, hint))
    }

    /// Plans to stop the copies of one role or of all, and what their runs have left behind. Fails
    /// if one of them is never stopped.
    fn plan(&self, status: &Status, role: Option<Role>) -> Result<StopPlan, Failure> {
        let entries = self.locks.list()?;
        let snapshot = Snapshot::take(&self.fleet, entries.clone())?;
        let managed: Vec<u32> = status.components.iter().filter_map(|one| one.pid).collect();
        let is_managed = |one: &&Instance| managed.iter().any(|&pid| one.includes(pid));
        let managed: Vec<&Instance> = snapshot.instances.iter().filter(is_managed).collect();
        let mut scope = self.scope.clone();
        // The launcher may stop the component that this command was started from.
        scope.spared.retain(|one| !managed.iter().any(|instance| instance.includes(one.pid)));
        let plan = plan_seen(&self.fleet, self.locks, entries, &snapshot, &scope, None)?;
        if let Some(one) = plan.untouchable.iter().chain(&plan.kept).next() {
            return Err(runs_on(one, "see `qc-ps` for what runs"));
        }
        Ok(plan.without(|target| {
            managed.iter().any(|one| one.includes(target.identity.pid))
                || role.is_some_and(|role| target.role != role)
        }))
    }
}

pub(super) fn runs_on(one: &Kept, hint: &str) -> Failure {
    let message = format!("{} runs on: {}", name_and_pid(&one.target), one.reason);
    Failure::new(Exit::Failed, message, hint)
}

/// Stops the targets of `plan`; fails if one survives.
fn stop_planned(plan: &StopPlan, output: &mut dyn Write) -> Result<(), Failure> {
    for (_, text) in &plan.left_over {
        writeln!(output, "{}", visible(text))?;
    }
    let mut written = Ok(());
    let stopped = perform(plan, &mut |progress| {
        if let Progress::Done(Stopped { target, outcome, took, .. }) = progress
            && written.is_ok()
        {
            let is_left_over = plan.left_over.iter().any(|(left, _)| *left == target.identity);
            let what = if is_left_over { LEFT_OVER } else { UNMANAGED };
            let one = format!("{} (PID {}, {what})", target.component, target.identity.pid);
            written = writeln!(output, "{}", visible(&outcome_text(&one, outcome, *took)));
        }
    })?;
    written?;
    let alive = stopped.iter().filter(|one| one.outcome.is_alive());
    let names: Vec<String> = alive.map(|one| name_and_pid(&one.target)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("not everything could be stopped: {}", names.join(", "));
    Err(Failure::new(Exit::Failed, message, "see `qc-ps` for what runs, and stop it elevated"))
}

fn name_and_pid(target: &Target) -> String {
    format!("{} (PID {})", target.component, target.identity.pid)
}

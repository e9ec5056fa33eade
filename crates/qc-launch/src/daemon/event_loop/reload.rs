//! `qc-launch reload`: takes over a changed config.

use std::sync::Arc;

use qc_control::Refusal;
use qc_fleet::{Component, Kept, Role, Scope, Snapshot, StopPlan};
use qc_fleet_cli::ReadFleet;
use qc_supervise::{Event, Id};

use super::Runtime;
use super::beside::copies_text;
use super::clients::refusal;
use super::roster::Changes;
use crate::daemon::preflight::{Selected, selected};
use crate::daemon::report::Report;

/// The outcome of a reload, in words.
pub(super) struct Reloaded {
    pub(super) text: Vec<String>,
    /// Starts that can't be made now.
    pub(super) refused: Vec<String>,
}

impl Runtime<'_> {
    /// Reads the config again; a mistake in it changes nothing.
    pub(super) fn reload(&mut self) -> Result<Reloaded, Refusal> {
        if self.is_stopping() {
            return Err(refusal("the fleet is being stopped", "start it again afterwards", false));
        }
        let read = self.location.fleet_to_start().and_then(|fleet| {
            let selected = selected(&fleet, self.args, self.locks)?;
            Report::check(&fleet)?;
            Ok((fleet, selected))
        });
        let (fleet, selected) = read.map_err(|failure| {
            let text = format!("the config was not reloaded: {}", failure.message());
            self.report.warn("reload", &text);
            let message = format!("nothing was changed: {}", failure.message());
            refusal(&message, failure.hint(), true)
        })?;
        let Selected { components, warnings: mut text, look } = selected;
        if let Some(leaving) = self.roster.leaving_among(&components) {
            return Err(refusal(
                format!("nothing was changed: {} is still being stopped", leaving.name),
                "wait until it has ended, and reload again",
                false,
            ));
        }
        self.refuse_to_leave_unguarded(&components)?;
        let mut changes = self.roster.change(components, &fleet.timing);
        for name in &changes.added {
            self.report.metrics().up(name, false);
        }
        let told = self.report.change(&fleet);
        self.watch_refusals();
        self.fleet = fleet;
        self.keep_look(look);
        let refused = self.refuse_starts(&mut changes);
        for (names, what) in [
            (&changes.gone, "stopping"),
            (&changes.restarted, "restarting"),
            (&changes.added, "starting"),
            (&changes.adjusted, "supervised differently from now on:"),
        ] {
            if !names.is_empty() {
                text.push(format!("{what} {}", names.join(", ")));
            }
        }
        let nothing_else = told.is_empty();
        text.extend(told);
        if changes.changes.is_empty() && nothing_else {
            text.push("nothing has changed".into());
        }
        for line in &text {
            self.report.info("reload", &format!("config reloaded: {line}"));
        }
        for line in &refused {
            self.report.warn("reload", line);
        }
        self.events.push_back(Event::Reload(changes.changes));
        // A component that was stopped until the user starts it does not start because it is back
        // in the config.
        let latched = self.latched();
        let added = changes.added.iter().filter_map(|name| self.roster.id(name));
        let latched_now = added.filter(|id| latched.contains(id)).collect();
        self.events.push_back(Event::Withhold(latched_now));
        Ok(Reloaded { text, refused })
    }

    /// Refuses a config that stops a watchdog, or has it guard another account, while a brain of its
    /// account runs in another folder.
    fn refuse_to_leave_unguarded(&mut self, wanted: &[Arc<Component>]) -> Result<(), Refusal> {
        let leaves = |one: &Component| {
            let same = wanted.iter().find(|other| other.name.key() == one.name.key());
            one.role == Role::Watchdog
                && same.is_none_or(|other| {
                    (&other.account, &other.terminal, other.account_use)
                        != (&one.account, &one.terminal, one.account_use)
                })
        };
        let running = self.roster.iter().filter(|(id, _)| self.running(*id).is_some());
        let names: Vec<String> =
            running.filter(|(_, one)| leaves(one)).map(|(_, one)| one.name.to_string()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let look = self.locks.list().map_err(|err| err.to_string()).and_then(|entries| {
            Snapshot::take(&self.fleet, entries).map_err(|err| err.to_string())
        });
        let snapshot = look
            .map_err(|err| refusal(format!("nothing was changed: {err}"), "reload again", false))?;
        let scope = Scope { names, ..Scope::default() };
        let plan = StopPlan::new(&self.fleet, &snapshot, &scope, None);
        let Some(Kept { target, reason }) = plan.kept.first() else { return Ok(()) };
        let (name, pid) = (&target.component, target.identity.pid);
        let text = format!("nothing was changed: {name} (PID {pid}) runs on: {reason}");
        self.report.warn("reload", &text);
        Err(refusal(text, "stop the brain where it runs, and reload again", false))
    }

    /// Looks which of the starts and restarts could not be made now, and says why. What runs is not
    /// stopped for a restart that would be refused.
    fn refuse_starts(&mut self, changes: &mut Changes) -> Vec<String> {
        let names = changes.added.iter().chain(&changes.restarted);
        let asked: Vec<Id> = names.filter_map(|name| self.roster.id(name)).collect();
        // A brain is stopped before its watchdog is, and started again after it.
        let is_restarted_with = |id: Id| {
            let guard = self.roster.guard(id);
            !asked.contains(&id) && guard.is_some_and(|guard| asked.contains(&guard))
        };
        let brains = self.roster.iter().map(|(id, _)| id).filter(|&id| is_restarted_with(id));
        let ids: Vec<Id> = asked.iter().copied().chain(brains).collect();
        let latch = self.locks.latch().map(|latch| latch.sentence());
        let found = self.obstacles_in_sight(&ids);
        let mut refused = Vec::new();
        for id in ids {
            let copies = found.get(&id).map(|obstacles| copies_text(obstacles));
            let Some(why) = copies.or_else(|| latch.clone()) else { continue };
            let mut run_on = Vec::new();
            if self.running(id).is_some() {
                let both = [Some(id), self.roster.guard(id)].into_iter().flatten();
                let names = both.map(|one| (one, self.roster.name(one).to_string()));
                let names: Vec<(Id, String)> = names.collect();
                for (one, name) in names {
                    if let Some(before) = changes.let_run(one, &name) {
                        self.roster.keep_running_as(one, before);
                        run_on.push(name);
                    }
                }
            }
            if run_on.is_empty() && !asked.contains(&id) {
                continue;
            }
            let mut line = format!("{} is blocked: {why}", self.roster.name(id));
            if !run_on.is_empty() {
                let (names, words) = (run_on.join(" and "), run_on.join(" "));
                line += &format!(
                    "; {names}: runs on as it was started, and its next restart (`qc-launch restart {words}`) makes the change"
                );
            }
            refused.push(line);
        }
        refused
    }
}

//! Answering what `qc-launch status`, `stop`, `start`, `restart` and `reload` ask.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local, SecondsFormat};
use qc_control::{Answer, ComponentStatus, Refusal, Request, Server, StateWord, Status};
use qc_fleet::Component;
use qc_lock_core::Latch;
use qc_supervise::{Event, Id, State, View};

use super::Message;
use super::Runtime;
use super::beside::copies_text;
use crate::daemon::preflight::{Selected, selected};
use crate::daemon::report::Report;
use crate::daemon::roster::{Changes, runs_alike};

/// How long an answer may take: the loop is never busy for long.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The longest wait of a client for a change; far shorter than any limit of an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The outcome of a reload, in words.
struct Reloaded {
    text: Vec<String>,
    /// Starts that can't be made now.
    refused: Vec<String>,
}

/// A client that gets an answer when the state of a component changes.
pub(super) struct Waiting {
    seen: String,
    /// When to answer in any case.
    pub(super) until: Duration,
    answer: SyncSender<Answer>,
}

impl Runtime<'_> {
    /// Lets other programs of this user ask. Without that the fleet runs all the same.
    pub(crate) fn serve(self) -> Self {
        let post = self.post.clone();
        let handler = move |request| {
            let (sender, answer) = mpsc::sync_channel(1);
            post.send(Message::Asked(request, sender));
            answer.recv_timeout(TIMEOUT).unwrap_or_else(|error| {
                Answer::Refused(match error {
                    RecvTimeoutError::Timeout => {
                        let hint = "run the command again";
                        refusal("qc-launch does not answer in time", hint, false)
                    }
                    RecvTimeoutError::Disconnected => {
                        let hint = "start it again once it has ended";
                        refusal("qc-launch is ending", hint, false)
                    }
                })
            })
        };
        if let Err(error) = Server::start(self.locks.path(), Arc::new(handler)) {
            let text = format!(
                "`qc-launch status`, `stop` and their like will not reach this one: {error}"
            );
            self.report.warn("control", &text);
        }
        self
    }

    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let mut refused = Vec::new();
        let done = match request {
            Request::Status | Request::Wait { .. } => Ok(Vec::new()),
            Request::Stop { names } if names.is_empty() => {
                self.stop_all(None);
                Ok(Vec::new())
            }
            Request::Stop { names } => self.ids(names).map(|ids| {
                self.report.info("asked", &format!("asked to stop {}", names.join(", ")));
                let text = self.stopped_with(&ids);
                text.iter().for_each(|line| self.report.info("asked", line));
                self.events.push_back(Event::Stop(ids));
                text
            }),
            Request::Withhold { names } => self.ids(names).map(|ids| {
                let text = format!("asked not to start {} again", names.join(", "));
                self.report.info("asked", &text);
                self.events.push_back(Event::Withhold(ids));
                Vec::new()
            }),
            Request::Start { names } => self.each(names, false, Event::Start),
            Request::Restart { names } => self.each(names, true, Event::Restart),
            Request::Reload => self.refuse_moved().and_then(|()| self.reload()).map(|reloaded| {
                refused = reloaded.refused;
                reloaded.text
            }),
        };
        match done {
            Ok(text) => {
                self.settle();
                Answer::Done(Status { refused, ..self.status(text) })
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    pub(super) fn let_wait(&mut self, seen: String, answer: SyncSender<Answer>) {
        let until = self.now() + LONGEST_WAIT;
        self.waiting.push(Waiting { seen, until, answer });
    }

    /// Answers those who wait, if what they have seen has changed, or for too long.
    pub(super) fn answer_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let (tag, now) = (self.tag(), self.now());
        let due = self.waiting.extract_if(.., |one| one.seen != tag || one.until <= now);
        for one in due.collect::<Vec<_>>() {
            // The client may have given up waiting.
            let _ = one.answer.send(Answer::Done(self.status(Vec::new())));
        }
    }

    /// Lets the supervisor hear what was asked, so that the answer shows what follows.
    fn settle(&mut self) {
        let mut asked = std::mem::take(&mut self.events);
        while let Some(event) = asked.pop_front() {
            self.handle(event);
        }
        self.make_starts();
    }

    fn each(
        &mut self,
        names: &[String],
        is_restart: bool,
        event: impl Fn(Id) -> Event,
    ) -> Result<Vec<String>, Refusal> {
        if self.is_stopping() {
            return Err(refusal(
                "the fleet is being stopped",
                "wait until it has ended, and start it again",
                false,
            ));
        }
        self.refuse_moved().inspect_err(|refusal| self.report.warn("asked", &refusal.message))?;
        let mut ids = self.ids(names)?;
        let word = if is_restart { "restart" } else { "start" };
        self.report.info("asked", &format!("asked to {word} {}", names.join(", ")));
        self.refuse_lacking(&ids, is_restart)
            .inspect_err(|refusal| self.report.warn("asked", &refusal.message))?;
        if is_restart {
            self.refuse_blocked_restart(&ids)
                .inspect_err(|refusal| self.report.warn("asked", &refusal.message))?;
        }
        self.supervisor.sort_by_need(&mut ids);
        let text = self.outdated(&ids);
        text.iter().for_each(|line| self.report.warn("asked", line));
        ids.iter().for_each(|&id| self.unlatch(id));
        self.events.extend(ids.into_iter().map(event));
        Ok(text)
    }

    /// Allows the starts of one that was stopped until the user starts it.
    fn unlatch(&mut self, id: Id) {
        let Some(component) = self.roster.get(id) else { return };
        match self.locks.unlatch_of(&component.request()) {
            Ok(removed) => {
                let name = &component.name;
                let text =
                    |it: &Latch| format!("{name} may start again; removed: {}", it.sentence());
                removed.iter().for_each(|latch| self.report.info("asked", &text(latch)));
            }
            // Its start is refused then, and says so.
            Err(error) => self.report.warn("asked", &qc_cli::describe(&error)),
        }
    }

    /// Says which brains are stopped although only their watchdogs were named.
    fn stopped_with(&self, ids: &[Id]) -> Vec<String> {
        let live = |id| {
            let state = self.supervisor.view(id).map(|view| view.state);
            let rests = |state: &State| {
                matches!(state, State::Stopped | State::Finished(_) | State::GaveUp(_))
            };
            state.is_some_and(|state| !rests(&state))
        };
        let brains = self.roster.iter().filter(|&(id, _)| !ids.contains(&id) && live(id));
        let with = brains.filter_map(|(id, brain)| {
            let guard = self.roster.guard(id).filter(|guard| ids.contains(guard))?;
            let guard = self.roster.name(guard);
            Some(format!("{} is stopped first: {guard} is its watchdog", brain.name))
        });
        with.collect()
    }

    /// Says which of these are started with settings that the config does not have any more.
    fn outdated(&self, ids: &[Id]) -> Vec<String> {
        let fleet = match self.location.fleet_to_start() {
            Ok(fleet) => fleet,
            Err(failure) => {
                return vec![format!(
                    "the config can't be read now, so the one that was read last is used: {}",
                    failure.message()
                )];
            }
        };
        let outdated = ids.iter().filter_map(|&id| self.roster.get(id)).filter_map(|one| {
            let now = fleet.component(one.name.as_str());
            let what = match now {
                None => "is not in the config any more",
                Some(now) if !now.enabled => "is not enabled in the config any more",
                Some(now) if !runs_alike(one, now) => "has changed in the config",
                Some(_) => return None,
            };
            let name = &one.name;
            Some(format!("{name} {what}; it is started as before until `qc-launch reload`"))
        });
        outdated.collect()
    }

    fn ids(&self, names: &[String]) -> Result<Vec<Id>, Refusal> {
        let id = |name: &String| {
            self.roster.id(name).ok_or_else(|| {
                let known: Vec<&str> =
                    self.roster.iter().map(|(_, component)| component.name.as_str()).collect();
                let hint = format!("the components are {}", known.join(", "));
                refusal(&format!("there is no component `{name}`"), &hint, true)
            })
        };
        names.iter().map(id).collect()
    }

    /// Reads the config again; a mistake in it changes nothing.
    fn reload(&mut self) -> Result<Reloaded, Refusal> {
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
            let message = format!("nothing was changed: {} is still being stopped", leaving.name);
            return Err(refusal(&message, "wait until it has ended, and reload again", false));
        }
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

    fn status(&self, text: Vec<String>) -> Status {
        let components = self.roster.iter().filter_map(|(id, component)| {
            Some(self.component(id, component, self.supervisor.view(id)?))
        });
        Status {
            text,
            refused: Vec::new(),
            pid: std::process::id(),
            is_stopping: self.is_stopping(),
            tag: self.tag(),
            moved_from: self.moved_from(),
            components: components.collect(),
        }
    }

    /// Returns what stands for all that a status shows.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.is_stopping().hash(&mut hasher);
        for (id, component) in self.roster.iter() {
            component.name.hash(&mut hasher);
            self.supervisor.view(id).hash(&mut hasher);
            self.pid(id).hash(&mut hasher);
            self.roster.is_outdated(id).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    pub(super) fn pid(&self, id: Id) -> Option<u32> {
        Some(self.running(id)?.identity.as_ref()?.pid)
    }

    fn component(&self, id: Id, component: &Component, view: View) -> ComponentStatus {
        let running = self.running(id);
        let mut until = None;
        let outdated = self.roster.is_outdated(id);
        let outdated = outdated.then(|| "its next restart applies its new settings".to_owned());
        let (state, detail) = match view.state {
            State::Waiting(None) => (StateWord::Waiting, Some("for its turn".into())),
            State::Waiting(Some(other)) => {
                (StateWord::Waiting, Some(format!("for {}", self.roster.name(other))))
            }
            State::BackingOff(at) => {
                until = Some(self.wall_clock(at));
                (StateWord::BackingOff, self.failures.get(&id).cloned())
            }
            State::Blocked(why) => {
                let now = self.blockers.reasons.get(&id).cloned();
                (StateWord::Blocked, Some(now.unwrap_or(why)))
            }
            State::Starting => (StateWord::Starting, outdated),
            State::Running => (StateWord::Running, outdated),
            State::Stopping => (StateWord::Stopping, None),
            State::Stopped => (StateWord::Stopped, None),
            State::Finished(exit) => (StateWord::Finished, Some(format!("with {exit}"))),
            State::GaveUp(reason) => (StateWord::GaveUp, Some(self.reason(id, &reason))),
        };
        ComponentStatus {
            name: component.name.to_string(),
            role: component.role.as_str().into(),
            account: component.account.as_ref().map(ToString::to_string),
            state,
            detail,
            until,
            pid: self.pid(id),
            since: self.wall_clock(view.since),
            restarts: view.restarts,
            adopted: view.adopted,
            generation: view.generation,
            stayed_up: view.is_proven,
            log: running.and_then(|running| Some(running.log.as_ref()?.display().to_string())),
        }
    }

    /// Turns a time of the supervisor into one that people read.
    fn wall_clock(&self, time: Duration) -> String {
        let (now, clock) = (self.now(), SystemTime::now());
        let time = match time.checked_sub(now) {
            Some(ahead) => clock.checked_add(ahead),
            None => clock.checked_sub(now - time),
        };
        DateTime::<Local>::from(time.unwrap_or(clock)).to_rfc3339_opts(SecondsFormat::Millis, false)
    }
}

fn refusal(message: &str, hint: &str, is_usage: bool) -> Refusal {
    Refusal { message: message.into(), hint: hint.into(), is_usage, is_busy: false }
}

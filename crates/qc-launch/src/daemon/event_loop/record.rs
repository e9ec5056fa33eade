//! Writes the log, the history and notifications; and the cleanup at the end.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use qc_cli::describe;
use qc_fleet::NotifyEvent;
use qc_lock_core::Event as Told;
use qc_logs::{Level, Line};
use qc_notify::Notification;
use qc_process::{Ended, LOCKS_ARE_INHERITED, is_suspended};
use qc_supervise::{Cause, Exit, Id, LOCK_HELD, Reason, State, SupervisorEvent, View, seconds};

use super::{End, Helper, Runtime};

impl Runtime<'_> {
    /// Says one line about a component.
    pub(super) fn log_of(&mut self, id: Id, level: Level, event: &str, text: &str) {
        let name = self.roster.name(id);
        let text = if text.contains(&name) { text.into() } else { format!("{name}: {text}") };
        let account = self.account(id);
        let mut line = Line::new(level, event, &text).component(&name).account(account.as_deref());
        if let Some(&pid) = self.pids.get(&id) {
            line = line.pid(pid);
        }
        self.report.note(&line);
    }

    fn account(&self, id: Id) -> Option<String> {
        self.roster.get(id)?.account.as_ref().map(ToString::to_string)
    }

    /// A component's process is being started; says where its output goes.
    pub(super) fn log_starting(&mut self, id: Id, log: &io::Result<PathBuf>) {
        self.pids.remove(&id);
        let name = self.roster.name(id);
        match log {
            Ok(log) => {
                self.report.log_opened(log);
                let shown = log.strip_prefix(&self.fleet.root).unwrap_or(log).display();
                let text = format!("starting {name}, log {shown}");
                self.log_of(id, Level::Info, "starting", &text);
            }
            Err(error) => {
                let text =
                    format!("starting {name}, its output is lost: no log can be opened: {error}");
                self.log_of(id, Level::Warning, "starting", &text);
            }
        }
    }

    pub(super) fn record_adopted(&mut self, id: Id, pid: u32, log: Option<&Path>) {
        self.pids.insert(id, pid);
        if let Some(log) = log {
            self.report.log_opened(log);
        }
        let name = self.roster.name(id);
        self.log_of(id, Level::Info, "adopted", &format!("adopted {name} (PID {pid})"));
        self.note_up(id, &name, None);
    }

    pub(super) fn record_start(
        &mut self,
        id: Id,
        pid: Option<u32>,
        held_since: Option<SystemTime>,
    ) {
        self.killed_helpers.remove(&id);
        self.pids.extend(pid.map(|pid| (id, pid)));
        let shown = pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
        let name = self.roster.name(id);
        self.log_of(id, Level::Info, "started", &format!("started {name}{shown}"));
        self.append(Told::Started, id, pid, None);
        self.note_up(id, &name, held_since);
    }

    /// Notes that it runs, and since when it holds its lock, which else its record says.
    fn note_up(&self, id: Id, name: &str, held_since: Option<SystemTime>) {
        let recorded = || self.locks.record(&self.roster.get(id)?.name)?.since();
        let metrics = self.report.metrics();
        metrics.up(name, true);
        metrics.held_since(name, held_since.or_else(recorded));
    }

    /// Writes down how a process ended; what follows from it, the machine says.
    pub(super) fn record_end(&mut self, id: Id, exit: Exit) {
        let was_asked = self.supervisor.view(id).is_some_and(|view| view.state == State::Stopping);
        let Some(running) = self.running_mut(id) else { return };
        let pid = running.identity.as_ref().map(|identity| identity.pid);
        let (was_killed, log) = (running.was_killed, running.log.take());
        if let Some(log) = log {
            self.report.log_closed(log);
        }
        // Before the component's own end, which is the last that the history says of this run.
        let helpers = self.killed_helpers.get(&id).cloned().unwrap_or_default();
        for Helper { pid, program } in helpers {
            self.append_helper(id, pid, program);
        }
        let (event, detail) = match (was_killed, was_asked) {
            (true, _) => (Told::Killed, "did not end in time".into()),
            (false, true) => (Told::Stopped, exit.to_string()),
            (false, false) => (Told::Exited, exit.to_string()),
        };
        self.append(event, id, pid, Some(detail));
        let (name, metrics) = (self.roster.name(id), self.report.metrics());
        metrics.up(&name, false);
        metrics.held_since(&name, None);
        match exit {
            Exit::Code(code) => metrics.exited(&name, code),
            Exit::Signal(signal) => metrics.exited(&name, Ended::Signal(signal).code()),
            // It was adopted.
            Exit::Unknown => {}
        }
    }

    pub(super) fn record(&mut self, id: Id, note: &SupervisorEvent) {
        let name = self.roster.name(id);
        let (event, text) = match note {
            SupervisorEvent::Waits(other) => {
                ("waiting", format!("{name} waits for {}", self.roster.name(*other)))
            }
            SupervisorEvent::Ready(took) => {
                self.report.metrics().started_in(&name, *took);
                ("ready", format!("{name} is ready after {}", seconds(*took)))
            }
            SupervisorEvent::Restarting(cause, wait) => {
                let when =
                    if wait.is_zero() { "now".into() } else { format!("in {}", seconds(*wait)) };
                self.append(Told::Restarting, id, None, Some(when.clone()));
                self.report.metrics().restarted(&name);
                let text = cause.to_string();
                let cause = text.strip_prefix("it ").unwrap_or(&text).to_owned();
                self.failures.insert(id, cause.clone());
                ("restarting", format!("{name} {cause}; restarting {when}"))
            }
            SupervisorEvent::GaveUp(reason) => {
                let reason = self.reason(id, reason);
                self.append(Told::GaveUp, id, None, Some(reason.clone()));
                self.ended.push(name.clone());
                ("gave-up", format!("GAVE UP {name}: {reason}"))
            }
            SupervisorEvent::Blocked(why) => {
                self.append(Told::Blocked, id, None, Some(why.clone()));
                ("blocked", format!("BLOCKED {name}: {why}; {name} is started once that has ended"))
            }
            SupervisorEvent::Finished(exit) => {
                self.ended.push(name.clone());
                ("finished", format!("{name} has finished with {exit}"))
            }
            SupervisorEvent::Hung(silence) => {
                let silence = seconds(*silence);
                ("hung", format!("{name} HANGS: no sign of life for {silence}; stopping it"))
            }
            SupervisorEvent::NotReady(waited) => {
                let waited = seconds(*waited);
                ("not-ready", format!("{name} is NOT READY after {waited}; stopping it"))
            }
            SupervisorEvent::Unguarded(guard) => {
                let guard = self.roster.name(*guard);
                ("unguarded", format!("stopping {name}: its watchdog {guard} does not run"))
            }
            SupervisorEvent::Killed(waited) => {
                let waited = seconds(*waited);
                let suspended = match self.pid(id).is_some_and(is_suspended) {
                    true => "is suspended and ",
                    false => "",
                };
                let text = match &self.helpers_left(id)[..] {
                    [] => format!("{name} {suspended}did not end within {waited}; killing it"),
                    left => format!(
                        "{name} has ended, and what it started did not within {waited}; killing {}",
                        Helper::texts(left)
                    ),
                };
                ("killed", text)
            }
            SupervisorEvent::EndedUnasked(exit) => {
                self.ended.push(name.clone());
                ("stopped", format!("{name} ended before it was asked, with {exit}"))
            }
            SupervisorEvent::Withheld(exit) => {
                self.ended.push(name.clone());
                let until = format!("until `qc-launch start {name}`");
                ("stopped", format!("{name} ended with {exit}; it is not started again {until}"))
            }
            SupervisorEvent::Dismissed => {
                self.append(Told::Stopped, id, None, Some("after it was given up".into()));
                ("stopped", format!("{name} had been given up, and is stopped now"))
            }
            SupervisorEvent::Stopped(exit, took) => {
                self.ended.push(name.clone());
                let took = seconds(*took);
                let text = match exit.is_kill() {
                    true => format!("{name} was KILLED by another process after {took}"),
                    false => format!("{name} ended when asked, after {took} with {exit}"),
                };
                ("stopped", text)
            }
            SupervisorEvent::EndedByKill(took) => {
                self.ended.push(name.clone());
                let took = seconds(*took);
                let text = match self.killed_helpers.remove(&id) {
                    None => format!("{name} was KILLED after {took}"),
                    Some(helpers) => format!(
                        "{name} ended when asked; what it started was KILLED after {took}: {}",
                        Helper::texts(&helpers)
                    ),
                };
                ("stopped", text)
            }
            SupervisorEvent::Survived => {
                self.append(Told::Survived, id, None, None);
                ("survived", format!("{name} is STILL RUNNING although it was killed"))
            }
            SupervisorEvent::Kept(brain) => {
                let brain = self.roster.name(*brain);
                let why = format!("its brain {brain} is still running");
                self.append(Told::Survived, id, None, Some(why.clone()));
                ("kept", format!("{name} is NOT STOPPED, because {why}"))
            }
        };
        let level = match note {
            SupervisorEvent::GaveUp(_) | SupervisorEvent::Survived | SupervisorEvent::Kept(_) => {
                Level::Error
            }
            _ if note.is_alarm() => Level::Warning,
            _ => Level::Info,
        };
        self.log_of(id, level, event, &text);
        if let Some(event) = self.news(id, note) {
            let notification = Notification::new(event, name, text).account(self.account(id));
            self.report.notifier().send(notification.pid(self.pids.get(&id).copied()));
        }
    }

    /// Returns what people are told about: each trouble once, when it is known what follows.
    fn news(&self, id: Id, note: &SupervisorEvent) -> Option<NotifyEvent> {
        let blocked = match self.report.notifier().wants(NotifyEvent::Blocked) {
            true => NotifyEvent::Blocked,
            false => NotifyEvent::GaveUp,
        };
        match note {
            // The notification that it hangs, or that it is blocked, has been sent.
            SupervisorEvent::Restarting(Cause::Hung(_) | Cause::Blocked, _) => None,
            SupervisorEvent::Restarting(..) => Some(NotifyEvent::Crash),
            SupervisorEvent::Blocked(_) | SupervisorEvent::GaveUp(Reason::Refused(_)) => {
                Some(blocked)
            }
            SupervisorEvent::GaveUp(Reason::NeverAfter(LOCK_HELD))
                if self.refused.contains_key(&id) =>
            {
                Some(blocked)
            }
            SupervisorEvent::GaveUp(_) | SupervisorEvent::Unguarded(_) => Some(NotifyEvent::GaveUp),
            SupervisorEvent::Hung(_) | SupervisorEvent::Survived | SupervisorEvent::Kept(_) => {
                Some(NotifyEvent::Hung)
            }
            // Of all together, it is told once, at the end.
            SupervisorEvent::EndedUnasked(_)
            | SupervisorEvent::Withheld(_)
            | SupervisorEvent::Stopped(..)
            | SupervisorEvent::EndedByKill(_)
                if self.is_stopping() =>
            {
                None
            }
            SupervisorEvent::EndedUnasked(_)
            | SupervisorEvent::Withheld(_)
            | SupervisorEvent::Stopped(..)
            | SupervisorEvent::EndedByKill(_) => {
                let stays = |view: View| view.state == State::Stopped;
                self.supervisor.view(id).is_none_or(stays).then_some(NotifyEvent::Stopped)
            }
            SupervisorEvent::Waits(_)
            | SupervisorEvent::Ready(_)
            | SupervisorEvent::Finished(_)
            | SupervisorEvent::NotReady(_)
            | SupervisorEvent::Killed(_)
            | SupervisorEvent::Dismissed => None,
        }
    }

    /// Returns why a component is not started again. Exit code 75 alone doesn't say that a lock was
    /// held: a program may use the code for its own ends.
    pub(super) fn reason(&self, id: Id, reason: &Reason) -> String {
        match (reason, self.refused.get(&id)) {
            (Reason::NeverAfter(LOCK_HELD), Some(refusal)) => {
                format!("it ended with exit code 75, because its lock is {refusal}")
            }
            _ => reason.text(|id| self.roster.name(id)),
        }
    }

    /// Says once, to the one who started this program, how the start went.
    pub(super) fn announce_once(&mut self) {
        if !self.announce {
            return;
        }
        if self.roster.iter().all(|(id, _)| self.is_decided(id)) {
            self.announce = false;
            // Earlier lines come first.
            self.report.flush();
            crate::daemon::announcement::announce(&self.missing());
        }
    }

    /// Whether it is known how the first start of a component went.
    fn is_decided(&self, id: Id) -> bool {
        let Some(view) = self.supervisor.view(id) else { return true };
        match view.state {
            State::Running if view.is_proven => true,
            State::Stopped
            | State::Finished(_)
            | State::Blocked(_)
            | State::GaveUp(_)
            | State::BackingOff(_) => true,
            // It has failed once, and is being started again.
            State::Running | State::Starting => view.restarts > 0,
            // It comes only after that one, which may take long.
            State::Waiting(Some(other)) => self.is_decided(other) && !self.is_up(other),
            State::Waiting(None) | State::Stopping => false,
        }
    }

    /// Whether it runs, and has stayed up for its `start_seconds`.
    fn is_up(&self, id: Id) -> bool {
        self.supervisor.view(id).is_some_and(|view| view.state == State::Running && view.is_proven)
    }

    /// Returns those that should run and do not, and why.
    fn missing(&self) -> Vec<(String, String)> {
        let missing = self.roster.iter().filter_map(|(id, component)| {
            let why = match self.supervisor.view(id)?.state {
                State::GaveUp(reason) => self.reason(id, &reason),
                State::Blocked(why) => format!("it is blocked: {why}"),
                State::Stopped => "it was stopped".into(),
                State::Waiting(Some(other)) => format!("it waits for {}", self.roster.name(other)),
                State::BackingOff(_) | State::Starting | State::Running if !self.is_up(id) => {
                    let failure = self.failures.get(&id).map_or("failed", String::as_str);
                    format!("it {failure}, and is started again")
                }
                _ => return None,
            };
            Some((component.name.to_string(), why))
        });
        missing.collect()
    }

    /// Clears the records of those whose process has ended and is not followed by another. While
    /// everything stops, that is done once, at the end.
    pub(super) fn clear_records(&mut self) {
        if self.ended.is_empty() || self.is_stopping() {
            return;
        }
        let names = std::mem::take(&mut self.ended);
        // Clearing writes lines of its own.
        self.write_history();
        self.clear(&names);
    }

    /// Returns whether all of them could be cleared: a record of the dead whose guard is held
    /// belongs to something that was left running.
    fn clear(&mut self, names: &[String]) -> bool {
        match self.locks.clear_dead(names) {
            Ok(cleared) => {
                for error in cleared.failed.iter().chain(&cleared.history_error) {
                    self.report.warn("locks", &describe(error));
                }
                cleared.kept.iter().all(|entry| entry.state.is_live())
            }
            Err(error) => {
                self.report.warn("locks", &describe(&error));
                false
            }
        }
    }

    /// Everything that was started has ended: see what else is left.
    pub(super) fn end(mut self) -> io::Result<End> {
        self.write();
        let names: Vec<String> =
            self.roster.iter().map(|(_, component)| component.name.to_string()).collect();
        // It may keep locks open.
        let is_all_ended = !self.supervisor.is_stopping() || self.sweep_left_over();
        // Whoever has told it to stop reads how each has ended before this program ends.
        self.write_history();
        let all_clear = self.clear(&names);
        let mut end = match self.supervisor.is_stopping() {
            true => End::Stopped,
            false => End::NothingLeft,
        };
        let is_stuck = |id| self.supervisor.view(id).is_some_and(|it| it.state == State::Stopping);
        let stuck: Vec<&str> = self
            .roster
            .iter()
            .filter(|&(id, _)| is_stuck(id))
            .map(|(_, component)| component.name.as_str())
            .collect();
        if !is_all_ended {
            end = End::Survivors;
        }
        if !stuck.is_empty() {
            end = End::Survivors;
            let text = format!("still running: {}", stuck.join(", "));
            self.report.log(&Line::new(Level::Error, "survived", &text));
        }
        // A parent does not know what a stub has started or a script has left behind.
        if self.supervisor.is_stopping()
            && (!all_clear || self.scripts_lock || !LOCKS_ARE_INHERITED)
        {
            if !self.sweep()? {
                end = End::Survivors;
            }
            self.write_history();
            self.clear(&names);
        }
        self.log_all_ended(end);
        Ok(end)
    }

    /// Tells people that the fleet does not run any more.
    fn log_all_ended(&mut self, end: End) {
        let (event, text) = match end {
            End::Stopped => (NotifyEvent::Stopped, "the fleet was stopped, as asked"),
            End::NothingLeft => (NotifyEvent::GaveUp, "nothing is left to supervise"),
            End::Survivors => (NotifyEvent::Hung, "not everything could be stopped"),
        };
        let level = if end == End::Stopped { Level::Info } else { Level::Error };
        self.report.log(&Line::new(level, "ended", text));
        let name = self.fleet.orchestrator.as_str();
        let notification = Notification::new(event, name, text).pid(Some(std::process::id()));
        self.report.notifier().send(notification);
    }

    /// Notes what the history is to tell, see [`Runtime::write_history`].
    /// Notes that a helper of a component was killed.
    fn append_helper(&mut self, id: Id, pid: u32, program: String) {
        let Some(component) = self.roster.get(id) else { return };
        let entry = self.locks.entry(Told::Killed, component.name.as_str()).pid(Some(pid));
        let entry = entry.account(component.account.as_ref().map(ToString::to_string));
        self.history.push(entry.helper(Some(program)).detail("did not end in time"));
    }

    fn append(&mut self, event: Told, id: Id, pid: Option<u32>, detail: Option<String>) {
        let Some(component) = self.roster.get(id) else { return };
        let entry = self.locks.entry(event, component.name.as_str()).pid(pid);
        let entry = entry.account(component.account.as_ref().map(ToString::to_string));
        self.history.push(match detail {
            Some(detail) => entry.detail(detail),
            None => entry,
        });
    }

    /// Writes what the history is to tell, all with one write: a thousand may end at once.
    pub(super) fn write_history(&mut self) {
        let entries = std::mem::take(&mut self.history);
        // The history was moved with its folder; writing would make another one in the old place.
        if entries.is_empty() || self.moved_from().is_some() {
            return;
        }
        if let Err(error) = self.locks.append_all(&entries) {
            self.report.warn("history", &describe(&error));
        }
    }
}

//! Writes the log, the metrics and notifications of what happens to components.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use qc_lock_core::Event as Told;
use qc_logs::{Level, Line};
use qc_notify::Notification;
use qc_process::{Ended, is_suspended};
use qc_supervise::{Exit, Id, State, SupervisorEvent, seconds};

use super::Runtime;
use super::ending::Helper;

impl Runtime<'_> {
    /// Says one line about a component.
    pub(super) fn log_of(&mut self, id: Id, level: Level, event: &str, text: &str) {
        let name = self.roster.name(id);
        let text = if text.contains(&name) { text.into() } else { format!("{name}: {text}") };
        let account = self.account(id);
        let mut line = Line::new(level, event, &text).component(&name).account(account.as_deref());
        if let Some(pid) = self.last_pid(id) {
            line = line.pid(pid);
        }
        self.report.note(&line);
    }

    /// Returns the pid that a component had last.
    pub(super) fn last_pid(&self, id: Id) -> Option<u32> {
        self.live(id)?.last_pid
    }

    fn set_last_pid(&mut self, id: Id, pid: Option<u32>) {
        if let Some(live) = self.live_mut(id) {
            live.last_pid = pid;
        }
    }

    fn account(&self, id: Id) -> Option<String> {
        self.roster.get(id)?.account.as_ref().map(ToString::to_string)
    }

    /// A component's process is being started; says where its output goes.
    pub(super) fn log_starting(&mut self, id: Id, log: &io::Result<PathBuf>) {
        self.set_last_pid(id, None);
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
        self.set_last_pid(id, Some(pid));
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
        if let Some(live) = self.live_mut(id) {
            live.killed_helpers.clear();
            live.last_pid = pid.or(live.last_pid);
        }
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
        self.cleanup.add(id, self.roster.name(id));
        let Some(running) = self.running_mut(id) else { return };
        let (pid, was_killed, log) = (running.pid(), running.was_killed, running.log.take());
        if let Some(log) = log {
            self.report.log_closed(log);
        }
        // Before the component's own end, which is the last that the history says of this run.
        let helpers = self.live(id).map(|live| live.killed_helpers.clone());
        for Helper { pid, program } in helpers.into_iter().flatten() {
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
                if let Some(live) = self.live_mut(id) {
                    live.failure = Some(cause.clone());
                }
                ("restarting", format!("{name} {cause}; restarting {when}"))
            }
            SupervisorEvent::GaveUp(reason) => {
                let reason = self.reason(id, reason);
                self.append(Told::GaveUp, id, None, Some(reason.clone()));
                ("gave-up", format!("GAVE UP {name}: {reason}"))
            }
            SupervisorEvent::Blocked(why) => {
                self.append(Told::Blocked, id, None, Some(why.clone()));
                ("blocked", format!("BLOCKED {name}: {why}; {name} is started once that has ended"))
            }
            SupervisorEvent::Finished(exit) => {
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
                ("stopped", format!("{name} ended before it was asked, with {exit}"))
            }
            SupervisorEvent::Withheld(exit) => {
                let until = format!("until `qc-launch start {name}`");
                ("stopped", format!("{name} ended with {exit}; it is not started again {until}"))
            }
            SupervisorEvent::Dismissed => {
                self.append(Told::Stopped, id, None, Some("after it was given up".into()));
                ("stopped", format!("{name} had been given up, and is stopped now"))
            }
            SupervisorEvent::Stopped(exit, took) => {
                let took = seconds(*took);
                let text = match exit.is_kill() {
                    true => format!("{name} was KILLED by another process after {took}"),
                    false => format!("{name} ended when asked, after {took} with {exit}"),
                };
                ("stopped", text)
            }
            SupervisorEvent::EndedByKill(took) => {
                let took = seconds(*took);
                let live = self.live_mut(id);
                let helpers = live.map(|live| std::mem::take(&mut live.killed_helpers));
                let text = match helpers.filter(|helpers| !helpers.is_empty()) {
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
            self.report.notifier().send(notification.pid(self.last_pid(id)));
        }
    }
}

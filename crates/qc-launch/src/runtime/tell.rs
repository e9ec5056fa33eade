//! What is written down and told, and what is left to do at the end.

use std::io;
use std::time::Duration;

use qc_cli::describe;
use qc_fleet::{Outcome, Place, Progress, Snapshot, StopPlan, Stopped, perform};
use qc_lock_core::{Entry, Event as Told};
use qc_process::LOCKS_ARE_INHERITED;
use qc_supervise::{Exit, Id, Note, Reason, State};

use super::{End, Runtime};

/// How often what is left over is stopped.
const SWEEPS: u32 = 3;

impl Runtime<'_> {
    pub(super) fn tell_start(&mut self, id: Id, pid: Option<u32>) {
        let shown = pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
        self.log.say(&format!("started {}{shown}", self.roster.name(id)));
        self.append(Told::Started, id, pid, None);
    }

    /// Writes down how a process ended; what follows from it, the machine says.
    pub(super) fn tell_end(&mut self, id: Id, exit: Exit) {
        let Some(running) = self.running(id) else { return };
        let pid = running.identity.as_ref().map(|identity| identity.pid);
        let was_asked = self.machine.view(id).is_some_and(|view| view.state == State::Stopping);
        let (event, detail) = match (running.was_killed, was_asked) {
            (true, _) => (Told::Killed, "did not end in time".into()),
            (false, true) => (Told::Stopped, exit.to_string()),
            (false, false) => (Told::Exited, exit.to_string()),
        };
        self.append(event, id, pid, Some(detail));
    }

    pub(super) fn tell(&mut self, id: Id, note: &Note) {
        let name = self.roster.name(id);
        let line = match note {
            Note::Waits(other) => format!("{name} waits for {}", self.roster.name(*other)),
            Note::Ready(took) => format!("{name} is ready after {}", seconds(*took)),
            Note::Restarting(cause, wait) => {
                let when =
                    if wait.is_zero() { "now".into() } else { format!("in {}", seconds(*wait)) };
                self.append(Told::Restarting, id, None, Some(when.clone()));
                let cause = cause.to_string();
                format!("{name} {}; restarting {when}", cause.strip_prefix("it ").unwrap_or(&cause))
            }
            Note::GaveUp(reason) => {
                let reason = self.reason(reason);
                self.append(Told::GaveUp, id, None, Some(reason.clone()));
                self.ended.push(name.clone());
                format!("GAVE UP {name}: {reason}")
            }
            Note::Finished(exit) => {
                self.ended.push(name.clone());
                format!("{name} has finished with {exit}")
            }
            Note::Hung(silence) => {
                format!("{name} HANGS: no sign of life for {}; stopping it", seconds(*silence))
            }
            Note::NotReady(waited) => {
                format!("{name} is NOT READY after {}; stopping it", seconds(*waited))
            }
            Note::LockLost => format!("{name} has LOST ITS LOCK; stopping it"),
            Note::Unguarded(guard) => {
                format!("stopping {name}: its watchdog {} does not run", self.roster.name(*guard))
            }
            Note::Killed(waited) => {
                format!("{name} did not end within {}; killing it", seconds(*waited))
            }
            Note::Stopped(exit, took) => {
                self.ended.push(name.clone());
                match exit {
                    Exit::Signal(9) => format!("{name} was KILLED after {}", seconds(*took)),
                    _ => format!("{name} ended by itself after {} with {exit}", seconds(*took)),
                }
            }
            Note::Survived => {
                self.append(Told::Survived, id, None, None);
                format!("{name} is STILL RUNNING although it was killed")
            }
        };
        self.log.say(&line);
    }

    pub(super) fn reason(&self, reason: &Reason) -> String {
        reason.text(|id| self.roster.name(id))
    }

    /// Says once, to the one who started this program, how the start went.
    pub(super) fn announce_once(&mut self) {
        if !self.announce {
            return;
        }
        let settled = |id| {
            self.machine.view(id).is_none_or(|view| match view.state {
                State::Running | State::Stopped | State::Finished(_) | State::GaveUp(_) => true,
                State::Waiting(_) | State::BackingOff(_) | State::Starting | State::Stopping => {
                    false
                }
            })
        };
        if self.roster.iter().all(|(id, _)| settled(id)) {
            self.announce = false;
            crate::detach::announce(&self.missing());
        }
    }

    /// Returns those that should run and do not, and why.
    fn missing(&self) -> Vec<String> {
        let missing =
            self.roster.iter().filter_map(|(id, component)| match self.machine.view(id)?.state {
                State::GaveUp(reason) => {
                    Some(format!("{}: {}", component.name, self.reason(&reason)))
                }
                State::Stopped => Some(format!("{}: it was stopped", component.name)),
                _ => None,
            });
        missing.collect()
    }

    /// Clears the records of those whose process has ended and is not followed by another. While
    /// everything stops, that is done once, at the end.
    pub(super) fn clear_records(&mut self) {
        if self.ended.is_empty() || self.machine.is_stopping() {
            return;
        }
        let names = std::mem::take(&mut self.ended);
        self.clear(&names);
    }

    /// Returns whether all of them could be cleared: a record of the dead whose guard is held
    /// belongs to something that was left running.
    fn clear(&mut self, names: &[String]) -> bool {
        match self.locks.clear_dead(names) {
            Ok(cleared) => {
                for error in cleared.failed.iter().chain(&cleared.history_error) {
                    self.log.say(&format!("WARNING: {}", describe(error)));
                }
                cleared.kept.iter().all(|entry| entry.state.is_live())
            }
            Err(error) => {
                self.log.say(&format!("WARNING: {}", describe(&error)));
                false
            }
        }
    }

    /// Everything that was started has ended: see what else is left.
    pub(super) fn end(mut self) -> io::Result<End> {
        let names: Vec<String> =
            self.roster.iter().map(|(_, component)| component.name.to_string()).collect();
        let all_clear = self.clear(&names);
        let mut end = match self.machine.is_stopping() {
            true => End::Stopped,
            false => End::NothingLeft,
        };
        let is_stuck = |id| self.machine.view(id).is_some_and(|it| it.state == State::Stopping);
        if self.roster.iter().any(|(id, _)| is_stuck(id)) {
            end = End::Survivors;
        }
        // What a stub has started, or a script has left behind, is not known by its parent.
        if self.machine.is_stopping() && (!all_clear || self.scripts_lock || !LOCKS_ARE_INHERITED) {
            if !self.sweep(&names)? {
                end = End::Survivors;
            }
            self.clear(&names);
        }
        Ok(end)
    }

    /// Stops what else runs of these components; returns whether nothing is left.
    fn sweep(&mut self, names: &[String]) -> io::Result<bool> {
        let mine = |name: &str| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        for _ in 0..SWEEPS {
            let snapshot = Snapshot::take(&self.fleet, self.locks.list().unwrap_or_default())?;
            let left = snapshot
                .instances
                .iter()
                .filter(|one| one.place == Place::Fleet && mine(&one.component));
            let plan = StopPlan::of(&self.fleet, left);
            if plan.is_empty() {
                return Ok(true);
            }
            let log = &mut self.log;
            let results = perform(&plan, &mut |progress| {
                if let Progress::Done(Stopped { target, outcome, took }) = progress {
                    log.say(&stop_line(&target.component, outcome, *took));
                }
            })?;
            for Stopped { target, outcome, .. } in &results {
                let event = match outcome {
                    Outcome::AlreadyGone => continue,
                    Outcome::ByItself => Told::Exited,
                    Outcome::Stopped => Told::Stopped,
                    Outcome::Killed => Told::Killed,
                    Outcome::Denied(_) | Outcome::Survived(_) | Outcome::Left(_) => Told::Survived,
                };
                let entry =
                    self.locks.entry(event, &target.component).pid(Some(target.identity.pid));
                self.append_entry(&entry.account(target.account.clone()));
            }
        }
        Ok(false)
    }

    fn append(&mut self, event: Told, id: Id, pid: Option<u32>, detail: Option<String>) {
        let Some(component) = self.roster.get(id) else { return };
        let entry = self.locks.entry(event, component.name.as_str()).pid(pid);
        let entry = entry.account(component.account.as_ref().map(ToString::to_string));
        self.append_entry(&match detail {
            Some(detail) => entry.detail(detail),
            None => entry,
        });
    }

    fn append_entry(&mut self, entry: &Entry) {
        if let Err(error) = self.locks.append(entry) {
            self.log.say(&format!("WARNING: {}", describe(&error)));
        }
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        long if long >= 10.0 => format!("{long:.0} s"),
        short => format!("{short:.1} s"),
    }
}

fn stop_line(component: &str, outcome: &Outcome, took: Duration) -> String {
    let took = seconds(took);
    match outcome {
        Outcome::AlreadyGone => format!("{component} has ended"),
        Outcome::ByItself => format!("{component} ended before it was asked"),
        Outcome::Stopped => format!("{component} ended by itself after {took}"),
        Outcome::Killed => format!("{component} was KILLED after {took}"),
        Outcome::Denied(reason) | Outcome::Survived(reason) | Outcome::Left(reason) => {
            format!("{component} is STILL RUNNING: {reason}")
        }
    }
}

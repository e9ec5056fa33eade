//! Whether a component has ended: when its first process has, and all that belongs to its program.
//!
//! What a crashed component leaves behind would keep its lock, or trade beside the next copy. So it
//! is asked to stop, killed at the deadline, and awaited before anything else follows from the
//! crash. Left alone is what a Python starts without its lock, and another Python with the
//! component's own script: that is how a program starts itself again.

use std::collections::HashSet;
use std::time::Duration;

use qc_logs::Level;
use qc_process::{Ask, Child, Process, has_group, wait_any};
use qc_supervise::{Escalation, Exit, Id, State};

use super::Runtime;
use super::live::Running;
use super::program::{Member, ProcessView, is_python_name};

/// How long a wrapper may go on after its program has ended, for what it does then.
const AFTER_PROGRAM: Duration = Duration::from_millis(500);

/// How long a copy that a crashed program has made of itself gets to end.
const WORKER_TIMEOUT: Duration = Duration::from_secs(1);

/// The next step for the members of a component's program, without the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Its program has ended and its wrapper has not: ask that one, too.
    AskWrapper,
    /// It has crashed: kill what it has left behind.
    Kill,
    /// It has crashed, and what it has left behind does not end: it is not waited for any more.
    GiveUp,
}

impl Runtime<'_> {
    /// Learns what else belongs to the programs of these, which are about to be asked to stop.
    pub(super) fn find_members(&mut self, ids: &[Id]) {
        match self.view_of_processes() {
            Ok(view_of_processes) => {
                ids.iter().for_each(|&id| self.take_members(id, &view_of_processes, |_| true))
            }
            Err(error) => self.blind(&error),
        }
    }

    fn blind(&mut self, error: &std::io::Error) {
        let text = format!("cannot see what belongs to the components: {error}");
        self.report.warn("stopping", &text);
    }

    /// Takes up those members that are wanted, and are not known yet; all are awaited from now on.
    fn take_members(
        &mut self,
        id: Id,
        view_of_processes: &ProcessView,
        is_wanted: impl Fn(&Member) -> bool,
    ) {
        let members = self.members_of(id, view_of_processes);
        let own = self.running(id).map(|it| it.pids().collect::<HashSet<u32>>());
        let is_first_main = self
            .roster
            .get(id)
            .zip(own)
            .is_some_and(|(component, own)| view_of_processes.is_main_among(component, &own));
        let signal = self.roster.get(id).and_then(|component| component.stop_signal);
        let mut opened = Vec::new();
        for member in members.into_iter().filter(is_wanted) {
            // A member that can't be opened has ended, or can't be touched and is not waited for.
            if let Ok(Some(process)) = Process::open(&member.identity) {
                opened.push((member, process.asked_by(signal)));
            }
        }
        let Some(generation) = self.running(id).map(|running| running.generation) else { return };
        let mut watched = Vec::new();
        for (member, process) in opened {
            let token = self.members.next();
            // One that can't be watched is not waited for.
            if self.watcher.watch(&process, token).is_ok() {
                self.members.insert(token, id, generation);
                watched.push((member, process));
            }
        }
        if let Some(running) = self.running_mut(id) {
            running.is_first_main = is_first_main;
            running.members.extend(watched);
        }
    }

    /// Follows up on ends of processes: a component whose processes have all ended has ended.
    pub(super) fn settle_ends(&mut self) {
        let unsettled = std::mem::take(&mut self.todo.ends);
        let (mut left, mut ended) = (Vec::new(), Vec::new());
        for id in unsettled {
            let Some(running) = self.running_mut(id) else { continue };
            let before = running.members.len();
            let has_lost = running.remove_ended();
            if running.ended.is_none() {
                let is_over = before > 0 && !running.members.iter().any(|one| one.0.is_main);
                if is_over && !running.is_first_main {
                    self.plan_next(id, Next::AskWrapper, AFTER_PROGRAM);
                }
                continue;
            }
            match self.running(id) {
                Some(running) if !running.members.is_empty() => {
                    // The process that they work for has ended without ending them.
                    if has_lost && running.members.iter().all(|one| one.0.is_worker) {
                        self.ask_those(&[id], Ask::Gently);
                    }
                }
                Some(running) if running.may_have_left() && !self.left_well(id) => left.push(id),
                _ => ended.push(id),
            }
        }
        self.settle_left(&left, &mut ended);
        self.note_sessions(&ended);
        ended.into_iter().for_each(|id| self.finish_end(id));
    }

    /// Whether it ended by itself and reported success, so that what it leaves is its own will.
    fn left_well(&self, id: Id) -> bool {
        let has_succeeded = self.running(id).is_some_and(|it| it.ended == Some(Exit::Code(0)));
        has_succeeded && !self.is_asked(id)
    }

    fn is_asked(&self, id: Id) -> bool {
        self.supervisor.view(id).is_some_and(|view| view.state == State::Stopping)
    }

    /// Looks what these, whose first process has ended, have left behind; adds those that have left
    /// nothing to `ended`.
    fn settle_left(&mut self, ids: &[Id], ended: &mut Vec<Id>) {
        if ids.is_empty() {
            return;
        }
        let view_of_processes = self.view_of_processes();
        for &id in ids {
            match &view_of_processes {
                Ok(view_of_processes) => {
                    let is_wrapper = self.is_asked(id) || self.is_wrapped(id);
                    self.take_members(id, view_of_processes, |member| {
                        is_wrapper || member.is_worker
                    });
                }
                Err(error) => self.blind(error),
            }
            if self.running(id).is_none_or(|running| running.members.is_empty()) {
                ended.push(id);
            } else {
                self.end_members(id);
            }
        }
    }

    /// Whether the first process of a component is there to run another one for it, as it was seen
    /// to do or as the name in its command tells.
    fn is_wrapped(&self, id: Id) -> bool {
        if self.running(id).is_some_and(|running| running.is_adopted_wrapper) {
            return true;
        }
        let program = self.roster.get(id).and_then(|component| component.command.first());
        let name = program.and_then(|program| program.path().file_name());
        !name.is_some_and(|name| is_python_name(&name.to_string_lossy()))
    }

    /// Asks what a program has left behind to stop. Where the supervisor has not asked, nothing
    /// else sees to it that it ends.
    fn end_members(&mut self, id: Id) {
        let is_asked = self.is_asked(id);
        let Some(running) = self.running(id) else { return };
        let name = self.roster.name(id);
        let pids: Vec<String> =
            running.members.iter().map(|one| one.0.identity.pid.to_string()).collect();
        let are_workers = running.members.iter().all(|one| one.0.is_worker);
        let text =
            format!("{name} has left PID {} behind, which is asked to stop", pids.join(", "));
        self.log_of(id, Level::Info, "stopping", &text);
        self.ask_those(&[id], Ask::Gently);
        if !is_asked {
            let timeout = self.roster.get(id).map(|component| component.settings.stop_timeout);
            let timeout = if are_workers { WORKER_TIMEOUT } else { timeout.unwrap_or_default() };
            self.plan_next(id, Next::Kill, timeout);
        }
    }

    fn plan_next(&mut self, id: Id, next: Next, after: Duration) {
        let at = self.now() + after;
        if let Some(running) = self.running_mut(id) {
            running.next_step = Some((next, at));
            self.todo.steps.insert(id);
        }
    }

    /// Returns when the next of these steps is due.
    pub(super) fn next_step(&self) -> Option<Duration> {
        self.todo.steps.iter().filter_map(|&id| Some(self.running(id)?.next_step?.1)).min()
    }

    /// Does the steps that are due.
    pub(super) fn take_steps(&mut self) {
        let now = self.now();
        for id in self.todo.steps.iter().copied().collect::<Vec<_>>() {
            let step = self.running(id).and_then(|running| running.next_step);
            match step {
                None => {}
                Some((_, at)) if at > now => continue,
                Some((next, _)) => self.take_step(id, next),
            }
            if self.running(id).and_then(|running| running.next_step) == step {
                self.todo.steps.remove(&id);
            }
        }
    }

    fn take_step(&mut self, id: Id, next: Next) {
        match next {
            Next::AskWrapper => {
                // It may have started the program anew, as a loop in a shell does.
                self.find_members(&[id]);
                if let Some(running) = self.running_mut(id) {
                    running.is_first_main = true;
                }
                self.ask_those(&[id], Ask::Gently);
            }
            Next::Kill => {
                self.kill(id);
                self.plan_next(id, Next::GiveUp, Escalation::AFTER_KILL);
            }
            Next::GiveUp => {
                let text = "what it has left behind does not end although it was killed";
                self.log_of(id, Level::Error, "survived", text);
                self.finish_end(id);
            }
        }
    }
}

impl Running {
    /// Forgets the members that have ended; returns whether there were any.
    fn remove_ended(&mut self) -> bool {
        if self.members.is_empty() {
            return false;
        }
        let processes: Vec<&Process> = self.members.iter().map(|one| &one.1).collect();
        // Without an answer they are looked at again when the next one ends.
        let ended = wait_any(&processes, Duration::ZERO).unwrap_or_default();
        let mut position = 0..;
        self.members.retain(|_| position.next().is_none_or(|one| !ended.contains(&one)));
        !ended.is_empty()
    }

    /// Whether the group that its first process has begun is still there. A wrapper that was
    /// started by hand need not have begun any.
    fn may_have_left(&self) -> bool {
        if self.is_adopted_wrapper {
            return true;
        }
        self.first_pid().is_some_and(has_group)
    }

    /// Returns the pid of its first process, which has begun a group and a session.
    pub(super) fn first_pid(&self) -> Option<u32> {
        let first = self.child.as_ref().map(Child::identity).or(self.identity.as_ref());
        first.map(|identity| identity.pid)
    }
}

//! Ends of processes: those that happen, and those that are asked for.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use qc_lock_core::{Entry, Event as Told};
use qc_process::{
    Ask, Child, Ended, Identity, LOCKS_ARE_INHERITED, Process, StopError, ask_all, in_parts,
};
use qc_supervise::{Event, Exit, Id, LOCK_HELD};

use super::{Running, Runtime, of_token};
use crate::logs::Level;

/// How many are asked together.
const ASKED_AT_ONCE: usize = 256;

/// How many are opened one after the other before another processor is worth it.
const OPENED_AT_ONCE: usize = 64;

/// How much earlier than it was noted a process may have begun.
const STARTING: Duration = Duration::from_secs(10);

/// How many of the last lines of the history may be about a process that has just ended.
const RECENT: usize = 4096;

impl Runtime<'_> {
    pub(super) fn process_ended(&mut self, token: u64) {
        let (id, life) = of_token(token);
        let Some(running) = self.running_mut(id).filter(|running| running.life == life) else {
            return;
        };
        let exit = match (&mut running.child, &running.process) {
            // That it has ended is what counts.
            (Some(child), _) => child.wait().map_or(Exit::Unknown, exit),
            (None, process) => {
                process.as_deref().and_then(Process::exit).map_or(Exit::Unknown, exit)
            }
        };
        let was_killed = running.was_killed;
        let (began, pids) = (running.began, running.pids().collect::<Vec<u32>>());
        self.tell_end(id, exit);
        self.put(id, None);
        if exit != Exit::Code(0) {
            self.crashed.insert(id);
        }
        if was_killed {
            // What it was to end itself nobody else does.
            self.end_left_over(id);
        }
        self.refused.remove(&id);
        if exit == Exit::Code(LOCK_HELD) {
            let refusal = self.refusal_of(id, &pids, began);
            self.refused.extend(refusal.map(|refusal| (id, refusal)));
        }
        self.events.push_back(Event::Exited { id, life, exit });
    }

    /// Returns what the history says of a lock that one of these processes was refused since it was
    /// started, or who holds the component's lock now.
    fn refusal_of(&self, id: Id, pids: &[u32], began: Duration) -> Option<String> {
        let ran = self.now().saturating_sub(began) + STARTING;
        let since = SystemTime::now().checked_sub(ran).map(DateTime::<Utc>::from);
        let is_its = |one: &&Entry| {
            one.by_pid.is_some_and(|pid| pids.contains(&pid))
                && one.at().zip(since).is_none_or(|(at, since)| at >= since)
        };
        let entries = self.locks.history().map(|history| history.entries).unwrap_or_default();
        let last = entries.iter().rev().take(RECENT).find(is_its);
        let told = last.filter(|one| one.event == Told::Blocked).and_then(|one| one.detail.clone());
        told.or_else(|| {
            let lock = self.locks.status(&self.roster.get(id)?.name).ok()??;
            let holder = lock.pid.filter(|pid| lock.state.is_live() && !pids.contains(pid))?;
            Some(format!("held by PID {holder}"))
        })
    }

    /// Returns whom to ask or to end for a component: its own process, and, where that is another
    /// one, the one that does the work behind a virtual environment's stub.
    fn whom(&self, id: Id, also_behind: bool) -> Vec<Whom<'_>> {
        let Some(running) = self.running(id) else { return Vec::new() };
        let mut whom: Vec<Whom<'_>> = match (&running.identity, &running.child) {
            (Some(identity), Some(child)) if child.identity() == identity => {
                vec![Whom::Child(child)]
            }
            (Some(identity), _) => vec![Whom::Other(identity.clone())],
            (None, _) => Vec::new(),
        };
        if let Some(component) = self.roster.get(id).filter(|_| also_behind)
            && let Some(record) = self.locks.record(&component.name)
            && record.wrapper_pid.is_some()
            && running.identity.as_ref() != Some(&record.identity())
        {
            whom.push(Whom::Other(record.identity()));
        }
        whom
    }

    pub(super) fn ask(&mut self, ids: &[Id], how: Ask) {
        let also_behind = how == Ask::Firmly || !LOCKS_ARE_INHERITED;
        // The first ones clean up while the last ones are still to be asked.
        for ids in ids.chunks(ASKED_AT_ONCE) {
            let whom: Vec<(Id, Whom<'_>)> = ids
                .iter()
                .flat_map(|&id| self.whom(id, also_behind).into_iter().map(move |it| (id, it)))
                .collect();
            // One that can't be opened has ended, or can't be touched either way.
            let signal = |id| self.roster.get(id).and_then(|component| component.stop_signal);
            let open = |part: &[(Id, Whom<'_>)]| {
                let opened = part
                    .iter()
                    .filter_map(|(id, it)| Some((*id, it.open().ok()??.asked_by(signal(*id)))));
                opened.collect::<Vec<_>>()
            };
            let opened = in_parts(&whom, OPENED_AT_ONCE, open).into_iter().flatten();
            let (ids, processes): (Vec<Id>, Vec<Process>) = opened.unzip();
            if processes.is_empty() {
                continue;
            }
            let answers = ask_all(&processes.iter().collect::<Vec<_>>(), how);
            for (id, answer) in ids.into_iter().zip(answers) {
                if let Err(error) = answer {
                    self.say_of(id, Level::Warning, "stop", &format!("{error}; {}", error.hint()));
                }
            }
        }
    }

    pub(super) fn kill(&mut self, id: Id) {
        if let Some(running) = self.running_mut(id) {
            running.was_killed = true;
        }
        let mut whom = self.whom(id, true);
        // A wrapper that has not told whom it holds takes it along.
        if let Some(Running { identity: None, child: Some(child), .. }) = self.running(id) {
            whom.push(Whom::Child(child));
        }
        // As above.
        let opened: Vec<Process> = whom.iter().filter_map(|it| it.open().ok()?).collect();
        for process in opened {
            if let Err(error) = process.kill() {
                self.say_of(id, Level::Warning, "kill", &format!("{error}; {}", error.hint()));
            }
        }
    }
}

/// A process of a component.
enum Whom<'a> {
    /// One that this program has started.
    Child(&'a Child),
    Other(Identity),
}

impl Whom<'_> {
    fn open(&self) -> Result<Option<Process>, StopError> {
        match self {
            Self::Child(child) => Process::of_child(child),
            Self::Other(identity) => Process::open(identity),
        }
    }
}

fn exit(ended: Ended) -> Exit {
    match ended {
        Ended::Code(code) => Exit::Code(code),
        Ended::Signal(signal) => Exit::Signal(signal),
    }
}

//! Ends of processes: those that happen, and those that are asked for.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use qc_fleet::shown_program;
use qc_lock_core::{Entry, Event as Told};
use qc_logs::Level;
use qc_process::{
    Ask, Child, Ended, Identity, LOCKS_ARE_INHERITED, Liveness, Process, StopError, ask_all,
    describe, liveness, par_chunks, visible,
};
use qc_supervise::{Event, Exit, Id, LOCK_HELD, State};

use super::Runtime;
use super::live::Running;
use super::program::Member;
use super::tokens::of_token;

/// How many are asked together.
const ASKED_AT_ONCE: usize = 256;

/// How many are opened one after the other before another processor is worth it.
const OPENED_AT_ONCE: usize = 64;

/// How much earlier than it was noted a process may have begun.
const STARTING: Duration = Duration::from_secs(10);

/// How many of the last lines of the history may be about a process that has just ended.
const RECENT: usize = 4096;

impl Runtime<'_> {
    /// One process of a component has ended: its first one, or another that belongs to its program.
    pub(super) fn process_ended(&mut self, token: u64) {
        if self.blocker_ended(token) {
            return;
        }
        let member = self.members.remove(token);
        let (id, generation) = member.unwrap_or_else(|| of_token(token));
        let Some(running) = self.running_mut(id).filter(|running| running.generation == generation)
        else {
            return;
        };
        if member.is_none() && running.ended.is_none() {
            running.ended = Some(match (&mut running.child, &running.process) {
                // That it has ended is what counts.
                (Some(child), _) => child.wait().map_or(Exit::Unknown, exit),
                (None, process) => {
                    process.as_deref().and_then(Process::exit).map_or(Exit::Unknown, exit)
                }
            });
        }
        self.todo.ends.insert(id);
    }

    /// All processes of a component have ended.
    pub(super) fn finish_end(&mut self, id: Id) {
        let Some(running) = self.running(id) else { return };
        let Some(exit) = running.ended else { return };
        let (generation, began) = (running.generation, running.began);
        let pids = running.pids().collect::<Vec<u32>>();
        let was_killed = running.was_killed;
        let was_asked = self.supervisor.view(id).is_some_and(|it| it.state == State::Stopping);
        self.record_end(id, exit);
        self.roster.put(id, None);
        let refusal = match exit {
            Exit::Code(LOCK_HELD) => self.refusal_of(id, &pids, began),
            _ => None,
        };
        if let Some(live) = self.live_mut(id) {
            live.refusal = refusal;
            live.has_run &= !was_asked || was_killed;
        }
        self.events.push_back(Event::Exited { id, generation, exit });
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

    /// Returns whom to ask or to end for a component: its own process, the one that does the work
    /// behind a virtual environment's stub, and what else belongs to its program.
    fn whom(&self, id: Id, who: Who) -> Vec<Whom<'_>> {
        let Some(running) = self.running(id) else { return Vec::new() };
        let members = |is_meant: &dyn Fn(&Member) -> bool| {
            let meant = running.members.iter().filter(|one| is_meant(&one.0));
            meant.map(|one| Whom::Member(&one.1)).collect::<Vec<_>>()
        };
        let does_work = |member: &Member| member.is_main && !member.is_worker;
        let mut whom = match who {
            Who::All => members(&|_| true),
            // Workers are ended by what they work for, as long as that is there.
            Who::Worker if running.ended.is_none() => members(&does_work),
            Who::Worker => match members(&|member| !member.is_worker) {
                none if none.is_empty() => members(&|_| true),
                some => some,
            },
        };
        if running.ended.is_some() {
            return whom;
        }
        // A wrapper that passes nothing on, or dies of the request alone, is not asked.
        if who == Who::Worker && !running.is_first_main && !whom.is_empty() && LOCKS_ARE_INHERITED {
            return whom;
        }
        whom.extend(match (&running.identity, &running.child) {
            (Some(identity), Some(child)) if child.identity() == identity => {
                Some(Whom::Child(child))
            }
            (Some(identity), _) => Some(Whom::Other(identity.clone())),
            (None, _) => None,
        });
        if let Some(component) = self.roster.get(id)
            && (who == Who::All || !LOCKS_ARE_INHERITED)
            && let Some(record) = self.locks.record(&component.name)
            && record.wrapper_pid.is_some()
            && !running.pids().any(|pid| pid == record.pid)
        {
            whom.push(Whom::Other(record.identity()));
        }
        whom
    }

    /// Asks components to stop.
    pub(super) fn ask(&mut self, ids: &[Id], how: Ask) {
        if how == Ask::Gently && !ids.is_empty() {
            self.find_members(ids);
        }
        self.ask_those(ids, how);
    }

    /// Asks what is known of these components to stop.
    pub(super) fn ask_those(&mut self, ids: &[Id], how: Ask) {
        let who = match how {
            Ask::Gently => Who::Worker,
            Ask::Firmly => Who::All,
        };
        // The first ones clean up while the last ones are still to be asked.
        for ids in ids.chunks(ASKED_AT_ONCE) {
            let whom: Vec<(Id, Whom<'_>)> = ids
                .iter()
                .flat_map(|&id| self.whom(id, who).into_iter().map(move |it| (id, it)))
                .collect();
            // One that can't be opened has ended, or can't be touched either way.
            let signal = |id| self.roster.get(id).and_then(|component| component.stop_signal);
            let open = |part: &[(Id, Whom<'_>)]| {
                let opened = part
                    .iter()
                    .filter_map(|(id, it)| Some((*id, it.open().ok()??.asked_by(signal(*id)))));
                opened.collect::<Vec<_>>()
            };
            let opened = par_chunks(&whom, OPENED_AT_ONCE, open).into_iter().flatten();
            let (ids, processes): (Vec<Id>, Vec<Process>) = opened.unzip();
            if processes.is_empty() {
                continue;
            }
            let answers = ask_all(&processes.iter().collect::<Vec<_>>(), how);
            for (id, answer) in ids.into_iter().zip(answers) {
                if let Err(error) = answer {
                    self.log_of(id, Level::Warning, "stop", &format!("{error}; {}", error.hint()));
                }
            }
        }
    }

    /// Returns what is left of a component whose own program has ended: only what that has started.
    /// None is returned while the program itself may run.
    pub(super) fn helpers_left(&self, id: Id) -> Vec<Helper> {
        let Some(running) = self.running(id).filter(|running| running.ended.is_some()) else {
            return Vec::new();
        };
        let left = running.members.iter().filter(|one| liveness(&one.0.identity) != Liveness::Dead);
        let left: Vec<&Member> = left.map(|one| &one.0).collect();
        if left.iter().any(|member| member.is_main && !member.is_worker) {
            return Vec::new();
        }
        let helper = |member: &&Member| {
            let found = describe(member.identity.pid).ok().flatten();
            let found = found.filter(|one| one.identity == member.identity);
            Helper {
                pid: member.identity.pid,
                program: found.map_or_else(|| "program".into(), |one| shown_program(&one)),
            }
        };
        left.iter().map(helper).collect()
    }

    pub(super) fn kill(&mut self, id: Id) {
        let helpers = self.helpers_left(id);
        if let Some(live) = self.live_mut(id) {
            if let Some(running) = &mut live.running {
                running.was_killed = helpers.is_empty();
            }
            if !helpers.is_empty() {
                live.killed_helpers = helpers;
            }
        }
        let mut whom = self.whom(id, Who::All);
        // A wrapper that has not told whom it holds takes it along.
        if let Some(Running { identity: None, child: Some(child), .. }) = self.running(id) {
            whom.push(Whom::Child(child));
        }
        // As above.
        let opened: Vec<Process> = whom.iter().filter_map(|it| it.open().ok()?).collect();
        for process in opened {
            if let Err(error) = process.kill() {
                self.log_of(id, Level::Warning, "kill", &format!("{error}; {}", error.hint()));
            }
        }
    }
}

/// A process that a component has started and that outlives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Helper {
    pub(super) pid: u32,
    /// Its program.
    pub(super) program: String,
}

impl Helper {
    /// Returns these for messages.
    pub(super) fn texts(helpers: &[Self]) -> String {
        let text = |one: &Self| format!("{} (PID {})", visible(&one.program), one.pid);
        helpers.iter().map(text).collect::<Vec<String>>().join(", ")
    }
}

/// Which processes of a component are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The processes that do the work, as far as they are known.
    Worker,
    All,
}

/// A process of a component.
enum Whom<'a> {
    /// One that this program has started.
    Child(&'a Child),
    /// One that is held open.
    Member(&'a Process),
    Other(Identity),
}

impl Whom<'_> {
    fn open(&self) -> Result<Option<Process>, StopError> {
        match self {
            Self::Child(child) => Process::of_child(child),
            Self::Member(process) => Process::open(process.identity()),
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

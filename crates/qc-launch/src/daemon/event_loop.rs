//! Performing what the supervisor decides, and reporting to it what happened: one loop on one
//! thread, which sleeps until a process ends, a client asks for something, or something is due.

mod actions;
mod announcing;
mod beside;
mod cleanup;
mod clients;
mod ending;
mod history;
mod kept_open;
mod last_look;
mod left_over;
mod listener;
mod live;
mod needed;
mod news;
mod post;
mod program;
mod record;
mod refusals;
mod reload;
mod requests;
mod roster;
mod settling;
mod started;
mod starting;
mod status;
mod stopping;
mod sweeping;
mod tokens;
mod unmanaged;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use qc_cli::Location;
use qc_fleet::{Component, Fleet};
use qc_lock_core::{Entry, LockDir};
use qc_process::{Watcher, inspect, watch_session};
use qc_start::{Adopted, Look};
use qc_supervise::{Event, Id, Supervisor};

use crate::daemon::interrupts::Interrupts;
use crate::daemon::report::Report;
use crate::daemon::up::Options;
pub(crate) use beside::copies_text;
pub(crate) use unmanaged::outcome_text;

use beside::Blockers;
use cleanup::Cleanup;
use clients::Clients;
use last_look::LastLook;
use left_over::LeftOvers;
use live::{Live, Running};
use post::{Message, Post};
use roster::Roster;
use tokens::MemberTokens;

/// How much of the history may be left to write while other things are to be done.
const MOST_UNWRITTEN: usize = 1000;

/// The input of the event loop: the components and their settings.
pub(crate) struct Run<'a> {
    pub(crate) location: &'a Location,
    pub(crate) args: &'a Options,
    pub(crate) fleet: Fleet,
    pub(crate) locks: &'a LockDir,
    /// Whether the scripts lock by themselves with the old module.
    pub(crate) scripts_lock: bool,
    pub(crate) components: Vec<Arc<Component>>,
    pub(crate) adopted: Vec<Adopted>,
    /// The processes that the start has found.
    pub(crate) look: Look,
    pub(crate) report: &'a mut Report,
    pub(crate) interrupts: Interrupts,
}

/// How supervision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was stopped, as asked.
    Stopped,
    /// Everything was given up.
    NothingLeft,
    /// Something does not end.
    Survivors,
}

/// The components with something left to do, so that the loop need not look at all of a thousand.
#[derive(Default)]
struct Todo {
    /// The starts that the loop is about to make.
    starts: Vec<(Id, u32)>,
    /// The components whose readiness is being checked.
    checks: Vec<Id>,
    /// The components with an ended process that is still to be followed up.
    ends: BTreeSet<Id>,
    /// The components with a next step of their own.
    steps: BTreeSet<Id>,
}

pub(crate) struct Runtime<'a> {
    location: &'a Location,
    args: &'a Options,
    fleet: Fleet,
    locks: &'a LockDir,
    scripts_lock: bool,
    report: &'a mut Report,
    /// Whether to say when all are ready or were given up: for the one who started this program.
    announce: bool,
    /// The components, with the live state of each.
    roster: Roster,
    supervisor: Supervisor,
    /// The supervisor's pending events.
    events: VecDeque<Event>,
    todo: Todo,
    members: MemberTokens,
    last_look: Option<LastLook>,
    blockers: Blockers,
    left_overs: LeftOvers,
    /// The limit of a stop of everything that waits until stray brains have ended.
    held_back: Option<Option<Duration>>,
    clients: Clients,
    cleanup: Cleanup,
    /// Whether refusals are looked for in the history.
    watches_refusals: bool,
    /// The history entries that are still to be written.
    history: Vec<Entry>,
    /// Whether much was just done, such as reading the config, that is not done again soon.
    was_busy: bool,
    /// The identity of the fleet's folder, under whatever name.
    root_id: Option<String>,
    watcher: Watcher,
    inbox: Receiver<Message>,
    post: Post,
    began: Instant,
}

impl<'a> Runtime<'a> {
    /// Prepares to run.
    pub(crate) fn new(run: Run<'a>) -> io::Result<Self> {
        let watcher = Watcher::new()?;
        let (sender, inbox) = mpsc::channel();
        let post = Post { sender, waker: watcher.waker() };
        let (roster, specs) = Roster::new(run.components, &run.fleet.timing);
        // Only the jitter of restarts depends on it.
        let seed = qc_process::own_identity().started ^ u64::from(std::process::id()) << 32;
        let root_id = inspect::folder_id(&run.fleet.root);
        let mut runtime = Self {
            location: run.location,
            args: run.args,
            fleet: run.fleet,
            locks: run.locks,
            scripts_lock: run.scripts_lock,
            report: run.report,
            announce: run.args.announce,
            roster,
            supervisor: Supervisor::new(specs, seed),
            events: VecDeque::new(),
            todo: Todo::default(),
            members: MemberTokens::default(),
            last_look: None,
            blockers: Blockers::default(),
            left_overs: LeftOvers::default(),
            held_back: None,
            clients: Clients::default(),
            cleanup: Cleanup::default(),
            watches_refusals: false,
            history: Vec::new(),
            was_busy: true,
            root_id,
            watcher,
            inbox,
            post,
            began: Instant::now(),
        };
        runtime.make_room();
        for (_, component) in runtime.roster.iter() {
            runtime.report.metrics().up(component.name.as_str(), false);
        }
        for adopted in run.adopted {
            runtime.adopt(adopted)?;
        }
        runtime.keep_look(run.look);
        let post = runtime.post();
        run.interrupts.pass_to(move |interrupt| post.send(Message::Interrupted(interrupt)));
        Ok(runtime)
    }

    fn post(&self) -> Post {
        self.post.clone()
    }

    /// Runs the fleet until it was asked to stop, or nothing is left to run.
    pub(crate) fn run(mut self) -> io::Result<End> {
        // Without it there is no desktop, and so no log-off.
        let _ = watch_session();
        self.watch_refusals();
        self.start_free();
        loop {
            loop {
                while let Some(event) = self.events.pop_front() {
                    self.handle(event);
                    self.receive_messages();
                }
                if !self.make_starts() {
                    break;
                }
            }
            self.sweep_removed();
            self.release_guards();
            if self.supervisor.is_over() {
                break;
            }
            self.announce_once();
            self.clear_records();
            for token in self.wait()? {
                self.process_ended(token);
            }
            self.settle_ends();
            self.take_steps();
            self.receive_messages();
            self.look();
            // Handle ends before timers, so that a process that ends at its deadline still counts
            // as on time.
            self.events.push_back(Event::Tick);
        }
        self.end()
    }

    /// Waits until processes end, a message arrives, or something is due; returns the tokens of
    /// those that have ended. What has happened so far is written down when nothing else is to be
    /// done, all at once: a thousand may start or end together.
    fn wait(&mut self) -> io::Result<Vec<u64>> {
        let ended = self.watcher.wait(Some(Duration::ZERO))?;
        // A message has ended that wait.
        self.receive_messages();
        let is_busy = !ended.is_empty() || !self.events.is_empty();
        if is_busy && self.history.len() < MOST_UNWRITTEN {
            return Ok(ended);
        }
        self.write();
        if is_busy {
            return Ok(ended);
        }
        self.answer_waiting();
        if mem::take(&mut self.was_busy) {
            qc_process::return_memory();
        }
        let timeout = self.next_due().map(|due| due.saturating_sub(self.now()));
        self.watcher.wait(timeout)
    }

    fn write(&mut self) {
        self.write_history();
        self.report.write();
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn next_due(&mut self) -> Option<Duration> {
        let checks = self.todo.checks.iter().filter_map(|&id| self.running(id)?.next_look);
        let due = checks.chain(self.clients.due()).chain(self.next_step()).min();
        self.supervisor.next_due().into_iter().chain(due).min()
    }

    fn live(&self, id: Id) -> Option<&Live> {
        Some(&self.roster.entry(id)?.live)
    }

    fn live_mut(&mut self, id: Id) -> Option<&mut Live> {
        Some(&mut self.roster.entry_mut(id)?.live)
    }

    fn running(&self, id: Id) -> Option<&Running> {
        self.live(id)?.running.as_ref()
    }

    fn running_mut(&mut self, id: Id) -> Option<&mut Running> {
        self.live_mut(id)?.running.as_mut()
    }
}

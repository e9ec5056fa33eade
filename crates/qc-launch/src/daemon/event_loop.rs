//! Performing what the supervisor decides, and reporting to it what happened: one loop on one thread, which
//! sleeps until a process ends, a client asks for something, or something is due.

mod beside;
mod control;
mod ending;
mod left_over;
mod listener;
mod needed;
mod program;
mod record;
mod refusals;
mod settling;
mod starting;
mod unmanaged;

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::time::{Duration, Instant};

use qc_cli::Location;
use qc_control::{Answer, Request};
use qc_fleet::{Fleet, Stopped};
use qc_lock_core::{Entry, LockDir};
use qc_logs::Level;
use qc_process::{
    Ask, Child, Identity, Interrupt, MachineGuard, Process, Waker, Watcher, close_limit, inspect,
    watch_session,
};
use qc_supervise::{Action, Event, Exit, Id, NotStarted, Supervisor};

use crate::daemon::adopt::Adopted;
use crate::daemon::heartbeat::HeartbeatMonitor;
use crate::daemon::interrupts::Interrupts;
use crate::daemon::look::Look;
use crate::daemon::readiness::ReadinessCheck;
use crate::daemon::report::Report;
use crate::daemon::roster::Roster;
use crate::daemon::start::WrapperReport;
use crate::daemon::up::Options;
pub(crate) use unmanaged::outcome_text;

use beside::{Blockers, LastLook};
use control::Waiting;
use ending::Helper;
use left_over::{LeftOverEnd, LeftOvers};
use program::Member;
use settling::Next;

/// The share of each stage where the system ends this program some time after its console closes.
const CLOSE_SHARE: u32 = 5;

/// How much of the history may be left to write while other things are to be done.
const MOST_UNWRITTEN: usize = 1000;

/// How many components are started before it is written down that they run.
const STARTED_TOGETHER: usize = 256;

/// Open files beside those of the components: logs, locks, clients.
const SPARE_FILES: u64 = 128;

/// Open files for each name, account and terminal of a component: its process, or the guards of the machine.
const FILES_OF_EACH: u64 = 4;

/// A message from another thread.
pub(crate) enum Message {
    /// A wrapper says something.
    WrapperReport(Id, u32, WrapperReport),
    Interrupted(Interrupt),
    /// A process was refused a lock.
    Refused(Entry),
    /// Stray brains were stopped.
    UnmanagedEnded(io::Result<Vec<Stopped>>),
    /// The process that still listened at the port of a component was ended.
    ListenerEnded(Id, io::Result<Vec<Stopped>>),
    /// The programs that the last run of a component had left behind were ended.
    LeftOverEnded(LeftOverEnd, io::Result<Vec<Stopped>>),
    /// A client's request; the client waits for the answer.
    Asked(Request, SyncSender<Answer>),
}

/// Puts messages where the loop finds them, and wakes it.
#[derive(Clone)]
pub(crate) struct Post {
    sender: Sender<Message>,
    waker: Waker,
}

impl Post {
    pub(crate) fn send(&self, message: Message) {
        // The receiver is gone only when the program ends anyway.
        let _ = self.sender.send(message);
        self.waker.wake();
    }
}

/// The input of the event loop: the components and their settings.
pub(crate) struct Run<'a> {
    pub(crate) location: &'a Location,
    pub(crate) args: &'a Options,
    pub(crate) fleet: Fleet,
    pub(crate) locks: &'a LockDir,
    /// Whether the scripts lock by themselves with the old module.
    pub(crate) scripts_lock: bool,
    pub(crate) components: Vec<Arc<qc_fleet::Component>>,
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

/// The live state of one component's run. Rare state is boxed: there may be a thousand components.
struct Running {
    generation: u32,
    /// Its process, or that of its wrapper; none if it was adopted.
    child: Option<Child>,
    /// Its process, if it was adopted.
    process: Option<Box<Process>>,
    /// Its identity; unknown until its wrapper reports it.
    identity: Option<Identity>,
    log: Option<PathBuf>,
    check: Option<Box<ReadinessCheck>>,
    heartbeat: Option<Box<HeartbeatMonitor>>,
    /// When it was started, and when to look next whether it is ready.
    began: Duration,
    next_look: Option<Duration>,
    was_killed: bool,
    /// The guards of the machine that it has, too, kept until all of it has ended.
    _machine_guards: Vec<MachineGuard>,
    /// How its first process has ended, while others of its program run.
    ended: Option<Exit>,
    /// Whether its first process is the wrapper of what was adopted, which need not have been started
    /// as the config says.
    is_adopted_wrapper: bool,
    /// Whether its first process does the work itself.
    is_first_main: bool,
    /// The other known processes of its program.
    members: Vec<(Member, Process)>,
    /// The next step for these processes, and when it is due.
    next_step: Option<(Next, Duration)>,
}

impl Running {
    /// Returns the pids that are known of it.
    fn pids(&self) -> impl Iterator<Item = u32> {
        let child = self.child.as_ref().map(Child::identity);
        let members = self.members.iter().map(|one| &one.0.identity);
        self.identity.iter().chain(child).chain(members).map(|identity| identity.pid)
    }
}

pub(crate) struct Runtime<'a> {
    location: &'a Location,
    fleet: Fleet,
    args: &'a Options,
    locks: &'a LockDir,
    scripts_lock: bool,
    report: &'a mut Report,
    interrupts: Interrupts,
    /// Whether to say when all are ready or were given up: for the one who started this program.
    announce: bool,
    roster: Roster,
    supervisor: Supervisor,
    running: Vec<Option<Running>>,
    /// The process that each had last, for those who are told about its end.
    pids: HashMap<Id, u32>,
    /// The helpers that had to be killed of those that had ended themselves when asked.
    killed_helpers: HashMap<Id, Vec<Helper>>,
    /// The locks that were refused to those that ended with exit code 75, as their history says.
    refused: HashMap<Id, String>,
    /// The last failure of each component, as the text that follows its name.
    failures: HashMap<Id, String>,
    /// The components with an ended process that is still to be followed up.
    unsettled: BTreeSet<Id>,
    /// The components with a next step of their own.
    stepping: BTreeSet<Id>,
    /// The components of watched members, by the watcher's token.
    member_tokens: HashMap<u64, (Id, u32)>,
    /// How many members have been watched so far.
    watched: u64,
    /// The components whose last run did not end as asked, so something may still listen at their
    /// port.
    has_run: HashSet<Id>,
    /// The starts that the loop is about to make.
    starts: Vec<(Id, u32)>,
    last_look: Option<LastLook>,
    blockers: Blockers,
    left_overs: LeftOvers,
    /// The session of this program, once it was asked for.
    own_session: OnceCell<Option<u32>>,
    /// The components for which a leftover listener at their port is being ended.
    ending: HashSet<Id>,
    /// The components whose readiness is being checked.
    looking: Vec<Id>,
    /// The supervisor's pending events.
    events: VecDeque<Event>,
    /// The components whose process has ended without a successor.
    ended: Vec<String>,
    /// The limit of a stop of everything that waits until stray brains have ended.
    held_back: Option<Option<Duration>>,
    /// The clients that wait for a change of state.
    waiting: Vec<Waiting>,
    /// Whether refusals are looked for in the history.
    watches_refusals: bool,
    /// The history entries that are still to be written.
    history: Vec<Entry>,
    /// Whether much was just done, such as reading the config, that is not done again soon.
    was_busy: bool,
    /// What stands for the folder of the fleet under whatever name.
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
            fleet: run.fleet,
            args: run.args,
            locks: run.locks,
            scripts_lock: run.scripts_lock,
            report: run.report,
            interrupts: run.interrupts,
            announce: run.args.announce,
            roster,
            supervisor: Supervisor::new(specs, seed),
            running: Vec::new(),
            pids: HashMap::new(),
            killed_helpers: HashMap::new(),
            refused: HashMap::new(),
            failures: HashMap::new(),
            unsettled: BTreeSet::new(),
            stepping: BTreeSet::new(),
            member_tokens: HashMap::new(),
            watched: 0,
            has_run: HashSet::new(),
            starts: Vec::new(),
            last_look: None,
            blockers: Blockers::default(),
            left_overs: LeftOvers::default(),
            own_session: OnceCell::new(),
            ending: HashSet::new(),
            looking: Vec::new(),
            events: VecDeque::new(),
            ended: Vec::new(),
            held_back: None,
            waiting: Vec::new(),
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
        Ok(runtime)
    }

    /// Each process that is watched is an open file where that is how the system does it.
    fn make_room(&mut self) {
        let needed = {
            let resources = self.roster.iter().map(|(_, one)| one.request().resources().len());
            resources.sum::<usize>() as u64 * FILES_OF_EACH + SPARE_FILES
        };
        let allowed = qc_process::allow_open_files(needed);
        if allowed < needed {
            let text = format!(
                "only {allowed} files may be open and {needed} are needed; raise the limit (`ulimit -n`)"
            );
            self.report.warn("launcher", &text);
        }
    }

    /// Starts everything but those whose starts are forbidden: they were stopped by one of the fleet, and
    /// wait until the user starts them.
    fn start_free(&mut self) {
        let latched = self.latched();
        if latched.is_empty() {
            self.events.push_back(Event::StartAll);
            return;
        }
        let all = self.roster.iter().map(|(id, _)| id);
        self.events.extend(all.filter(|id| !latched.contains(id)).map(Event::Start));
    }

    /// Returns those whose starts are forbidden, while not every start is.
    fn latched(&self) -> Vec<Id> {
        let latches = self.locks.scoped_latches();
        if latches.is_empty() {
            return Vec::new();
        }
        let is_latched =
            |request: &qc_lock_core::Request| latches.iter().any(|it| it.is_of(request));
        let latched = self.roster.iter().filter(|(_, one)| is_latched(&one.request()));
        latched.map(|(id, _)| id).collect()
    }

    fn post(&self) -> Post {
        self.post.clone()
    }

    /// Runs the fleet until it was asked to stop, or nothing is left to run.
    pub(crate) fn run(mut self) -> io::Result<End> {
        let post = self.post();
        self.interrupts.pass_to(move |interrupt| post.send(Message::Interrupted(interrupt)));
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
        let looks = self.looking.iter().filter_map(|&id| self.running(id)?.next_look).min();
        let waiting = self.waiting.iter().map(|one| one.until);
        self.supervisor
            .next_due()
            .into_iter()
            .chain(looks)
            .chain(waiting)
            .chain(self.next_step())
            .min()
    }

    fn running(&self, id: Id) -> Option<&Running> {
        self.running.get(id.0 as usize)?.as_ref()
    }

    fn running_mut(&mut self, id: Id) -> Option<&mut Running> {
        self.running.get_mut(id.0 as usize)?.as_mut()
    }

    fn put(&mut self, id: Id, running: Option<Running>) {
        self.roster.mark_current(id);
        let index = id.0 as usize;
        if self.running.len() <= index {
            self.running.resize_with(index + 1, || None);
        }
        self.running[index] = running;
    }

    fn handle(&mut self, event: Event) {
        let mut asked = (Vec::new(), Vec::new());
        for action in self.supervisor.handle(event, self.began.elapsed()) {
            match action {
                Action::Spawn { id, generation } => self.starts.push((id, generation)),
                Action::Ask { id, firmly: false } => asked.0.push(id),
                Action::Ask { id, firmly: true } => asked.1.push(id),
                Action::Kill(id) => self.kill(id),
                Action::Look { id, generation } => {
                    let heartbeat =
                        self.running_mut(id).and_then(|running| running.heartbeat.as_deref_mut());
                    // A heartbeat that can't be checked must not count as a hang.
                    let beats = heartbeat.is_none_or(HeartbeatMonitor::has_beaten);
                    self.events.push_back(if beats {
                        Event::Heartbeat { id, generation }
                    } else {
                        Event::Silent { id, generation }
                    });
                }
                Action::Say(id, note) => self.record(id, &note),
                Action::Forget(id) => {
                    let name = self.roster.name(id);
                    self.report.metrics().forget(&name);
                    self.left_overs.remove(id, name.to_string());
                    self.roster.forget(id);
                    self.pids.remove(&id);
                    self.refused.remove(&id);
                    self.failures.remove(&id);
                    self.has_run.remove(&id);
                }
            }
        }
        self.ask(&asked.0, Ask::Gently);
        self.ask(&asked.1, Ask::Firmly);
    }

    /// Makes the starts that the machine has asked for, all after one look at what runs. Returns
    /// whether there were any.
    fn make_starts(&mut self) -> bool {
        let generations = mem::take(&mut self.starts);
        if generations.is_empty() {
            return false;
        }
        if let Some(why) = self.why_moved() {
            self.events.extend(generations.into_iter().map(|(id, generation)| Event::NotStarted {
                id,
                generation,
                why: NotStarted::Failed(why.clone()),
            }));
            return true;
        }
        self.was_busy |= generations.len() >= STARTED_TOGETHER;
        let free = self.unobstructed(&generations);
        let free = self.without_left_over(free);
        for generations in free.chunks(STARTED_TOGETHER) {
            self.start_all(generations);
        }
        true
    }

    fn receive_messages(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::WrapperReport(id, generation, WrapperReport::Started(identity)) => {
                    if let Some(running) =
                        self.running_mut(id).filter(|it| it.generation == generation)
                    {
                        running.identity = Some(identity);
                        self.note_start(id, generation, None);
                    }
                }
                Message::WrapperReport(id, _, WrapperReport::Line(line)) => {
                    self.log_of(id, Level::Info, "wrapper", &line);
                }
                Message::Interrupted(interrupt) => {
                    let limit = close_limit().filter(|_| interrupt == Interrupt::Close);
                    self.stop_all(limit.map(|limit| limit / CLOSE_SHARE));
                }
                Message::Refused(entry) => self.record_refused(&entry),
                Message::UnmanagedEnded(stopped) => self.strays_ended(&stopped),
                Message::ListenerEnded(id, stopped) => self.listener_ended(id, &stopped),
                Message::LeftOverEnded(end, stopped) => self.left_over_ended(&end, &stopped),
                Message::Asked(Request::Wait { seen }, answer) => self.let_wait(seen, answer),
                Message::Asked(request, answer) => {
                    // The client may read the log next.
                    self.write();
                    let answered = self.answer(&request);
                    // The client may have given up waiting.
                    let _ = answer.send(answered);
                }
            }
        }
    }
}

/// Returns the watcher's token of a component's first process.
fn token(id: Id, generation: u32) -> u64 {
    u64::from(id.0) << 32 | u64::from(generation)
}

fn of_token(token: u64) -> (Id, u32) {
    let [high, low] = [token >> 32, token & u64::from(u32::MAX)];
    (Id(u32::try_from(high).unwrap_or(u32::MAX)), u32::try_from(low).unwrap_or(u32::MAX))
}

/// The bit by which the watcher's word of a member is told from that of a first process: there are
/// not so many components.
const MEMBER: u64 = 1 << 63;

//! Performing what the machine decides, and telling it what happened: one loop on one thread, which
//! sleeps until a process ends, somebody asks for something, or something is due.

mod control;
mod tell;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::time::{Duration, Instant};

use qc_cli::Place;
use qc_control::{Answer, Request};
use qc_fleet::Fleet;
use qc_lock_core::LockDir;
use qc_process::{
    Ask, CLOSE_LIMIT, Child, Ended, Identity, Interrupt, LOCKS_ARE_INHERITED, Process, Waker,
    Watcher, ask_all, on_interrupt,
};
use qc_supervise::{Action, Event, Exit, Id, Machine, NotStarted};

use crate::adopt::Adopted;
use crate::cli::UpArgs;
use crate::logs::Level;
use crate::probe::{Heart, Looker};
use crate::report::Report;
use crate::roster::Roster;
use crate::start::{Begun, Said, Starter};

/// The share of each stage where the system ends this program some time after its console closes.
const CLOSE_SHARE: u32 = 5;

/// How long after its start, and how often, a component is looked at whether it is ready: a tenth
/// of the time that it has taken so far, within these bounds.
const SOONEST_LOOK: Duration = Duration::from_millis(20);
const LATEST_LOOK: Duration = Duration::from_millis(250);

/// Open files beside those of the components: logs, locks, clients.
const SPARE_FILES: u64 = 128;

/// What other threads say.
pub(crate) enum Message {
    /// A wrapper says something.
    Said(Id, u32, Said),
    Interrupted(Interrupt),
    /// Somebody asks for something, and waits for the answer.
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

/// What is to be run, and how.
pub(crate) struct Run<'a> {
    pub(crate) place: &'a Place,
    pub(crate) args: &'a UpArgs,
    pub(crate) fleet: Fleet,
    pub(crate) locks: &'a LockDir,
    /// Whether the scripts lock by themselves with the old module.
    pub(crate) scripts_lock: bool,
    pub(crate) components: Vec<qc_fleet::Component>,
    pub(crate) adopted: Vec<Adopted>,
    pub(crate) report: &'a mut Report,
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

/// What runs for a component.
struct Running {
    life: u32,
    /// Its process, or that of its wrapper; none if it was adopted.
    child: Option<Child>,
    /// Its process, if it was adopted.
    process: Option<Process>,
    /// Who it is; unknown until its wrapper has told.
    identity: Option<Identity>,
    log: Option<PathBuf>,
    looker: Option<Looker>,
    heart: Option<Heart>,
    /// When it was started, and when to look next whether it is ready.
    began: Duration,
    next_look: Option<Duration>,
    was_killed: bool,
}

pub(crate) struct Runtime<'a> {
    place: &'a Place,
    fleet: Fleet,
    args: &'a UpArgs,
    locks: &'a LockDir,
    scripts_lock: bool,
    report: &'a mut Report,
    /// Whether to say when all are ready or were given up: for the one who started this program.
    announce: bool,
    roster: Roster,
    machine: Machine,
    running: Vec<Option<Running>>,
    /// The process that each had last, for those who are told about its end.
    pids: HashMap<Id, u32>,
    /// Those that are looked at whether they are ready.
    looking: Vec<Id>,
    /// What the machine is still to hear.
    events: VecDeque<Event>,
    /// Those whose process has ended and is not followed by another one.
    ended: Vec<String>,
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
        let mut runtime = Self {
            place: run.place,
            fleet: run.fleet,
            args: run.args,
            locks: run.locks,
            scripts_lock: run.scripts_lock,
            report: run.report,
            announce: run.args.announce,
            roster,
            machine: Machine::new(specs, seed),
            running: Vec::new(),
            pids: HashMap::new(),
            looking: Vec::new(),
            events: VecDeque::new(),
            ended: Vec::new(),
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
        Ok(runtime)
    }

    /// Each process that is watched is an open file where that is how the system does it.
    fn make_room(&mut self) {
        let needed = self.roster.iter().count() as u64 + SPARE_FILES;
        let allowed = qc_process::allow_open_files(needed);
        if allowed < needed {
            let text = format!(
                "only {allowed} files may be open and {needed} are needed; raise the limit (`ulimit -n`)"
            );
            self.report.warn("launcher", &text);
        }
    }

    fn post(&self) -> Post {
        self.post.clone()
    }

    /// Runs the fleet until it was asked to stop, or nothing is left to run.
    pub(crate) fn run(mut self) -> io::Result<End> {
        let post = self.post();
        on_interrupt(move |interrupt| post.send(Message::Interrupted(interrupt)))?;
        self.events.push_back(Event::StartAll);
        loop {
            while let Some(event) = self.events.pop_front() {
                self.handle(event);
                self.hear_messages();
            }
            if self.machine.is_over() {
                break;
            }
            self.announce_once();
            self.clear_records();
            let timeout = self.next_due().map(|due| due.saturating_sub(self.now()));
            for token in self.watcher.wait(timeout)? {
                self.process_ended(token);
            }
            self.hear_messages();
            self.look();
            // What has happened is told before what is due: what ended in time was in time.
            self.events.push_back(Event::Tick);
        }
        self.end()
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn next_due(&mut self) -> Option<Duration> {
        let looks = self.looking.iter().filter_map(|&id| self.running(id)?.next_look).min();
        self.machine.next_due().into_iter().chain(looks).min()
    }

    fn running(&self, id: Id) -> Option<&Running> {
        self.running.get(id.0 as usize)?.as_ref()
    }

    fn running_mut(&mut self, id: Id) -> Option<&mut Running> {
        self.running.get_mut(id.0 as usize)?.as_mut()
    }

    fn put(&mut self, id: Id, running: Option<Running>) {
        let index = id.0 as usize;
        if self.running.len() <= index {
            self.running.resize_with(index + 1, || None);
        }
        self.running[index] = running;
    }

    fn handle(&mut self, event: Event) {
        let mut asked = (Vec::new(), Vec::new());
        for action in self.machine.handle(event, self.began.elapsed()) {
            match action {
                Action::Spawn { id, life } => self.start(id, life),
                Action::Ask { id, firmly: false } => asked.0.push(id),
                Action::Ask { id, firmly: true } => asked.1.push(id),
                Action::Kill(id) => self.kill(id),
                Action::Look { id, life } => {
                    let heart = self.running_mut(id).and_then(|running| running.heart.as_mut());
                    // What can't be looked at must not be taken for hung.
                    let beats = heart.is_none_or(Heart::has_beaten);
                    self.events.push_back(if beats {
                        Event::Pulse { id, life }
                    } else {
                        Event::Silent { id, life }
                    });
                }
                Action::Say(id, note) => self.tell(id, &note),
                Action::Forget(id) => {
                    self.report.metrics().forget(&self.roster.name(id));
                    self.roster.forget(id);
                    self.pids.remove(&id);
                }
            }
        }
        self.ask(&asked.0, Ask::Gently);
        self.ask(&asked.1, Ask::Firmly);
    }

    fn hear_messages(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Said(id, life, Said::Started(identity)) => {
                    if let Some(running) = self.running_mut(id).filter(|it| it.life == life) {
                        running.identity = Some(identity);
                        self.note_start(id, life);
                    }
                }
                Message::Said(id, _, Said::Line(line)) => {
                    self.say_of(id, Level::Info, "wrapper", &line);
                }
                Message::Interrupted(interrupt) => {
                    let limit = CLOSE_LIMIT.filter(|_| interrupt == Interrupt::Close);
                    self.stop_all(limit.map(|limit| limit / CLOSE_SHARE));
                }
                Message::Asked(request, answer) => {
                    let answered = self.answer(&request);
                    // Who does not wait any more does not miss it.
                    let _ = answer.send(answered);
                }
            }
        }
    }

    fn stop_all(&mut self, limit: Option<Duration>) {
        if !self.machine.is_stopping() {
            let text = "stopping the fleet in order; open trades are NOT closed";
            self.report.info("stopping", text);
            self.events.push_back(Event::StopAll { limit });
        }
    }

    // Starting.

    fn start(&mut self, id: Id, life: u32) {
        let Some(component) = self.roster.get(id) else { return };
        let post = self.post();
        let hear = move |said| post.send(Message::Said(id, life, said));
        let starter = Starter { locks: self.locks, scripts_lock: self.scripts_lock };
        let begun = match starter.start(component, self.report.folder(), hear) {
            Ok(begun) => begun,
            Err(why) => {
                if why != NotStarted::Busy {
                    self.ended.push(component.name.to_string());
                }
                self.events.push_back(Event::NotStarted { id, life, why });
                return;
            }
        };
        let Begun { child, is_wrapped, log, looker, heart, remarks } = begun;
        if let Err(error) = self.watcher.watch_child(&child, token(id, life)) {
            // Nobody would notice its end, so it must not run.
            if let Ok(Some(process)) = Process::open(child.identity()) {
                let _ = process.kill();
            }
            let why = NotStarted::Failed(format!("it cannot be watched: {error}"));
            self.events.push_back(Event::NotStarted { id, life, why });
            return;
        }
        for remark in remarks {
            self.say_of(id, Level::Info, "reclaimed", &remark);
        }
        self.tell_starting(id, &log);
        let log = log.ok();
        let running = Running {
            life,
            identity: (!is_wrapped).then(|| child.identity().clone()),
            child: Some(child),
            process: None,
            log,
            looker,
            heart,
            began: self.now(),
            next_look: None,
            was_killed: false,
        };
        self.put(id, Some(running));
        if !is_wrapped {
            self.note_start(id, life);
        }
    }

    /// A component's process runs.
    fn note_start(&mut self, id: Id, life: u32) {
        let now = self.now();
        let Some(running) = self.running_mut(id) else { return };
        let pid = running.identity.as_ref().map(|identity| identity.pid);
        running.began = now;
        if running.looker.is_some() {
            running.next_look = Some(now + SOONEST_LOOK);
            self.looking.push(id);
        }
        self.tell_start(id, pid);
        self.events.push_back(Event::Started { id, life });
    }

    /// Takes over a process that an earlier launcher has left.
    fn adopt(&mut self, adopted: Adopted) -> io::Result<()> {
        let Some(id) = self.roster.id(&adopted.name) else { return Ok(()) };
        // The life that the machine gives to what it adopts.
        let life = 1;
        self.watcher.watch(&adopted.process, token(id, life))?;
        let log = self.report.folder().latest(&adopted.name);
        let component = self.roster.get(id);
        let heart = component.and_then(|component| Heart::new(component, log.as_deref()));
        let identity = adopted.process.identity().clone();
        self.tell_adopted(id, identity.pid, log.as_deref());
        let running = Running {
            life,
            child: None,
            process: Some(adopted.process),
            identity: Some(identity),
            log,
            looker: None,
            heart,
            began: self.now(),
            next_look: None,
            was_killed: false,
        };
        self.put(id, Some(running));
        self.events.push_back(Event::Adopted(id));
        Ok(())
    }

    /// Looks at those that are starting whether they are ready.
    fn look(&mut self) {
        let now = self.now();
        let (locks, roster) = (self.locks, &self.roster);
        let (running, events) = (&mut self.running, &mut self.events);
        self.looking.retain(|&id| {
            let Some(Some(one)) = running.get_mut(id.0 as usize) else { return false };
            let (Some(looker), Some(component)) = (&mut one.looker, roster.get(id)) else {
                return false;
            };
            if one.next_look.is_some_and(|next| now < next) {
                return true;
            }
            if looker.sees(component, locks) {
                events.push_back(Event::Ready { id, life: one.life });
                one.looker = None;
                one.next_look = None;
                return false;
            }
            let pause = ((now - one.began) / 10).clamp(SOONEST_LOOK, LATEST_LOOK);
            one.next_look = Some(now + pause);
            true
        });
    }

    // Ending.

    fn process_ended(&mut self, token: u64) {
        let (id, life) = of_token(token);
        let Some(running) = self.running_mut(id).filter(|running| running.life == life) else {
            return;
        };
        let exit = match (&mut running.child, &running.process) {
            // That it has ended is what counts.
            (Some(child), _) => child.wait().map_or(Exit::Unknown, exit),
            (None, process) => process.as_ref().and_then(Process::exit).map_or(Exit::Unknown, exit),
        };
        self.tell_end(id, exit);
        self.put(id, None);
        self.events.push_back(Event::Exited { id, life, exit });
    }

    /// Returns the processes to ask or to end for a component: its own, and, where that is another
    /// one, the one that does the work behind a virtual environment's stub.
    fn processes(&self, id: Id, also_behind: bool) -> Vec<Process> {
        let Some(running) = self.running(id) else { return Vec::new() };
        let mut identities: Vec<Identity> = running.identity.iter().cloned().collect();
        if let Some(component) = self.roster.get(id).filter(|_| also_behind)
            && let Some(record) = self.locks.record(&component.name)
            && record.wrapper_pid.is_some()
            && !identities.contains(&record.identity())
        {
            identities.push(record.identity());
        }
        let opened = identities.iter().map(Process::open);
        // One that can't be opened has ended, or can't be touched either way.
        opened.filter_map(|process| process.ok().flatten()).collect()
    }

    fn ask(&mut self, ids: &[Id], how: Ask) {
        let also_behind = how == Ask::Firmly || !LOCKS_ARE_INHERITED;
        let processes: Vec<(Id, Process)> = ids
            .iter()
            .flat_map(|&id| self.processes(id, also_behind).into_iter().map(move |it| (id, it)))
            .collect();
        if processes.is_empty() {
            return;
        }
        let asked: Vec<&Process> = processes.iter().map(|(_, process)| process).collect();
        let answers = ask_all(&asked, how);
        for ((id, _), answer) in processes.iter().zip(answers) {
            if let Err(error) = answer {
                self.say_of(*id, Level::Warning, "stop", &format!("{error}; {}", error.hint()));
            }
        }
    }

    fn kill(&mut self, id: Id) {
        let mut processes = self.processes(id, true);
        if let Some(running) = self.running_mut(id) {
            running.was_killed = true;
            // A wrapper that has not told whom it holds takes it along.
            if let (None, Some(child)) = (&running.identity, &running.child) {
                processes.extend(Process::open(child.identity()).ok().flatten());
            }
        }
        for process in processes {
            if let Err(error) = process.kill() {
                self.say_of(id, Level::Warning, "kill", &format!("{error}; {}", error.hint()));
            }
        }
    }
}

/// What the watcher tells of a process by.
fn token(id: Id, life: u32) -> u64 {
    u64::from(id.0) << 32 | u64::from(life)
}

fn of_token(token: u64) -> (Id, u32) {
    let [high, low] = [token >> 32, token & u64::from(u32::MAX)];
    (Id(u32::try_from(high).unwrap_or(u32::MAX)), u32::try_from(low).unwrap_or(u32::MAX))
}

fn exit(ended: Ended) -> Exit {
    match ended {
        Ended::Code(code) => Exit::Code(code),
        Ended::Signal(signal) => Exit::Signal(signal),
    }
}

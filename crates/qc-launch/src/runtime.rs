//! Performing what the supervisor decides, and telling it what happened.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::describe;
use qc_fleet::{Component, Fleet, Outcome, Place, Progress, Role, Snapshot, StopPlan, perform};
use qc_lock_core::{Entry, Event as Told, LockDir, LockError, StartError};
use qc_process::{
    CLOSE_LIMIT, Child, Console, Ended, Interrupt, LOCKS_ARE_INHERITED, Output, Spawn, on_interrupt,
};

use crate::log::Log;
use crate::supervisor::{Action, Event, Index, Supervisor};

/// How often everything is stopped: a component that was just starting is not seen the first time.
const STOP_ROUNDS: u32 = 3;

/// How long the ends of stopped components may take to be noticed.
const SETTLE: Duration = Duration::from_secs(2);

/// The share of each stage where the system ends this program some time after its console closes.
const CLOSE_SHARE: u32 = 5;

/// A thread that only waits for a child needs no large stack.
const WAITER_STACK: usize = 64 * 1024;

enum Message {
    /// A component runs, with this pid.
    Started(Index, u32),
    /// Its wrapper says something.
    Said(Index, String),
    Exited(Index, Ended),
    Interrupted(Interrupt),
    /// The stop that was asked for has been performed.
    StopDone,
}

pub(crate) struct Runtime<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) locks: &'a LockDir,
    pub(crate) components: &'a [Component],
    /// Whether the scripts lock by themselves with the old module.
    pub(crate) scripts_lock: bool,
    pub(crate) log: Log,
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

/// How far stopping is.
#[derive(Debug, Default)]
struct Stop {
    asked: Option<Interrupt>,
    is_under_way: bool,
    rounds: u32,
    /// When to stop what has not ended by then.
    look_again: Option<Instant>,
}

/// A component's first process, and where a wrapper says what it does.
struct Begun {
    child: Child,
    wrapper: Option<PipeReader>,
    log: String,
}

impl Runtime<'_> {
    /// Runs the fleet until it was asked to stop, or nothing is left to run.
    pub(crate) fn run(mut self) -> io::Result<End> {
        let (sender, receiver) = mpsc::channel();
        let for_interrupts = sender.clone();
        on_interrupt(move |interrupt| {
            // The receiver is gone only when the program ends anyway.
            let _ = for_interrupts.send(Message::Interrupted(interrupt));
        })?;
        let roles: Vec<Role> = self.components.iter().map(|component| component.role).collect();
        let mut supervisor = Supervisor::new(&roles, self.fleet.timing);
        let began = Instant::now();
        let mut events = vec![Event::Tick];
        let mut stop = Stop::default();
        loop {
            while let Some(event) = events.pop() {
                for action in supervisor.handle(&event, began.elapsed()) {
                    events.extend(self.perform(action, &sender, &mut stop)?);
                }
            }
            if supervisor.is_over() && !stop.is_under_way {
                return Ok(if stop.asked.is_some() { End::Stopped } else { End::NothingLeft });
            }
            let due = supervisor.next_due().map(|due| began + due).or(stop.look_again);
            match next(&receiver, due) {
                None if stop.look_again.is_some() && stop.rounds >= STOP_ROUNDS => {
                    return Ok(End::Survivors);
                }
                None if stop.look_again.is_some() => self.stop_all(&sender, &mut stop)?,
                None => events.push(Event::Tick),
                Some(Message::Started(index, pid)) => {
                    self.note_start(index, pid);
                    events.push(Event::Started(index));
                }
                Some(Message::Said(index, line)) => {
                    self.log.say(&format!("{}: {line}", self.components[index].name))
                }
                Some(Message::Exited(index, ended)) => events.push(Event::Exited(index, ended)),
                Some(Message::Interrupted(interrupt)) => {
                    stop.asked.get_or_insert(interrupt);
                    events.push(Event::StopAsked);
                }
                Some(Message::StopDone) => {
                    stop.is_under_way = false;
                    stop.look_again = Some(Instant::now() + SETTLE);
                }
            }
        }
    }

    fn perform(
        &mut self,
        action: Action,
        sender: &Sender<Message>,
        stop: &mut Stop,
    ) -> io::Result<Option<Event>> {
        match action {
            Action::Start(index) => {
                return Ok(self
                    .start(index, sender)
                    .err()
                    .map(|reason| Event::NotStarted(index, reason)));
            }
            Action::Restart(index, ended, wait) => {
                let name = &self.components[index].name;
                let when =
                    if wait.is_zero() { "now".into() } else { format!("in {} s", wait.as_secs()) };
                self.log.say(&format!("{name} ended with {ended}; restarting {when}"));
                self.tell(Told::Exited, index, ended.to_string());
                self.tell(Told::Restarting, index, when);
            }
            Action::GiveUp(index, reason) => {
                self.log.say(&format!("GAVE UP {}: {reason}", self.components[index].name));
                self.tell(Told::GaveUp, index, reason);
                self.clear_record(index);
            }
            Action::NoteEnd(index, ended) => {
                self.tell(Told::Exited, index, ended.to_string());
                self.clear_record(index);
            }
            Action::StopAll => self.stop_all(sender, stop)?,
        }
        Ok(None)
    }

    /// Starts a component under its lock, and a thread that reports its start and its end.
    fn start(&mut self, index: Index, sender: &Sender<Message>) -> Result<(), String> {
        let component = &self.components[index];
        let Begun { mut child, wrapper, log } = self.spawn(component)?;
        self.log.say(&format!("starting {}, log {log}", component.name));
        let sender = sender.clone();
        let waiter = thread::Builder::new()
            .name(format!("wait {}", component.name))
            .stack_size(WAITER_STACK);
        let spawned = waiter.spawn(move || {
            // The receiver is gone only when the program ends anyway.
            let tell = |message| drop(sender.send(message));
            match wrapper {
                None => tell(Message::Started(index, child.identity().pid)),
                Some(pipe) => {
                    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                        match line.strip_prefix("started ").and_then(|pid| pid.trim().parse().ok())
                        {
                            Some(pid) => tell(Message::Started(index, pid)),
                            None => tell(Message::Said(index, line.trim_end().to_owned())),
                        }
                    }
                }
            }
            // Should waiting fail, nobody knows how it ended; that it must be looked at is what counts.
            tell(Message::Exited(index, child.wait().unwrap_or(Ended::Code(-1))));
        });
        spawned.map(drop).map_err(|error| format!("it runs, but cannot be waited for: {error}"))
    }

    fn note_start(&mut self, index: Index, pid: u32) {
        let component = &self.components[index];
        self.log.say(&format!("started {} (PID {pid})", component.name));
        let entry = self.locks.entry(Told::Started, component.name.as_str()).pid(Some(pid));
        self.append(&entry.account(component.account.as_ref().map(ToString::to_string)));
    }

    fn spawn(&mut self, component: &Component) -> Result<Begun, String> {
        let failed = |error: io::Error| format!("cannot start it: {error}");
        let root = &self.fleet.root;
        let (file, path) = self.log.child(component.name.as_str()).map_err(failed)?;
        let command: Vec<OsString> =
            component.command.iter().map(|word| word.value().into()).collect();
        let log = path.strip_prefix(root).unwrap_or(&path).display().to_string();

        if self.scripts_lock {
            let spawn = spawn_of(command, component, Output::File(&file));
            let child = spawn.start(|_| Ok(())).map_err(failed)?;
            return Ok(Begun { child, wrapper: None, log });
        }
        if !LOCKS_ARE_INHERITED {
            // A wrapper stays with the child, holds the lock, and says through the pipe what it does.
            let (reader, writer) = io::pipe().map_err(failed)?;
            let wrapper = self.wrapped(component, &path, command).map_err(failed)?;
            let spawn = spawn_of(wrapper, component, Output::Pipe(&writer));
            let child = spawn.start(|_| Ok(())).map_err(failed)?;
            return Ok(Begun { child, wrapper: Some(reader), log });
        }
        let lock =
            self.locks.acquire_for_child(&component.request()).map_err(|error| match &error {
                LockError::Held { holder, .. } => format!("its lock is held by {holder}"),
                _ => format!("cannot lock it: {}", qc_cli::Failure::from(error).message()),
            })?;
        let (lock, child) =
            lock.start(spawn_of(command, component, Output::File(&file))).map_err(|error| {
                match error {
                    StartError::Lock(error) => {
                        format!("cannot lock it: {}", qc_cli::Failure::from(error).message())
                    }
                    StartError::GuardDeleted => error.to_string(),
                    StartError::Spawn(error) => failed(error),
                }
            })?;
        for reclaimed in lock.reclaimed() {
            self.log.say(&format!("reclaimed lock {} {reclaimed}", component.name));
        }
        lock.leave_to_child();
        Ok(Begun { child, wrapper: None, log })
    }

    fn wrapped(
        &self,
        component: &Component,
        log: &Path,
        command: Vec<OsString>,
    ) -> io::Result<Vec<OsString>> {
        let mut words: Vec<OsString> =
            vec![std::env::current_exe()?.into(), "hold".into(), "--lock-dir".into()];
        words.push(self.locks.path().into());
        if let Some(account) = &component.account {
            words.extend(["--account".into(), account.as_str().into()]);
        }
        if let Some(terminal) = &component.terminal {
            words.extend(["--terminal".into(), terminal.as_str().into()]);
        }
        words.extend([
            "--program".into(),
            component.script_file().into(),
            "--output".into(),
            log.into(),
        ]);
        words.extend([component.name.as_str().into(), "--".into()]);
        words.extend(command);
        Ok(words)
    }

    /// Asks, waits and kills in order, on a thread of its own: meanwhile children end, and their
    /// ends are noted.
    fn stop_all(&mut self, sender: &Sender<Message>, stop: &mut Stop) -> io::Result<()> {
        stop.rounds += 1;
        stop.is_under_way = true;
        stop.look_again = None;
        self.log.say("stopping the fleet in order; open trades are NOT closed");
        let snapshot = Snapshot::take(self.fleet, self.locks.list().unwrap_or_default())?;
        let mine =
            |name: &str| self.components.iter().any(|component| component.name.as_str() == name);
        let running = snapshot
            .instances
            .iter()
            .filter(|one| one.place == Place::Fleet && mine(&one.component));
        let plan = StopPlan::new(running);
        let limit = CLOSE_LIMIT
            .filter(|_| stop.asked == Some(Interrupt::Close))
            .map(|limit| limit / CLOSE_SHARE);
        let timeout = self.fleet.timing.stop_timeout.min(limit.unwrap_or(Duration::MAX));
        let locks = self.locks.clone();
        let sender = sender.clone();
        let mut log = self.log.share()?;
        thread::Builder::new().name("stop".into()).spawn(move || {
            let results = perform(&plan, timeout, &mut |progress| match progress {
                Progress::Stage(stage) => log.say(&format!("stopping: {}", stage.role)),
                Progress::Done(target, outcome, took) => {
                    log.say(&stop_line(&target.component, outcome, took))
                }
            });
            for (target, outcome, _) in &results {
                let event = match outcome {
                    Outcome::AlreadyGone => continue,
                    Outcome::Stopped => Told::Stopped,
                    Outcome::Killed => Told::Killed,
                    Outcome::Survived(_) => Told::Survived,
                };
                let entry = locks.entry(event, &target.component).pid(Some(target.identity.pid));
                // What was done is in the log, too.
                let _ = locks.append(&entry.account(target.account.clone()));
            }
            let _ = sender.send(Message::StopDone);
        })?;
        Ok(())
    }

    /// Clears the record of a component that has ended and is not started again.
    fn clear_record(&mut self, index: Index) {
        let name = self.components[index].name.to_string();
        let failed =
            self.locks.clear_dead(&[name]).map_or_else(|error| vec![error], |it| it.failed);
        for error in failed {
            self.log.say(&format!("WARNING: {}", describe(&error)));
        }
    }

    fn tell(&mut self, event: Told, index: Index, detail: String) {
        let component = &self.components[index];
        let entry = self.locks.entry(event, component.name.as_str()).detail(detail);
        self.append(&entry.account(component.account.as_ref().map(ToString::to_string)));
    }

    fn append(&mut self, entry: &Entry) {
        if let Err(error) = self.locks.append(entry) {
            self.log.say(&format!("WARNING: {}", describe(&error)));
        }
    }
}

fn spawn_of<'a>(command: Vec<OsString>, component: &Component, output: Output<'a>) -> Spawn<'a> {
    let mut words = command.into_iter();
    // Python writes to a file in blocks otherwise, and a crash loses the last words.
    let mut env = vec![("PYTHONUNBUFFERED".into(), Some("1".into()))];
    let given = component.env.iter();
    env.extend(given.map(|(name, value)| (name.into(), Some(value.reveal().into()))));
    Spawn {
        program: words.next().unwrap_or_default(),
        args: words.collect(),
        current_dir: Some(component.cwd.clone()),
        env,
        output,
        console: Console::Own,
        keep: Vec::new(),
        end_with_parent: false,
    }
}

fn stop_line(component: &str, outcome: &Outcome, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match outcome {
        Outcome::AlreadyGone => format!("{component} has ended"),
        Outcome::Stopped => format!("{component} ended by itself after {seconds:.1} s"),
        Outcome::Killed => format!("{component} was KILLED after {seconds:.1} s"),
        Outcome::Survived(reason) => format!("{component} is STILL RUNNING: {reason}"),
    }
}

/// Waits for a message until `due`.
fn next(receiver: &Receiver<Message>, due: Option<Instant>) -> Option<Message> {
    let received = match due {
        Some(due) => receiver.recv_timeout(due.saturating_duration_since(Instant::now())),
        None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    received.ok()
}

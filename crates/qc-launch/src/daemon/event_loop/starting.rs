//! Starting components, taking over those that run, and looking whether they are ready.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use qc_fleet::Component;
use qc_lock_core::LockForChild;
use qc_logs::Level;
use qc_process::{Process, identity_of, par_chunks};
use qc_supervise::{Event, Id, NotStarted};

use super::Runtime;
use super::live::Running;
use super::post::Message;
use super::tokens::token;
use crate::daemon::adopt::Adopted;
use qc_start::HeartbeatMonitor;
use qc_start::{Begun, NoStart, Starter};

/// How long after its start, and how often, a component is looked at whether it is ready: a tenth
/// of the time that it has taken so far, within these bounds.
const SOONEST_LOOK: Duration = Duration::from_millis(20);
const LATEST_LOOK: Duration = Duration::from_millis(250);

/// How many are started one after the other before another processor is worth it.
const STARTED_AT_ONCE: usize = 4;

/// One start, made on any processor.
struct Job<'a> {
    id: Id,
    generation: u32,
    component: &'a Component,
    /// The guards that were kept for it while it was blocked.
    guards: Mutex<Option<LockForChild>>,
}

impl Runtime<'_> {
    /// Starts all of them, on all processors.
    pub(super) fn start_all(&mut self, generations: &[(Id, u32)]) {
        // Each lock that is taken writes its own line, which comes after those.
        self.write_history();
        // A folder that can't be listed is told with each lock.
        let listed = (generations.len() > 1).then(|| self.locks.listed().ok()).flatten();
        let locks = listed.as_ref().unwrap_or(self.locks);
        let starter = Starter { locks, scripts_lock: self.scripts_lock };
        let mut jobs = Vec::new();
        for &(id, generation) in generations {
            if let Some(component) = self.roster.get(id) {
                let guards = Mutex::new(self.blockers.kept.remove(&id));
                jobs.push(Job { id, generation, component, guards });
            }
        }
        let (logs, post) = (self.report.folder(), &self.post);
        let start = |&Job { id, generation, component, ref guards }: &Job<'_>| {
            let post = post.clone();
            let hear = move |said| post.send(Message::WrapperReport(id, generation, said));
            // Poisoned guards are still guards.
            let guards = guards.lock().unwrap_or_else(PoisonError::into_inner).take();
            (id, generation, starter.start(component, guards, logs, hear))
        };
        let start_part = |part: &[Job<'_>]| part.iter().map(start).collect::<Vec<_>>();
        let started = par_chunks(&jobs, STARTED_AT_ONCE, start_part);
        for (id, generation, started) in started.into_iter().flatten() {
            match started {
                Ok(begun) => self.begin(id, generation, begun),
                Err(refusal) => self.not_started(id, generation, refusal),
            }
        }
    }

    /// Takes up why one could not be started.
    fn not_started(&mut self, id: Id, generation: u32, refusal: NoStart) {
        let why = match refusal {
            NoStart::Held { pid, why } => {
                let holder = identity_of(pid).ok();
                if self.block(id, generation, holder.as_slice(), &why) {
                    return;
                }
                NotStarted::Busy
            }
            NoStart::PortTaken { pid, why } if self.live(id).is_some_and(|live| live.has_run) => {
                self.end_listener(id, pid);
                NotStarted::InUse(why)
            }
            NoStart::PortTaken { why, .. } => NotStarted::Refused(why),
            NoStart::Other(NotStarted::Busy) if self.is_kept_open(id, generation) => return,
            NoStart::Other(why) => why,
        };
        if !matches!(why, NotStarted::Busy | NotStarted::InUse(_)) {
            self.cleanup.add(self.roster.name(id));
        }
        self.events.push_back(Event::NotStarted { id, generation, why });
    }

    /// Takes up what has just been started.
    fn begin(&mut self, id: Id, generation: u32, begun: Begun) {
        let Begun {
            child,
            is_wrapped,
            held_since,
            log,
            check,
            heartbeat,
            unmarked,
            remarks,
            machine_guards,
        } = begun;
        if let Err(error) = self.watcher.watch_child(&child, token(id, generation)) {
            // Its end would go unnoticed, so it must not run.
            if let Ok(Some(process)) = Process::open(child.identity()) {
                let _ = process.kill();
            }
            let why = NotStarted::Failed(format!("it cannot be watched: {error}"));
            self.events.push_back(Event::NotStarted { id, generation, why });
            return;
        }
        if let Some(text) = unmarked {
            self.log_of(id, Level::Warning, "starting", &text);
        }
        for remark in remarks {
            self.log_of(id, Level::Info, "reclaimed", &remark);
        }
        self.log_starting(id, &log);
        let running = Running {
            identity: (!is_wrapped).then(|| child.identity().clone()),
            child: Some(child),
            log: log.ok(),
            check: check.map(Box::new),
            heartbeat: heartbeat.map(Box::new),
            _machine_guards: machine_guards,
            ..Running::new(generation, self.now())
        };
        self.roster.put(id, Some(running));
        if !is_wrapped {
            self.note_start(id, generation, held_since);
        }
    }

    /// A component's process runs, and holds its lock since then, if that is known.
    pub(super) fn note_start(&mut self, id: Id, generation: u32, held_since: Option<SystemTime>) {
        let now = self.now();
        let Some(live) = self.live_mut(id) else { return };
        let Some(running) = &mut live.running else { return };
        running.began = now;
        let (pid, has_check) = (running.pid(), running.check.is_some());
        running.next_look = has_check.then_some(now + SOONEST_LOOK);
        live.has_run = true;
        live.left_over_rounds = 0;
        live.lock_open_since = None;
        if has_check {
            self.todo.checks.push(id);
        }
        self.record_start(id, pid, held_since);
        self.events.push_back(Event::Started { id, generation });
    }

    /// Takes over a process that an earlier launcher has left.
    pub(super) fn adopt(&mut self, adopted: Adopted) -> io::Result<()> {
        let Some(id) = self.roster.id(&adopted.name) else { return Ok(()) };
        // The generation that the supervisor gives to what it adopts.
        let generation = 1;
        self.watcher.watch(&adopted.process, token(id, generation))?;
        let log = self.report.folder().latest(&adopted.name);
        let component = self.roster.get(id);
        let heartbeat =
            component.and_then(|component| HeartbeatMonitor::new(component, log.as_deref()));
        let identity = adopted.process.identity().clone();
        let request = component.map(Component::request);
        let machine_guards = request.map(|request| self.locks.cover(&request, &identity));
        self.record_adopted(id, identity.pid, log.as_deref());
        let running = Running {
            process: Some(Box::new(adopted.process)),
            identity: Some(identity),
            log,
            heartbeat: heartbeat.map(Box::new),
            _machine_guards: machine_guards.unwrap_or_default(),
            is_adopted_wrapper: adopted.is_wrapper,
            ..Running::new(generation, self.now())
        };
        self.roster.put(id, Some(running));
        if let Some(live) = self.live_mut(id) {
            live.has_run = true;
        }
        self.events.push_back(Event::Adopted(id));
        Ok(())
    }

    /// Looks at those that are starting whether they are ready.
    pub(super) fn look(&mut self) {
        let now = self.now();
        let (locks, roster, events) = (self.locks, &mut self.roster, &mut self.events);
        self.todo.checks.retain(|&id| {
            let Some(entry) = roster.entry_mut(id) else { return false };
            let Some(one) = &mut entry.live.running else { return false };
            let Some(check) = &mut one.check else { return false };
            if one.next_look.is_some_and(|next| now < next) {
                return true;
            }
            if check.is_ready(&entry.component, locks) {
                events.push_back(Event::Ready { id, generation: one.generation });
                one.check = None;
                one.next_look = None;
                return false;
            }
            let pause = ((now - one.began) / 10).clamp(SOONEST_LOOK, LATEST_LOOK);
            one.next_look = Some(now + pause);
            true
        });
    }
}

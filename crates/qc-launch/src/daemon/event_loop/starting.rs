//! Starting components: all that the supervisor asks for at once, after one look at what runs.

use std::sync::{Mutex, PoisonError};

use qc_fleet::Component;
use qc_lock_core::LockForChild;
use qc_logs::Level;
use qc_process::{Process, identity_of, par_chunks};
use qc_start::{Begun, NoStart, Starter};
use qc_supervise::{Event, Id, NotStarted};

use super::Runtime;
use super::live::Running;
use super::post::Message;
use super::tokens::token;

/// How many are started one after the other before another processor is worth it.
const STARTED_AT_ONCE: usize = 4;

/// How many components are started before it is written down that they run.
const STARTED_TOGETHER: usize = 256;

/// Open files beside those of the components: logs, locks, clients.
const SPARE_FILES: u64 = 128;

/// Open files for each name, account and terminal of a component: its process, or the guards of the
/// machine.
const FILES_OF_EACH: u64 = 4;

/// One start, made on any processor.
struct Job<'a> {
    id: Id,
    generation: u32,
    component: &'a Component,
    /// The guards that were kept for it while it was blocked.
    guards: Mutex<Option<LockForChild>>,
}

impl Runtime<'_> {
    /// Each process that is watched is an open file where that is how the system does it.
    pub(super) fn make_room(&mut self) {
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

    /// Starts everything but those whose starts are forbidden: they were stopped by one of the
    /// fleet, and wait until the user starts them.
    pub(super) fn start_free(&mut self) {
        let latched = self.latched();
        if latched.is_empty() {
            self.events.push_back(Event::StartAll);
            return;
        }
        let all = self.roster.iter().map(|(id, _)| id);
        self.events.extend(all.filter(|id| !latched.contains(id)).map(Event::Start));
    }

    /// Returns those whose starts are forbidden, while not every start is.
    pub(super) fn latched(&self) -> Vec<Id> {
        let latches = self.locks.scoped_latches();
        if latches.is_empty() {
            return Vec::new();
        }
        let is_latched =
            |request: &qc_lock_core::Request| latches.iter().any(|it| it.is_of(request));
        let latched = self.roster.iter().filter(|(_, one)| is_latched(&one.request()));
        latched.map(|(id, _)| id).collect()
    }

    /// Makes the starts that the supervisor has asked for, all after one look at what runs. Returns
    /// whether there were any.
    pub(super) fn make_starts(&mut self) -> bool {
        let generations = std::mem::take(&mut self.todo.starts);
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
            self.cleanup.add(id, self.roster.name(id));
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
}

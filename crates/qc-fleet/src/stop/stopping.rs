//! Performing a plan. All its processes are held open from the beginning, so that what is done
//! reaches them or no process, and the system reports their ends instead of being polled.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use qc_process::{Identity, Process, StopError, Watcher, allow_open_files, suspended};
use qc_supervise::StopStep;

use super::guarded::{protects, reason};
use super::{Outcome, STOP_ORDER, Stopped, Target};
use crate::Role;

mod acting;
mod ending;
mod mode;
mod running;
mod told;

pub use mode::StopMode;
use running::Running;
use told::Witness;

/// Open files beside those of the processes.
const SPARE_FILES: u64 = 128;

/// The progress of a stop.
#[derive(Debug)]
pub enum Progress<'a> {
    /// It is the turn of these.
    Stage(Role, Vec<&'a Target>),
    /// A process ended, or could not be stopped.
    Done(&'a Stopped),
    /// Nothing more happens until one of them ends, or its time is over.
    Waiting,
}

/// Processes that are being stopped.
pub struct Stopping<'a> {
    watcher: Watcher,
    interrupted: Arc<AtomicBool>,
    /// All that were ever added; the position is what the watcher tells.
    running: Vec<Running>,
    done: Vec<Stopped>,
    report: &'a mut dyn FnMut(Progress<'_>),
    /// The role whose turn it is.
    turn: Option<Role>,
    /// Tells how orchestrators have stopped what they were told to.
    witness: Option<Witness<'a>>,
    /// The ended ones for which the witness has not reported how they ended.
    unsettled: Vec<usize>,
}

impl<'a> Stopping<'a> {
    /// Prepares to stop processes; `report` hears what happens.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn new(report: &'a mut dyn FnMut(Progress<'_>)) -> io::Result<Self> {
        let watcher = Watcher::new()?;
        let interrupted = Arc::new(AtomicBool::new(false));
        Ok(Self {
            watcher,
            interrupted,
            running: Vec::new(),
            done: Vec::new(),
            report,
            turn: None,
            witness: None,
            unsettled: Vec::new(),
        })
    }

    /// Returns what ends all waiting and asking, from any thread and for good.
    pub fn interrupter(&self) -> impl Fn() + Send + Sync + use<> {
        let (waker, interrupted) = (self.watcher.waker(), Arc::clone(&self.interrupted));
        move || {
            interrupted.store(true, Ordering::SeqCst);
            waker.wake();
        }
    }

    /// Whether the user has interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Takes processes in hand, as far as they are new; returns how many are.
    pub fn add<'b>(&mut self, targets: impl IntoIterator<Item = &'b Target>) -> usize {
        let mut known: HashSet<Identity> =
            self.running.iter().map(|one| one.target.identity.clone()).collect();
        let is_new = |target: &&Target| known.insert(target.identity.clone());
        let targets: Vec<Target> = targets.into_iter().filter(is_new).cloned().collect();
        let count = targets.len();
        // Each is an open file where that is how the system does it; more than are allowed fail
        // one by one below.
        allow_open_files((self.running.len() + count) as u64 + SPARE_FILES);
        let identities: Vec<&Identity> = targets.iter().map(|target| &target.identity).collect();
        let opened = Process::open_all(&identities);
        for (target, opened) in targets.into_iter().zip(opened) {
            let token = self.running.len() as u64;
            let mut running = Running::new(target);
            let failed = match opened {
                Ok(Some(process)) => match self.watcher.watch(&process, token) {
                    Ok(()) => {
                        let signal = running.target.signal;
                        running.process = Some(process.asked_by(signal));
                        None
                    }
                    Err(error) => Some(Outcome::Survived(format!("it cannot be watched: {error}"))),
                },
                Ok(None) => Some(Outcome::AlreadyGone),
                Err(error @ StopError::Denied { .. }) => Some(Outcome::Denied(error.to_string())),
                Err(error) => Some(Outcome::Survived(error.to_string())),
            };
            self.running.push(running);
            if let Some(outcome) = failed {
                self.conclude(self.running.len() - 1, outcome);
            }
        }
        count
    }

    /// Leaves a process running that is not in hand, for a reason.
    pub fn leave(&mut self, target: &Target, reason: String) {
        if self.running.iter().any(|one| one.target.identity == target.identity) {
            return;
        }
        self.running.push(Running::new(target.clone()));
        self.conclude(self.running.len() - 1, Outcome::Left(reason));
    }

    /// Leaves those running that `which` accepts.
    pub fn leave_those(&mut self, reason: &str, which: impl Fn(&Target) -> bool) {
        for position in 0..self.running.len() {
            let one = &self.running[position];
            if !one.is_over && which(&one.target) {
                self.conclude(position, Outcome::Left(reason.to_owned()));
            }
        }
    }

    /// Keeps what protects a brain that could not be stopped; returns whether anything is kept.
    pub fn keep_protection(&mut self) -> bool {
        let is_left = |one: &&Stopped| one.target.role == Role::Brain && one.outcome.is_alive();
        let left: Vec<Target> =
            self.done.iter().filter(is_left).map(|one| one.target.clone()).collect();
        let brains: Vec<&Target> = left.iter().collect();
        if brains.is_empty() {
            return false;
        }
        for position in 0..self.running.len() {
            let one = &self.running[position];
            if let Some(brain) = protects(&one.target, &brains).filter(|_| !one.is_over) {
                self.conclude(position, Outcome::Kept(reason(brain)));
            }
        }
        self.done.iter().any(|one| matches!(one.outcome, Outcome::Kept(_)))
    }

    /// Returns how those ended, and which were left, so far.
    pub fn done(&self) -> &[Stopped] {
        &self.done
    }

    /// Whether one of these roles is still to be stopped.
    pub fn has(&self, role: Role) -> bool {
        self.running.iter().any(|one| !one.is_over && one.target.role == role)
    }

    /// Notes that an orchestrator was told to stop those of `which`.
    pub fn note_told(&mut self, which: impl Fn(&Target) -> bool) {
        for one in self.running.iter_mut().filter(|one| which(&one.target)) {
            one.is_told = true;
        }
    }

    /// Notes that an orchestrator ends those of `which` before it ends itself, without being told of them.
    pub fn note_swept(&mut self, which: impl Fn(&Target) -> bool) {
        for one in self.running.iter_mut().filter(|one| which(&one.target)) {
            one.is_swept = true;
        }
    }

    /// Stops those of one role, and returns when they have ended, or can't be stopped, or it was
    /// interrupted. What protects a brain that could not be stopped is kept.
    pub fn stop(&mut self, role: Role, mode: StopMode) {
        self.stop_those(role, mode, &|_| true);
    }

    /// Does the same with those of one role that `which` accepts.
    pub fn stop_those(&mut self, role: Role, mode: StopMode, which: &dyn Fn(&Target) -> bool) {
        self.keep_protection();
        let now = Instant::now();
        let stages = self.stage_times();
        let orchestrated = self.has(Role::Orchestrator);
        let of_role = self.running.iter().filter(|one| !one.is_over && one.target.role == role);
        let suspended =
            suspended(&of_role.map(|one| one.target.identity.pid).collect::<Vec<u32>>());
        let mut stage = Vec::new();
        for one in self.running.iter_mut().filter(|one| !one.is_over) {
            if one.target.role != role
                || !which(&one.target)
                || (mode == StopMode::AfterOrchestrator && !one.is_told)
            {
                continue;
            }
            one.was_suspended = suspended.contains(&one.target.identity.pid);
            if one.step == Some(StopStep::Killed) {
                one.began = now;
            } else {
                one.begin(mode.escalation(&one.target, one.is_told, stages), now);
            }
            stage.push(&one.target);
        }
        if stage.is_empty() {
            return;
        }
        (self.report)(Progress::Stage(role, stage));
        self.turn = Some(role);
        loop {
            self.settle(false);
            self.release_workers(mode, stages);
            self.act(mode);
            let pending = |one: &&Running| !one.is_over && one.due.is_some();
            let next = self.running.iter().filter(pending).filter_map(|one| Some(one.due?.1)).min();
            let Some(next) = next else { break };
            let abandoned = mode == StopMode::AfterOrchestrator
                && orchestrated
                && !self.has(Role::Orchestrator);
            if self.is_interrupted() || abandoned {
                break;
            }
            (self.report)(Progress::Waiting);
            let wait = self.until_settling(next.saturating_duration_since(Instant::now()));
            match self.watcher.wait(Some(wait)) {
                Ok(tokens) => self.ended(tokens),
                // Without being told of ends, only what is due goes on: it is all killed in time.
                Err(_) => std::thread::sleep(wait),
            }
        }
        for one in &mut self.running {
            one.due = None;
        }
        self.settle_all();
    }

    /// Ends: what has not ended is left. Returns everything, in the order in which it was over.
    pub fn finish(mut self) -> Vec<Stopped> {
        self.settle(true);
        for position in 0..self.running.len() {
            let one = &self.running[position];
            if !one.is_over {
                let how = match one.step {
                    None if one.is_told => "its orchestrator was told to stop it",
                    None => "it was not asked to stop",
                    Some(StopStep::Asked | StopStep::AskedFirmly) => {
                        "it was asked and may still end"
                    }
                    Some(StopStep::Killed | StopStep::Stuck) => {
                        "it was killed and has not ended yet"
                    }
                };
                self.conclude(position, Outcome::Left(how.into()));
            }
        }
        self.done
    }

    /// The longest that the stages behind the orchestrator may take, one after the other.
    fn stage_times(&self) -> Duration {
        let longest = |role: Role| {
            let of_role = self.running.iter().filter(|one| one.target.role == role);
            of_role.map(|one| one.target.timeout).max().unwrap_or_default()
        };
        STOP_ORDER.into_iter().filter(|&role| role != Role::Orchestrator).map(longest).sum()
    }
}

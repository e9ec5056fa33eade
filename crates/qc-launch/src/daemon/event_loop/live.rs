//! The live state of one component: what runs for it, and what is known of its last run.

use std::path::PathBuf;
use std::time::Duration;

use qc_process::{Child, Identity, MachineGuard, Process};
use qc_start::{HeartbeatMonitor, ReadinessCheck};
use qc_supervise::Exit;

use super::ending::Helper;
use super::program::Member;
use super::settling::Next;

/// The live state of a component.
#[derive(Default)]
pub(super) struct Live {
    /// Its present run.
    pub(super) running: Option<Running>,
    /// The pid that it had last, for messages about its end.
    pub(super) last_pid: Option<u32>,
    /// The helpers that had to be killed after it had ended itself when asked.
    pub(super) killed_helpers: Vec<Helper>,
    /// The lock that its last run was refused, as the history says; that run ended with exit
    /// code 75.
    pub(super) refusal: Option<String>,
    /// Its last failure, as the text that follows its name.
    pub(super) failure: Option<String>,
    /// Whether its last run did not end as asked, so that something may still listen at its port.
    pub(super) has_run: bool,
    /// Whether a leftover listener at its port is being ended.
    pub(super) is_freeing_port: bool,
    /// How often the programs that its last run has left behind were ended.
    pub(super) left_over_rounds: u32,
    /// Since when its lock has been open in a process that is not the holder.
    pub(super) lock_open_since: Option<Duration>,
}

/// One run of a component. Rare state is boxed: there may be a thousand components.
pub(super) struct Running {
    pub(super) generation: u32,
    /// Its process, or that of its wrapper; none if it was adopted.
    pub(super) child: Option<Child>,
    /// Its process, if it was adopted.
    pub(super) process: Option<Box<Process>>,
    /// Its identity; unknown until its wrapper reports it.
    pub(super) identity: Option<Identity>,
    pub(super) log: Option<PathBuf>,
    pub(super) check: Option<Box<ReadinessCheck>>,
    pub(super) heartbeat: Option<Box<HeartbeatMonitor>>,
    /// When it was started.
    pub(super) began: Duration,
    /// When to check its readiness next.
    pub(super) next_look: Option<Duration>,
    pub(super) was_killed: bool,
    /// The guards of the machine that it has, too, kept until all of it has ended.
    pub(super) _machine_guards: Vec<MachineGuard>,
    /// How its first process has ended, while others of its program run.
    pub(super) ended: Option<Exit>,
    /// Whether its first process is the wrapper of an adopted program, which need not have been
    /// started as the config says.
    pub(super) is_adopted_wrapper: bool,
    /// Whether its first process does the work itself.
    pub(super) is_first_main: bool,
    /// The other known processes of its program.
    pub(super) members: Vec<(Member, Process)>,
    /// The next step for these processes, and when it is due.
    pub(super) next_step: Option<(Next, Duration)>,
}

impl Running {
    /// Returns a run that begins now, without a process.
    pub(super) fn new(generation: u32, began: Duration) -> Self {
        Self {
            generation,
            child: None,
            process: None,
            identity: None,
            log: None,
            check: None,
            heartbeat: None,
            began,
            next_look: None,
            was_killed: false,
            _machine_guards: Vec::new(),
            ended: None,
            is_adopted_wrapper: false,
            is_first_main: true,
            members: Vec::new(),
            next_step: None,
        }
    }

    /// Returns its pids, as far as they are known.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        let child = self.child.as_ref().map(Child::identity);
        let members = self.members.iter().map(|one| &one.0.identity);
        self.identity.iter().chain(child).chain(members).map(|identity| identity.pid)
    }

    /// Returns the pid of the process that does its work.
    pub(super) fn pid(&self) -> Option<u32> {
        self.identity.as_ref().map(|identity| identity.pid)
    }
}

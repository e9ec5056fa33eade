//! A process that is being stopped, and how far that is.

use std::time::Instant;

use qc_process::Process;
use qc_supervise::{Escalation, StopStep};

use super::super::{STOP_ORDER, Target};
use crate::Role;

/// A process that is being stopped.
pub(super) struct Running {
    pub(super) target: Target,
    /// None if it could not be opened. Kept when it has ended: the watcher may still look at it.
    pub(super) process: Option<Process>,
    /// Whether it has ended, or nothing more is done about it.
    pub(super) is_over: bool,
    /// The last step that was taken; `None` before it was asked.
    pub(super) step: Option<StopStep>,
    /// When its steps are due, from `began` on.
    pub(super) escalation: Escalation,
    /// The next step, and when it is due.
    pub(super) due: Option<(StopStep, Instant)>,
    pub(super) began: Instant,
    pub(super) ended: Option<Instant>,
    /// Why asking failed.
    pub(super) unasked: Option<String>,
    /// Whether the system had suspended it at its turn or before it was killed: it could not obey.
    pub(super) was_suspended: bool,
    /// Whether another program was asked to stop it.
    pub(super) is_told: bool,
    /// Whether another program ends it as left over, without being told of it.
    pub(super) is_swept: bool,
}

impl Running {
    pub(super) fn new(target: Target) -> Self {
        let escalation = Escalation::over(target.timeout);
        Self {
            target,
            process: None,
            is_over: false,
            step: None,
            escalation,
            due: None,
            began: Instant::now(),
            ended: None,
            unasked: None,
            was_suspended: false,
            is_told: false,
            is_swept: false,
        }
    }

    /// Begins a stop whose steps come at these times.
    pub(super) fn begin(&mut self, escalation: Escalation, now: Instant) {
        self.began = now;
        self.escalation = escalation;
        self.due = escalation.next(None, now, now);
    }
}

/// The place of `role` in the order of stopping.
pub(super) fn place(role: Role) -> usize {
    STOP_ORDER.iter().position(|&one| one == role).unwrap_or(STOP_ORDER.len())
}

/// An orchestrator that stops its fleet itself ends behind it.
pub(super) fn turn_of(one: &Running) -> usize {
    match one.target.role {
        Role::Orchestrator if one.is_told => STOP_ORDER.len(),
        role => place(role),
    }
}

//! A process that is being stopped, and how far that is.

use std::time::Instant;

use qc_process::Process;

use super::super::{STOP_ORDER, Target};
use crate::Role;

/// A process that is being stopped.
pub(super) struct Running {
    pub(super) target: Target,
    /// None if it could not be opened. Kept when it has ended: the watcher may still look at it.
    pub(super) process: Option<Process>,
    /// Whether it has ended, or nothing more is done about it.
    pub(super) is_over: bool,
    pub(super) step: Step,
    /// The next step, and when it is due.
    pub(super) due: Option<(Step, Instant)>,
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

/// The last step taken with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    Asked,
    AskedFirmly,
    Killed,
    GivenUp,
}

impl Running {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            process: None,
            is_over: false,
            step: Step::Nothing,
            due: None,
            began: Instant::now(),
            ended: None,
            unasked: None,
            was_suspended: false,
            is_told: false,
            is_swept: false,
        }
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

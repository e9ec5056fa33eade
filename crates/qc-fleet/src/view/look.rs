//! The acting layer of a view: asks the launcher, reads the process list and the locks.

use std::io;

use qc_control::Status;
use qc_lock_core::{LockDir, LockError};

use super::{Launcher, Past};
use crate::{Fleet, Place, Role, Snapshot};

/// How often the launcher is asked again because something changed during the look.
const ATTEMPTS: u32 = 3;

/// Everything that a view is made from, seen at one moment.
#[derive(Debug)]
pub struct Look {
    /// The running processes.
    pub snapshot: Snapshot,
    /// The launcher's answer.
    pub launcher: Launcher,
    /// The last state of components without a launcher, from the locks and the history.
    pub past: Past,
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The locks can't be read.
    #[error(transparent)]
    Locks(#[from] LockError),
    /// The process list can't be read.
    #[error(transparent)]
    Processes(#[from] io::Error),
}

impl Look {
    /// Looks at this machine.
    ///
    /// # Errors
    /// If the locks or the process list can't be read.
    pub fn take(fleet: &Fleet, locks: &LockDir) -> Result<Self, LookError> {
        let mut launcher = Launcher::ask(locks, &fleet.orchestrator);
        let mut snapshot = snapshot(fleet, locks)?;
        for _ in 1..ATTEMPTS {
            let Some(before) = launcher.status().map(|status| status.tag.clone()) else { break };
            launcher = Launcher::ask(locks, &fleet.orchestrator);
            if launcher.status().is_some_and(|after| after.tag == before) {
                break;
            }
            snapshot = self::snapshot(fleet, locks)?;
        }
        Ok(Self::new(fleet, locks, snapshot, launcher))
    }

    /// Looks at this machine after the launcher has answered with `status`.
    ///
    /// # Errors
    /// As [`Look::take`].
    pub fn with_status(fleet: &Fleet, locks: &LockDir, status: Status) -> Result<Self, LookError> {
        let snapshot = snapshot(fleet, locks)?;
        Ok(Self::new(fleet, locks, snapshot, Launcher::Answers(status)))
    }

    fn new(fleet: &Fleet, locks: &LockDir, mut snapshot: Snapshot, mut launcher: Launcher) -> Self {
        match &launcher {
            Launcher::Answers(status) => snapshot.learn_supervised(status),
            // The old launcher has neither a lock nor a channel.
            Launcher::Absent => {
                if let Some(pid) = old_launcher(&snapshot) {
                    let why = "it has no control channel".into();
                    launcher = Launcher::Silent { pid: Some(pid), why };
                }
            }
            Launcher::Silent { .. } => {}
        }
        let past = match launcher {
            Launcher::Answers(_) => Past::default(),
            Launcher::Absent | Launcher::Silent { .. } => Past::read(locks, &fleet.orchestrator),
        };
        Self { snapshot, launcher, past }
    }
}

fn snapshot(fleet: &Fleet, locks: &LockDir) -> Result<Snapshot, LookError> {
    let entries = locks.with_openers(locks.list()?);
    Ok(Snapshot::take(fleet, entries)?.with_latches(locks).with_left_behind(fleet, locks)?)
}

/// Returns the process of an orchestrator that is a Python, if one runs.
fn old_launcher(snapshot: &Snapshot) -> Option<u32> {
    let mut own = snapshot.instances.iter().filter(|one| one.place == Place::Fleet);
    let found = own.find(|one| {
        one.role == Role::Orchestrator
            && one.main().is_some_and(|main| main.name.to_ascii_lowercase().starts_with("py"))
    });
    found.and_then(|one| Some(one.main()?.identity.pid))
}

impl Snapshot {
    /// Learns from the launcher what it supervises, which parent links can't tell of what it has
    /// adopted.
    pub(super) fn learn_supervised(&mut self, status: &Status) {
        for instance in &mut self.instances {
            if instance.place == Place::Fleet && instance.role != Role::Orchestrator {
                let mut pids = status.components.iter().filter_map(|one| one.pid);
                instance.supervised = Some(pids.any(|pid| instance.includes(pid)));
            }
        }
    }
}

//! The obstacles to a start, in words.

use std::path::PathBuf;

use qc_lock_core::{LockEntry, LockState};
use qc_process::{Identity, Liveness, MachineHolder, SHUTDOWN_COMMAND, liveness};

use crate::stop::way_to_stop_in;

/// Something that keeps a component from being started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The component that it is, or the lock that it holds.
    pub name: String,
    /// Its processes, as far as they run on this machine.
    pub processes: Vec<Identity>,
    /// The holder of a lock that is not among the instances.
    pub holder: Option<u32>,
    /// The folder of its script, if that can be seen.
    pub folder: Option<PathBuf>,
    /// Whether it is known to be in this folder: a copy of one component here, or the holder of a lock
    /// here.
    pub(super) is_here: bool,
    /// Whether it belongs to another folder, where it is to be stopped.
    pub is_elsewhere: bool,
    /// Whether it is of this folder's fleet, from before the folder was moved or copied.
    pub is_moved: bool,
    /// Whether it is an orchestrator.
    pub is_orchestrator: bool,
    /// The way out where one of the two only reads its account.
    pub(super) sharing: Option<String>,
    /// The way out where two brokers use the same number.
    pub(super) two_brokers: Option<String>,
    pub(super) text: String,
}

impl Obstacle {
    /// Whether the process with `pid` is it.
    pub(super) fn includes(&self, pid: u32) -> bool {
        self.holder == Some(pid) || self.processes.iter().any(|one| one.pid == pid)
    }

    /// Whether it is in the way of one component alone, and its end can be awaited. What is elsewhere may
    /// be a second fleet of the same programs, and a launcher starts the others itself.
    pub(super) fn is_of_one(&self) -> bool {
        let can_be_awaited = !self.processes.is_empty() || self.holder.is_some();
        self.is_here && can_be_awaited && !self.is_orchestrator && !self.is_moved
    }

    /// Whether one of its processes is alive now: a look can be some moments old.
    pub fn is_alive(&self) -> bool {
        self.processes.iter().any(|one| liveness(one) != Liveness::Dead)
    }

    /// Returns how to get it out of the way.
    pub fn way_out(&self) -> String {
        let stop = Some(self.way_to_stop());
        let ways = [stop, self.sharing.clone(), self.two_brokers.clone()];
        ways.into_iter().flatten().collect::<Vec<String>>().join("; ")
    }

    fn way_to_stop(&self) -> String {
        match (&self.folder, self.is_elsewhere) {
            (_, false) => format!("run {SHUTDOWN_COMMAND} to stop it safely"),
            (Some(folder), true) if self.is_moved => format!(
                "`qc-shutdown --root \"{}\"` stops it where it runs; then this folder can start",
                folder.display()
            ),
            (Some(folder), true) => {
                let pids = self.processes.iter().map(|one| one.pid.to_string());
                let way = way_to_stop_in(Some(folder), &pids.collect::<Vec<_>>().join(", "));
                format!("{way}; or disable the account in one of the two configs")
            }
            (None, true) => "stop it in its own folder, or disable the account in one of the two configs; see `qc-lock list --machine`".into(),
        }
    }

    /// Returns it as a sentence, such as "BRAIN_ATLAS runs (PID 7) without its lock".
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns it as an item of a list of what runs, with the folder. The verb stays where another follows it.
    pub fn listed(&self) -> String {
        let text = self.text_with_folder();
        match self.text.contains(") and ") {
            true => text,
            false => text.replacen(" runs (PID ", " (PID ", 1),
        }
    }

    /// Returns it as a sentence that names the folder.
    pub fn text_with_folder(&self) -> String {
        match &self.folder {
            Some(folder) if !self.text.contains(&*folder.to_string_lossy()) => {
                format!("{} (folder {})", self.text, folder.display())
            }
            _ => self.text.clone(),
        }
    }
}

/// Returns the holder of a guard of the machine as an obstacle: all that is known is what it says.
pub(super) fn holder_obstacle(holder: &MachineHolder, why: &str) -> Obstacle {
    let name = qc_process::visible(&holder.name);
    let folder = holder.folder.as_deref().map(qc_process::visible);
    let place = folder.as_ref().map(|folder| format!(" in {folder}")).unwrap_or_default();
    Obstacle {
        text: format!("{name} runs (PID {}){place} {why}", holder.pid),
        name,
        processes: vec![holder.identity()],
        holder: None,
        folder: folder.map(Into::into),
        is_here: false,
        is_elsewhere: true,
        is_moved: false,
        is_orchestrator: false,
        sharing: None,
        two_brokers: None,
    }
}

/// Returns a lock whose living holder is no instance as an obstacle.
pub(super) fn lock_obstacle(lock: &LockEntry) -> Obstacle {
    let pid = lock.pid.map(|pid| format!(" by PID {pid}")).unwrap_or_default();
    let host = lock.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    Obstacle {
        name: lock.name.clone(),
        processes: Vec::new(),
        holder: lock.pid.filter(|_| lock.state != LockState::Foreign),
        folder: None,
        is_here: true,
        is_elsewhere: false,
        is_moved: false,
        is_orchestrator: false,
        sharing: None,
        two_brokers: None,
        text: format!("lock {} is held{pid}{host}", lock.name),
    }
}

//! What to think of each thing that runs or is locked.

use qc_lock_core::{LockEntry, LockState};
use serde::Serialize;

/// What to think of an instance, or of a lock that no instance holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs, holds its lock, and is looked after as far as anybody can tell.
    Running,
    /// Another copy runs beside it.
    Duplicate,
    /// It runs without its lock.
    Rogue,
    /// It runs under its lock, but no living orchestrator of this fleet supervises it.
    Orphan,
    /// Its script lies in another folder.
    Foreign,
    /// A lock whose holder has ended.
    Stale,
    /// A lock that is held by a program that is no component, or on another machine.
    Elsewhere,
}

impl State {
    /// Returns the word that tables, flags and JSON use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Duplicate => "duplicate",
            Self::Rogue => "rogue",
            Self::Orphan => "orphan",
            Self::Foreign => "foreign",
            Self::Stale => "stale",
            Self::Elsewhere => "elsewhere",
        }
    }

    /// Returns what to think of a lock that no instance holds.
    pub fn of_lock(lock: &LockEntry) -> Self {
        match lock.state {
            LockState::Stale | LockState::Corrupt => Self::Stale,
            LockState::Held | LockState::Legacy | LockState::Foreign => Self::Elsewhere,
        }
    }
}

//! The state of each instance and lock.

use qc_control::StateWord;
use qc_lock_core::{LockEntry, LockState};
use serde::{Serialize, Serializer};

/// The state of an instance, of a component that should run, or of a lock that neither has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// It runs, holds its lock, and is supervised as far as is known.
    Running,
    /// Another copy runs beside it.
    Duplicate,
    /// The system has suspended it: it does nothing until it is resumed.
    Suspended,
    /// It runs without its lock.
    Rogue,
    /// A brain runs, and the watchdog that should guard it does not.
    Unguarded,
    /// It runs under its lock, but no living orchestrator of this fleet supervises it.
    Orphan,
    /// Its script lies in another folder.
    Foreign,
    /// A lock whose holder has ended.
    Stale,
    /// A program that is no component holds the lock of one, or another machine does.
    Elsewhere,
    /// The launcher has given it up and does not start it again.
    GaveUp,
    /// It failed, and the launcher will start it again.
    BackingOff,
    /// Another copy keeps the launcher from starting it.
    Blocked,
    /// It should run, does not, and nothing asked for that.
    Missing,
    /// It should run by the config, and does not because it was asked to.
    Stopped,
    /// It is started, and not ready.
    Starting,
    /// The launcher will start it when its turn comes.
    Waiting,
    /// It was asked to stop, and has not ended.
    Stopping,
    /// It ended, and by its settings that is fine.
    Finished,
    /// Its account is not enabled.
    NotTraded,
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl State {
    /// All states, in the order of the documentation.
    pub const ALL: [Self; 19] = [
        Self::Running,
        Self::Duplicate,
        Self::Rogue,
        Self::Unguarded,
        Self::Suspended,
        Self::Orphan,
        Self::Stale,
        Self::Foreign,
        Self::Elsewhere,
        Self::GaveUp,
        Self::BackingOff,
        Self::Blocked,
        Self::Missing,
        Self::Stopped,
        Self::Starting,
        Self::Waiting,
        Self::Stopping,
        Self::Finished,
        Self::NotTraded,
    ];

    /// Returns the word that tables, flags and JSON use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Duplicate => "duplicate",
            Self::Suspended => "suspended",
            Self::Rogue => "rogue",
            Self::Orphan => "orphan",
            Self::Foreign => "foreign",
            Self::Stale => "stale",
            Self::Elsewhere => "elsewhere",
            Self::Unguarded => "unguarded",
            Self::GaveUp => "gave-up",
            Self::BackingOff => "backing-off",
            Self::Blocked => "blocked",
            Self::Missing => "missing",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Stopping => "stopping",
            Self::Finished => "finished",
            Self::NotTraded => "not traded",
        }
    }

    /// Returns the state of a component that the launcher supervises.
    pub fn of_supervised(word: StateWord) -> Self {
        match word {
            StateWord::Waiting => Self::Waiting,
            StateWord::BackingOff => Self::BackingOff,
            StateWord::Blocked => Self::Blocked,
            StateWord::Starting => Self::Starting,
            StateWord::Running => Self::Running,
            StateWord::Stopping => Self::Stopping,
            StateWord::Stopped => Self::Stopped,
            StateWord::Finished => Self::Finished,
            StateWord::GaveUp => Self::GaveUp,
        }
    }

    /// Returns the state of an instance that the launcher supervises and of which nothing worse is
    /// known.
    pub(crate) fn of_running(word: StateWord) -> Self {
        match word {
            StateWord::Starting => Self::Starting,
            StateWord::Stopping => Self::Stopping,
            StateWord::Running
            | StateWord::Waiting
            | StateWord::BackingOff
            | StateWord::Blocked
            | StateWord::Stopped
            | StateWord::Finished
            | StateWord::GaveUp => Self::Running,
        }
    }

    /// Whether the launcher's own word says as much.
    pub(crate) fn is_of_launcher(self) -> bool {
        matches!(self, Self::Running | Self::Starting | Self::Stopping)
    }

    /// Returns what to think of a lock that no instance holds.
    pub fn of_lock(lock: &LockEntry) -> Self {
        match lock.state {
            LockState::Stale | LockState::Corrupt => Self::Stale,
            LockState::Held | LockState::Legacy | LockState::Foreign => Self::Elsewhere,
        }
    }
}

//! The role of a component.

use std::fmt;

use serde::Serialize;

/// The role of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Starts and restarts the others.
    Orchestrator,
    /// Trades one account.
    Brain,
    /// Guards the open positions of one account.
    Watchdog,
    /// Serves all of them.
    Server,
    /// Something else of the fleet.
    Other,
}

impl Role {
    /// Returns the word that tables, flags and JSON use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Brain => "brain",
            Self::Watchdog => "watchdog",
            Self::Server => "server",
            Self::Other => "other",
        }
    }
}

impl Role {
    /// Returns the role that [`Role::as_str`] calls so.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Orchestrator, Self::Brain, Self::Watchdog, Self::Server, Self::Other];
        all.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

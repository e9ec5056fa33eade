//! The signal that asks a program to stop, for programs that want one of their own.

use std::fmt;
use std::str::FromStr;

/// A Unix signal that can ask a program to stop. Without meaning on Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopSignal {
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGQUIT.
    Quit,
    /// SIGHUP.
    HangUp,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
}

impl StopSignal {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Interrupt, Self::Terminate, Self::Quit, Self::HangUp, Self::User1, Self::User2];

    /// Returns the name that `kill -l` prints, with `SIG` in front.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Quit => "SIGQUIT",
            Self::HangUp => "SIGHUP",
            Self::User1 => "SIGUSR1",
            Self::User2 => "SIGUSR2",
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that stands for no signal which asks a program to stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2")]
pub struct UnknownSignal(String);

impl FromStr for StopSignal {
    type Err = UnknownSignal;

    /// Reads a name in capital letters, with or without `SIG`.
    fn from_str(name: &str) -> Result<Self, UnknownSignal> {
        let is_it =
            |one: &Self| one.as_str() == name || one.as_str().strip_prefix("SIG") == Some(name);
        Self::ALL.into_iter().find(is_it).ok_or_else(|| UnknownSignal(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_their_names() {
        for signal in StopSignal::ALL {
            assert_eq!(signal.as_str().parse(), Ok(signal));
        }
        assert_eq!("TERM".parse(), Ok(StopSignal::Terminate));
        for name in ["", "SIG", "SIGKILL", "KILL", "sigterm", "15", "SIGSIGTERM"] {
            assert!(name.parse::<StopSignal>().is_err(), "{name}");
        }
    }
}

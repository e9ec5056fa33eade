//! Why a running `qc-launch` could not be asked.

use std::io;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// None runs.
    #[error("no qc-launch is running for this fleet")]
    NotRunning,
    /// It is another user's.
    #[error("the running qc-launch belongs to another user")]
    Denied {
        /// The system's error.
        source: io::Error,
    },
    /// Another program answers.
    #[error("another program{} answers in place of the running qc-launch (PID {launcher})", shown(*peer))]
    Stranger {
        /// The PID of the living holder of the launcher's lock.
        launcher: u32,
        /// The PID of the program that answers, where it can be seen.
        peer: Option<u32>,
    },
    /// It does not answer.
    #[error("{text}")]
    Silent {
        /// Says that it does not answer, with its PID, and why, where the system shows that.
        text: String,
    },
    /// It ended while it was asked.
    #[error("qc-launch has ended before it answered")]
    Ended,
    /// It speaks another version of the protocol.
    #[error("the running qc-launch is of another version")]
    Version,
    /// It refused.
    #[error("{message}")]
    Refused {
        /// The reason.
        message: String,
        /// The step to suggest.
        hint: String,
        /// Whether the request or the config is wrong.
        is_usage: bool,
    },
    /// The system reported something else.
    #[error("cannot talk to the running qc-launch")]
    System {
        /// The system's error.
        source: io::Error,
    },
}

fn shown(peer: Option<u32>) -> String {
    peer.map(|pid| format!(" (PID {pid})")).unwrap_or_default()
}

impl ControlError {
    /// Returns the step to suggest after `hint:`.
    pub fn hint(&self) -> &str {
        match self {
            Self::NotRunning => "start it with `qc-launch` or `qc-launch up --detach`",
            Self::Denied { .. } => "run the command as the user who started it",
            Self::Stranger { .. } => {
                "end that program; `qc-shutdown` stops the fleet without the control channel"
            }
            Self::Silent { .. } => {
                "run the command again; `qc-shutdown` stops the fleet without the control channel"
            }
            Self::Ended => "see its log in orchestrator_logs",
            Self::Version => "stop it with `qc-shutdown` and start this version",
            Self::Refused { hint, .. } => hint,
            Self::System { .. } => "run the command again; `qc-ps` shows what runs",
        }
    }
}

impl From<io::Error> for ControlError {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NotRunning,
            io::ErrorKind::PermissionDenied => Self::Denied { source },
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset => Self::Ended,
            _ => Self::System { source },
        }
    }
}

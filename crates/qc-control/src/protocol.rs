//! Requests and answers, line by line: each line is one JSON object with its `version`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The version of this protocol. Keys may be added; what changes or goes makes a new version.
pub const VERSION: u32 = 1;

/// A client's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// How all components are.
    Status,
    /// The same, as soon as it differs from what was seen, or after some seconds.
    Wait {
        /// The [`Status::tag`] of what was seen.
        seen: String,
    },
    /// Stop these components in order; without names all, and then end.
    Stop {
        /// Their names.
        names: Vec<String>,
    },
    /// Let these components run on as long as they do by themselves, and not start them again: one of
    /// them asks for that itself.
    Withhold {
        /// Their names.
        names: Vec<String>,
    },
    /// Start these components.
    Start {
        /// Their names.
        names: Vec<String>,
    },
    /// Stop and start these components.
    Restart {
        /// Their names.
        names: Vec<String>,
    },
    /// Read the config again, and do what has changed.
    Reload,
}

/// A request as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) request: Request,
}

/// An answer as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) answer: Answer,
}

/// The launcher's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// It is done, or under way, which the components show.
    Done(Status),
    /// It is not done.
    Refused(Refusal),
}

/// How the fleet is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The actions taken, in words.
    pub text: Vec<String>,
    /// Starts that were asked for and can't be made now, and why, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// The pid of the running `qc-launch`.
    pub pid: u32,
    /// Whether everything is being stopped.
    pub is_stopping: bool,
    /// A tag for the state of all components: another tag is another state.
    #[serde(default)]
    pub tag: String,
    /// The folder in which it was started, if that was moved or renamed since: nothing can be started then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// All components, in the order of starting.
    pub components: Vec<ComponentStatus>,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason.
    pub message: String,
    /// The step to suggest.
    pub hint: String,
    /// Whether the request or the config is wrong, and not the fleet.
    pub is_usage: bool,
    /// Whether there were too many clients at once: the same request may be taken in a moment.
    #[serde(default)]
    pub is_busy: bool,
}

impl Refusal {
    /// There are too many clients at the moment.
    pub(crate) fn busy() -> Self {
        Self {
            message: "too many clients at once".into(),
            hint: "run the command again".into(),
            is_usage: false,
            is_busy: true,
        }
    }
}

/// How one component is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentStatus {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its account.
    pub account: Option<String>,
    /// Its state.
    pub state: StateWord,
    /// More about that, in words: what it waits for, why it was given up.
    pub detail: Option<String>,
    /// When it will be started again, RFC 3339.
    pub until: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// Since when it is in this state, RFC 3339.
    pub since: String,
    /// How often it was started again by itself.
    pub restarts: u32,
    /// Whether an earlier `qc-launch` has started its process.
    pub adopted: bool,
    /// Which of its starts this is, counted by the running `qc-launch`.
    #[serde(rename = "life")]
    pub generation: u32,
    /// Whether its process has stayed up for its `start_seconds`.
    #[serde(default = "yes")]
    pub stayed_up: bool,
    /// The log of its output.
    pub log: Option<String>,
}

/// The value for a component of an older `qc-launch`, which does not send it.
fn yes() -> bool {
    true
}

/// The state of a component, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateWord {
    /// It will be started.
    Waiting,
    /// It failed, and will be started again.
    BackingOff,
    /// It is not started as long as another copy of it runs.
    Blocked,
    /// It is started, and not ready.
    Starting,
    /// It runs, and is ready.
    Running,
    /// It was asked to stop.
    Stopping,
    /// It was stopped.
    Stopped,
    /// It ended, and that is fine.
    Finished,
    /// It failed, and is not started again by itself.
    GaveUp,
}

impl StateWord {
    /// Whether it changes only on request, or when something breaks.
    pub fn is_settled(self) -> bool {
        match self {
            Self::Running | Self::Stopped | Self::Finished | Self::GaveUp | Self::Blocked => true,
            Self::Waiting | Self::BackingOff | Self::Starting | Self::Stopping => false,
        }
    }

    /// Returns the word that tables and JSON use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::BackingOff => "backing-off",
            Self::Blocked => "blocked",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::GaveUp => "gave-up",
        }
    }
}

impl fmt::Display for StateWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_as_promised() {
        let asked =
            Asked { version: VERSION, request: Request::Stop { names: vec!["BRAIN_A".into()] } };
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(text, r#"{"version":1,"request":"stop","names":["BRAIN_A"]}"#);
        let answered = Answered {
            version: VERSION,
            answer: Answer::Done(Status { pid: 7, ..Status::default() }),
        };
        let text = serde_json::to_string(&answered).unwrap();
        let expected = r#"{"version":1,"answer":"done","text":[],"pid":7,"is_stopping":false,"tag":"","components":[]}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Answered>(expected).unwrap(), answered);
    }
}

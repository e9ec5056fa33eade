//! The supervisor's events and actions.

use std::fmt;
use std::time::Duration;

use crate::{Spec, SupervisorEvent};

/// A component, by the place in which it was added. Never given to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u32);

/// An event. An event about a process carries the *generation* that [`Action::Spawn`] gave it:
/// events of an earlier generation are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// All that does not run is to be started, in order.
    StartAll,
    /// One component is to be started, by hand.
    Start(Id),
    /// One component is to be stopped and started again, by hand.
    Restart(Id),
    /// These are to be stopped, in order, and with a watchdog the brains that it guards.
    Stop(Vec<Id>),
    /// These run on as long as they do by themselves, and are then not started again.
    Withhold(Vec<Id>),
    /// Everything is to be stopped, in order; each gets at most `limit` to end by itself, those
    /// too that are being stopped already.
    StopAll {
        /// The most that each gets, `None` for what its settings say.
        limit: Option<Duration>,
    },
    /// The config has changed.
    Reload(Vec<Change>),
    /// A component runs already, and under its lock.
    Adopted(Id),
    /// The process runs.
    Started {
        /// The component.
        id: Id,
        /// Its generation.
        generation: u32,
    },
    /// The process could not be started.
    NotStarted {
        /// The component.
        id: Id,
        /// Its generation.
        generation: u32,
        /// Why.
        why: NotStarted,
    },
    /// The copy that [`NotStarted::Blocked`] named has ended.
    Unblocked {
        /// The component.
        id: Id,
        /// The generation that could not be started.
        generation: u32,
    },
    /// Its probe says that it is ready.
    Ready {
        /// The component.
        id: Id,
        /// Its generation.
        generation: u32,
    },
    /// [`Action::Look`] has found a sign of life.
    Heartbeat {
        /// The component.
        id: Id,
        /// Its generation.
        generation: u32,
    },
    /// [`Action::Look`] has found none since the last time.
    Silent {
        /// The component.
        id: Id,
        /// Its generation.
        generation: u32,
    },
    /// The process has ended.
    Exited {
        /// The component.
        id: Id,
        /// Its generation.
        generation: u32,
        /// How.
        exit: Exit,
    },
    /// Only time has passed.
    Tick,
}

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStarted {
    /// Another process has its lock or its port; says which, as a sentence about "it". Trying again
    /// does not change that.
    Refused(String),
    /// Its lock is not free yet, and no living process is known to hold it: it may be in a moment.
    Busy,
    /// Another copy of it runs; says which, as a sentence about "it". [`Event::Unblocked`] follows
    /// once that one has ended.
    Blocked(String),
    /// Something that an earlier run may have left is in its way, such as its port; says what, as a
    /// sentence about "it". Retried for a moment, and then a failure.
    InUse(String),
    /// A passing obstacle, with its description: the system has no room for it now, such as on a
    /// full disk, or a program in another folder holds its account and does not identify itself.
    /// The start is tried again for as long as that takes.
    NotNow(String),
    /// Something else; says what.
    Failed(String),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// By itself, with this exit code.
    Code(i32),
    /// By this Unix signal.
    Signal(i32),
    /// Unknown: it was adopted, and only a parent learns how its child ends.
    Unknown,
}

/// One change of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new component; it gets the next [`Id`].
    Add(Spec),
    /// A component is to be treated differently.
    Replace {
        /// The component.
        id: Id,
        /// How from now on.
        spec: Spec,
        /// Whether what runs has to be started anew for that.
        restart: bool,
    },
    /// A component is not wanted any more: it is stopped and forgotten.
    Remove(Id),
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start the component's process; its news are to carry this generation.
    Spawn {
        /// The component.
        id: Id,
        /// Its generation.
        generation: u32,
    },
    /// Ask its process to stop.
    Ask {
        /// The component.
        id: Id,
        /// Whether it did not listen the first time.
        firmly: bool,
    },
    /// End its process.
    Kill(Id),
    /// See whether it has given a sign of life, and answer with [`Event::Heartbeat`] or
    /// [`Event::Silent`].
    Look {
        /// The component.
        id: Id,
        /// Its generation.
        generation: u32,
    },
    /// Write down, and tell, what happened.
    Say(Id, SupervisorEvent),
    /// The component is gone for good; its id means nothing any more.
    Forget(Id),
}

/// Returns the meaning of an exit code that reports a missing command.
fn not_found(code: i32) -> Option<&'static str> {
    match code {
        127 => Some("a shell reports this for the program that it was to run"),
        9009 => Some("`cmd` and the `python.exe` that only opens the Store report this"),
        _ => None,
    }
}

/// The signal that no program can ignore.
const KILL: i32 = 9;

impl Exit {
    /// Whether another process has killed it. Windows does not tell that from an exit code.
    pub fn is_kill(self) -> bool {
        self == Self::Signal(KILL)
    }

    /// Whether it reports success. An unknown exit is no success.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    /// Writes the text that follows "it ended with".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Windows reports crashes as large numbers that are known by their hexadecimal form.
            Self::Code(code) if !(0..0x10000).contains(code) => write!(f, "exit code {code:#x}"),
            Self::Code(code) => match not_found(*code) {
                Some(meaning) => {
                    write!(f, "exit code {code} (the command was not found: {meaning})")
                }
                None => write!(f, "exit code {code}"),
            },
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("an unknown exit code, because it was adopted"),
        }
    }
}

//! The supervisor's notes for the log, the history and notifications.

use std::fmt;
use std::time::Duration;

use crate::{Exit, Id};

/// The exit code of a component that found its lock held, or that uses the code for its own ends.
pub const LOCK_HELD: i32 = 75;

/// Something that people should learn about a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupervisorEvent {
    /// It waits for this one to be ready.
    Waits(Id),
    /// Its probe says that it is ready, this long after it was started.
    Ready(Duration),
    /// It failed, and is started again after this time.
    Restarting(Cause, Duration),
    /// It failed, and is not started again by itself.
    GaveUp(Reason),
    /// It is not started as long as another copy runs, as this says.
    Blocked(String),
    /// It ended, and by its settings that is fine.
    Finished(Exit),
    /// It gave no sign of life for this long; it is stopped, and then treated as if it had failed.
    Hung(Duration),
    /// It was not ready in time; it is stopped, and then treated as if it had failed.
    NotReady(Duration),
    /// It is asked to stop, because this watchdog of its account does not run any more.
    Unguarded(Id),
    /// It did not end in time and is killed.
    Killed(Duration),
    /// It ended by itself when it was to stop and its turn to be asked had not come.
    EndedUnasked(Exit),
    /// It ended by itself, and was not to be started again after that.
    Withheld(Exit),
    /// It had been given up, and counts as stopped because it was asked to stop.
    Dismissed,
    /// It ended this long after it was asked to.
    Stopped(Exit, Duration),
    /// It was killed, this long after it was asked to stop.
    EndedByKill(Duration),
    /// It does not end although it was killed.
    Survived,
    /// It is not stopped, because it is the watchdog of this one, which has survived its kill.
    Kept(Id),
}

/// The cause of a component's failure.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Its process ended.
    Ended(Exit),
    /// It could not be started; says why.
    NotStarted(String),
    /// It was not ready within this time.
    NotReady(Duration),
    /// It gave no sign of life for this long.
    Hung(Duration),
    /// Another copy kept it from being started, and has ended.
    Blocked,
}

/// Why a component is not started again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It failed too often: by this, after so many restarts.
    TooOften(Cause, u32),
    /// It failed by this, and its settings allow no restart.
    NoRestart(Cause),
    /// It ended with this exit code, after which it is never started again.
    NeverAfter(i32),
    /// Another process has its lock or its port; says which.
    Refused(String),
    /// It needs this one, which does not run.
    Needs(Id),
    /// It was stopped because this watchdog of its account does not run.
    Unguarded(Id),
}

impl SupervisorEvent {
    /// Whether it is an alarm.
    pub fn is_alarm(&self) -> bool {
        match self {
            Self::Restarting(..)
            | Self::GaveUp(_)
            | Self::Blocked(_)
            | Self::Hung(_)
            | Self::NotReady(_)
            | Self::Unguarded(_)
            | Self::Killed(_)
            | Self::Survived
            | Self::Kept(_) => true,
            Self::Waits(_)
            | Self::Ready(_)
            | Self::Finished(_)
            | Self::EndedUnasked(_)
            | Self::Withheld(_)
            | Self::Dismissed
            | Self::Stopped(..)
            | Self::EndedByKill(_) => false,
        }
    }
}

impl Reason {
    /// Returns the reason as a sentence; `name` tells how a component is called.
    pub fn text(&self, name: impl Fn(Id) -> String) -> String {
        match self {
            Self::TooOften(cause, 1) => format!("{cause} after 1 restart"),
            Self::TooOften(cause, restarts) => format!("{cause} after {restarts} restarts"),
            Self::NoRestart(cause) => format!("{cause}, and its settings allow no restart"),
            Self::NeverAfter(code) => {
                format!("it ended with exit code {code}, after which it is never started again")
            }
            Self::Refused(why) => why.clone(),
            Self::Needs(other) => format!("it needs {}, which does not run", name(*other)),
            Self::Unguarded(guard) => {
                format!("its watchdog {} does not run any more", name(*guard))
            }
        }
    }
}

/// Returns a time as people read it, such as "3.0 s" and "12 s".
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        long if long >= 10.0 => format!("{long:.0} s"),
        short => format!("{short:.1} s"),
    }
}

impl fmt::Display for Cause {
    /// A sentence about "it".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(exit) if exit.is_kill() => write!(f, "it was KILLED ({exit})"),
            Self::Ended(exit) => write!(f, "it ended with {exit}"),
            Self::NotStarted(why) => write!(f, "it could not be started: {why}"),
            Self::NotReady(limit) => write!(f, "it was not ready within {}", seconds(*limit)),
            Self::Hung(silence) => write!(f, "it gave no sign of life for {}", seconds(*silence)),
            Self::Blocked => f.write_str("it was blocked by a program that has ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_and_one_restart_is_one() {
        let late = Cause::NotReady(Duration::from_nanos(3_000_749_938));
        assert_eq!(late.to_string(), "it was not ready within 3.0 s");
        let silent = Cause::Hung(Duration::from_millis(12_499));
        assert_eq!(silent.to_string(), "it gave no sign of life for 12 s");
        let text = |restarts| Reason::TooOften(late.clone(), restarts).text(|_| String::new());
        assert_eq!(text(1), "it was not ready within 3.0 s after 1 restart");
        assert_eq!(text(0), "it was not ready within 3.0 s after 0 restarts");
    }
}

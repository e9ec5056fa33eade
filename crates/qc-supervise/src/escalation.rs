//! The escalation of a stop: a process is asked, asked firmly, killed, and in the end not waited for.

use std::ops::Add;
use std::time::Duration;

/// The last step that was taken to stop a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopStep {
    /// It was asked to stop.
    Asked,
    /// It was asked again, for programs that only know the second request.
    AskedFirmly,
    /// It was killed.
    Killed,
    /// It does not end although it was killed.
    Stuck,
}

/// When the steps of a stop are due, each as the time since the stop began.
///
/// ```
/// use std::time::Duration;
/// use qc_supervise::{Escalation, StopStep};
///
/// let seconds = Duration::from_secs;
/// let stop = Escalation::over(seconds(8));
/// let (began, now) = (seconds(100), seconds(108));
/// assert_eq!(stop.next(None, began, began), Some((StopStep::Asked, seconds(100))));
/// let firmly = Some((StopStep::AskedFirmly, seconds(106)));
/// assert_eq!(stop.next(Some(StopStep::Asked), began, began), firmly);
/// let kill = Some((StopStep::Killed, seconds(108)));
/// assert_eq!(stop.next(Some(StopStep::AskedFirmly), began, now), kill);
/// let stuck = Some((StopStep::Stuck, seconds(113)));
/// assert_eq!(stop.next(Some(StopStep::Killed), began, now), stuck);
/// assert_eq!(stop.next(Some(StopStep::Stuck), began, now), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escalation {
    /// When it is asked; `None` if it is not.
    pub asked: Option<Duration>,
    /// When it is asked firmly; `None` if it is not.
    pub asked_firmly: Option<Duration>,
    /// When it is killed.
    pub killed: Duration,
}

impl Escalation {
    /// How long a killed process may take to be gone.
    pub const AFTER_KILL: Duration = Duration::from_secs(5);

    /// Asks at once, firmly in the last quarter of `timeout`, and kills at its end.
    pub fn over(timeout: Duration) -> Self {
        let asked_firmly = Some(Self::last_quarter(timeout));
        Self { asked: Some(Duration::ZERO), asked_firmly, killed: timeout }
    }

    /// Asks once, in the last quarter of `timeout`, and kills at its end.
    pub fn late(timeout: Duration) -> Self {
        Self { asked: Some(Self::last_quarter(timeout)), asked_firmly: None, killed: timeout }
    }

    /// Kills at once.
    pub const fn kill() -> Self {
        Self { asked: None, asked_firmly: None, killed: Duration::ZERO }
    }

    /// Returns when the last quarter of `timeout` begins.
    pub fn last_quarter(timeout: Duration) -> Duration {
        timeout * 3 / 4
    }

    /// Returns the step after `step`, and when it is due, for a stop that began at `began`.
    pub fn next<T>(self, step: Option<StopStep>, began: T, now: T) -> Option<(StopStep, T)>
    where
        T: Add<Duration, Output = T>,
    {
        let asked = self.asked.map(|after| (StopStep::Asked, after));
        let asked_firmly = self.asked_firmly.map(|after| (StopStep::AskedFirmly, after));
        let killed = (StopStep::Killed, self.killed);
        let (next, after) = match step {
            None => asked.or(asked_firmly).unwrap_or(killed),
            Some(StopStep::Asked) => asked_firmly.unwrap_or(killed),
            Some(StopStep::AskedFirmly) => killed,
            Some(StopStep::Killed) => return Some((StopStep::Stuck, now + Self::AFTER_KILL)),
            Some(StopStep::Stuck) => return None,
        };
        Some((next, began + after))
    }
}

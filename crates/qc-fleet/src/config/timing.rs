//! The pace of starting, stopping and restarting.

use std::time::Duration;

use super::manager::Manager;
use super::value::ConfigDuration;

/// The pace of starting, stopping and restarting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long the server gets before the watchdogs start.
    pub server_settle: Duration,
    /// The pause between two watchdogs.
    pub watchdog_stagger: Duration,
    /// The pause between two brains, whose logins at the terminal collide.
    pub brain_stagger: Duration,
    /// The longest time that any component gets to end after it was asked to, before it is killed.
    pub stop_timeout: Duration,
    /// How often a component is restarted before it is given up.
    pub max_restarts: u32,
    /// The shortest time between two restarts of a component.
    pub restart_cooldown: Duration,
}

impl Manager {
    pub(crate) fn timing(&self) -> Timing {
        let seconds = |given: &Option<ConfigDuration>, default| {
            given.as_ref().map_or(Duration::from_secs(default), |s| s.0)
        };
        Timing {
            server_settle: seconds(&self.server_settle_seconds, 5),
            watchdog_stagger: seconds(&self.watchdog_stagger_seconds, 1),
            brain_stagger: seconds(&self.brain_stagger_seconds, 3),
            stop_timeout: seconds(&self.stop_timeout_seconds, 10),
            max_restarts: self.max_restarts.unwrap_or(5),
            restart_cooldown: seconds(&self.restart_cooldown_seconds, 60),
        }
    }
}

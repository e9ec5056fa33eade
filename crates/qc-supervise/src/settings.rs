//! How one component is to be supervised: what the config says, as plain values.

use std::path::PathBuf;
use std::time::Duration;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// When it is started again after it ended.
    pub restart: RestartPolicy,
    /// When it counts as ready, so that what depends on it may start.
    pub ready: Readiness,
    /// By what it shows that it is not hung.
    pub heartbeat: Option<Heartbeat>,
    /// How long it must stay up for its start to have succeeded.
    pub start_seconds: Duration,
    /// How long it gets to end after it was asked to, before it is killed.
    pub stop_timeout: Duration,
    /// The treatment of a brain when the watchdog of its account has given up.
    pub when_unguarded: WhenUnguarded,
}

/// When a component is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// After which ends.
    pub when: RestartWhen,
    /// How long to wait before.
    pub delay: RestartDelay,
    /// How many restarts are allowed within [`RestartPolicy::window`]; at the next end it is given
    /// up.
    pub max_restarts: u32,
    /// The span in which restarts are counted; `None` counts all since it last ran stably.
    pub window: Option<Duration>,
    /// How long it must run for its restarts and its back-off to be forgotten.
    pub stable_after: Duration,
    /// Exit codes after which it is never started again, such as 75: its lock is held.
    pub never_after: Vec<i32>,
}

/// After which ends a component is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartWhen {
    /// After every end.
    Always,
    /// After every end but exit code 0.
    OnFailure,
    /// After none.
    Never,
}

/// How long to wait before a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartDelay {
    /// The first restart comes at once, each further one no sooner than this after the one before.
    Cooldown(Duration),
    /// A random time between zero and a bound that doubles with each restart ("full jitter").
    Backoff {
        /// The bound for the first restart.
        initial: Duration,
        /// The bound never grows beyond this.
        cap: Duration,
    },
}

/// When a component counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The probe.
    pub probe: Probe,
    /// How long that may take; afterwards the start has failed.
    pub timeout: Duration,
}

/// The sign that a component is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It runs.
    Started,
    /// It has run this long.
    Delay(Duration),
    /// It accepts connections at this port of 127.0.0.1.
    Port(u16),
    /// It has made, or written anew, this file.
    File(PathBuf),
    /// It holds its own lock.
    Lock,
    /// It has printed a line that this regular expression matches.
    Log(String),
}

/// A sign of life that a component gives again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The source of the heartbeat.
    pub source: HeartbeatSource,
    /// The longest silence; after that it counts as hung.
    pub within: Duration,
}

/// The sign of life of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeartbeatSource {
    /// It writes this file anew.
    File(PathBuf),
    /// It prints something.
    Output,
}

/// The treatment of a brain whose watchdog has given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnguarded {
    /// Ask it to stop: no brain without its watchdog.
    Stop,
    /// Let it trade on.
    Keep,
}

impl Default for Settings {
    /// Returns the settings without any configuration.
    fn default() -> Self {
        Self {
            restart: RestartPolicy::default(),
            ready: Readiness { probe: Probe::Started, timeout: Duration::from_secs(60) },
            heartbeat: None,
            start_seconds: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(10),
            when_unguarded: WhenUnguarded::Stop,
        }
    }
}

impl Default for RestartPolicy {
    /// The rules of the launcher that qc replaces: five restarts, 60 s between two of them.
    fn default() -> Self {
        Self {
            when: RestartWhen::Always,
            delay: RestartDelay::Cooldown(Duration::from_secs(60)),
            max_restarts: 5,
            window: None,
            stable_after: Duration::from_secs(600),
            never_after: vec![75],
        }
    }
}

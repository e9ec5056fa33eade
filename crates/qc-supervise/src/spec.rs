//! A component as the supervisor knows it.

use std::sync::Arc;
use std::time::Duration;

use crate::{Id, Settings};

/// How one component is treated, and how it stands to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Restarts, readiness, heartbeat, deadlines.
    pub settings: Arc<Settings>,
    /// When it is stopped: a lower rank goes first, and so does what depends on it.
    pub stop_rank: u32,
    /// The pause after its first start, before the next component is started for the first time.
    pub pause: Duration,
    /// Which ones must be ready before it is started for the first time.
    pub depends_on: Vec<Id>,
    /// The watchdog of its account: it must be ready before each start, and while it does not run
    /// [`Settings::when_unguarded`] says what to do.
    pub guard: Option<Id>,
}

impl Spec {
    /// Makes a component that needs no other.
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Self { settings, stop_rank: 0, pause: Duration::ZERO, depends_on: Vec::new(), guard: None }
    }
}

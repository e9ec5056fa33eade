//! The signs of life that a component gives: a file that changes, or its log.

use std::path::{Path, PathBuf};

use qc_fleet::Component;
use qc_supervise::HeartbeatSource;

use crate::readiness::{Stamp, is_full};

/// Looks for signs of life.
#[derive(Debug)]
pub struct HeartbeatMonitor {
    path: PathBuf,
    last: Option<Stamp>,
    /// Whether it is the component's log.
    is_log: bool,
}

impl HeartbeatMonitor {
    /// Begins to look, if `component` gives signs of life.
    pub fn new(component: &Component, log: Option<&Path>) -> Option<Self> {
        let (path, is_log) = match &component.settings.heartbeat.as_ref()?.source {
            HeartbeatSource::File(path) => (component.cwd.join(path), false),
            HeartbeatSource::Output => (log?.into(), true),
        };
        let last = Stamp::of(&path);
        Some(Self { path, last, is_log })
    }

    /// Whether there was one since the last look, or none can be seen. A log whose front is cut off
    /// changes, too: it has grown just before.
    pub fn has_beaten(&mut self) -> bool {
        let now = Stamp::of(&self.path);
        let changed = now != self.last;
        self.last = now;
        // A log that is gone, or on a full disk, shows nothing of what is printed.
        let shows_nothing =
            || self.is_log && (now.is_none() || self.path.parent().is_some_and(is_full));
        changed || shows_nothing()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_changes_is_a_sign_of_life() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heart");
        let mut heartbeat =
            HeartbeatMonitor { last: Stamp::of(&path), path: path.clone(), is_log: false };
        assert!(!heartbeat.has_beaten());
        fs::write(&path, "1").unwrap();
        assert!(heartbeat.has_beaten());
        assert!(!heartbeat.has_beaten());
        fs::write(&path, "12").unwrap();
        assert!(heartbeat.has_beaten());
    }
}

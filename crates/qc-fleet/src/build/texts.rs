//! Values of the config, as components have them.

use qc_lock_core::LockName;

use crate::config::{ConfigIssue, KeyPath, Port};

pub(super) fn ports(port: Option<Port>) -> Vec<u16> {
    port.into_iter().map(|Port(port)| port).collect()
}

pub(super) fn lock_name(text: &str, at: &KeyPath) -> Result<LockName, ConfigIssue> {
    text.parse().map_err(|error| ConfigIssue::new(at.clone(), format!("{error}")))
}

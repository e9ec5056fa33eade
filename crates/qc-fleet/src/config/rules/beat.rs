//! The sign of life that is expected of a component.

use std::time::Duration;

use qc_supervise::{Heartbeat, HeartbeatSource};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Resolve;
use crate::config::issue::ConfigIssue;
use crate::config::key_path::KeyPath;
use crate::config::template::RawText;
use crate::config::value::ConfigDuration;

/// The sign of life of a component: one of `file` and `output`. Without any, none is expected.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Heartbeat")]
pub(crate) struct HeartbeatConfig {
    /// It rewrites this file. A relative path starts in the fleet's folder.
    #[schemars(extend("examples" = ["state/heartbeat"]))]
    file: Option<RawText>,
    /// It prints something.
    #[schemars(extend("examples" = [true]))]
    output: Option<bool>,
    /// The longest silence; after it the component counts as hung and is restarted. Without it, 60
    /// s. 0: none is expected.
    #[schemars(extend("examples" = ["60s"]))]
    within: Option<ConfigDuration>,
}

impl HeartbeatConfig {
    pub(super) fn apply(
        &self,
        heartbeat: &mut Option<Heartbeat>,
        at: &KeyPath,
        resolve: Resolve<'_>,
    ) -> Result<(), ConfigIssue> {
        let source = match (&self.file, self.output) {
            (Some(_), Some(true)) => {
                let message = "only one heartbeat source is allowed, and `file` is given as well";
                return Err(ConfigIssue::of_key(at.key("output"), message));
            }
            (Some(file), _) => Some(HeartbeatSource::File(resolve(file, &at.key("file"))?)),
            (None, Some(true)) => Some(HeartbeatSource::Output),
            (None, Some(false)) => {
                *heartbeat = None;
                None
            }
            (None, None) => None,
        };
        let within = self.within.map(|span| span.0);
        if within == Some(Duration::ZERO) {
            *heartbeat = None;
            return Ok(());
        }
        match (source, heartbeat.as_mut()) {
            (Some(source), before) => {
                let default = before.map_or(Duration::from_secs(60), |before| before.within);
                *heartbeat = Some(Heartbeat { source, within: within.unwrap_or(default) });
            }
            (None, Some(before)) => before.within = within.unwrap_or(before.within),
            (None, None) if within.is_some() => {
                let message = "a heartbeat needs a `file`, or `output`: true";
                return Err(ConfigIssue::of_key(at.key("within"), message));
            }
            (None, None) => {}
        }
        Ok(())
    }
}

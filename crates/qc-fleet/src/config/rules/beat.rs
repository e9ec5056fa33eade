//! The sign of life that is expected of a component.

use std::time::Duration;

use qc_supervise::{Heartbeat, Pulse};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Resolve;
use crate::config::key_path::KeyPath;
use crate::config::mistake::Mistake;
use crate::config::value::Span;
use crate::config::written::Written;

/// The sign of life of a component: one of `file` and `output`. Without any, none is expected.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Heartbeat")]
pub(crate) struct Beat {
    /// It rewrites this file. A relative path starts in the fleet's folder.
    #[schemars(extend("examples" = ["state/heartbeat"]))]
    file: Option<Written>,
    /// It prints something.
    #[schemars(extend("examples" = [true]))]
    output: Option<bool>,
    /// The longest silence; after it the component counts as hung and is restarted. Without it, 60
    /// s. 0: none is expected.
    #[schemars(extend("examples" = ["60s"]))]
    within: Option<Span>,
}

impl Beat {
    pub(super) fn apply(
        &self,
        heartbeat: &mut Option<Heartbeat>,
        at: &KeyPath,
        resolve: Resolve<'_>,
    ) -> Result<(), Mistake> {
        let pulse = match (&self.file, self.output) {
            (Some(_), Some(true)) => {
                let message = "only one heartbeat source is allowed, and `file` is given as well";
                return Err(Mistake::of_key(at.key("output"), message));
            }
            (Some(file), _) => Some(Pulse::File(resolve(file, &at.key("file"))?)),
            (None, Some(true)) => Some(Pulse::Output),
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
        match (pulse, heartbeat.as_mut()) {
            (Some(pulse), before) => {
                let default = before.map_or(Duration::from_secs(60), |before| before.within);
                *heartbeat = Some(Heartbeat { pulse, within: within.unwrap_or(default) });
            }
            (None, Some(before)) => before.within = within.unwrap_or(before.within),
            (None, None) if within.is_some() => {
                let message = "a heartbeat needs a `file`, or `output`: true";
                return Err(Mistake::of_key(at.key("within"), message));
            }
            (None, None) => {}
        }
        Ok(())
    }
}

//! The name of a signal.

use std::borrow::Cow;

use qc_process::StopSignal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A signal that asks a component to stop, by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignalName(pub(crate) StopSignal);

impl<'de> Deserialize<'de> for SignalName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for SignalName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SignalName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = StopSignal::ALL.map(StopSignal::as_str);
        let short = names.map(|name| name.trim_start_matches("SIG"));
        let pattern = format!("^(?:SIG)?(?:{})$", short.join("|"));
        json_schema!({ "title": "signal", "type": "string", "pattern": pattern })
    }
}

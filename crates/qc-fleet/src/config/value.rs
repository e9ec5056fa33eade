//! Values that JSON has no type for. Accounts have a file of their own.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use qc_lock_core::parse_duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// The longest time span of the config.
const DAY: Duration = Duration::from_secs(86_400);

/// A time span of at most a day: a number of seconds, or a text with a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConfigDuration(pub(crate) Duration);

impl<'de> Deserialize<'de> for ConfigDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecondsOrText;
        impl Visitor<'_> for SecondsOrText {
            type Value = ConfigDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, or a text such as \"500ms\", \"30s\" or \"5m\"")
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<ConfigDuration, E> {
                match Duration::try_from_secs_f64(seconds) {
                    Ok(span) if span <= DAY => Ok(ConfigDuration(span)),
                    _ => Err(E::custom(format!(
                        "{seconds} is not a number of seconds from 0 to 86400"
                    ))),
                }
            }

            #[expect(clippy::cast_precision_loss, reason = "what is that large is refused")]
            fn visit_u64<E: Error>(self, seconds: u64) -> Result<ConfigDuration, E> {
                self.visit_f64(seconds as f64)
            }

            #[expect(clippy::cast_precision_loss, reason = "what is negative is refused")]
            fn visit_i64<E: Error>(self, seconds: i64) -> Result<ConfigDuration, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ConfigDuration, E> {
                match parse_duration(text).map_err(E::custom)? {
                    span if span <= DAY => Ok(ConfigDuration(span)),
                    _ => Err(E::custom(format!("`{text}` is more than 24h"))),
                }
            }
        }
        deserializer.deserialize_any(SecondsOrText)
    }
}

impl JsonSchema for ConfigDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "time span",
            "type": ["number", "string"],
            "minimum": 0,
            "maximum": DAY.as_secs(),
            "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)?$",
        })
    }
}

/// A port of TCP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Port(pub(crate) u16);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Port;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port, a number from 1 to 65535")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Port, E> {
                let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
                port.map(|port| Port(port.get()))
                    .ok_or_else(|| E::custom(format!("{number} is not a port (1 to 65535)")))
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

impl JsonSchema for Port {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "port", "type": "integer", "minimum": 1, "maximum": u16::MAX })
    }
}

/// An address of this machine that no other machine reaches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalAddress(pub(crate) SocketAddr);

impl<'de> Deserialize<'de> for LocalAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self(address)),
            Ok(_) => Err(D::Error::custom(format!(
                "{text} can be reached by other machines, use 127.0.0.1"
            ))),
            Err(_) => Err(D::Error::custom(format!(
                "`{text}` is not an address such as 127.0.0.1:9464 (port 1 to 65535)"
            ))),
        }
    }
}

impl JsonSchema for LocalAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "LocalAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "address", "type": "string", "pattern": r"^(127\.\d+\.\d+\.\d+|\[::1\]):\d+$" })
    }
}

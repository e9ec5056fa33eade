//! The retention of the components' output, and the recipients of notifications.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::issue::ConfigIssue;
use super::key_path::KeyPath;
use super::rules::Resolve;
use super::template::{Placeholders, RawText};
use super::value::ConfigDuration;
use crate::text::{Secret, Text};

/// The retention of the components' output.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logs {
    /// The folder of the logs. A relative path starts in the fleet's folder.
    #[schemars(extend("default" = "orchestrator_logs"))]
    folder: Option<RawText>,
    /// A log larger than this many MiB is continued in a new file.
    #[schemars(extend("default" = 10), range(min = 1))]
    rotate_mib: Option<u64>,
    /// How many days a log is kept.
    #[schemars(extend("default" = 30), range(min = 1))]
    keep_days: Option<u32>,
    /// How many files are kept for each component.
    #[schemars(extend("default" = 20), range(min = 1))]
    keep_files: Option<u32>,
    /// The most MiB of all logs together; the oldest are removed first.
    #[schemars(extend("default" = 1024), range(min = 1))]
    total_mib: Option<u64>,
}

/// The retention of the components' output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The folder of the logs; by default `orchestrator_logs` in the fleet's folder.
    pub folder: PathBuf,
    /// The size in bytes from which a log is continued in a new file; by default 10 MiB.
    pub rotate_bytes: u64,
    /// How long a log is kept; by default 30 days.
    pub keep_for: Duration,
    /// How many files are kept for each component; by default 20.
    pub keep_files: u32,
    /// How many bytes all logs together may have; by default 1 GiB.
    pub total_bytes: u64,
}

/// The largest of these numbers: a size that no disk has.
const MOST: u64 = 1 << 40;

impl Logs {
    pub(crate) fn settings(
        &self,
        at: &KeyPath,
        resolve: Resolve<'_>,
    ) -> Result<LogSettings, ConfigIssue> {
        let positive = |given: Option<u64>, key: &str, default: u64| match given {
            Some(0) => Err(ConfigIssue::new(at.key(key), "this must be at least 1")),
            Some(number) if number > MOST => {
                let message = format!("{number} is not from 1 to {MOST}");
                Err(ConfigIssue::new(at.key(key), message))
            }
            _ => Ok(given.unwrap_or(default)),
        };
        let folder = RawText("orchestrator_logs".into());
        let folder = self.folder.as_ref().unwrap_or(&folder);
        let keep_files = positive(self.keep_files.map(u64::from), "keep_files", 20)?;
        let keep_days = positive(self.keep_days.map(u64::from), "keep_days", 30)?;
        Ok(LogSettings {
            folder: resolve(folder, &at.key("folder"))?,
            rotate_bytes: positive(self.rotate_mib, "rotate_mib", 10)? << 20,
            keep_for: Duration::from_secs(keep_days * 86_400),
            keep_files: u32::try_from(keep_files).unwrap_or(u32::MAX),
            total_bytes: positive(self.total_mib, "total_mib", 1024)? << 20,
        })
    }
}

/// The recipients of notifications. Without `command` and `webhook`, none are sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notify {
    /// A program and its arguments, which gets the event as JSON on its standard input.
    #[schemars(extend("examples" = [["bin/notify.exe"]]))]
    command: Option<Vec<RawText>>,
    /// An http or https address, to which the event is posted as JSON. It is never shown.
    #[schemars(extend("examples" = ["${WEBHOOK}"]))]
    webhook: Option<RawText>,
    /// The events that are sent.
    #[schemars(extend("default" = ["crash", "gave-up", "blocked", "hung", "stopped"]))]
    events: Option<Vec<NotifyEvent>>,
    /// The shortest time between two notifications about one event of one component.
    #[schemars(extend("default" = "60s"))]
    min_interval: Option<ConfigDuration>,
}

/// An event for which a notification can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum NotifyEvent {
    /// A component ended by itself and is started again.
    Crash,
    /// A component is not started again.
    GaveUp,
    /// A second copy was refused.
    Blocked,
    /// A component gave no sign of life.
    Hung,
    /// The fleet or a component was stopped.
    Stopped,
}

impl NotifyEvent {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Crash, Self::GaveUp, Self::Blocked, Self::Hung, Self::Stopped];
}

/// The recipients of notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySettings {
    /// A program and its arguments, which gets the event on its standard input; empty for none.
    pub command: Vec<Text>,
    /// An http or https address, to which the event is posted. It may hold a secret.
    pub webhook: Option<Secret>,
    /// Which events; by default all.
    pub events: Vec<NotifyEvent>,
    /// The shortest time between two notifications about one event of one component; by default
    /// 60 s.
    pub min_interval: Duration,
}

impl NotifySettings {
    /// Whether anyone is told anything.
    pub fn is_on(&self) -> bool {
        (!self.command.is_empty() || self.webhook.is_some()) && !self.events.is_empty()
    }
}

impl Notify {
    /// `program` makes a command of words, as for components.
    pub(crate) fn settings(
        &self,
        at: &KeyPath,
        placeholders: Placeholders<'_>,
        program: impl Fn(&[RawText], &KeyPath) -> Result<Vec<Text>, ConfigIssue>,
    ) -> Result<NotifySettings, ConfigIssue> {
        let webhook = match &self.webhook {
            None => None,
            Some(written) => {
                let at = at.key("webhook");
                let address = written.expand(&at, placeholders)?.value().to_os_string();
                let is_web = address.to_str().is_some_and(|text| {
                    ["https://", "http://"].iter().any(|it| text.starts_with(it))
                });
                if !is_web {
                    return Err(ConfigIssue::new(at, "a webhook begins with https:// or http://"));
                }
                Some(Secret::new(address))
            }
        };
        let command = match &self.command {
            None => Vec::new(),
            Some(words) => program(words, &at.key("command"))?,
        };
        let events = self.events.clone().unwrap_or_else(|| NotifyEvent::ALL.into());
        let min_interval = self.min_interval.map_or(Duration::from_secs(60), |span| span.0);
        Ok(NotifySettings { command, webhook, events, min_interval })
    }
}

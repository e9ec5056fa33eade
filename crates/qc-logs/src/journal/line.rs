//! One event, and how it is written.

use chrono::{DateTime, Local, SecondsFormat};
use serde::Serialize;

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// `[time] text`
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Info,
    /// To look at.
    Warning,
    /// Something does not run that should.
    Error,
}

/// One event. Never holds command lines or environments: they can hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    level: Level,
    event: &'a str,
    text: &'a str,
    component: Option<&'a str>,
    account: Option<&'a str>,
    pid: Option<u32>,
}

impl<'a> Line<'a> {
    /// Makes a line of an event, such as `started`, told in words.
    pub fn new(level: Level, event: &'a str, text: &'a str) -> Self {
        Self { level, event, text, component: None, account: None, pid: None }
    }

    /// Adds the component it happened to.
    pub fn component(self, component: &'a str) -> Self {
        Self { component: Some(component), ..self }
    }

    /// Adds the account.
    pub fn account(self, account: Option<&'a str>) -> Self {
        Self { account, ..self }
    }

    /// Adds the process.
    pub fn pid(self, pid: u32) -> Self {
        Self { pid: Some(pid), ..self }
    }

    /// Renders it with a line end; whatever the text holds, it is one line.
    pub(super) fn render(&self, time: DateTime<Local>, format: Format) -> String {
        match format {
            Format::Text => {
                let mark = match self.level {
                    Level::Info => "",
                    Level::Warning => "WARNING: ",
                    Level::Error => "ERROR: ",
                };
                let text = qc_process::visible(self.text);
                format!("[{}] {mark}{text}\n", time.format("%Y-%m-%d %H:%M:%S"))
            }
            Format::Json => {
                let object = Object {
                    time: time.to_rfc3339_opts(SecondsFormat::Millis, false),
                    level: self.level,
                    event: self.event,
                    component: self.component,
                    account: self.account,
                    pid: self.pid,
                    text: self.text,
                };
                // It holds nothing that JSON does not know.
                qc_process::visible_json(serde_json::to_string(&object).unwrap_or_default()) + "\n"
            }
        }
    }
}

#[derive(Serialize)]
struct Object<'a> {
    time: String,
    level: Level,
    event: &'a str,
    component: Option<&'a str>,
    account: Option<&'a str>,
    pid: Option<u32>,
    text: &'a str,
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn every_event_is_one_line() {
        let time = Local.with_ymd_and_hms(2026, 1, 31, 23, 59, 58).unwrap();
        let text = "started BRAIN_A (PID 7)\nand \"more\"";
        let line = Line::new(Level::Info, "started", text).component("BRAIN_A").pid(7);
        let plain = "[2026-01-31 23:59:58] started BRAIN_A (PID 7)\\nand \"more\"\n";
        assert_eq!(line.render(time, Format::Text), plain);
        let json = line.render(time, Format::Json);
        assert_eq!(json.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(DateTime::parse_from_rfc3339(value["time"].as_str().unwrap()).unwrap(), time);
        let expected = serde_json::json!({
            "time": value["time"], "level": "info", "event": "started", "component": "BRAIN_A",
            "account": null, "pid": 7, "text": text,
        });
        assert_eq!(value, expected);
        let line = Line::new(Level::Warning, "log", "the disk is full");
        assert_eq!(
            line.render(time, Format::Text),
            "[2026-01-31 23:59:58] WARNING: the disk is full\n"
        );
    }
}

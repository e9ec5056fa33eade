//! A notification.

use chrono::{Local, SecondsFormat};
use qc_fleet::NotifyEvent;
use qc_process::visible_json;
use serde::Serialize;

/// One event. There is no room for command lines and environments here: they can hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notification {
    version: u32,
    time: String,
    event: NotifyEvent,
    component: String,
    account: Option<String>,
    pid: Option<u32>,
    text: String,
    host: String,
    /// How many of the same kind came meanwhile and are not told by themselves.
    repeated: u32,
    /// How many of any kind were dropped before this one.
    dropped: u32,
}

impl Notification {
    /// Makes a notice about what happens now, told in words.
    pub fn new(event: NotifyEvent, component: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            version: 1,
            time: Local::now().to_rfc3339_opts(SecondsFormat::Millis, false),
            event,
            component: component.into(),
            account: None,
            pid: None,
            text: text.into(),
            host: qc_process::here().name.clone(),
            repeated: 0,
            dropped: 0,
        }
    }

    /// Adds the account.
    pub fn account(self, account: Option<String>) -> Self {
        Self { account, ..self }
    }

    /// Adds the process.
    pub fn pid(self, pid: Option<u32>) -> Self {
        Self { pid, ..self }
    }

    /// Returns what happened.
    pub fn event(&self) -> NotifyEvent {
        self.event
    }

    /// Hides all but the last three digits of the account's number, in the words, too.
    pub(crate) fn masked(mut self) -> Self {
        if let Some(account) = &self.account {
            let hidden = account.chars().count().saturating_sub(3);
            let masked: String = account
                .chars()
                .enumerate()
                .map(|(at, c)| if at < hidden { '*' } else { c })
                .collect();
            if hidden > 0 {
                self.text = self.text.replace(account.as_str(), &masked);
            }
            self.account = Some(masked);
        }
        self
    }

    /// Whether both tell the same of the same component.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.event == other.event && self.component == other.component
    }

    pub(crate) fn component(&self) -> &str {
        &self.component
    }

    /// Adds that `count` notices like this one are told with it.
    pub(crate) fn add_repeated(&mut self, count: u32) {
        self.repeated = self.repeated.saturating_add(count);
    }

    pub(crate) fn repeated(&self) -> u32 {
        self.repeated
    }

    pub(crate) fn set_dropped(&mut self, count: u32) {
        self.dropped = count;
    }

    pub(crate) fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Returns it as one JSON object.
    pub(crate) fn to_json(&self) -> String {
        // It holds nothing that JSON does not know.
        visible_json(serde_json::to_string(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_one_json_object() {
        let notification =
            Notification::new(NotifyEvent::GaveUp, "BRAIN_A", "it ended with \"exit code 1\"\n")
                .account(Some("1000001".into()))
                .pid(Some(7));
        let value: serde_json::Value = serde_json::from_str(&notification.to_json()).unwrap();
        let expected = serde_json::json!({
            "version": 1, "time": value["time"], "event": "gave-up", "component": "BRAIN_A",
            "account": "1000001", "pid": 7, "text": "it ended with \"exit code 1\"\n",
            "host": qc_process::here().name, "repeated": 0, "dropped": 0,
        });
        assert_eq!(value, expected);
        assert!(!notification.to_json().contains('\n'));
        chrono::DateTime::parse_from_rfc3339(value["time"].as_str().unwrap()).unwrap();
    }

    #[test]
    fn an_account_is_masked_wherever_it_stands() {
        for (account, masked) in [("1000001", "****001"), ("001", "001"), ("éé001", "**001")] {
            let notification =
                Notification::new(NotifyEvent::Crash, "A", format!("account {account} is free"));
            let notification = notification.account(Some(account.into())).masked();
            assert_eq!(notification.account.as_deref(), Some(masked));
            assert_eq!(notification.text, format!("account {masked} is free"));
        }
    }
}

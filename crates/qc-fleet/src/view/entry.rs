//! A component as views show it, and what is wrong with it.

use serde::Serialize;

use super::RowLock;
use crate::{Finding, FindingKind, Instance, Mask, Place, Role, State};

/// One component, in the shape of the JSON of `qc-ps` and `qc-launch status`.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentView {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The key of its account.
    pub account_key: Option<String>,
    /// Its account.
    pub account: Option<String>,
    /// Its state.
    pub state: State,
    /// More about that, in words: what it waits for, why it was given up.
    pub detail: Option<String>,
    /// When it will be started again, RFC 3339.
    pub until: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// Since when it is in this state, or else since when it runs, RFC 3339.
    pub since: Option<String>,
    /// How often the running launcher has started it again by itself.
    pub restarts: u32,
    /// Whether an earlier launcher has started its process.
    pub adopted: bool,
    /// Which of its starts this is, counted by the running launcher.
    #[serde(rename = "life")]
    pub generation: u32,
    /// The log of its output.
    pub log: Option<String>,
    /// Whether it has stayed up for its `start_seconds`.
    pub stayed_up: bool,
    /// Whether the system has suspended its process.
    pub suspended: bool,
    /// Its lock.
    pub lock: Option<RowLock>,
    /// Whether a launcher supervises it now.
    #[serde(skip)]
    pub(super) is_supervised: bool,
    /// Whether it should run.
    #[serde(skip)]
    pub(super) is_wanted: bool,
    /// Whether no instance shows it.
    #[serde(skip)]
    pub(super) needs_row: bool,
}

impl ComponentView {
    /// Whether `instance` is the process that this entry is about.
    pub(super) fn is_shown_by(&self, instance: &Instance) -> bool {
        !self.needs_row
            && instance.place == Place::Fleet
            && self.pid.is_some_and(|pid| instance.includes(pid))
    }

    /// Returns what is wrong with the component not running as it should, if anything is.
    pub(super) fn finding(&self) -> Option<Finding> {
        let (kind, what) = match self.state {
            State::GaveUp => (FindingKind::GaveUp, "has been given up"),
            State::BackingOff => (FindingKind::BackingOff, "has failed and will be started again"),
            State::Blocked => (FindingKind::Blocked, "is blocked"),
            State::Missing => (FindingKind::Missing, "is missing"),
            State::Stopped => (FindingKind::Stopped, "is stopped"),
            State::Running
            | State::Duplicate
            | State::Rogue
            | State::Unguarded
            | State::Orphan
            | State::Suspended
            | State::Foreign
            | State::Stale
            | State::Elsewhere
            | State::Starting
            | State::Waiting
            | State::Stopping
            | State::Finished
            | State::NotTraded => return None,
        };
        let mut text = format!("{} {what}", self.name);
        // The reason for giving up counts the restarts that were too many.
        if self.restarts > 0 && kind != FindingKind::GaveUp {
            let times = if self.restarts == 1 { "restart" } else { "restarts" };
            text.push_str(&format!(" after {} {times}", self.restarts));
        }
        if let Some(detail) = self.shown_detail() {
            text.push_str(&format!(": {detail}"));
        }
        let pids = self.pid.into_iter().collect();
        Some(Finding { kind, text, components: vec![self.name.clone()], pids })
    }

    /// Masks account numbers, wherever they stand.
    pub fn mask(&mut self, mask: &Mask) {
        let text = |text: &mut String| *text = mask.text(text);
        text(&mut self.name);
        self.account_key.as_mut().map(text);
        self.detail.as_mut().map(text);
        if let Some(account) = &mut self.account {
            *account = mask.account(account);
        }
        if let Some(lock) = &mut self.lock {
            lock.name = mask.text(&lock.name);
        }
        if let Some(log) = &mut self.log {
            *log = mask.command(log);
        }
    }

    /// Returns more about its state in words, with the next attempt in local time.
    pub fn shown_detail(&self) -> Option<String> {
        let next = self.until.as_deref().map(qc_lock_core::local_time);
        let next = next.map(|time| format!("next attempt {time}"));
        let adopted = self.adopted.then(|| "adopted".to_owned());
        let parts: Vec<String> =
            [self.detail.clone(), next, adopted].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

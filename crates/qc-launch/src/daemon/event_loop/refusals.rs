//! Reports second copies that were refused their lock.

use std::thread;
use std::time::Duration;

use qc_fleet::NotifyEvent;
use qc_lock_core::{Entry, Event as Told};
use qc_logs::{Level, Line};
use qc_notify::Notification;

use super::Runtime;
use super::post::Message;

/// The pause between two looks at the history.
const LOOK: Duration = Duration::from_secs(1);

/// A thread that reads a few lines needs no large stack.
const STACK: usize = 256 * 1024;

impl Runtime<'_> {
    /// Begins to look for refusals in the history, where people want to be told of them.
    pub(super) fn watch_refusals(&mut self) {
        if self.watches_refusals || !self.report.notifier().wants(NotifyEvent::Blocked) {
            return;
        }
        let (post, mut tail) = (self.post(), self.locks.history_tail());
        // Skip the events from before.
        let _ = tail.read();
        let look = move || {
            loop {
                thread::sleep(LOOK);
                // The history may be readable later.
                let Ok(added) = tail.read() else { continue };
                let by_others = |one: &Entry| one.by_pid != Some(std::process::id());
                let refused = added.entries.into_iter().filter(|one| one.event == Told::Blocked);
                for entry in refused.filter(by_others) {
                    post.send(Message::Refused(entry));
                }
            }
        };
        match thread::Builder::new().name("refusals".into()).stack_size(STACK).spawn(look) {
            Ok(_) => self.watches_refusals = true,
            Err(error) => {
                let text = format!("refused second copies are not reported: {error}");
                self.report.warn("notify", &text);
            }
        }
    }

    /// A process was refused a lock.
    pub(super) fn record_refused(&mut self, entry: &Entry) {
        // A second launcher tells people itself.
        if self.roster.id(&entry.name).is_none() {
            return;
        }
        let why = entry.detail.as_deref().unwrap_or("it is locked");
        let text = format!("a second {} was refused: {why}", entry.name);
        let line = Line::new(Level::Warning, "blocked", &text).component(&entry.name);
        self.report.note(&line.account(entry.account.as_deref()));
        let notification = Notification::new(NotifyEvent::Blocked, &entry.name, text);
        self.report.notifier().send(notification.account(entry.account.clone()).pid(entry.pid));
    }
}

//! Notifications: a command that gets the event as JSON, a webhook it is posted to.
//!
//! [`Notifier::send`] only puts a notification into a queue; a command that hangs and a server that does
//! not answer cost supervision nothing. Each way has a queue and a thread of its own, started when
//! there is something to send for the first time.

#![forbid(unsafe_code)]

mod command;
mod notification;
mod outbox;
mod webhook;
mod worker;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use command::Command;
use qc_fleet::{NotifyEvent, NotifySettings};
use webhook::Webhook;
use worker::{Tell, Worker};

pub use notification::Notification;
pub use outbox::Limits;
pub use webhook::BadAddress;

/// The recipients of notifications, and the events they get.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The events.
    pub events: Vec<NotifyEvent>,
    /// A program and its arguments, which gets each event on its standard input; empty for none.
    pub command: Vec<OsString>,
    /// An http or https address, to which each event is posted. It may hold a secret.
    pub webhook: Option<String>,
    /// Whether only the last three digits of account numbers are told.
    pub mask_accounts: bool,
    /// How long one try may take.
    pub timeout: Duration,
    /// How much, and how often.
    pub limits: Limits,
}

impl Default for Settings {
    /// No recipients; each event once.
    fn default() -> Self {
        Self {
            events: NotifyEvent::ALL.to_vec(),
            command: Vec::new(),
            webhook: None,
            mask_accounts: true,
            timeout: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

impl From<&NotifySettings> for Settings {
    /// Takes what the config says, and the defaults of what it does not.
    fn from(config: &NotifySettings) -> Self {
        let limits = Limits { min_interval: config.min_interval, ..Limits::default() };
        Self {
            events: config.events.clone(),
            command: config.command.iter().map(|word| word.value().into()).collect(),
            // An address that is not Unicode is none, which is said where it is used.
            webhook: config.webhook.as_ref().map(|it| it.reveal().to_string_lossy().into_owned()),
            limits,
            ..Self::default()
        }
    }
}

/// Neither the address nor the arguments are shown: they may hold a secret.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("events", &self.events)
            .field("command", &self.command.first())
            .field("webhook", &self.webhook.as_ref().map(|_| "(hidden)"))
            .field("mask_accounts", &self.mask_accounts)
            .field("timeout", &self.timeout)
            .field("limits", &self.limits)
            .finish()
    }
}

/// Sends notifications.
#[derive(Debug)]
pub struct Notifier {
    events: Vec<NotifyEvent>,
    mask_accounts: bool,
    workers: Vec<Worker>,
}

impl Notifier {
    /// Makes one; `tell` is given what could not be delivered, one line each, without any secret.
    ///
    /// # Errors
    /// If the address of the webhook is none.
    pub fn new(
        settings: &Settings,
        tell: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, BadAddress> {
        let tell: Tell = Arc::new(tell);
        let mut workers = Vec::new();
        if let Some((program, args)) = settings.command.split_first() {
            let command = Command::new(program, args, settings.timeout);
            workers.push(Worker::new(Box::new(command), settings.limits, Arc::clone(&tell)));
        }
        if let Some(address) = &settings.webhook {
            let webhook = Webhook::new(address, settings.timeout)?;
            workers.push(Worker::new(Box::new(webhook), settings.limits, tell));
        }
        Ok(Self { events: settings.events.clone(), mask_accounts: settings.mask_accounts, workers })
    }

    /// Whether there is a recipient for this event.
    pub fn wants(&self, event: NotifyEvent) -> bool {
        !self.workers.is_empty() && self.events.contains(&event)
    }

    /// Tells it, some time soon. Returns at once.
    pub fn send(&self, notification: Notification) {
        if !self.wants(notification.event()) {
            return;
        }
        let notification = if self.mask_accounts { notification.masked() } else { notification };
        for worker in &self.workers {
            worker.send(notification.clone());
        }
    }

    /// Delivers what is waiting, without pauses but for no longer than `limit`;
    /// returns how many notices are still waiting then. To be called before the program ends.
    pub fn finish(self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        for worker in &self.workers {
            worker.close();
        }
        self.workers.into_iter().map(|worker| worker.wait(deadline)).sum()
    }
}

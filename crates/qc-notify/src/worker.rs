//! One way to tell, with its queue and its thread.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Notification;
use crate::outbox::{Limits, Outbox, Sent, Step};

/// Where lines about what could not be delivered go.
pub(crate) type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// A way to tell.
pub(crate) trait Transport: Send {
    /// Names it, without any secret.
    fn name(&self) -> String;

    /// Tells it, in a limited time. What went wrong is said without any secret.
    fn deliver(&mut self, json: &str) -> Result<(), DeliveryError>;
}

/// Why something could not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeliveryError {
    pub(crate) reason: String,
    /// Whether another try is worth it.
    pub(crate) may_pass: bool,
}

pub(crate) struct Worker {
    shared: Arc<Shared>,
    tell: Tell,
    /// Until the thread is started.
    transport: Mutex<Option<Box<dyn Transport>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    began: Instant,
}

struct State {
    outbox: Outbox,
    /// Whether the thread is telling something at this moment.
    is_busy: bool,
    /// Whether nothing more will come.
    is_closed: bool,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    pub(crate) fn new(transport: Box<dyn Transport>, limits: Limits, tell: Tell) -> Self {
        let state = State { outbox: Outbox::new(limits), is_busy: false, is_closed: false };
        let shared =
            Shared { state: Mutex::new(state), changed: Condvar::new(), began: Instant::now() };
        Self { shared: Arc::new(shared), tell, transport: Mutex::new(Some(transport)) }
    }

    pub(crate) fn send(&self, notification: Notification) {
        self.shared.lock().outbox.push(notification);
        self.shared.changed.notify_all();
        let transport = self.transport.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(transport) = transport {
            let (shared, tell) = (Arc::clone(&self.shared), Arc::clone(&self.tell));
            let builder = thread::Builder::new().name("notify".into());
            if let Err(error) = builder.spawn(move || shared.work(transport, &tell)) {
                (self.tell)(&format!("WARNING: notifications can't be sent: {error}"));
            }
        }
    }

    /// Says that nothing more will come, and that what waits is to go out now.
    pub(crate) fn close(&self) {
        let mut state = self.shared.lock();
        state.outbox.hurry();
        state.is_closed = true;
        self.shared.changed.notify_all();
    }

    /// Waits until everything is told or `deadline` has come; returns how much is not.
    pub(crate) fn wait(self, deadline: Instant) -> usize {
        let mut state = self.shared.lock();
        loop {
            let left = state.outbox.len() + usize::from(state.is_busy);
            let time = deadline.saturating_duration_since(Instant::now());
            if left == 0 || time.is_zero() {
                return left;
            }
            let waited = self.shared.changed.wait_timeout(state, time);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut transport: Box<dyn Transport>, tell: &Tell) {
        while let Some(notification) = self.next() {
            let result = transport.deliver(&notification.to_json());
            let sent = match &result {
                Ok(()) => Sent::Done,
                Err(trouble) if trouble.may_pass => Sent::Failed,
                Err(_) => Sent::Refused,
            };
            let given_up = self.lock().outbox.sent(notification, sent, self.began.elapsed());
            if let (Some(notification), Err(trouble)) = (given_up, result) {
                let (name, reason) = (transport.name(), trouble.reason);
                let component = notification.component();
                tell(&format!("WARNING: {name} was not told about {component}: {reason}"));
            }
            // Only now: whoever waits for the end ends the program then.
            self.lock().is_busy = false;
            self.changed.notify_all();
        }
    }

    /// Waits for the next notice to tell; `None` when nothing more will come.
    fn next(&self) -> Option<Notification> {
        let mut state = self.lock();
        loop {
            let now = self.began.elapsed();
            let until = match state.outbox.next(now) {
                Step::Send(notification) => {
                    state.is_busy = true;
                    return Some(notification);
                }
                Step::Wait(None) if state.is_closed => return None,
                Step::Wait(until) => until,
            };
            let time = until.map_or(Duration::MAX, |until| until.saturating_sub(now));
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(_) => {
                    let waited = self.changed.wait_timeout(state, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

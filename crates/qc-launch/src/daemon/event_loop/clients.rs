//! The clients of the control channel: their requests reach the loop, and those that wait get an
//! answer when something changes.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::Duration;

use qc_control::{Answer, Refusal, Server};

use super::Runtime;
use super::post::Message;

/// How long an answer may take: the loop is never busy for long.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The longest wait of a client for a change; far shorter than any limit of an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The clients that wait for a change of state.
#[derive(Default)]
pub(super) struct Clients {
    waiting: Vec<Waiting>,
}

/// A client that gets an answer when the state of a component changes.
struct Waiting {
    seen: String,
    /// When to answer in any case.
    until: Duration,
    answer: SyncSender<Answer>,
}

impl Clients {
    /// Lets a client wait that has seen the state `seen`.
    pub(super) fn wait(&mut self, seen: String, now: Duration, answer: SyncSender<Answer>) {
        self.waiting.push(Waiting { seen, until: now + LONGEST_WAIT, answer });
    }

    /// Returns when clients get an answer in any case.
    pub(super) fn due(&self) -> impl Iterator<Item = Duration> {
        self.waiting.iter().map(|one| one.until)
    }

    /// Takes out those that have seen another state than `tag`, or have waited for too long.
    fn take_due(&mut self, tag: &str, now: Duration) -> Vec<SyncSender<Answer>> {
        let due = self.waiting.extract_if(.., |one| one.seen != tag || one.until <= now);
        due.map(|one| one.answer).collect()
    }
}

impl Runtime<'_> {
    /// Lets other programs of this user ask. Without that the fleet runs all the same.
    pub(crate) fn serve(self) -> Self {
        let post = self.post.clone();
        let handler = move |request| {
            let (sender, answer) = mpsc::sync_channel(1);
            post.send(Message::Asked(request, sender));
            answer.recv_timeout(TIMEOUT).unwrap_or_else(|error| {
                Answer::Refused(match error {
                    RecvTimeoutError::Timeout => {
                        let hint = "run the command again";
                        refusal("qc-launch does not answer in time", hint, false)
                    }
                    RecvTimeoutError::Disconnected => {
                        let hint = "start it again once it has ended";
                        refusal("qc-launch is ending", hint, false)
                    }
                })
            })
        };
        if let Err(error) = Server::start(self.locks.path(), Arc::new(handler)) {
            let text = format!(
                "`qc-launch status`, `stop` and their like will not reach this one: {error}"
            );
            self.report.warn("control", &text);
        }
        self
    }

    /// Answers those who wait, if what they have seen has changed, or for too long.
    pub(super) fn answer_waiting(&mut self) {
        if self.clients.waiting.is_empty() {
            return;
        }
        let (tag, now) = (self.tag(), self.now());
        for client in self.clients.take_due(&tag, now) {
            // The client may have given up waiting.
            let _ = client.send(Answer::Done(self.status(Vec::new())));
        }
    }
}

/// Returns a refusal of a request.
pub(super) fn refusal(message: impl Into<String>, hint: &str, is_usage: bool) -> Refusal {
    Refusal { message: message.into(), hint: hint.into(), is_usage, is_busy: false }
}

//! Messages of other threads to the event loop.

use std::io;
use std::sync::mpsc::{Sender, SyncSender};

use qc_control::{Answer, Request};
use qc_fleet::Stopped;
use qc_lock_core::Entry;
use qc_logs::Level;
use qc_process::{Interrupt, Waker, close_limit};
use qc_start::WrapperReport;
use qc_supervise::Id;

use super::Runtime;
use super::left_over::LeftOverEnd;

/// The share of each stage where the system ends this program some time after its console closes.
const CLOSE_SHARE: u32 = 5;

/// A message from another thread.
pub(super) enum Message {
    /// A wrapper says something.
    WrapperReport(Id, u32, WrapperReport),
    Interrupted(Interrupt),
    /// A process was refused a lock.
    Refused(Entry),
    /// Stray brains were stopped.
    UnmanagedEnded(io::Result<Vec<Stopped>>),
    /// The process that still listened at the port of a component was ended.
    ListenerEnded(Id, io::Result<Vec<Stopped>>),
    /// The programs that the last run of a component had left behind were ended.
    LeftOverEnded(LeftOverEnd, io::Result<Vec<Stopped>>),
    /// A client's request; the client waits for the answer.
    Asked(Request, SyncSender<Answer>),
}

/// Puts messages where the loop finds them, and wakes it.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) sender: Sender<Message>,
    pub(super) waker: Waker,
}

impl Post {
    pub(super) fn send(&self, message: Message) {
        // The receiver is gone only when the program ends anyway.
        let _ = self.sender.send(message);
        self.waker.wake();
    }
}

impl Runtime<'_> {
    pub(super) fn receive_messages(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::WrapperReport(id, generation, WrapperReport::Started(identity)) => {
                    if let Some(running) =
                        self.running_mut(id).filter(|it| it.generation == generation)
                    {
                        running.identity = Some(identity);
                        self.note_start(id, generation, None);
                    }
                }
                Message::WrapperReport(id, _, WrapperReport::Line(line)) => {
                    self.log_of(id, Level::Info, "wrapper", &line);
                }
                Message::Interrupted(interrupt) => {
                    let limit = close_limit().filter(|_| interrupt == Interrupt::Close);
                    self.stop_all(limit.map(|limit| limit / CLOSE_SHARE));
                }
                Message::Refused(entry) => self.record_refused(&entry),
                Message::UnmanagedEnded(stopped) => self.strays_ended(&stopped),
                Message::ListenerEnded(id, stopped) => self.listener_ended(id, &stopped),
                Message::LeftOverEnded(end, stopped) => self.left_over_ended(&end, &stopped),
                Message::Asked(Request::Wait { seen }, answer) => {
                    self.clients.wait(seen, self.now(), answer);
                }
                Message::Asked(request, answer) => {
                    // The client may read the log next.
                    self.write();
                    let answered = self.answer(&request);
                    // The client may have given up waiting.
                    let _ = answer.send(answered);
                }
            }
        }
    }
}

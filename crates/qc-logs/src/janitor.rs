//! Looking after the log files, on a thread of its own: a slow disk must not keep anyone from
//! restarting a brain.

mod work;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::work::Work;
use crate::LogFolder;
use crate::limiter::Limiter;
use crate::retention::Retention;

/// How long after the last start old files are removed: many components start at once.
const SETTLE: Duration = Duration::from_secs(1);

/// A thread with little to do needs no large stack.
const STACK: usize = 256 * 1024;

/// The retention of logs and the largest size of one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// The size in bytes at which a file is cut, at least 64 KiB; `None` is never.
    pub rotate_at: Option<u64>,
    /// The retention.
    pub retention: Retention,
}

/// Looks after the log files until it is dropped.
#[derive(Debug)]
pub struct LogJanitor {
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    /// These are written to from now on, and those were until now.
    Changed {
        opened: Vec<PathBuf>,
        closed: Vec<PathBuf>,
    },
    Change(Settings),
}

impl LogJanitor {
    /// Starts looking after `folder`; what goes wrong, and what was cut or removed, is given to
    /// `tell`, one line each.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(
        folder: LogFolder,
        settings: Settings,
        tell: impl Fn(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let work = Work {
            folder,
            settings,
            tell: Box::new(tell),
            in_use: HashMap::new(),
            told: HashSet::new(),
            limiter: Limiter::new(),
            tidy: Some(Instant::now() + SETTLE),
        };
        let builder = thread::Builder::new().name("logs".into()).stack_size(STACK);
        let thread = builder.spawn(move || work.run(&receiver))?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Says that living processes write to the files that were `opened`, just started or adopted,
    /// and that those which wrote to the ones that were `closed` have ended. The former become their
    /// components' latest.
    pub fn changed(&self, opened: Vec<PathBuf>, closed: Vec<PathBuf>) {
        self.send(Message::Changed { opened, closed });
    }

    /// Keeps by these settings from now on.
    pub fn change(&self, settings: Settings) {
        self.send(Message::Change(settings));
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &self.sender {
            // Without its thread nothing is cut; supervision goes on.
            let _ = sender.send(message);
        }
    }
}

impl Drop for LogJanitor {
    /// Lets it finish what it is doing.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;

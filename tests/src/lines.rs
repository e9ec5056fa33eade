//! The output of a program, read as it comes.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use std::{iter, mem};

/// How long something that has ended may seem to be able to print. Under Wine a program now and
/// then has ended for all others, and stays behind as a process of Linux that holds what it had
/// open.
const LINGERING: Duration = Duration::from_secs(30);

/// The lines of an output, without their ends.
pub(crate) struct Lines {
    receiver: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    /// Begins to read; each line is also given to `echo`.
    pub(crate) fn of(
        output: impl Read + Send + 'static,
        echo: impl Fn(&str) + Send + 'static,
    ) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                echo(&text);
                if sender.send(text).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Self { receiver, seen: Vec::new() }
    }

    /// Returns what was read and asked for so far.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Waits for a line that `wanted` accepts; `None` if the output ends before.
    ///
    /// # Panics
    /// If there is none in time; `what` says what is awaited.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no `{what}` in time; seen: {:#?}", self.seen)
                }
            }
        }
    }

    /// Returns all lines of a program that has ended.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        self.seen.extend(rest(&self.receiver));
        mem::take(&mut self.seen)
    }
}

/// Begins to read all of an output; the result returns it, once the program has ended.
pub(crate) fn all_of(mut output: impl Read + Send + 'static) -> impl FnOnce() -> Vec<u8> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut part) {
            if sender.send(part[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    move || rest(&receiver).flatten().collect()
}

/// Returns what comes until the end, from a program that has ended.
fn rest<T>(receiver: &Receiver<T>) -> impl Iterator<Item = T> {
    let deadline = Instant::now() + LINGERING;
    iter::from_fn(move || {
        receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    })
}

//! An end to waiting, so that a test which would hang fails instead, and says what hung.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use qc_process::{Identity, Process};

/// Longer than any program may run that a test waits for; slow machines and Wine included.
const LIMIT: Duration = Duration::from_secs(300);

/// Kills processes if they have not ended in time: who waits for them, or reads what they print, goes on.
pub(crate) struct Deadline {
    done: Sender<()>,
    timer: JoinHandle<bool>,
}

impl Deadline {
    /// Begins to wait for `processes`.
    pub(crate) fn of(processes: Vec<Identity>) -> Self {
        let (done, waits) = mpsc::channel();
        let timer = thread::spawn(move || {
            let is_over = waits.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
            if is_over {
                for process in &processes {
                    kill(process);
                }
            }
            is_over
        });
        Self { done, timer }
    }

    /// Says that they have ended, and what they were.
    ///
    /// # Panics
    /// If they had to be killed.
    pub(crate) fn met(self, what: &str) {
        drop(self.done);
        let is_over = self.timer.join().expect("the timer does not fail");
        assert!(!is_over, "it had not ended after {LIMIT:?}, and was killed: {what}");
    }
}

/// Kills one process, by identity; returns whether it may be touched.
pub(crate) fn kill(identity: &Identity) -> bool {
    let opened = Process::open(identity);
    if let Ok(Some(process)) = &opened {
        // It may end by itself at this moment.
        let _ = process.kill();
    }
    opened.is_ok()
}

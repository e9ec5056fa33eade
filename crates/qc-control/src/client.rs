//! Asking.

use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use qc_process::LocalStream;

use crate::protocol::{Answered, Asked};
use crate::{Answer, ControlError, Request, Status, VERSION, line};

/// The most bytes of one answer: some ten thousand components.
const LIMIT: u64 = 16 * 1024 * 1024;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the running `qc-launch`.
#[derive(Debug)]
pub struct Client(BufReader<LocalStream>);

impl Client {
    /// Connects to the `qc-launch` whose locks are in `lock_dir`.
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] if there is none.
    pub fn connect(lock_dir: &Path) -> Result<Self, ControlError> {
        let stream = LocalStream::connect(lock_dir)?;
        // Where there is no such limit, a program that does not answer is waited for.
        let _ = stream.set_timeout(PATIENCE);
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`ControlError::Refused`] if it is not done, or why there is no answer.
    pub fn ask(&mut self, request: &Request) -> Result<Status, ControlError> {
        let asked = Asked { version: VERSION, request: request.clone() };
        line::write(self.0.get_mut(), &asked)?;
        let answered: Option<Answered> = line::read(&mut self.0, LIMIT)?;
        let answered = answered.ok_or(ControlError::Ended)?;
        if answered.version != VERSION {
            return Err(ControlError::Version);
        }
        match answered.answer {
            Answer::Done(status) => Ok(status),
            Answer::Refused(refusal) => Err(ControlError::Refused {
                message: refusal.message,
                hint: refusal.hint,
                is_usage: refusal.is_usage,
            }),
        }
    }

    /// Waits until the asked `qc-launch` closes the connection: when it has ended, or after half a
    /// minute in which nobody asked anything.
    pub fn wait_for_end(mut self) {
        let mut ignored = [0; 1024];
        loop {
            match self.0.read(&mut ignored) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return,
                },
            }
        }
    }
}

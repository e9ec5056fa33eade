//! Asking.

use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use qc_process::{LocalStream, is_suspended, resume_hint};

use crate::protocol::{Answered, Asked};
use crate::{Answer, ControlError, Refusal, Request, Status, VERSION, line};

/// The most bytes of one answer: some ten thousand components.
const LIMIT: u64 = 16 * 1024 * 1024;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request is tried again that finds too many clients: they come and go.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// How long that may take without a word.
const SILENT: Duration = Duration::from_millis(500);

/// How long the launcher waits for a change before it answers.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The pause between two tries. A place is freed when another client goes, and the launcher does not
/// keep those that it has sent away, so no event tells of it.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// A connection to the running `qc-launch`.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<LocalStream>,
    lock_dir: PathBuf,
    /// The PID that has to answer, where it is known.
    launcher: Option<u32>,
    /// Whether it was answered: it has its place.
    is_admitted: bool,
    /// Says why an answer takes, and for how long at most.
    on_wait: Option<fn(Duration, &str)>,
}

impl Client {
    /// Connects to the `qc-launch` whose locks are in `lock_dir`. `launcher` is the PID of the living
    /// holder of its lock, where there is one: no other program is talked to.
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] if there is none, [`ControlError::Stranger`] if another program
    /// answers.
    pub fn connect(lock_dir: &Path, launcher: Option<u32>) -> Result<Self, ControlError> {
        let stream = connect(lock_dir, launcher)?;
        Ok(Self {
            stream,
            lock_dir: lock_dir.to_path_buf(),
            launcher,
            is_admitted: false,
            on_wait: None,
        })
    }

    /// Lets `on_wait` be told, once, why an answer takes longer than a moment, and for how long it is
    /// waited for at most.
    pub fn on_wait(mut self, on_wait: fn(Duration, &str)) -> Self {
        self.on_wait = Some(on_wait);
        self
    }

    /// Asks, and waits for the answer. Where there are too many clients, it is asked again for some
    /// seconds.
    ///
    /// # Errors
    /// [`ControlError::Refused`] if the request is refused, [`ControlError::Ended`] if the launcher
    /// ended without an answer, and the other variants if the connection fails.
    pub fn ask(&mut self, request: &Request) -> Result<Status, ControlError> {
        let began = Instant::now();
        loop {
            let answer = {
                let _saying = self.say_later(request);
                self.ask_once(request)
            };
            let (refusal, was_cut_off) = match answer {
                Ok(Answer::Done(status)) => return Ok(status),
                Ok(Answer::Refused(refusal)) => (refusal, false),
                // A full launcher may close the connection before the refusal is read.
                Err(ControlError::Ended) if self.may_ask_again(request) => (Refusal::busy(), true),
                Err(ControlError::System { source }) if is_timeout(&source) => {
                    return Err(ControlError::Silent { text: no_answer(self.pid()) });
                }
                Err(error) => return Err(error),
            };
            if !refusal.is_busy || began.elapsed() >= BUSY_TIMEOUT {
                return Err(ControlError::Refused {
                    message: refusal.message,
                    hint: refusal.hint,
                    is_usage: refusal.is_usage,
                });
            }
            thread::sleep(BUSY_PAUSE);
            match self.reconnect() {
                // The connection was cut because the launcher was ending.
                Err(ControlError::NotRunning) if was_cut_off => return Err(ControlError::Ended),
                result => result?,
            }
            if began.elapsed() >= SILENT
                && let Some(tell) = self.on_wait.take()
            {
                tell(BUSY_TIMEOUT, &refusal.message);
            }
        }
    }

    /// Says after a moment that no answer has come, until the result is dropped.
    fn say_later(&self, request: &Request) -> Option<Sender<()>> {
        let tell = self.on_wait?;
        let pid = self.pid();
        let moment = match request {
            // It is answered when something changes.
            Request::Wait { .. } => SILENT + LONGEST_WAIT,
            _ => SILENT,
        };
        let (answered, waiting) = mpsc::channel();
        let wait = move || {
            if waiting.recv_timeout(moment) == Err(RecvTimeoutError::Timeout) {
                tell(TIMEOUT.saturating_sub(moment), &no_answer(pid));
            }
        };
        // Without a thread it is waited for all the same.
        thread::Builder::new().name("waiting".into()).spawn(wait).ok()?;
        Some(answered)
    }

    /// Returns the PID of the launcher, where it is known.
    fn pid(&self) -> Option<u32> {
        self.launcher.or_else(|| self.stream.get_ref().peer().ok().flatten())
    }

    /// Whether repeating `request` after a lost answer does no harm.
    fn may_ask_again(&self, request: &Request) -> bool {
        match request {
            Request::Status
            | Request::Wait { .. }
            | Request::Stop { .. }
            | Request::Withhold { .. } => true,
            Request::Start { .. } | Request::Restart { .. } | Request::Reload => !self.is_admitted,
        }
    }

    fn reconnect(&mut self) -> Result<(), ControlError> {
        self.stream = connect(&self.lock_dir, self.launcher)?;
        self.is_admitted = false;
        Ok(())
    }

    fn ask_once(&mut self, request: &Request) -> Result<Answer, ControlError> {
        let asked = Asked { version: VERSION, request: request.clone() };
        let answered = match line::write(self.stream.get_mut(), &asked) {
            Ok(()) => line::read::<Answered>(&mut self.stream, LIMIT),
            // Sent away before it could ask, it may still read why.
            Err(error) if self.is_admitted => return Err(error.into()),
            Err(error) => match line::read::<Answered>(&mut self.stream, LIMIT) {
                Ok(Some(answered)) => Ok(Some(answered)),
                Ok(None) | Err(_) => return Err(error.into()),
            },
        };
        let answered = answered?.ok_or(ControlError::Ended)?;
        if answered.version != VERSION {
            return Err(ControlError::Version);
        }
        self.is_admitted = true;
        Ok(answered.answer)
    }

    /// Waits until the asked `qc-launch` closes the connection: when it has ended, or after half a
    /// minute without a request.
    pub fn wait_for_end(mut self) {
        let mut ignored = [0; 1024];
        loop {
            match self.stream.read(&mut ignored) {
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

/// Whether an answer has not come in time.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Returns that the launcher does not answer, and why, where the system shows that.
fn no_answer(pid: Option<u32>) -> String {
    match pid {
        Some(pid) if is_suspended(pid) => {
            format!("qc-launch (PID {pid}) is suspended; {}", resume_hint(pid))
        }
        Some(pid) => format!("qc-launch (PID {pid}) does not answer"),
        None => "qc-launch does not answer".into(),
    }
}

fn connect(lock_dir: &Path, launcher: Option<u32>) -> Result<BufReader<LocalStream>, ControlError> {
    let mut stream = LocalStream::connect(lock_dir)?;
    if let Some(launcher) = launcher {
        let peer = stream.peer()?;
        if peer != Some(launcher) {
            return Err(ControlError::Stranger { launcher, peer });
        }
    }
    // Without the limit, a program that does not answer is waited for.
    let _ = stream.set_timeout(TIMEOUT);
    Ok(BufReader::new(stream))
}

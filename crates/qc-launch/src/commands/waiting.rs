//! The reasons for which a command waits longer than a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::say_waiting_for;
use qc_control::{ComponentStatus, StateWord, Status};
use qc_process::{is_suspended, resume_hint};

/// How long it may take without a word.
const SILENT: Duration = Duration::from_millis(500);

/// One wait of a command, of which is said once what it is for.
pub(crate) struct Waiting {
    began: Instant,
    is_said: Arc<AtomicBool>,
}

impl Waiting {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), is_said: Arc::default() }
    }

    /// Says what is `awaited` once half a second is over, until the result is dropped.
    pub(crate) fn say_later<'a>(
        &mut self,
        status: &Status,
        awaited: impl Iterator<Item = &'a ComponentStatus>,
    ) -> Option<Sender<()>> {
        if self.is_said.load(Ordering::SeqCst) {
            return None;
        }
        let reasons: Vec<Reason> = awaited.flat_map(|one| reasons(status, one)).collect();
        if reasons.is_empty() {
            return None;
        }
        let left = SILENT.saturating_sub(self.began.elapsed());
        let is_said = Arc::clone(&self.is_said);
        let (over, waiting) = mpsc::channel();
        let wait = move || {
            if waiting.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                is_said.store(true, Ordering::SeqCst);
                let mut texts: Vec<String> = reasons.iter().map(Reason::text).collect();
                texts.dedup();
                say_waiting_for(&texts.join("; "));
            }
        };
        // Without a thread it is waited for all the same.
        thread::Builder::new().name("waiting".into()).spawn(wait).ok()?;
        Some(over)
    }
}

/// Why a component is not yet as it is wanted.
#[derive(Debug, PartialEq, Eq)]
struct Reason {
    text: String,
    pid: Option<u32>,
}

impl Reason {
    fn of(one: &ComponentStatus) -> Self {
        let pid = one.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
        let detail = one.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        Self { text: format!("{}{pid} is {}{detail}", one.name, one.state), pid: one.pid }
    }

    fn text(&self) -> String {
        match self.pid.filter(|&pid| is_suspended(pid)) {
            Some(pid) => format!("{}; it is suspended: {}", self.text, resume_hint(pid)),
            None => self.text.clone(),
        }
    }
}

/// Returns why `one` is not yet as it is wanted, with what it waits for itself. One that runs only
/// has its first seconds before it.
fn reasons(status: &Status, one: &ComponentStatus) -> Vec<Reason> {
    match one.state {
        StateWord::Waiting
        | StateWord::Blocked
        | StateWord::BackingOff
        | StateWord::Starting
        | StateWord::Stopping => {}
        StateWord::Running | StateWord::Stopped | StateWord::Finished | StateWord::GaveUp => {
            return Vec::new();
        }
    }
    let names_it = |other: &&ComponentStatus| {
        let words = one.detail.as_deref().unwrap_or_default();
        let mut words = words.split(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)));
        other.name != one.name
            && other.state != StateWord::Running
            && words.any(|word| word == other.name)
    };
    let others = status.components.iter().filter(names_it).map(Reason::of);
    [Reason::of(one)].into_iter().chain(others).collect()
}

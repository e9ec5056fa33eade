//! The running launcher's answer, or the reason why there is none.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use qc_control::{ControlError, Request, Status};
use qc_lock_core::{LockDir, LockName};
use qc_process::{is_suspended, resume_hint, visible};

use crate::evidence::{Machine, ProcessProbe, identity_in};
use crate::{Finding, FindingKind, connect_to_launcher};

/// How long the launcher may take to answer a view.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The pause before asking again a launcher that is just starting or ending.
const PAUSE: Duration = Duration::from_millis(50);

/// The state of the launcher of this fleet.
#[derive(Debug, Clone)]
pub enum Launcher {
    /// None runs.
    Absent,
    /// It has answered.
    Answers(Status),
    /// It is alive and can't be asked.
    Silent {
        /// Its process, where it is known.
        pid: Option<u32>,
        /// Why it can't be asked.
        why: String,
    },
}

impl Launcher {
    /// Asks the launcher whose lock is `orchestrator` in `locks`. A lock directory that can't be
    /// read is no reason to fail: the caller reads it as well and reports why.
    pub fn ask(locks: &LockDir, orchestrator: &LockName) -> Self {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        // One that stands still answers nothing.
        if let Some((Some(pid), _)) = holder(locks, orchestrator)
            && is_suspended(pid)
        {
            let why = format!("it is suspended; {}", resume_hint(pid));
            return Self::Silent { pid: Some(pid), why };
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match ask(locks, orchestrator, left) {
                Some(Ok(status)) => return Self::Answers(status),
                Some(Err(error)) => error,
                None => {
                    let pid = holder(locks, orchestrator).and_then(|(pid, _)| pid);
                    let why = format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
                    return Self::Silent { pid, why };
                }
            };
            let holder = holder(locks, orchestrator);
            let why = match error {
                ControlError::NotRunning | ControlError::Ended => {
                    let Some((pid, has_channel)) = holder else { return Self::Absent };
                    // Between taking its lock and opening its channel, and the other way round.
                    if has_channel && !left.is_zero() {
                        thread::sleep(PAUSE);
                        continue;
                    }
                    return Self::Silent { pid, why: "it has no control channel".into() };
                }
                error @ (ControlError::Denied { .. }
                | ControlError::Stranger { .. }
                | ControlError::Version
                | ControlError::Refused { .. }
                | ControlError::Silent { .. }
                | ControlError::System { .. }) => error.to_string(),
            };
            return Self::Silent { pid: holder.and_then(|(pid, _)| pid), why };
        }
    }

    /// Returns its answer, if it has given one.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Answers(status) => Some(status),
            Self::Absent | Self::Silent { .. } => None,
        }
    }

    /// Returns the finding of a launcher that can't be asked, or whose folder was moved.
    pub(super) fn finding(&self) -> Option<Finding> {
        let (pid, why) = match self {
            Self::Absent => return None,
            Self::Answers(status) => return moved(status),
            Self::Silent { pid, why } => (pid, why),
        };
        let shown = pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
        Some(Finding {
            kind: FindingKind::Silent,
            text: format!("the launcher{shown} is alive and can't be asked: {why}"),
            components: Vec::new(),
            pids: pid.iter().copied().collect(),
        })
    }
}

/// Returns the finding of a launcher whose folder was moved while it runs.
fn moved(status: &Status) -> Option<Finding> {
    let from = visible(status.moved_from.as_ref()?);
    let pid = status.pid;
    Some(Finding {
        kind: FindingKind::Moved,
        text: format!(
            "the folder was moved or renamed while its launcher (PID {pid}) runs, which was started in \
             {from}: it can start nothing again; stop the fleet here with `qc-shutdown`, then start it \
             anew with `qc-launch`"
        ),
        components: Vec::new(),
        pids: vec![pid],
    })
}

/// Returns the living holder of the launcher's lock, and whether it is a program with a channel.
fn holder(locks: &LockDir, orchestrator: &LockName) -> Option<(Option<u32>, bool)> {
    let lock = locks.status(orchestrator).ok().flatten().filter(|lock| lock.state.is_live())?;
    // In a copy of the lock directory the record names the launcher of its original.
    if identity_in(&lock).is_some() && !Machine.holds(&lock) {
        return None;
    }
    Some((lock.pid, lock.program.as_deref() == Some("qc-launch")))
}

/// Asks for the status in a thread of its own: connecting has no time-out on every system. Returns
/// `None` if there is no answer in time.
fn ask(
    locks: &LockDir,
    orchestrator: &LockName,
    within: Duration,
) -> Option<Result<Status, ControlError>> {
    let (sender, answer) = mpsc::sync_channel(1);
    let (locks, orchestrator) = (LockDir::new(locks.path()), orchestrator.clone());
    thread::spawn(move || {
        let answer = connect_to_launcher(&locks, orchestrator.as_str())
            .and_then(|mut client| client.ask(&Request::Status));
        // The caller may have given up waiting.
        let _ = sender.send(answer);
    });
    answer.recv_timeout(within).ok()
}

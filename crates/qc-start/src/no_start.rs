//! Why a component was not started.

use std::io;

use qc_lock_core::LockError;
use qc_process::listener;
use qc_supervise::NotStarted;

/// Why a component was not started.
#[derive(Debug)]
pub enum NoStart {
    /// This process of this machine holds its lock.
    Held {
        /// The holder.
        pid: u32,
        /// A clause for messages.
        why: String,
    },
    /// Another process listens at its port.
    PortTaken {
        /// The process, if it can be seen.
        pid: Option<u32>,
        /// A clause for messages.
        why: String,
    },
    /// Something else.
    Other(NotStarted),
}

impl From<NotStarted> for NoStart {
    fn from(why: NotStarted) -> Self {
        Self::Other(why)
    }
}

pub(crate) fn failed(error: io::Error) -> NoStart {
    let why = match has_no_room(&error) {
        true => NotStarted::NotNow(error.to_string()),
        false => NotStarted::Failed(error.to_string()),
    };
    why.into()
}

/// Whether the system has no room now, on a disk, in memory or in a table of its own: it may have
/// in a moment.
fn has_no_room(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.filter_map(|error| error.downcast_ref::<io::Error>()).any(qc_process::is_out_of_room)
}

pub(crate) fn not_locked(error: LockError) -> NoStart {
    let why = match &error {
        // No process is known to hold it: it may be free in a moment.
        LockError::Held { holder, .. } if holder.pid.is_none() && holder.elsewhere.is_none() => {
            NotStarted::Busy
        }
        LockError::Held { holder, foreign, .. } => {
            let why = format!("its lock is held by {holder}");
            match holder.pid.filter(|_| !foreign) {
                Some(pid) => return NoStart::Held { pid, why },
                // Its end can't be awaited, as nothing shows who it is.
                None if holder.elsewhere.is_some() => NotStarted::NotNow(why),
                None => NotStarted::Refused(why),
            }
        }
        // It will not go away by itself.
        LockError::Latched { .. } => NotStarted::Refused(error.to_string()),
        _ => {
            let is_full = has_no_room(&error);
            let failure = qc_cli::Failure::from(error);
            let text = format!("it cannot be locked: {}", failure.message());
            if is_full { NotStarted::NotNow(text) } else { NotStarted::Failed(text) }
        }
    };
    why.into()
}

/// A second server that moves to another port would hide that there are two.
pub(crate) fn refuse_busy(port: u16) -> Result<(), NoStart> {
    // A failed look does not keep the fleet from starting: the program itself will notice.
    let Ok(Some(owner)) = listener(port) else { return Ok(()) };
    let pid = owner.pid.filter(|&pid| pid != 0);
    let who = match pid {
        None => "another process".into(),
        Some(pid) => match qc_process::describe(pid) {
            Ok(Some(process)) => format!("PID {pid} ({})", process.name),
            _ => format!("PID {pid}"),
        },
    };
    Err(NoStart::PortTaken { pid, why: format!("its port {port} is taken: {who} listens there") })
}

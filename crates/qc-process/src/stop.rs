//! Stopping a process: asking it, killing it, waiting for its end. Terminals are refused here,
//! below every tool, so that no plan, config or bug above can reach one.

use std::io;
use std::time::Duration;

use crate::terminal::{is_spared, is_terminal};
use crate::{
    Child, Ended, Identity, Interrupt, Liveness, StopSignal, imp, liveness, own_identity,
    par_chunks,
};

/// How many processes are opened one after the other before another processor is worth it.
const OPENED_AT_ONCE: usize = 64;

/// A running process that is held open, so that an action reaches it or no process.
#[derive(Debug)]
pub struct Process {
    identity: Identity,
    /// The names under which its program is known.
    #[cfg_attr(windows, expect(dead_code, reason = "only Unix asks a Python differently"))]
    pub(crate) images: Vec<String>,
    /// The signal that it wants to be asked by, if that is known.
    #[cfg_attr(windows, expect(dead_code, reason = "Windows knows no signals"))]
    pub(crate) signal: Option<StopSignal>,
    pub(crate) handle: imp::ProcessHandle,
}

/// How a process is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// In the way that lets it clean up. Unix: the signal of [`Process::asked_by`]; without one,
    /// SIGINT for a Python that has no handler for SIGTERM and does not ignore SIGINT, SIGTERM for
    /// others. Windows: Ctrl-C in its own console, and WM_CLOSE to its windows.
    Gently,
    /// Once more, for a program that did not listen. Unix: SIGTERM, or SIGINT for a Python that was
    /// asked by SIGTERM. Windows: nothing is left between asking and killing, so nothing happens.
    Firmly,
}

/// Why a process could not be asked or killed.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// It is a trading terminal, and those are never touched.
    #[error("`{image}` is a trading terminal and is never stopped")]
    Terminal {
        /// The program's file name.
        image: String,
    },
    /// It is this program itself, or the first process of the system.
    #[error("process {pid} is never stopped")]
    Untouchable {
        /// Its pid.
        pid: u32,
    },
    /// Its program can't be read, so it may be a trading terminal.
    #[error("cannot tell whether process {pid} is a trading terminal")]
    Unrecognized {
        /// Its pid.
        pid: u32,
        /// The system's error.
        source: io::Error,
    },
    /// A trading terminal, or a program that can't be told from one, shares its console.
    #[error("a trading terminal (PID {terminal}) sits at the console of process {pid}")]
    TerminalAtConsole {
        /// Its pid.
        pid: u32,
        /// The pid of the terminal.
        terminal: u32,
    },
    /// It belongs to another user, or runs elevated.
    #[error("access to process {pid} is denied")]
    Denied {
        /// Its pid.
        pid: u32,
    },
    /// Its console does not answer.
    #[error("the console of process {pid} does not answer")]
    Stuck {
        /// Its pid.
        pid: u32,
    },
    /// It has neither a console nor a window, so nothing but killing can reach it.
    #[error("process {pid} has neither a console nor a window that could be asked")]
    Unreachable {
        /// Its pid.
        pid: u32,
    },
    /// The system reported something else.
    #[error("cannot reach process {pid}")]
    System {
        /// Its pid.
        pid: u32,
        /// The system's error.
        source: io::Error,
    },
}

impl StopError {
    /// Returns the step to suggest after `hint:`.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Terminal { .. } => "close the terminal by hand, if that is what you want",
            Self::Untouchable { .. } => "leave it alone",
            Self::Unrecognized { .. } => {
                "close it by hand, or run the command again as its user, elevated"
            }
            Self::TerminalAtConsole { .. } => {
                "Ctrl-C would reach the terminal, too: end the process by hand"
            }
            Self::Denied { .. } => "run the command again as the user who started it, or elevated",
            Self::Stuck { .. } | Self::Unreachable { .. } => "it is killed at the deadline",
            Self::System { .. } => "run the command again",
        }
    }

    pub(crate) fn from_io(pid: u32, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { pid },
            _ => Self::System { pid, source },
        }
    }
}

impl Process {
    /// Opens the process that `identity` names; `None` if it has ended.
    ///
    /// # Errors
    /// A [`StopError`] if it lives but must not or can't be touched.
    pub fn open(identity: &Identity) -> Result<Option<Self>, StopError> {
        let pid = identity.pid;
        if pid <= 1 || pid == own_identity().pid {
            return Err(StopError::Untouchable { pid });
        }
        Self::opened(identity, imp::open_process(identity))
    }

    /// Opens a process that this program has started, which takes less; `None` if it has been waited
    /// for.
    ///
    /// # Errors
    /// As for [`Process::open`].
    pub fn of_child(child: &Child) -> Result<Option<Self>, StopError> {
        Self::opened(child.identity(), imp::open_child(child.identity(), &child.handle))
    }

    fn opened(
        identity: &Identity,
        handle: io::Result<Option<imp::ProcessHandle>>,
    ) -> Result<Option<Self>, StopError> {
        let pid = identity.pid;
        let handle = handle.map_err(|error| StopError::from_io(pid, error))?;
        let Some(handle) = handle else { return Ok(None) };
        let images = match handle.images(pid) {
            Ok(images) => images,
            Err(_) if liveness(identity) == Liveness::Dead => return Ok(None),
            Err(source) => return Err(StopError::Unrecognized { pid, source }),
        };
        if let Some(image) = images.iter().find(|image| is_terminal(image)) {
            return Err(StopError::Terminal { image: image.clone() });
        }
        if is_spared(|| handle.program_id(pid)) {
            let image = images.into_iter().next().unwrap_or_default();
            return Err(StopError::Terminal { image });
        }
        Ok(Some(Self { identity: identity.clone(), images, signal: None, handle }))
    }

    /// Opens many at once; one result each, in their order.
    pub fn open_all(identities: &[&Identity]) -> Vec<Result<Option<Self>, StopError>> {
        let open = |part: &[&Identity]| part.iter().map(|one| Self::open(one)).collect::<Vec<_>>();
        par_chunks(identities, OPENED_AT_ONCE, open).into_iter().flatten().collect()
    }

    /// Returns the same process, which wants to be asked by this signal. Without effect on Windows.
    pub fn asked_by(self, signal: Option<StopSignal>) -> Self {
        Self { signal, ..self }
    }

    /// Returns who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Passes a request to stop this program on to it, as far as the system has not done so: where
    /// both sit at one terminal, Ctrl-C reaches both.
    pub fn pass_on(&self, interrupt: Interrupt) {
        imp::pass_on(self, interrupt);
    }

    /// Returns how it ended, once it has, where the system tells that to others than its parent:
    /// on Windows. `None` on Unix.
    pub fn exit(&self) -> Option<Ended> {
        imp::exit_of(&self.handle)
    }

    /// Ends it without asking. Returns when the system has accepted, not when it is gone. One
    /// that has ended already is fine.
    ///
    /// # Errors
    /// [`StopError::Denied`] or [`StopError::System`].
    pub fn kill(&self) -> Result<(), StopError> {
        imp::kill(self).map_err(|error| StopError::from_io(self.identity.pid, error))
    }
}

/// Asks all `processes` at once; one result each, in their order. One that has ended already is
/// fine.
pub fn ask_all(processes: &[&Process], how: Ask) -> Vec<Result<(), StopError>> {
    imp::ask_all(processes, how)
}

/// Waits until at least one of `processes` has ended or `timeout` is over; returns the positions
/// of those that have ended.
///
/// # Errors
/// Whatever the system reports.
pub fn wait_any(processes: &[&Process], timeout: Duration) -> io::Result<Vec<usize>> {
    imp::wait_any(processes, timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_and_this_one_are_refused() {
        for pid in [0, 1, std::process::id()] {
            let identity = Identity { pid, ..own_identity().clone() };
            assert!(
                matches!(Process::open(&identity), Err(StopError::Untouchable { .. })),
                "{pid}"
            );
        }
    }
}

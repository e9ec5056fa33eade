//! Being asked to stop: Ctrl-C, SIGTERM, a closing console.

use std::io;

use crate::imp;

/// Somebody wants this program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Ctrl-C, or SIGINT.
    CtrlC,
    /// SIGTERM; on Windows also Ctrl-Break.
    Terminate,
    /// The terminal closes, the user logs off, or the machine shuts down. Windows ends the
    /// process about 5 s after this.
    Close,
}

impl Interrupt {
    /// Returns the number of the Unix signal that means the same.
    pub fn signal(self) -> i32 {
        match self {
            Self::CtrlC => 2,
            Self::Terminate => 15,
            Self::Close => 1,
        }
    }
}

/// Calls `act` on a thread of its own whenever somebody wants this program to stop, instead of
/// ending it. What was ignored when the program started (`nohup`) stays ignored.
///
/// On Windows the process ends when the handler of [`Interrupt::Close`] returns, so after `act`
/// it waits there until the program ends by itself.
///
/// # Errors
/// If the system refuses the handler, or one is set already.
pub fn on_interrupt(act: impl Fn(Interrupt) + Send + Sync + 'static) -> io::Result<()> {
    imp::on_interrupt(Box::new(act))
}

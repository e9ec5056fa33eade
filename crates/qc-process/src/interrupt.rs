//! Being asked to stop: Ctrl-C, SIGTERM, a closing console.

use std::io;

use crate::imp;

/// A request to stop this program.
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

/// Calls `act` on a thread of its own whenever this program is asked to stop, instead of
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

/// Calls `act` on a thread of its own when the terminal at standard input is gone, which not every
/// program is told of by [`Interrupt::Close`].
///
/// On Windows there is nothing to do: a console that closes tells everybody.
///
/// # Errors
/// If no thread can be started.
pub fn on_hang_up(act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    imp::on_hang_up(Box::new(act))
}

/// Lets this program hear of the end of the session as [`Interrupt::Close`], before the programs are
/// told that it has started. For those that look after others; [`on_interrupt`] comes first.
///
/// Windows tells a program that looks at windows only through a window, and ends the programs of a
/// session in an unspecified order. On Unix there is nothing to do: signals tell of it.
///
/// # Errors
/// On Windows whatever the system reports, as where there is no desktop. Then no user can log off
/// there either.
pub fn watch_session() -> io::Result<()> {
    imp::watch_session()
}

/// Presses Ctrl-Break at this program's own console, to see that it arrives. No other program may sit
/// there, as everybody hears it.
///
/// # Errors
/// `Unsupported` on Unix, which has no such key. On Windows if others sit at the console, if there
/// is none, or whatever the system reports.
pub fn press_ctrl_break() -> io::Result<()> {
    imp::press_ctrl_break()
}

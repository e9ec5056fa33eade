//! Processes by identity.
//!
//! A process is a triple of pid, start time and boot id, an [`Identity`]; a bare pid is never
//! acted on. This crate lists processes, tells whether an identity still lives, asks it to stop,
//! kills it, waits for many at once, and starts new ones. It also holds the few file operations
//! that differ between systems. It knows nothing of locks, fleets or accounts.
//!
//! All per-OS code of the suite sits in the private module `imp`.

#![deny(unsafe_code)]

mod child;
pub mod fault;
/// Files that several programs share: guards, records, the history.
pub mod file;
mod hand_over;
/// Part of stopping on Windows: a short-lived copy of this program that sends Ctrl-C.
pub mod helper;
mod host;
mod identity;
mod imp;
/// A closer look at a single process: its open files, its user, what it has loaded.
pub mod inspect;
mod interrupt;
mod list;
mod listener;
#[cfg(feature = "channel")]
mod local;
mod machine;
mod parallel;
mod program;
mod random;
mod relay;
mod shown;
mod stop;
mod stop_signal;
mod suspended;
mod terminal;
mod volume;
mod watch;

pub use child::{Chain, Child, Console, Continues, Ended, Output, Spawn};
pub use hand_over::hand_over;
pub use host::{Host, here};
pub use identity::{Identity, Liveness, identity_of, liveness, own_identity};
pub use interrupt::{Interrupt, on_hang_up, on_interrupt, press_ctrl_break, watch_session};
pub use list::{
    Listing, ProcessInfo, Sought, Wanted, describe, lineage, list, list_of, list_sought,
    list_wanted, pids,
};
pub use listener::{Listener, listener};
#[cfg(feature = "channel")]
pub use local::{LocalListener, LocalStream};
pub use machine::{
    MachineGuard, MachineHolder, MachineReach, forget_machine_guard, machine_guards,
    machine_holders, machine_is_partly_hidden, machine_openers, machine_reach, machine_taker,
    machine_unusable,
};
pub use parallel::par_chunks;
pub use program::{find_program, is_bare, is_interpreter, is_path_variable, is_same_variable};
pub use random::random_bytes;
pub use relay::Relay;
pub use shown::{shown, visible, visible_json};
pub use stop::{Ask, Process, StopError, ask_all, wait_any};
pub use stop_signal::{StopSignal, UnknownSignal};
pub use suspended::{is_suspended, resume_hint, suspended};
pub use terminal::{carries_terminals, is_terminal, spare_programs};
pub use volume::{Volume, VolumePlace, volume};
pub use watch::{Awaited, Waker, Watcher};

/// Whether a child that inherits a guard keeps its lock after the parent is gone.
///
/// True on Unix, where a lock belongs to the open file that parent and child share. False on
/// Windows, where a byte-range lock belongs to the process that took it: there a wrapper has to
/// stay with the child, see [`Spawn::end_with_parent`].
pub const LOCKS_ARE_INHERITED: bool = imp::LOCKS_ARE_INHERITED;

/// Where a virtual environment keeps its Python, from the environment's folder.
pub const PYTHON_IN_ENVIRONMENT: &str = imp::PYTHON_IN_ENVIRONMENT;

/// The name of the Python on PATH.
pub const PYTHON_ON_PATH: &str = imp::PYTHON_ON_PATH;

/// The command that starts the fleet, as hints name it on this system.
pub const LAUNCH_COMMAND: &str = imp::LAUNCH_COMMAND;

/// The command that stops the fleet safely, as hints name it on this system.
pub const SHUTDOWN_COMMAND: &str = imp::SHUTDOWN_COMMAND;

/// The hint that names [`SHUTDOWN_COMMAND`], as a whole sentence.
pub const SHUTDOWN_HINT: &str = imp::SHUTDOWN_HINT;

/// Why a child has not got its [`Spawn::mark`], and what helps.
pub const NOT_MARKED: &str = imp::NOT_MARKED;

/// The service that starts programs when a user logs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtLogOn {
    /// The Windows Task Scheduler.
    TaskScheduler,
    /// The user's own systemd.
    Systemd,
}

/// The warning where guards of the machine can't be made.
pub const FOLDER_ONLY: &str = imp::FOLDER_ONLY;

/// How an administrator finds the holder of a guard of the machine that does not say who it is.
pub const MACHINE_HOLDER_HINT: &str = imp::MACHINE_HOLDER_HINT;

/// Whether a script says in its first line (`#!`) which program runs it. On Windows `cmd` runs batch
/// files instead.
pub const SCRIPTS_NAME_THEIR_PROGRAM: bool = imp::SCRIPTS_NAME_THEIR_PROGRAM;

/// The service that starts programs at log-on on this system.
pub const AT_LOG_ON: AtLogOn = imp::AT_LOG_ON;

/// Starts a command away from this program's terminal: no window opens for it on Windows, and Ctrl-C
/// does not reach it on Unix. It inherits nothing that a child started at the same time is to have.
///
/// # Errors
/// Whatever the system reports.
pub fn spawn_apart(command: &mut std::process::Command) -> std::io::Result<std::process::Child> {
    imp::spawn_apart(command)
}

/// How the console behind standard output is set. On Windows that outlives the program that sets
/// it, for example by drawing in place; a Unix terminal has no such setting.
#[derive(Debug, Clone, Copy)]
pub struct OutputMode(Option<u32>);

impl OutputMode {
    /// Looks how it is set now.
    pub fn now() -> Self {
        Self(imp::output_mode())
    }

    /// Sets it as it was then.
    pub fn put_back(self) {
        if let Some(mode) = self.0 {
            imp::set_output_mode(mode);
        }
    }
}

/// Ends this program with any exit code that the system knows, as the last thing `main` does.
pub fn end_program(code: i32) -> ! {
    std::process::exit(code)
}

/// Makes room for `count` open files, as far as the system allows; returns how many there may be.
/// What this program starts from then on gets the same. On Windows there is no such limit.
pub fn allow_open_files(count: u64) -> u64 {
    imp::allow_open_files(count)
}

/// Whether an error says that the system has no room at the moment: on a disk, in memory, or in a
/// table of processes or open files.
pub fn is_out_of_room(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::OutOfMemory
    ) || error.raw_os_error().is_some_and(imp::is_out_of_room)
}

/// Whether any process is in the group that the one with this pid has begun: cheap to ask, and it
/// tells what it may have left behind. Never on Windows, which knows no such groups.
pub fn has_group(pid: u32) -> bool {
    imp::has_group(pid)
}

/// Gives memory that this program does not use any more back to the system, where its allocator keeps
/// it: for a program that has done much, and will do little from now on.
pub fn return_memory() {
    imp::return_memory();
}

/// Kept of the time that the system leaves after [`Interrupt::Close`], for what remains to be done at
/// the very end.
const CLOSE_RESERVE: std::time::Duration = std::time::Duration::from_millis(500);

/// Returns how long after [`Interrupt::Close`] this program may still work; `None` if the system sets
/// no limit. On Windows the user's setting (`SPI_GETHUNGAPPTIMEOUT`, 5 s by default) less half a
/// second, read at each call.
pub fn close_limit() -> Option<std::time::Duration> {
    let limit = imp::close_limit()?;
    Some(limit.saturating_sub(CLOSE_RESERVE).max(CLOSE_RESERVE))
}

/// Undoes what a program can inherit from the one that started it, and that would break it: signals
/// that are blocked or ignored. The first thing that `main` does, before there are threads.
pub fn reset_inherited() {
    imp::reset_inherited();
}

//! Starting a process so that its identity is known before it runs.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeWriter};
use std::path::PathBuf;
use std::time::Duration;

use crate::program::explained;
use crate::{Identity, MachineGuard, ProcessInfo, imp};

/// Where a child's output goes.
#[derive(Debug, Clone, Copy)]
pub enum Output<'a> {
    /// Where this program's goes; its standard input is this program's, too.
    Inherit,
    /// Into this file; its standard input is empty.
    File(&'a File),
    /// Into this pipe; its standard input is empty.
    Pipe(&'a PipeWriter),
}

/// Which terminal a child sits at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// This program's: Ctrl-C reaches both.
    Shared,
    /// None that is visible: a session of its own on Unix, a console without a window on
    /// Windows. Ctrl-C at this program's terminal does not reach the child.
    Own,
}

/// Whether a process goes on with what its parent was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continues {
    /// It does something else.
    No,
    /// Only if its parent starts nothing after it: a shell waits for the last thing it has started.
    AsTheLast,
    /// It does.
    Yes,
}

/// The rules that find the program behind a child that only launches it: a batch file, `uv run`, the
/// `python.exe` of a virtual environment.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    /// Whether a process of this age may still launch another one in its place.
    pub may_launch: fn(&ProcessInfo, Duration) -> bool,
    /// Whether a process that the first one has started continues it.
    pub continues: fn(&ProcessInfo, &ProcessInfo) -> Continues,
}

/// The process to start.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The program: a path, or a name to look for on PATH.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its current directory, if not this program's.
    pub current_dir: Option<PathBuf>,
    /// Environment variables to set, or with `None` to remove.
    pub env: Vec<(OsString, Option<OsString>)>,
    /// Where its output goes.
    pub output: Output<'a>,
    /// Which terminal it sits at.
    pub console: Console,
    /// Open files that it inherits although children otherwise don't. Without meaning on Windows,
    /// see [`crate::LOCKS_ARE_INHERITED`].
    pub keep: Vec<&'a File>,
    /// Guards of the machine that it holds, too, until it ends.
    pub machine_guards: Vec<&'a MachineGuard>,
    /// On Windows: end it when this program ends, however that happens. What the child itself
    /// starts is free, unless `chain` says otherwise. Without meaning on Unix.
    pub end_with_parent: bool,
    /// The number by which it and all that it starts are found again whatever they do, see
    /// [`crate::inspect::with_marks`]. A component has one for each fleet.
    pub mark: Option<u64>,
    /// On Windows, with `end_with_parent`: what the child launches in its place ends with this program,
    /// too, holds the guards, and is waited for by [`crate::Relay::wait`]. Without meaning on Unix, where
    /// processes inherit what they hold.
    pub chain: Option<Chain>,
}

impl Spawn<'_> {
    /// A child like any other: it has this program's terminal, folder, environment and output, and
    /// nothing ends it.
    pub fn new(program: impl Into<OsString>, args: Vec<OsString>) -> Self {
        Self {
            program: program.into(),
            args,
            current_dir: None,
            env: Vec::new(),
            output: Output::Inherit,
            console: Console::Shared,
            keep: Vec::new(),
            machine_guards: Vec::new(),
            end_with_parent: false,
            mark: None,
            chain: None,
        }
    }

    /// Starts the child. Before it runs its first instruction, `created` is told who it is; if
    /// `created` fails, the child never runs and the error is returned.
    ///
    /// # Errors
    /// `NotFound`, with where the program was searched and what to write instead, or
    /// `PermissionDenied` if it can't be started, or what `created` returned.
    pub fn start(
        self,
        created: impl FnOnce(&Identity) -> io::Result<()> + Send,
    ) -> io::Result<Child> {
        let (identity, handle) = imp::spawn(&self, created).map_err(|error| {
            explained(error, &self.program, self.current_dir.as_deref(), &self.env)
        })?;
        Ok(Child { identity, handle })
    }
}

impl Spawn<'_> {
    /// Starts a child that is to outlive this program's session. On Windows it leaves the job that
    /// this program is in, where that job lets it: a session over SSH is a job that ends all in it.
    ///
    /// Also returns whether the child ends with the session all the same.
    ///
    /// # Errors
    /// As for [`Spawn::start`].
    pub fn start_detached(self) -> io::Result<(Child, bool)> {
        let ((identity, handle), ends_with_session) = imp::spawn_detached(&self)?;
        Ok((Child { identity, handle }, ends_with_session))
    }
}

/// A process that this program started.
#[derive(Debug)]
pub struct Child {
    identity: Identity,
    pub(crate) handle: imp::ChildHandle,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Code(i32),
    /// By this Unix signal.
    Signal(i32),
}

impl Child {
    /// Returns who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether it has got the [`Spawn::mark`] that it was to get. An administrator's limit can be in the
    /// way of it on Linux, a job or a sandbox on Windows.
    pub fn is_marked(&self) -> bool {
        self.handle.is_marked()
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn wait(&mut self) -> io::Result<Ended> {
        self.handle.wait()
    }
}

impl Ended {
    /// Returns the exit code that a shell would report: 128 + signal for an end by signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// Whether the process ended by itself and reported success.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Windows reports crashes as large numbers that are known by their hexadecimal form.
            Self::Code(code) if !(0..0x10000).contains(code) => write!(f, "exit code {code:#x}"),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

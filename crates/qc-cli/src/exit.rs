//! How a tool ends: its exit code, and what it says when it fails.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use qc_lock_core::LockError;
use qc_process::visible;

use crate::output::duration;

/// The exit codes of all tools. They are a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed, the message says what.
    Failed,
    /// 2: wrong usage or config.
    Usage,
    /// 3: something was found that should not be.
    Found,
    /// 4: cancelled at the prompt.
    Cancelled,
    /// 75: held by something that lives, or every start is forbidden.
    Held,
    /// 124: timed out.
    TimedOut,
    /// 126: the command can't be run.
    NotRunnable,
    /// 127: the command was not found.
    NotFound,
    /// 130: interrupted.
    Interrupted,
    /// The code of the command that was run, or the one asked for with `-E`.
    Code(i32),
}

impl Exit {
    /// Returns the number.
    pub fn code(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Found => 3,
            Self::Cancelled => 4,
            Self::Held => 75,
            Self::TimedOut => 124,
            Self::NotRunnable => 126,
            Self::NotFound => 127,
            Self::Interrupted => 130,
            Self::Code(code) => code,
        }
    }
}

/// Why a tool ends without having done its work.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: String,
}

impl Failure {
    /// Makes a failure with a message and the step to suggest.
    pub fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: hint.into() }
    }

    /// Makes a failure from an error and all that caused it.
    pub fn from_error(exit: Exit, error: &dyn Error, hint: impl Into<String>) -> Self {
        Self::new(exit, chain(error), hint)
    }

    /// Makes a failure that was reported already, or that can't be reported any more.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, "", "")
    }

    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the same failure with another exit code.
    pub fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Returns the step to suggest.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let exit = match &error {
            LockError::Held { .. } | LockError::Latched { .. } => Exit::Held,
            LockError::Latch { .. }
            | LockError::Directory { .. }
            | LockError::Guard { .. }
            | LockError::Record { .. }
            | LockError::Identity { .. }
            | LockError::History { .. } => Exit::Failed,
        };
        Self::from_error(exit, &error, error.hint())
    }
}

/// For output: a reader that went away ends the tool quietly.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::silent(Exit::Done);
        }
        Self::from_error(
            Exit::Failed,
            &error,
            "see whether the disk is full or the output is closed",
        )
    }
}

/// Reports on standard error what went wrong without keeping the tool from its work.
pub fn warn(error: &LockError) {
    warn_text(&describe(error));
}

/// The same for a text.
pub fn warn_text(text: &str) {
    // stderr is closed; ignore.
    let _ = writeln!(io::stderr(), "WARNING: {}", visible(text));
}

/// Puts an error, all that caused it and the step to suggest into one line.
pub fn describe(error: &LockError) -> String {
    format!("{}; {}", chain(error), error.hint())
}

/// Joins an error and all that caused it into one line.
pub fn chain(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(&format!(": {error}"));
        cause = error.source();
    }
    visible(&message)
}

/// Runs a tool, prints its failure to standard error, and ends the program with its exit code.
pub fn run_tool(name: &str, run: impl FnOnce(&mut dyn Write) -> Result<Exit, Failure>) -> ! {
    qc_process::reset_inherited();
    qc_process::helper::run_if_asked();
    // Not locked for the whole run: other threads of a tool print, too.
    let mut output = io::stdout();
    let result = run(&mut output).and_then(|exit| {
        output.flush()?;
        Ok(exit)
    });
    let exit = match result {
        Ok(exit) => exit,
        Err(failure) => {
            let mut errors = io::stderr();
            // Where standard error is closed, too, the exit code is all that can be said.
            let _ = failure.print(name, &mut errors);
            failure.exit
        }
    };
    qc_process::end_program(exit.code())
}

impl Failure {
    /// Prints message and hint with one write, so that those of several programs do not mix.
    fn print(&self, tool: &str, errors: &mut dyn Write) -> io::Result<()> {
        let mut text = String::new();
        if !self.message.is_empty() {
            text.push_str(&format!("{tool}: {}\n", visible_lines(&self.message)));
        }
        if !self.hint.is_empty() {
            text.push_str(&format!("hint: {}\n", visible_lines(&self.hint)));
        }
        errors.write_all(text.as_bytes())
    }
}

/// Says on standard error what is waited for, once a lock is waited for at all.
pub(crate) fn print_wait(error: &LockError, wait: Duration) {
    print_waiting(wait, &chain(error));
}

/// Says on standard error why something takes, and for how long at most.
pub fn print_waiting(wait: Duration, why: &str) {
    // Where standard error is closed, the wait goes on all the same.
    let _ = writeln!(io::stderr(), "waiting up to {}: {}", duration(wait), visible(why));
}

/// Writes what is waited for, for as long as it takes.
pub fn say_waiting_for(what: &str) {
    // Where standard error is closed, the wait goes on all the same.
    let _ = writeln!(io::stderr(), "waiting: {}", visible(what));
}

/// Returns `text` as [`visible`] lines: a message may be a list.
fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

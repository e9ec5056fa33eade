//! Where the programs are, and running one to its end.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use qc_process::identity_of;
use serde_json::Value;

use crate::deadline::Deadline;
use crate::lines::all_of;

/// A folder with the tools and the stand-in.
#[derive(Debug, Clone)]
pub struct Tools {
    dir: PathBuf,
    suffix: &'static str,
}

/// How a program ended and what it printed.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// Its standard output, with `\n` line ends.
    pub stdout: String,
    /// Its standard error, likewise.
    pub stderr: String,
}

impl Finished {
    /// Reads standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Tools {
    /// The tools as they are built for users.
    pub fn built(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), suffix: "" }
    }

    /// The copies that are built with the tests, next to the program at `neighbour`.
    pub fn of_tests(neighbour: &Path) -> Self {
        Self { dir: neighbour.parent().expect("a program lies in a folder").into(), suffix: "-dup" }
    }

    /// Returns the path of a tool.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}{}{EXE_SUFFIX}", self.suffix))
    }

    /// Returns the path of the stand-in.
    pub fn stand_in(&self) -> PathBuf {
        self.dir.join(format!("stand-in{EXE_SUFFIX}"))
    }

    /// Runs a tool in `dir` with `input` on its standard input.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        name: &str,
        args: &[S],
        dir: &Path,
        input: &str,
    ) -> Finished {
        let mut command = Command::new(self.tool(name));
        run(command.args(args).current_dir(dir), input)
    }
}

/// Puts a copy of a program at `to`. On Unix it is linked where that can be: a child that another
/// test starts while a copy is being written would hold it open, and a file open for writing can't
/// be run. Windows tells the first name of a linked program.
///
/// # Panics
/// If it can't be done.
pub fn copy_program(from: &Path, to: &Path) {
    if cfg!(windows) || fs::hard_link(from, to).is_err() {
        fs::copy(from, to)
            .unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
    }
}

/// Runs `command` to its end with `input` on its standard input, and nothing of this machine's
/// settings for the tools.
pub fn run(command: &mut Command, input: &str) -> Finished {
    without_settings(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        spawn(command).unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that refuses at once reads nothing.
        let _ = stdin.write_all(input.as_bytes());
    }
    let deadline = Deadline::of(identity_of(child.id()).into_iter().collect());
    let stdout = all_of(child.stdout.take().expect("it was set to a pipe above"));
    let stderr = all_of(child.stderr.take().expect("it was set to a pipe above"));
    let status = child.wait().expect("cannot wait");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    let finished = Finished {
        code: status.code().unwrap_or(-1),
        stdout: text(stdout()),
        stderr: text(stderr()),
    };
    deadline.met(&format!("{command:?}: {finished:?}"));
    finished
}

/// Starts `command`. Under load Wine now and then fails with an internal error of its own; nothing
/// has run then, so it is tried again, as the tools do.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    const INTERNAL_ERROR: i32 = 1359;
    for _ in 1..20 {
        match command.spawn() {
            Err(error) if cfg!(windows) && error.raw_os_error() == Some(INTERNAL_ERROR) => {
                thread::sleep(Duration::from_millis(50));
            }
            result => return result,
        }
    }
    command.spawn()
}

/// Takes this machine's settings for the tools away from `command`, except those that it was given.
pub(crate) fn without_settings(command: &mut Command) {
    for variable in ["QC_ROOT", "QC_LOCK_DIR", "QC_LOCK_TOKEN", "QC_COMPONENT", "NO_COLOR"] {
        if command.get_envs().all(|(name, _)| name != variable) {
            command.env_remove(variable);
        }
    }
}

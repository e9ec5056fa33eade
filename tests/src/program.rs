//! A program that runs beside the test.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use qc_process::{Child, Console, Ended, Identity, Output, Spawn};

use crate::deadline::{Deadline, kill};
use crate::lines::Lines;
use crate::{Tools, run};

/// The longest that anything may take here; slow machines and Wine included.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running program, at a console of its own; killed when dropped.
pub struct Program {
    identity: Identity,
    child: Option<Child>,
    lines: Lines,
}

impl Program {
    /// Starts a program in `dir`; each line it prints is also given to `echo`.
    pub fn start(
        program: &Path,
        args: &[&str],
        dir: &Path,
        env: &[(&str, &str)],
        echo: impl Fn(&str) + Send + 'static,
    ) -> Self {
        let (reader, writer) = io::pipe().expect("cannot make a pipe");
        let mut variables: Vec<(OsString, Option<OsString>)> =
            ["QC_ROOT", "QC_LOCK_DIR", "QC_LOCK_TOKEN", "QC_COMPONENT"]
                .map(|name| (name.into(), None))
                .into();
        variables.extend(env.iter().map(|(name, value)| (name.into(), Some(value.into()))));
        let spawn = Spawn {
            current_dir: Some(dir.into()),
            env: variables,
            output: Output::Pipe(&writer),
            console: Console::Own,
            ..Spawn::new(program, args.iter().map(OsString::from).collect())
        };
        let child = spawn
            .start(|_| Ok(()))
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        drop(writer);
        let lines = Lines::of(reader, echo);
        Self { identity: child.identity().clone(), child: Some(child), lines }
    }

    /// Returns who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Waits until it prints a line that holds `text`, and returns that line.
    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(text, |line| line.contains(text))
    }

    /// Waits until it prints a line that `wanted` accepts; `what` says what is awaited.
    pub fn wait_until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.lines.wait_for(what, TIMEOUT, wanted);
        found.unwrap_or_else(|| panic!("ended without `{what}`; seen: {:#?}", self.lines.seen()))
    }

    /// Waits until it ends; returns how, and all lines it has printed.
    pub fn finish(mut self) -> (Ended, Vec<String>) {
        let mut child = self.child.take().expect("finished once");
        let deadline = Deadline::of(vec![self.identity.clone()]);
        let ended = child.wait().expect("cannot wait");
        let lines = self.lines.finish();
        deadline.met(&format!("{lines:#?}"));
        (ended, lines)
    }

    /// Asks it to stop, as a user would with Ctrl-C or SIGTERM. The stand-in does it, because on
    /// Windows a test's own program can't visit other consoles.
    pub fn ask_to_stop(&self, tools: &Tools) {
        let Identity { pid, started, .. } = &self.identity;
        let mut ask = Command::new(tools.stand_in());
        let asked = run(ask.args(["ask", &pid.to_string(), &started.to_string()]), "");
        assert_eq!(asked.code, 0, "{asked:?}");
    }

    /// Kills it, as a crash would.
    pub fn kill(&self) {
        kill(&self.identity);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Only so that nothing is left behind. What plays a terminal can't be killed from here,
            // and ends by itself.
            if kill(&self.identity) {
                let _ = child.wait();
            }
        }
    }
}

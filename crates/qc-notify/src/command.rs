//! Telling a command, which gets the event on its standard input.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::process::{self, Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::worker::{DeliveryError, Transport};

/// How often a running command is looked at.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Command {
    program: OsString,
    args: Vec<OsString>,
    timeout: Duration,
}

impl Command {
    pub(crate) fn new(program: &OsStr, args: &[OsString], timeout: Duration) -> Self {
        Self { program: program.into(), args: args.to_vec(), timeout }
    }
}

impl Transport for Command {
    fn name(&self) -> String {
        let file = Path::new(&self.program).file_name().unwrap_or(&self.program);
        format!("the command {}", file.to_string_lossy())
    }

    fn deliver(&mut self, json: &str) -> Result<(), DeliveryError> {
        let failed = |reason: String, may_pass| DeliveryError { reason, may_pass };
        let path = std::env::var_os("PATH");
        let program = qc_process::find_program(&self.program, path.as_deref())
            .map_err(|error| failed(format!("it cannot be started: {error}"), false))?;
        let mut command = process::Command::new(program);
        command.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = qc_process::spawn_apart(&mut command)
            .map_err(|error| failed(format!("it cannot be started: {error}"), false))?;
        if let Some(mut input) = child.stdin.take() {
            // One that reads nothing may still do its work. The event is far shorter than a pipe.
            let _ = writeln!(input, "{json}");
        }
        match wait(&mut child, self.timeout) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(failed(format!("it ended with {status}"), true)),
            Ok(None) => {
                let seconds = self.timeout.as_secs_f32();
                Err(failed(format!("it was killed, as it took longer than {seconds} s"), true))
            }
            Err(error) => Err(failed(format!("it cannot be waited for: {error}"), false)),
        }
    }
}

/// Waits until the child ends, and kills it when it takes too long: `None`.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<process::ExitStatus>> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            // It may end by itself at this moment.
            let _ = child.kill();
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

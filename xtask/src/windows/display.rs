//! An invisible display, for programs with windows.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The environment variable that names a display for Windows programs.
pub(crate) const VARIABLE: &str = "QC_WINE_DISPLAY";

/// A display; one that was started here ends when dropped.
pub(crate) struct Display {
    name: OsString,
    server: Option<Child>,
}

impl Display {
    /// Takes the display that the environment names, else starts one; `None` if there is no Xvfb.
    ///
    /// # Errors
    /// If it starts and then does not work.
    pub(crate) fn start() -> Result<Option<Self>> {
        if let Some(name) = env::var_os(VARIABLE) {
            return Ok(Some(Self { name, server: None }));
        }
        let mut command = Command::new("Xvfb");
        // It chooses a free number, and tells it once it listens.
        command.args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "640x480x16"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = match command.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            spawned => spawned.context("cannot run Xvfb")?,
        };
        let output = server.stdout.take().expect("standard output was set to a pipe above");
        let mut display = Self { name: OsString::new(), server: Some(server) };
        let mut number = String::new();
        BufReader::new(output).read_line(&mut number).context("cannot read from Xvfb")?;
        ensure!(!number.trim().is_empty(), "Xvfb ended without a display; try `Xvfb -displayfd 1`");
        display.name = format!(":{}", number.trim()).into();
        Ok(Some(display))
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &OsString {
        &self.name
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // Where it has ended already, that is as good.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

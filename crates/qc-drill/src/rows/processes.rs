//! Listeners, terminals that are never touched, and a fleet from its start to its end.

use std::fs;

use qc_process::{Ended, Liveness, Process, StopError, listener, liveness};

use crate::child::run;
use crate::outcome::{Outcome, failed};
use crate::sandbox::Sandbox;
use qc_control::{MISSING, SETTLED};

/// The listener at a port is named.
pub(crate) fn port(sandbox: &Sandbox) -> Outcome {
    let part = sandbox.part(["listen".into()])?;
    let Ok(port) = part.word.parse() else { return failed("it listens nowhere") };
    let pid = part.identity().pid;
    match listener(port)?.map(|found| found.pid) {
        Some(Some(found)) if found == pid => Ok(format!("port {port} is that of PID {pid}")),
        Some(Some(found)) => failed(format!("port {port} of PID {pid} is said to be {found}'s")),
        Some(None) => failed("something listens there, and the system does not say who"),
        None => failed(format!("no listener is reported at port {port} of PID {pid}")),
    }
}

/// A program with a terminal's name is never stopped.
pub(crate) fn terminals(sandbox: &Sandbox) -> Outcome {
    let program = sandbox.folder("terminal")?.join("terminal64.exe");
    fs::copy(&sandbox.program, &program)?;
    let mut terminal = sandbox.part_of(&program, &[], ["sleep".into()])?;
    let refusal = match Process::open(terminal.identity()) {
        Err(error @ StopError::Terminal { .. }) => error.to_string(),
        Err(error) => return Err(error.into()),
        Ok(_) => return failed("a terminal could be opened, to be stopped"),
    };
    if liveness(terminal.identity()) != Liveness::Alive {
        return failed("the terminal has ended");
    }
    match terminal.dismiss()? {
        Ended::Code(0) => Ok(format!("it lives on: {refusal}")),
        ended => failed(format!("the terminal ended with {ended}")),
    }
}

/// A fleet starts, is told to stop, and every component cleans up and ends by itself.
pub(crate) fn fleet(sandbox: &Sandbox) -> Outcome {
    const NAMES: [&str; 2] = ["DRILL_ONE", "DRILL_TWO"];
    let root = sandbox.folder("fleet")?;
    let mut launcher = sandbox.launcher(&root, &NAMES)?;
    let mut said = String::new();
    loop {
        match launcher.line() {
            Ok(line) if line == SETTLED => break,
            Ok(line) if line.starts_with(MISSING) => return failed(said),
            Ok(line) => said = line,
            Err(_) => return failed(format!("qc-launch said last: {said}")),
        }
    }
    let (asked, lines) = run(&sandbox.program, &["stop"], &root)?;
    if !asked.success() {
        return failed(format!("`qc-launch stop` ended with {asked}: {}", lines.join(" ")));
    }
    let ended = launcher.end()?;
    if !ended.success() {
        return failed(format!("qc-launch ended with {ended}"));
    }
    match NAMES.iter().find(|name| !root.join(name).exists()) {
        Some(name) => failed(format!("{name} has not cleaned up")),
        None => {
            Ok("started by a launcher, stopped by `qc-launch stop`; every component cleaned up"
                .into())
        }
    }
}

//! Running in the background: the fleet is started by a copy of this program that stays, and this
//! one goes as soon as it is known how the start went.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};

use qc_cli::{Exit, Failure, Location};
use qc_process::{Console, Output, Spawn};

use crate::commands::last_words::LastWords;
use qc_control::{MISSING, SETTLED};

/// The flag that makes this program a copy that stays.
const STAY: &str = "--announce";

/// Where a job holds the copy, as that of a session over SSH may.
const HELD: &str = "this session ends all that was started in it, the background included, and does not let go of it; \
    start the fleet at log-on instead (`qc-launch autostart`)";

/// Starts the copy, shows what it says, and returns when the fleet is ready or won't be.
pub(crate) fn up(location: &Location, output: &mut dyn Write) -> Result<Exit, Failure> {
    let last_words = LastWords::from_now(location);
    let (reader, writer) = io::pipe()?;
    let mut args: Vec<OsString> =
        std::env::args_os().skip(1).filter(|word| word != "--detach").collect();
    args.push(STAY.into());
    let spawn = Spawn {
        program: std::env::current_exe()?.into(),
        args,
        current_dir: None,
        env: Vec::new(),
        output: Output::Pipe(&writer),
        // A session, or a console, of its own: this terminal's end is not its end.
        console: Console::Own,
        keep: Vec::new(),
        machine_guards: Vec::new(),
        end_with_parent: false,
        mark: None,
        chain: None,
    };
    let (mut child, ends_with_session) = spawn.start_detached()?;
    drop(writer);
    if ends_with_session {
        writeln!(io::stderr(), "WARNING: {HELD}")?;
    }
    let mut missing = Vec::new();
    for line in BufReader::new(reader).lines().map_while(Result::ok) {
        let line = line.trim_end();
        if line == SETTLED {
            let pid = child.identity().pid;
            return settled(pid, &missing, &last_words, output);
        }
        match line.strip_prefix(MISSING) {
            Some(one) => missing.push(one.to_owned()),
            None if line.starts_with('[') => writeln!(output, "{line}")?,
            // Its standard error comes through the same pipe.
            None => writeln!(io::stderr(), "{line}")?,
        }
    }
    // It has said why.
    Ok(Exit::Code(child.wait()?.code()))
}

fn settled(
    pid: u32,
    missing: &[String],
    last_words: &LastWords,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    if missing.is_empty() {
        writeln!(output, "The fleet is ready; qc-launch goes on in the background (PID {pid}).")?;
        writeln!(output, "`qc-launch status` shows it, `qc-launch stop` stops it.")?;
        return Ok(Exit::Done);
    }
    let lines: String = missing.iter().map(|one| last_words.of_missing(one)).collect();
    let message = format!(
        "the fleet is not complete; qc-launch goes on in the background (PID {pid}) without:{lines}"
    );
    let hint = "see orchestrator_logs; `qc-launch start NAME` tries again, `qc-launch stop` stops the rest";
    Err(Failure::new(Exit::Failed, message, hint))
}

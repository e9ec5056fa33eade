//! `qc-launch drill`: what `docs/WINDOWS.md` says of this system, tried out with this program's own
//! children in a folder that goes away.

#![forbid(unsafe_code)]

mod child;
mod outcome;
mod role;
mod rows;
mod sandbox;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::{ColorChoice, Exit, Failure, Text, Tone, print_json, table};
use serde::Serialize;

use outcome::{Miss, Outcome};
use rows::{Check, ROWS};
use sandbox::Sandbox;

pub use role::{ChildArgs, run_child};

/// The longest that a row may take. Each of its waits is shorter; this is for what is never to
/// happen.
const LONGEST: Duration = Duration::from_secs(90);

/// The command line of `qc-launch drill`.
#[derive(Debug, clap::Args)]
pub struct DrillArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// When to use colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorChoice,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    version: u32,
    system: &'static str,
    passed: usize,
    failed: usize,
    skipped: usize,
    rows: Vec<Row>,
}

/// One row, tried.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    result: &'static str,
    seen: String,
    seconds: f64,
}

/// Tries every row, and reports what was seen.
///
/// # Errors
/// If the temporary folder cannot be used.
pub fn run(args: &DrillArgs, output: &mut dyn Write) -> Result<Exit, Failure> {
    let sandbox = Arc::new(Sandbox::new()?);
    let rows: Vec<Row> = ROWS.iter().map(|(what, check)| tried(what, *check, &sandbox)).collect();
    let interrupted = sandbox.is_interrupted();
    let cleared = sandbox.clear();
    let count = |result| rows.iter().filter(|row| row.result == result).count();
    let (passed, failed, skipped) = (count("passed"), count("failed"), count("skipped"));
    if args.json {
        let system = std::env::consts::OS;
        print_json(output, &Report { version: 1, system, passed, failed, skipped, rows })?;
    } else {
        let cells = rows.into_iter().map(cells).collect();
        writeln!(output, "{}", table(&["RESULT", "WHAT", "SEEN"], cells, args.color))?;
        writeln!(output, "\n{passed} passed, {failed} failed, {skipped} skipped.")?;
    }
    cleared?;
    Ok(match failed {
        _ if interrupted => Exit::Interrupted,
        0 => Exit::Done,
        _ => Exit::Found,
    })
}

/// Tries one row, on a thread of its own so that nothing it waits for keeps the others from their
/// turn.
fn tried(what: &'static str, check: Check, sandbox: &Arc<Sandbox>) -> Row {
    let began = Instant::now();
    let outcome = if sandbox.is_interrupted() {
        Err(Miss::Skipped("interrupted before its turn".into()))
    } else {
        on_a_thread(what, check, Arc::clone(sandbox))
    };
    let (result, seen) = match outcome {
        Ok(seen) => ("passed", seen),
        Err(Miss::Failed(seen)) => ("failed", seen),
        Err(Miss::Skipped(seen)) => ("skipped", seen),
    };
    let millis = began.elapsed().as_millis();
    // A row takes seconds, which are exact here.
    Row { what, result, seen, seconds: u32::try_from(millis).map_or(0.0, f64::from) / 1000.0 }
}

fn on_a_thread(what: &'static str, check: Check, sandbox: Arc<Sandbox>) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let run = move || {
        let outcome = check(&sandbox);
        // Before the outcome is told: who gets it may take the ground apart.
        drop(sandbox);
        // The result of a row that came too late is dropped.
        let _ = sender.send(outcome);
    };
    thread::Builder::new().name(what.into()).spawn(run)?;
    match receiver.recv_timeout(LONGEST) {
        Ok(outcome) => outcome,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(Miss::Failed(format!("no end within {} s", LONGEST.as_secs())))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(Miss::Failed("the drill itself is broken here".into()))
        }
    }
}

fn cells(row: Row) -> Vec<Text> {
    let tone = match row.result {
        "passed" => Tone::Good,
        "failed" => Tone::Bad,
        _ => Tone::Warn,
    };
    vec![Text::new(row.result, tone), row.what.into(), row.seen.into()]
}

/// Says what went wrong with the drill's folder.
fn no_sandbox(error: &io::Error, path: &std::path::Path) -> Failure {
    let message = format!("cannot use the drill's folder {}: {error}", path.display());
    Failure::new(
        Exit::Failed,
        message,
        "see who may write there and whether the disk is full; TMP or TMPDIR name another place",
    )
}

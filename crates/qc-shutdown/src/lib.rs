//! `qc-shutdown`: stops the fleet gracefully and in a safe order.

#![forbid(unsafe_code)]

mod cli;
mod report;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use cli::Cli;
use qc_cli::{Answer, Exit, Failure, confirm, parse, print_json, run_tool, warn};
use qc_fleet::{Fleet, Outcome, Progress, Snapshot, StopPlan, Target, perform};
use qc_lock_core::{Event, LockDir};
use report::Report;

/// How often to look again for processes that were started while others were being stopped.
const ROUNDS: u32 = 3;

/// How long the wrappers of stopped processes may take to give back their locks.
const RECORDS: Duration = Duration::from_secs(3);

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc-shutdown", |output| run(&parse()?, output))
}

/// Returns the command line that the program takes, for completions and man pages.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

type Results = Vec<(Target, Outcome, Duration)>;

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let place = cli.place.resolve()?;
    let fleet = place.fleet()?;
    let locks = place.locks()?;
    let snapshot = Snapshot::take(&fleet, locks.list()?)?;
    let plan = StopPlan::everything(&snapshot);
    let mut report = Report::new(&plan, cli.dry_run);
    if !cli.json {
        report::write_plan(&plan, output)?;
    }
    let stop = !plan.is_empty() && !cli.dry_run;
    if stop && !cli.yes {
        ask()?;
    }
    if stop {
        let timeout = cli.timeout.unwrap_or(fleet.timing.stop_timeout);
        let results = stop_everything(&fleet, &locks, plan, timeout, &mut |progress| {
            // Where the reader has gone away, stopping goes on all the same.
            let _ = if cli.json { Ok(()) } else { report::write_progress(&progress, output) };
        })?;
        report.add_results(&results);
        tell(&locks, &results);
    }
    if !cli.dry_run {
        report.add_cleared(&clear_records(&fleet, &locks)?);
    }
    if cli.json {
        print_json(output, &report)?;
    } else {
        report.write_end(output)?;
    }
    Ok(if report.survived() { Exit::Failed } else { Exit::Done })
}

fn ask() -> Result<(), Failure> {
    let refused = |message: &str, hint: &str| Err(Failure::new(Exit::Cancelled, message, hint));
    match confirm("Type YES to stop them")? {
        Answer::Yes => Ok(()),
        Answer::No => {
            refused("cancelled, nothing was stopped", "type YES in capitals to stop the fleet")
        }
        Answer::Nobody => {
            refused("nobody answered, nothing was stopped", "use --yes where nobody can type YES")
        }
    }
}

/// Performs the plan, and what is found to be running afterwards: an orchestrator may have started
/// something just before it ended.
fn stop_everything(
    fleet: &Fleet,
    locks: &LockDir,
    mut plan: StopPlan,
    timeout: Duration,
    report: &mut dyn FnMut(Progress<'_>),
) -> Result<Results, Failure> {
    let mut results: Results = Vec::new();
    for _ in 0..ROUNDS {
        results.extend(perform(&plan, timeout, report));
        let snapshot = Snapshot::take(fleet, locks.list()?)?;
        let known =
            |target: &Target| results.iter().any(|(done, ..)| done.identity == target.identity);
        plan = StopPlan::everything(&snapshot).without(known);
        if plan.is_empty() {
            break;
        }
    }
    Ok(results)
}

/// One line of history for each process. Where that fails it fails for all, and is said once.
fn tell(locks: &LockDir, results: &Results) {
    let mut failure = None;
    for (target, outcome, took) in results {
        let (event, detail) = match outcome {
            Outcome::AlreadyGone => continue,
            Outcome::Stopped => {
                (Event::Stopped, format!("ended {:.1} s after it was asked", took.as_secs_f64()))
            }
            Outcome::Killed => {
                (Event::Killed, format!("did not end within {:.1} s", took.as_secs_f64()))
            }
            Outcome::Survived(reason) => (Event::Survived, reason.clone()),
        };
        let entry = locks.entry(event, &target.component).pid(Some(target.identity.pid));
        let told = locks.append(&entry.account(target.account.clone()).detail(detail));
        failure = failure.or(told.err());
    }
    if let Some(error) = &failure {
        warn(error);
    }
}

/// Clears the records of the fleet's locks whose holders have ended; a wrapper that is just ending
/// clears its own.
fn clear_records(fleet: &Fleet, locks: &LockDir) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> =
        fleet.components.iter().map(|component| component.name.to_string()).collect();
    names.push(fleet.orchestrator.to_string());
    let deadline = Instant::now() + RECORDS;
    let mut cleared = Vec::new();
    let mut history_error = None;
    loop {
        let result = locks.clear_dead(&names)?;
        cleared.extend(result.cleared.into_iter().map(|entry| entry.name));
        history_error = history_error.or(result.history_error);
        let is_left = result.kept.iter().any(|entry| !entry.state.is_live());
        if !is_left || Instant::now() >= deadline {
            for error in result.failed.iter().chain(&history_error) {
                warn(error);
            }
            return Ok(cleared);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

//! `qc-shutdown`: stops the fleet gracefully and in a safe order.

#![forbid(unsafe_code)]

mod cli;
mod display;
mod orchestrator;
mod records;
mod report;
mod sight;

use std::io::{self, BufWriter, Write};

use cli::Cli;
use display::Display;
use qc_cli::{Answer, Exit, Failure, confirm, parse, print_json, run_tool};
use qc_fleet::{Pace, Progress, Role, STOP_ORDER, Snapshot, StopPlan, Stopped, Stopping};
use qc_lock_core::LockDir;
use report::Report;
use sight::Sight;

/// How often to look again for processes that were started while others were being stopped.
const LOOKS: u32 = 5;

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc-shutdown", |output| {
        let mut output = BufWriter::new(output);
        let exit = run(&parse()?, &mut output)?;
        output.flush()?;
        Ok(exit)
    })
}

/// Returns the command line that the program takes, for completions and man pages.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let place = cli.place.resolve()?;
    let locks = place.locks()?;
    let mut sight = Sight::new(&place, &locks, cli)?;
    let trouble = sight.trouble.as_ref().map(|failure| failure.message().to_owned());
    let (snapshot, plan) = sight.look()?;
    sight.check(&snapshot)?;
    let mut report = Report::new(&plan, &snapshot, trouble.as_deref(), cli.dry_run);
    if !cli.json {
        let latch = cli.latch.as_deref();
        report::write_plan(&plan, &snapshot, trouble.as_deref(), latch, output)?;
    }
    if !cli.dry_run {
        let acts = !plan.is_empty() || cli.latch.is_some();
        if acts && !cli.yes {
            output.flush()?;
            // Without its config a fleet is nothing that anybody has asked to stop.
            ask(&plan).map_err(|cancelled| sight.trouble.take().unwrap_or(cancelled))?;
        }
        let latched = latch(cli, &locks);
        let mut results = Vec::new();
        let mut snapshots = vec![snapshot];
        if !plan.is_empty() {
            let shown: Option<&mut dyn Write> = if cli.json { None } else { Some(&mut *output) };
            let mut display = Display::new(shown, plan.targets().count());
            let done = stop_everything(&sight, &locks, &plan, &mut snapshots, &mut display)?;
            report.interrupted = done.interrupted;
            results = done.results;
        }
        report.add_results(&results);
        report.cleared = records::clear(&sight.fleet, &locks, &snapshots, &results)?;
        report.latch = locks.latch();
        finish(cli, &report, output)?;
        latched?;
    } else {
        report.latch = locks.latch();
        finish(cli, &report, output)?;
    }
    if report.interrupted {
        return Ok(Exit::Interrupted);
    }
    match sight.trouble.take() {
        Some(trouble) if report.has_results() => {
            let hint = "correct the file before the next start; what is listed above was stopped";
            Err(Failure::new(trouble.exit(), trouble.message(), hint))
        }
        Some(trouble) => Err(trouble),
        None if report.is_left() => Ok(Exit::Failed),
        None => Ok(Exit::Done),
    }
}

fn finish(cli: &Cli, report: &Report, output: &mut dyn Write) -> Result<(), Failure> {
    if cli.json { print_json(output, report) } else { Ok(report.write_end(output)?) }
}

/// Forbids every start, if that is wanted. Where it can't be done, what runs is stopped all the
/// same, and the failure is told at the end.
fn latch(cli: &Cli, locks: &LockDir) -> Result<(), Failure> {
    let Some(reason) = &cli.latch else { return Ok(()) };
    locks.set_latch(reason)?;
    Ok(())
}

fn ask(plan: &StopPlan) -> Result<(), Failure> {
    let refused = |message: &str, hint: &str| Err(Failure::new(Exit::Cancelled, message, hint));
    let question = match plan.is_empty() {
        true => "Type YES to forbid every start",
        false => "Type YES to stop them",
    };
    match confirm(question)? {
        Answer::Yes => Ok(()),
        Answer::No => {
            refused("cancelled, nothing was stopped", "type YES in capitals to stop the fleet")
        }
        Answer::Nobody => {
            refused("nobody answered, nothing was stopped", "use --yes where nobody can type YES")
        }
    }
}

/// What came of stopping.
struct Done {
    results: Vec<Stopped>,
    interrupted: bool,
}

/// Performs the plan, and stops what is found to be running after each stage: something may have
/// been started while the others were being stopped.
fn stop_everything(
    sight: &Sight<'_>,
    locks: &LockDir,
    plan: &StopPlan,
    snapshots: &mut Vec<Snapshot>,
    display: &mut Display<'_>,
) -> Result<Done, Failure> {
    let began = chrono::Local::now();
    let mut show = |progress: Progress<'_>| display.show(&progress);
    let mut stopping = Stopping::new(&mut show)?;
    // An interrupt before the next step ends this program, which has not asked anybody yet.
    stopping.add(plan.targets());
    qc_process::on_interrupt({
        let interrupt = stopping.interrupter();
        move |_| interrupt()
    })?;
    let obeyed = orchestrator::stop(&mut stopping, plan, locks.path(), &mut |warning| {
        // Where standard error is closed, nobody wants to know.
        let _ = writeln!(io::stderr(), "WARNING: {warning}");
    });
    let mut look_again = |stopping: &mut Stopping<'_>| match sight.look() {
        Ok((snapshot, again)) => {
            stopping.add(again.targets());
            snapshots.push(snapshot);
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "WARNING: {}", error.message());
        }
    };
    if plan.stages.first().is_some_and(|stage| stage.role == Role::Orchestrator) {
        // It may have started something just before it ended.
        look_again(&mut stopping);
    }
    for turn in 1..=STOP_ORDER.len() {
        let roles = &STOP_ORDER[..turn];
        for _ in 0..LOOKS {
            if stopping.is_interrupted() || !roles.iter().any(|&role| stopping.has(role)) {
                break;
            }
            for &role in roles {
                let is_orchestrator = role == Role::Orchestrator;
                stopping.stop(role, if is_orchestrator { Pace::Fleet } else { Pace::Full });
            }
            look_again(&mut stopping);
        }
    }
    let interrupted = stopping.is_interrupted();
    let mut results = stopping.finish();
    let told = match obeyed.is_empty() {
        true => Vec::new(),
        false => records::learn(locks, &obeyed, began, &mut results),
    };
    records::tell(locks, &results, &told);
    Ok(Done { results, interrupted })
}

//! Runs all tests as Windows programs, counts them, and ends a run that hangs.

mod output;

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use self::output::{Counts, Run, WINE_FAILED, pass_on, read};
use super::display::{self, Display};
use super::{
    PREFIX, cannot_start, cargo, finish, python, script, second_prefix, set_up, windows_path,
};

/// Longer than any test takes on a slow machine: a run that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(420);

/// The modules whose tests run in a second prefix beside all the rest: about half the time of the whole.
const BESIDE: &[&str] = &[
    "blocked",
    "conformance",
    "fleet",
    "left_over",
    "lock_dir_faults",
    "machine",
    "shutdown",
    "supervise",
];

/// Runs them, with further arguments of `cargo test`. All of them run in two prefixes side by side:
/// most tests wait, and Wine's server is one thread. A run that hangs is ended. If Wine itself had
/// failed in a run that hung or failed, the tests that failed run once more, or all of them where
/// the first run does not show which these are.
///
/// # Errors
/// If a test fails, or hangs.
pub(super) fn run(args: &[OsString]) -> Result<()> {
    let mut environment: Vec<(&str, OsString)> = Vec::new();
    let mut shown = None;
    if !cfg!(windows) {
        set_up()?;
        shown = Display::start()?;
        environment.extend(shown.as_ref().map(|one| (display::VARIABLE, one.name().into())));
        if env::var_os("QC_TEST_PYTHON").is_none()
            && let Some(python) = python()
        {
            environment.push(("QC_TEST_PYTHON", windows_path(&python).into()));
        }
        // A compiler may be silent for long.
        finish(cargo("test").args(["--workspace", "--no-run"]))?;
    }
    let lanes = lanes(args, &environment)?;
    let runs: Vec<Result<Run>> = thread::scope(|scope| {
        let begun: Vec<_> = lanes.iter().map(|lane| scope.spawn(|| lane.run())).collect();
        begun.into_iter().map(|lane| lane.join().expect("it does not panic")).collect()
    });
    drop(shown);
    let runs = runs.into_iter().collect::<Result<Vec<Run>>>()?;
    let mut counts = Counts::default();
    runs.iter().for_each(|run| counts += run.counts);
    let Counts { passed, failed, ignored } = counts;
    println!("Windows tests: {passed} passed, {failed} failed, {ignored} ignored");
    let slow: Vec<&str> = runs.iter().flat_map(|run| &run.slow).map(String::as_str).collect();
    ensure!(
        !runs.iter().any(|run| run.is_hung),
        "the tests said nothing for {SILENCE:?}, and were ended; these had begun: {}",
        slow.join(", ")
    );
    ensure!(
        runs.iter().all(Run::has_passed),
        "tests have failed, see above; with `-- --no-fail-fast` all run in spite of a failure"
    );
    Ok(())
}

/// Returns what runs side by side: all tests in two parts, or what `args` select in one.
fn lanes(args: &[OsString], environment: &[(&'static str, OsString)]) -> Result<Vec<Lane>> {
    let all = |args: &[OsString]| Lane {
        args: args.to_vec(),
        filters: Vec::new(),
        environment: environment.to_vec(),
    };
    let is_whole = args.iter().all(|arg| arg == "--no-fail-fast");
    if cfg!(windows) || !is_whole {
        return Ok(vec![all(args)]);
    }
    let prefix = second_prefix()?;
    let modules = BESIDE.iter().map(|module| OsString::from(format!("{module}::")));
    let mut beside = all(args);
    beside.filters = modules.clone().collect();
    beside.environment.push((PREFIX, prefix));
    let mut rest = all(args);
    rest.filters = modules.flat_map(|module| ["--skip".into(), module]).collect();
    Ok(vec![rest, beside])
}

/// Tests that run in one prefix.
struct Lane {
    /// Further arguments of the user.
    args: Vec<OsString>,
    /// Says to the test programs which tests.
    filters: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

impl Lane {
    /// Runs them, and again what failed with Wine itself.
    fn run(&self) -> Result<Run> {
        let (first_args, _) = split_at_dashes(&self.args);
        let mut tests = self.command(&self.args);
        if !self.filters.is_empty() {
            tests.arg("--").args(&self.filters);
        }
        let run = self.run_once(&mut tests)?;
        if !run.wine_failed || run.has_passed() {
            return Ok(run);
        }
        let is_complete = first_args.iter().any(|arg| arg == "--no-fail-fast");
        if !is_complete || !run.shows_all_failures() {
            println!("Wine itself failed (`{WINE_FAILED}`, see above): all tests run again.");
            return self.run_once(&mut tests);
        }
        let failed = run.failed.join(", ");
        println!("Wine itself failed (`{WINE_FAILED}`, see above): these run again: {failed}");
        let mut again = self.command(first_args);
        let mut second = self.run_once(again.args(["--", "--exact"]).args(&run.failed))?;
        second.counts.passed += run.counts.passed;
        Ok(second)
    }

    fn command(&self, args: &[OsString]) -> Command {
        let mut tests = cargo("test");
        tests.arg("--workspace").args(args).envs(self.environment.iter().cloned());
        tests
    }

    fn run_once(&self, tests: &mut Command) -> Result<Run> {
        tests.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tests.spawn().with_context(|| cannot_start(tests))?;
        let (sender, lines) = mpsc::channel();
        read(child.stdout.take().expect("it was set to a pipe above"), sender.clone());
        read(child.stderr.take().expect("it was set to a pipe above"), sender);
        let silence = if cfg!(windows) { Duration::MAX } else { SILENCE };
        let mut run = pass_on(&lines, silence, io::stdout())?;
        if run.is_hung {
            let mut stop = script("cargo-windows.sh");
            finish(stop.arg("stop").envs(self.environment.iter().cloned()))?;
            let rest = pass_on(&lines, silence, io::stdout())?;
            run.counts += rest.counts;
            if rest.is_hung {
                child.kill()?;
            }
        }
        run.is_success = child.wait()?.success();
        Ok(run)
    }
}

/// Splits the arguments of `cargo test` into those of cargo and those of the test programs.
fn split_at_dashes(args: &[OsString]) -> (&[OsString], &[OsString]) {
    match args.iter().position(|arg| arg == "--") {
        Some(dashes) => (&args[..dashes], &args[dashes + 1..]),
        None => (args, &[]),
    }
}

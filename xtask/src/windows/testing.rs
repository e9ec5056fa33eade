//! Runs all tests as Windows programs, counts them, and ends a run that hangs.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::display::{self, Display};
use super::{
    PREFIX, cannot_start, cargo, finish, python, script, second_prefix, set_up, windows_path,
};

/// Longer than any test takes on a slow machine: a run that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(420);

/// Wine's message when a thread of a program can't reach Wine's server. Where that is because the
/// program is just ending (`sendmsg: Bad file descriptor`), its process now and then stays for
/// ever, with all its open files.
const WINE_FAILED: &str = "wine client error";

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

/// The result of a run of the tests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    counts: Counts,
    /// Which take long, and have not ended.
    slow: Vec<String>,
    /// The names of the tests that failed.
    failed: Vec<String>,
    /// How many test programs have begun and not reported a result.
    unfinished: i64,
    wine_failed: bool,
    is_hung: bool,
    is_success: bool,
}

/// Sends each line of `input`.
fn read(input: impl Read + Send + 'static, lines: Sender<Vec<u8>>) {
    thread::spawn(move || {
        let mut input = BufReader::new(input);
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if lines.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
}

/// Copies lines to `output` as they come, and sums up what is in them, until they end or there is
/// none for as long as `silence`.
fn pass_on(
    lines: &Receiver<Vec<u8>>,
    silence: Duration,
    mut output: impl io::Write,
) -> io::Result<Run> {
    let mut run = Run::default();
    loop {
        match lines.recv_timeout(silence) {
            Ok(line) => {
                output.write_all(&line)?;
                output.flush()?;
                run.count(&String::from_utf8_lossy(&line));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(run),
            Err(RecvTimeoutError::Timeout) => {
                run.is_hung = true;
                return Ok(run);
            }
        }
    }
}

impl Run {
    fn has_passed(&self) -> bool {
        self.is_success && !self.is_hung && self.counts.failed == 0
    }

    /// Takes notice of what a line says.
    fn count(&mut self, line: &str) {
        const SLOW: &str = " has been running for over ";
        self.counts += Counts::from_line(line);
        self.unfinished += i64::from(line.starts_with("running ") && line.contains(" test"));
        self.unfinished -= i64::from(line.starts_with("test result: "));
        self.wine_failed |= line.contains(WINE_FAILED);
        let Some((_, test)) = line.split_once("test ") else { return };
        if let Some((name, _)) = test.split_once(SLOW) {
            self.slow.push(name.to_owned());
        } else if let Some((name, outcome)) = test.split_once(" ... ") {
            self.slow.retain(|slow| slow != name);
            if outcome.trim_end() == "FAILED" {
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Returns whether each failure is one of a named test: none hung, and none of the programs
    /// ended before its last test.
    fn shows_all_failures(&self) -> bool {
        !self.is_hung
            && self.unfinished == 0
            && self.counts.failed > 0
            && self.counts.failed == self.failed.len() as u64
    }
}

/// Splits the arguments of `cargo test` into those of cargo and those of the test programs.
fn split_at_dashes(args: &[OsString]) -> (&[OsString], &[OsString]) {
    match args.iter().position(|arg| arg == "--") {
        Some(dashes) => (&args[..dashes], &args[dashes + 1..]),
        None => (args, &[]),
    }
}

/// How many tests ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ...`; counts nothing in other lines.
    fn from_line(line: &str) -> Self {
        let mut counts = Self::default();
        let Some(result) = line.strip_prefix("test result: ") else { return counts };
        for part in result.split(['.', ';']) {
            let Some((number, word)) = part.trim().split_once(' ') else { continue };
            let number = number.parse().unwrap_or(0);
            match word {
                "passed" => counts.passed = number,
                "failed" => counts.failed = number,
                "ignored" => counts.ignored = number,
                _ => {}
            }
        }
        counts
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text, as they are read.
    fn lines(text: &'static str) -> Receiver<Vec<u8>> {
        let (sender, lines) = mpsc::channel();
        read(text.as_bytes(), sender);
        lines
    }

    #[test]
    fn results_are_summed_and_passed_on() {
        let output = "running 3 tests\r\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s\r\n\
            not a test result: ok. 9 passed; \u{fffd}\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n\
            no line end";
        let mut copy = Vec::new();
        let run = pass_on(&lines(output), Duration::MAX, &mut copy).unwrap();
        assert_eq!(run.counts, Counts { passed: 4, failed: 2, ignored: 1 });
        assert!(!run.is_hung && !run.wine_failed);
        assert_eq!(copy, output.as_bytes());
    }

    #[test]
    fn failures_are_repeated_by_name_only_if_all_of_them_have_one() {
        let run = |text| pass_on(&lines(text), Duration::MAX, io::sink()).unwrap();
        let one = "running 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\n";
        let failed = "test result: FAILED. 1 passed; 1 failed; 0 ignored\n";
        let whole: &'static str = format!("{one}{failed}").leak();
        assert_eq!(run(whole).failed, ["a::c"]);
        assert!(run(whole).shows_all_failures());
        let crashed: &'static str = format!("{one}{one}{failed}").leak();
        assert!(!run(crashed).shows_all_failures());
        let unnamed: &'static str = format!("running 1 test\n{failed}").leak();
        assert!(!run(unnamed).shows_all_failures());
    }

    #[test]
    fn a_run_that_hangs_names_what_had_begun() {
        let (sender, lines) = mpsc::channel();
        for line in [
            "test a::slow has been running for over 60 seconds\n",
            "test b::hung has been running for over 60 seconds\n",
            "wine client error:4a8: test c::quick ... ok\n",
            "test a::slow ... ok\n",
        ] {
            sender.send(line.into()).unwrap();
        }
        let run = pass_on(&lines, Duration::from_millis(1), io::sink()).unwrap();
        assert_eq!(run.slow, ["b::hung"]);
        assert!(run.is_hung && run.wine_failed);
    }
}

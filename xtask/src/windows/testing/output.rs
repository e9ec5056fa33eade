//! The output of a run of the tests: passed on as it comes, and summed up.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::AddAssign;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Wine's message when a thread of a program can't reach Wine's server. Where that is because the
/// program is just ending (`sendmsg: Bad file descriptor`), its process now and then stays for
/// ever, with all its open files.
pub(super) const WINE_FAILED: &str = "wine client error";

/// The result of a run of the tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) counts: Counts,
    /// Which take long, and have not ended.
    pub(super) slow: Vec<String>,
    /// The names of the tests that failed.
    pub(super) failed: Vec<String>,
    /// How many test programs have begun and not reported a result.
    pub(super) unfinished: i64,
    pub(super) wine_failed: bool,
    pub(super) is_hung: bool,
    pub(super) is_success: bool,
}

/// Sends each line of `input`.
pub(super) fn read(input: impl Read + Send + 'static, lines: Sender<Vec<u8>>) {
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
pub(super) fn pass_on(
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
    pub(super) fn has_passed(&self) -> bool {
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
    pub(super) fn shows_all_failures(&self) -> bool {
        !self.is_hung
            && self.unfinished == 0
            && self.counts.failed > 0
            && self.counts.failed == self.failed.len() as u64
    }
}

/// How many tests ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
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
    use std::sync::mpsc;

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

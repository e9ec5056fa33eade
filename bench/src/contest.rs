//! Many programs released at once, of which one may win.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context, Result, bail, ensure};
use qc_process::{Process, identity_of, wait_any};

/// The exit code of a program that was refused.
const REFUSED: i32 = 75;

/// The longest that a round may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where contenders stand until all are there: a FIFO without a writer.
pub(super) struct Contest {
    gate: PathBuf,
    contenders: usize,
}

/// Started contenders; what is left of them is killed when dropped.
struct Crowd(Vec<Child>);

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Both only so that nothing is left behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Contest {
    pub(super) fn new(dir: &Path, contenders: usize) -> Result<Self> {
        let gate = dir.join("gate");
        let made = Command::new("mkfifo").arg(&gate).status().context("cannot run mkfifo")?;
        ensure!(made.success(), "mkfifo failed");
        Ok(Self { gate, contenders })
    }

    /// Lets as many contend as there are, each running `program`, which must hold what it wins
    /// until its standard input ends; returns how long it took until all but one were refused.
    pub(super) fn round(&self, program: &[String]) -> Result<Duration> {
        let (output, output_end) = io::pipe()?;
        let (input_end, input) = io::pipe()?;
        let mut crowd = Crowd(Vec::with_capacity(self.contenders));
        for _ in 0..self.contenders {
            let mut contender = Command::new("sh");
            contender.args(["-c", "echo; exec 3<\"$0\"; exec \"$@\""]).arg(&self.gate);
            contender.args(program).stdin(input_end.try_clone()?).stdout(output_end.try_clone()?);
            crowd.0.push(contender.stderr(Stdio::null()).spawn().context("cannot start sh")?);
        }
        drop((output_end, input_end));
        let mut lines = BufReader::new(output).lines();
        for _ in 0..self.contenders {
            lines.next().context("a contender ended before the start")??;
        }
        let processes: Vec<Process> = crowd
            .0
            .iter()
            .map(|child| Process::open(&identity_of(child.id())?)?.context("it has ended"))
            .collect::<Result<_>>()?;

        let began = Instant::now();
        let gate = fs::OpenOptions::new().write(true).open(&self.gate)?;
        let mut left: Vec<&Process> = processes.iter().collect();
        while left.len() > 1 {
            let ended = wait_any(&left, TIMEOUT)?;
            ensure!(!ended.is_empty(), "{} still run: more than one has won", left.len());
            for position in ended.into_iter().rev() {
                left.remove(position);
            }
        }
        let took = began.elapsed();
        drop(gate);

        // The winner gives back what it has won.
        drop(input);
        let mut winners = 0;
        for child in &mut crowd.0 {
            match child.wait()?.code() {
                Some(0) => winners += 1,
                Some(REFUSED) => {}
                other => bail!("a contender ended with {other:?}"),
            }
        }
        ensure!(winners == 1, "{winners} have won");
        Ok(took)
    }
}

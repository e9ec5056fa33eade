//! Stopping: `qc-shutdown` beside a C program that signals all and polls, and beside the loop of
//! the script that qc replaces.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{compile, keep, machine, median, python_with, release, time, version};

/// The time that the stubborn get.
const GRACE: Duration = Duration::from_secs(1);

/// How many stubborn ones there are.
const STUBBORN: usize = 10;

/// The time that `qc-shutdown` may take beyond the grace with stubborn processes.
const SPARE: Duration = Duration::from_millis(50);

/// The limit, as a multiple of the time that the C programs for listing and for stopping take
/// together.
const GOAL: f64 = 1.3;

/// How the old tool stopped: one after the other.
const PSUTIL: &str = "import sys, psutil\n\
    grace = float(sys.argv[1])\n\
    for pid in sys.stdin.read().split():\n    \
    try:\n        \
    process = psutil.Process(int(pid))\n        \
    process.terminate()\n        \
    try:\n            \
    process.wait(grace)\n        \
    except psutil.TimeoutExpired:\n            \
    process.kill()\n    \
    except psutil.NoSuchProcess:\n        \
    pass\n";

/// Starts processes and collects them when they end, as the system would: otherwise those that
/// have ended would still be there.
const START: &str =
    "i=0; while [ $i -lt $1 ]; do ./python BRAIN_$i.py $2 & echo $!; i=$((i+1)); done; echo; wait";

pub(crate) fn run(counts: &[usize], rounds: usize) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "the C program uses pidfds, so this runs on Linux");
    let dir = crate::workspace().join("target/bench");
    fs::create_dir_all(&dir)?;
    let bench = Bench {
        qc_shutdown: release("qc-shutdown")?,
        list: compile("list.c", &dir, &[])?,
        stop: compile("stop.c", &dir, &[])?,
        sleeper: compile("sleeper.c", &dir, &["-static"])?,
        psutil: python_with(&dir, "psutil"),
    };
    let mut text = format!(
        "`cargo xtask bench shutdown`: {rounds} rounds on {}. {}.\n\n\
         *C* is `list.c`, which finds the processes, and then `stop.c`, which gets their pids, sends SIGINT to all and polls their pidfds. *psutil* is the loop of the old tool\n\
         with their pids and a grace of {} s instead of its 10. `qc-shutdown --yes` finds them, plans, stops, checks again, and writes the history. Measured until the last process has ended.\n\n\
         | processes | program | median | ratio to C |\n| --- | --- | ---: | ---: |\n",
        machine(),
        bench.versions(),
        GRACE.as_secs(),
    );
    let mut missed = Vec::new();
    let cases = counts.iter().map(|&count| (count, false)).chain([(STUBBORN, true)]);
    for (count, stubborn) in cases {
        let rows = bench.measure(count, stubborn, rounds)?;
        let what = if stubborn { format!("{count} stubborn") } else { count.to_string() };
        for (name, seconds, ratio) in &rows {
            let line = format!("| {what} | {name} | {:.1} ms | {ratio:.2} |\n", seconds * 1000.0);
            print!("{line}");
            text.push_str(&line);
        }
        let own = rows.iter().find(|row| row.0.contains("qc-shutdown")).context("not measured")?;
        let limit = (GRACE + SPARE).as_secs_f64();
        if stubborn && own.1 > limit {
            missed.push(format!(
                "{what}: {:.0} ms instead of {:.0}",
                own.1 * 1000.0,
                limit * 1000.0
            ));
        } else if !stubborn && own.2 > GOAL {
            missed.push(format!("{what}: {:.2} instead of {GOAL}", own.2));
        }
    }
    text.push_str(&format!(
        "\nGoals: at most {GOAL} times C; {STUBBORN} stubborn ones with a grace of {} s at most {} ms more than that. ",
        GRACE.as_secs(),
        SPARE.as_millis()
    ));
    text.push_str(&match missed.is_empty() {
        true => "Both are met.".to_owned(),
        false => format!("Missed: {}.", missed.join("; ")),
    });
    if let Err(error) = &bench.psutil {
        text.push_str(&format!("\n\nNot measured: psutil, because {error:#}."));
    }
    println!("{text}");
    keep("Stopping", &text)
}

struct Bench {
    qc_shutdown: PathBuf,
    list: PathBuf,
    stop: PathBuf,
    sleeper: PathBuf,
    psutil: Result<PathBuf>,
}

impl Bench {
    /// Returns name, median in seconds, and ratio for each program.
    fn measure(
        &self,
        count: usize,
        stubborn: bool,
        rounds: usize,
    ) -> Result<Vec<(String, f64, f64)>> {
        let (mut c, mut own, mut old) = (Vec::new(), Vec::new(), Vec::new());
        let grace = GRACE.as_secs().to_string();
        for _ in 0..rounds {
            let fleet = Sleepers::start(&self.sleeper, count, stubborn)?;
            let listing = time(Command::new(&self.list).arg(".py"))?;
            let mut stop = Command::new(&self.stop);
            c.push(listing + fleet.stopped_by(stop.arg(GRACE.as_millis().to_string()))?);

            let fleet = Sleepers::start(&self.sleeper, count, stubborn)?;
            let mut stop = Command::new(&self.qc_shutdown);
            stop.args(["--yes", "--timeout"]).arg(format!("{grace}s")).current_dir(&fleet.root);
            own.push(fleet.stopped_by(stop.env_remove("QC_ROOT").env_remove("QC_LOCK_DIR"))?);

            if let Ok(python) = &self.psutil {
                let fleet = Sleepers::start(&self.sleeper, count, stubborn)?;
                let mut stop = Command::new(python);
                old.push(fleet.stopped_by(stop.args(["-c", PSUTIL, &grace]))?);
            }
        }
        let rows = [("C", &c), ("`qc-shutdown`", &own), ("psutil", &old)];
        let seconds = |times: &[Duration]| times.iter().map(Duration::as_secs_f64).collect();
        let rows = rows.into_iter().filter(|(_, times)| !times.is_empty()).map(|(name, times)| {
            let ratios = times.iter().zip(&c).map(|(own, c)| own.as_secs_f64() / c.as_secs_f64());
            (name.to_owned(), median(seconds(times)), median(ratios.collect()))
        });
        Ok(rows.collect())
    }

    fn versions(&self) -> String {
        let mut versions = vec![version("rustc", &["--version"]), version("cc", &["--version"])];
        if let Ok(python) = &self.psutil {
            let question = "import sys, psutil; print('Python', sys.version.split()[0] + ', psutil', psutil.__version__)";
            versions.push(version(&python.to_string_lossy(), &["-c", question]));
        }
        versions.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Processes that look like brains of the fleet in `root`.
struct Sleepers {
    root: PathBuf,
    _dir: tempfile::TempDir,
    starter: Child,
    pids: String,
}

impl Sleepers {
    fn start(sleeper: &Path, count: usize, stubborn: bool) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = dir.path().to_path_buf();
        fs::write(root.join("MASTER_CONFIG.json"), r#"{"ACCOUNTS": {}}"#)?;
        fs::copy(sleeper, root.join("python"))?;
        let mut start = Command::new("sh");
        start.args(["-c", START, "sh"]).arg(count.to_string());
        start.arg(if stubborn { "--stubborn" } else { "" });
        start.current_dir(&root).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut starter = start.spawn().context("cannot start sh")?;
        let output = starter.stdout.take().context("its output is a pipe")?;
        let mut pids = String::new();
        for line in BufReader::new(output).lines() {
            let line = line?;
            if line.is_empty() {
                break;
            }
            pids.push_str(&line);
            pids.push('\n');
        }
        ensure!(pids.lines().count() == count, "not all were started");
        // Each has to have become the sleeper before it can be known as one.
        for pid in pids.lines() {
            let command = format!("/proc/{pid}/cmdline");
            while !fs::read_to_string(&command)?.starts_with("./python") {
                std::thread::yield_now();
            }
        }
        Ok(Self { root, _dir: dir, starter, pids })
    }

    /// Lets `command` stop them, and returns how long that took. Fast and wrong is worth nothing.
    fn stopped_by(mut self, command: &mut Command) -> Result<Duration> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let mut stop = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let mut input = stop.stdin.take().context("its input is a pipe")?;
        // A program that finds them itself reads nothing.
        let _ = input.write_all(self.pids.as_bytes());
        drop(input);
        // The shell collects them all: it ends with the last. What a tool does afterwards, such as to
        // look once more before it says that nothing is left, stops nothing sooner.
        self.starter.wait()?;
        let took = began.elapsed();
        let status = stop.wait()?;
        ensure!(status.success(), "{command:?} ended with {status}");
        Ok(took)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for pid in self.pids.lines().filter_map(|pid| pid.parse().ok()) {
            let Ok(identity) = qc_process::identity_of(pid) else { continue };
            let here = qc_process::describe(pid).ok().flatten();
            if here.is_some_and(|one| one.current_dir.as_deref() == Some(&*self.root))
                && let Ok(Some(process)) = qc_process::Process::open(&identity)
            {
                let _ = process.kill();
            }
        }
        let _ = self.starter.wait();
    }
}

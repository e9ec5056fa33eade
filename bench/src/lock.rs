//! Locks: taking and releasing one in a program, running a command under one, and many who
//! contend for one, beside C programs and `flock`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::contest::Contest;
use super::{compile, keep, machine, median, release, time, version};

/// How often a program takes and releases a lock before it says how long one round took.
const REPEATS: &str = "1000";

/// A record of an ended process.
const STALE: &str = r#"{"pid": 4000000, "name": "X", "account": null, "timestamp": "2026-01-02T03:04:05.000001+00:00",
    "host": "gone", "version": 1, "started": 1, "boot_id": "BOOT", "pid_namespace": NAMESPACE, "resources": ["name/x"]}"#;

/// Returns an account that no other process of the machine uses.
fn own_account() -> String {
    format!("T-{}", std::process::id())
}

/// One line of the table.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) measured: String,
    pub(super) peer: String,
    pub(super) ratio: f64,
    /// The largest ratio that is wanted.
    goal: Option<f64>,
}

impl Row {
    /// Compares microseconds.
    pub(super) fn new(
        what: impl Into<String>,
        own: &[f64],
        name: &str,
        peer: &[f64],
        goal: Option<f64>,
    ) -> Self {
        let ratios = own.iter().zip(peer).map(|(own, peer)| own / peer).collect();
        let peer = format!("{name}: {}", shown(median(peer.to_vec())));
        let measured = shown(median(own.to_vec()));
        Self { what: what.into(), measured, peer, ratio: median(ratios), goal }
    }
}

fn shown(microseconds: f64) -> String {
    if microseconds < 1000.0 {
        format!("{microseconds:.1} µs")
    } else {
        format!("{:.2} ms", microseconds / 1000.0)
    }
}

pub(crate) fn run(pairs: usize, rounds: usize, contenders: usize) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "the other programs are for Linux");
    let bench = Bench::new()?;
    let mut rows = vec![bench.in_process(pairs)?, bench.in_process_with_account(pairs)?];
    rows.extend([bench.run_true(pairs)?, bench.run_true_with_account(pairs)?]);
    let peak = bench.peak_memory()?;
    rows.extend(bench.contests(rounds, contenders)?);

    let mut text = format!(
        "`cargo xtask bench lock --pairs {pairs} --rounds {rounds} --contenders {contenders}` on {}. {}.\n\n\
         | what | qc | beside | ratio | goal |\n| --- | ---: | ---: | ---: | ---: |\n",
        machine(),
        bench.versions(),
    );
    let mut missed = Vec::new();
    for row in &rows {
        let goal = row.goal.map_or("-".to_owned(), |goal| format!("{goal:.1}"));
        text.push_str(&format!(
            "| {} | {} | {} | {:.2} | {goal} |\n",
            row.what, row.measured, row.peer, row.ratio
        ));
        if let Some(goal) = row.goal.filter(|&goal| row.ratio > goal) {
            missed.push(format!("{}: {:.2} instead of {goal:.1}", row.what, row.ratio));
        }
    }
    let mebibytes = peak as f64 / 1024.0;
    text.push_str(&format!(
        "| peak memory of `qc-lock run` | {mebibytes:.1} MiB | 3 MiB | {:.2} | 1.0 |\n",
        mebibytes / 3.0
    ));
    if mebibytes > 3.0 {
        missed.push(format!("peak memory: {mebibytes:.1} MiB instead of 3"));
    }
    text.push_str("\nThe C program of the first two rows (`bench/c/acquire.c`) makes the same system calls; that of the last rows (`flock.c`)\n\
         only opens and locks a file. A contest ends when all contenders but one have been refused and have ended. Every round had exactly one winner.\n");
    text.push_str(&match missed.is_empty() {
        true => "All goals are met.\n".to_owned(),
        false => format!("Missed: {}.\n", missed.join("; ")),
    });
    println!("{text}");
    keep("Locks", &text)
}

struct Bench {
    dir: tempfile::TempDir,
    qc_lock: PathBuf,
    acquire: PathBuf,
    c_acquire: PathBuf,
    c_flock: PathBuf,
}

impl Bench {
    fn new() -> Result<Self> {
        let peers = crate::workspace().join("target/bench");
        fs::create_dir_all(&peers)?;
        let example = ["--package", "qc-lock-core", "--example", "acquire"];
        Ok(Self {
            dir: tempfile::tempdir()?,
            qc_lock: release("qc-lock")?,
            acquire: crate::build(&example)?.join("examples/acquire"),
            c_acquire: compile("acquire.c", &peers, &[])?,
            c_flock: compile("flock.c", &peers, &[])?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn in_process(&self, pairs: usize) -> Result<Row> {
        let what = "acquire and release in one program";
        self.in_process_with(pairs, &[], what, 1.3)
    }

    fn in_process_with_account(&self, pairs: usize) -> Result<Row> {
        let what = "the same with an account, which is locked on the whole machine";
        self.in_process_with(pairs, &[&own_account()], what, 1.4)
    }

    fn in_process_with(
        &self,
        pairs: usize,
        account: &[&str],
        what: &str,
        goal: f64,
    ) -> Result<Row> {
        let microseconds = |program: &Path, dir: &str| -> Result<f64> {
            let mut acquire = Command::new(program);
            acquire.arg(self.path(dir)).arg(REPEATS).args(account);
            let output = acquire.output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let nanoseconds: f64 =
                text.trim().parse().with_context(|| format!("{} failed", program.display()))?;
            Ok(nanoseconds / 1e3)
        };
        let (own, peer) = in_turn(
            pairs.div_ceil(5),
            || microseconds(&self.acquire, "own"),
            || microseconds(&self.c_acquire, "peer"),
        )?;
        Ok(Row::new(what, &own, "C, the same system calls", &peer, Some(goal)))
    }

    fn run_true(&self, pairs: usize) -> Result<Row> {
        let own = self.under_lock(&["true"]);
        self.beside_flock(pairs, own, "`qc-lock run X -- true`", 1.0)
    }

    fn run_true_with_account(&self, pairs: usize) -> Result<Row> {
        let mut own = Command::new(&self.qc_lock);
        own.args(["run", "X", "--lock-dir"]).arg(self.path("locks"));
        own.args(["--account", &own_account(), "--", "true"]);
        self.beside_flock(pairs, own, "`qc-lock run X --account N -- true`", 1.1)
    }

    fn beside_flock(&self, pairs: usize, mut own: Command, what: &str, goal: f64) -> Result<Row> {
        let microseconds = |command: &mut Command| Ok(time(command)?.as_secs_f64() * 1e6);
        let mut flock = Command::new("flock");
        flock.arg("-n").arg(self.path("file")).arg("true");
        let (own, peer) = in_turn(pairs, || microseconds(&mut own), || microseconds(&mut flock))?;
        Ok(Row::new(what, &own, "`flock -n FILE true`", &peer, Some(goal)))
    }

    fn under_lock(&self, command: &[&str]) -> Command {
        let mut tool = Command::new(&self.qc_lock);
        tool.args(["run", "X", "--lock-dir"]).arg(self.path("locks")).arg("--").args(command);
        tool
    }

    /// Returns the most memory that `qc-lock run` had in use until its command ran, in KiB.
    fn peak_memory(&self) -> Result<u64> {
        let mut tool = self.under_lock(&["sh", "-c", "echo; read _"]);
        let mut child = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("it has no output")?);
        output.read_line(&mut String::new())?;
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        child.stdin.take().context("it has no input")?.write_all(b"\n")?;
        child.wait()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
        peak.context("/proc tells no peak")
    }

    fn contests(&self, rounds: usize, contenders: usize) -> Result<Vec<Row>> {
        let contest = Contest::new(self.dir.path(), contenders)?;
        let words = |command: &Command| -> Vec<String> {
            let words = [command.get_program()].into_iter().chain(command.get_args());
            words.map(|word| word.to_string_lossy().into_owned()).collect()
        };
        let file = self.path("contest").display().to_string();
        let c_flock = [self.c_flock.display().to_string(), file.clone(), "cat".into()];
        let flock = ["flock", "-n", "-E", "75", &file, "cat"].map(str::to_owned);
        let own = words(&self.under_lock(&["cat"]));
        let (mut free, mut stale, mut c, mut other) = (vec![], vec![], vec![], vec![]);
        let round =
            |program: &[String]| -> Result<f64> { Ok(contest.round(program)?.as_secs_f64() * 1e6) };
        for number in 0..rounds {
            c.push(round(&c_flock)?);
            free.push(round(&own)?);
            self.leave_stale_record()?;
            stale.push(round(&own)?);
            if number % 10 == 0 {
                other.push(round(&flock)?);
            }
            eprint!("\rround {} of {rounds}", number + 1);
        }
        eprintln!();
        let others: Vec<f64> = c.iter().copied().step_by(10).collect();
        let what = |which: &str| format!("{contenders} contenders, {which}, {rounds} rounds");
        Ok(vec![
            Row::new(what("no record"), &free, "C, flock only", &c, Some(2.0)),
            Row::new(what("a stale record"), &stale, "C, flock only", &c, Some(2.0)),
            Row::new(what("`flock -n` itself"), &other, "C, flock only", &others, None),
        ])
    }

    fn leave_stale_record(&self) -> Result<()> {
        let here = qc_process::here();
        let namespace = here.pid_namespace.map_or("null".into(), |number| number.to_string());
        let record = STALE.replace("BOOT", &here.boot_id).replace("NAMESPACE", &namespace);
        Ok(fs::write(self.path("locks").join("X.lock"), record)?)
    }

    fn versions(&self) -> String {
        let versions = [
            version("rustc", &["--version"]),
            version("cc", &["--version"]),
            version("flock", &["--version"]),
        ];
        versions.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Measures both in turn, after one turn that does not count.
pub(super) fn in_turn(
    times: usize,
    mut own: impl FnMut() -> Result<f64>,
    mut peer: impl FnMut() -> Result<f64>,
) -> Result<(Vec<f64>, Vec<f64>)> {
    own()?;
    peer()?;
    let (mut owns, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..times {
        owns.push(own()?);
        peers.push(peer()?);
    }
    Ok((owns, peers))
}

//! `cargo xtask bench`: how fast qc is, side by side with others in one run, as ratios.

#![forbid(unsafe_code)]

mod contest;
#[cfg(unix)]
mod launch;
mod launch_here;
mod lock;
mod lock_here;
mod ps;
mod shutdown;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use clap::Parser;
use qc_tests::wrapped;

/// The notes below the table of supervising.
const SUPERVISING: &str = "\nThe child reports its start over a connection to the benchmark, and ends when asked. *Plain* starts as many children with a log file each, and nothing else.\n\
    Windows has no locks that a child inherits, so each component has a wrapper, a copy of `qc-launch`, which holds its lock and ends with it; *memory* is the working set of the launcher.\n\
    There are no goals: under Wine each start of a process, each lock and each wait is a request to Wine's server, a single thread, and a process takes tens of MiB, so 1000 children and their wrappers do not fit.\n\
    Their processor time while idle cannot be measured: Wine returns the caller's own.\n";

/// Measure how fast the tools are beside others, and keep the tables in docs/BENCHMARKS.md
#[derive(Debug, Parser)]
#[command(name = "bench", bin_name = "cargo xtask bench")]
struct Cli {
    #[command(subcommand)]
    command: BenchCommand,
}

/// Measure against others in one run, and keep the table in docs/BENCHMARKS.md
#[derive(Debug, clap::Subcommand)]
enum BenchCommand {
    /// Take and release locks, run commands under them, contend for them
    Lock {
        /// How often each pair of programs runs
        #[arg(long, default_value_t = 100)]
        pairs: usize,
        /// How often all contend
        #[arg(long, default_value_t = 20)]
        rounds: usize,
        /// How many contend
        #[arg(long, default_value_t = 512)]
        contenders: usize,
    },
    /// List 200, 1000 and 3000 processes
    Ps {
        /// How many processes
        #[arg(long, value_delimiter = ',', default_value = "200,1000,3000")]
        counts: Vec<usize>,
        /// How often each program runs
        #[arg(long, default_value_t = 15)]
        rounds: usize,
    },
    /// Stop 10, 100 and 1000 processes, and 10 that do not listen
    Shutdown {
        /// How many processes
        #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
        counts: Vec<usize>,
        /// How often each program runs
        #[arg(long, default_value_t = 7)]
        rounds: usize,
    },
    /// Start, supervise and stop 10, 100 and 1000 children
    #[cfg(unix)]
    Launch(launch::LaunchArgs),
    /// Simulate up to ten thousand components for a virtual week, and print what an event costs
    Supervise,
    /// Measure the programs in a folder, without others beside them
    #[command(hide = true)]
    LockHere {
        /// The folder
        bin_dir: PathBuf,
    },
    /// Let `qc-launch` in a folder keep children, without others beside it
    #[command(hide = true)]
    LaunchHere {
        /// The folder
        bin_dir: PathBuf,
    },
    /// Keep a table that one of the two has printed as a Windows program
    #[command(hide = true)]
    KeepWindows {
        /// The heading above it
        heading: String,
        /// The table
        table: String,
    },
}

fn main() -> ExitCode {
    qc_process::helper::run_if_asked();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for.
///
/// # Errors
/// If something can't be built, started or written.
fn run(command: BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Ps { counts, rounds } => ps::run(&counts, rounds),
        BenchCommand::Shutdown { counts, rounds } => shutdown::run(&counts, rounds),
        BenchCommand::LockHere { bin_dir } => lock_here::run(&bin_dir, 20, 10, 16),
        BenchCommand::LaunchHere { bin_dir } => launch_here::run(&bin_dir, &[10, 100], 20),
        #[cfg(unix)]
        BenchCommand::Launch(args) => launch::run(&args),
        BenchCommand::KeepWindows { heading, table } => keep_windows(&heading, &table),
        BenchCommand::Supervise => supervise(),
        BenchCommand::Lock { pairs, rounds, contenders } => lock::run(pairs, rounds, contenders),
    }
}

/// Runs the supervisor's machine in a simulated world.
fn supervise() -> Result<()> {
    let args = ["run", "--release", "--quiet", "--package", "qc-supervise", "--example", "week"];
    let status = Command::new(cargo()).args(args).current_dir(workspace()).status()?;
    ensure!(status.success(), "the simulation failed, see above");
    Ok(())
}

/// Builds a tool as users get it, and copies it as an installer does: of a file as the linker left
/// it, Linux maps fewer pages at once, and the program starts later. Returns the copy's path.
fn release(tool: &str) -> Result<PathBuf> {
    let dir = build(&["--package", tool, "--bin", tool])?;
    let program = format!("{tool}{}", std::env::consts::EXE_SUFFIX);
    let installed = workspace().join("target/bench/installed");
    fs::create_dir_all(&installed)?;
    let installed = installed.join(&program);
    fs::copy(dir.join(&program), &installed)?;
    Ok(installed)
}

/// Builds the packages that `selection` names as users get them; returns the folder with the
/// programs.
fn build(selection: &[&str]) -> Result<PathBuf> {
    let mut build = Command::new(cargo());
    build.args(["run", "--quiet", "--package", "xtask", "--", "release", "--"]).args(selection);
    let build = build.current_dir(workspace()).stderr(Stdio::inherit());
    let output = build.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "the build failed; see above");
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}

/// Compiles one of the C programs in `bench/c`.
fn compile(source: &str, into: &Path, options: &[&str]) -> Result<PathBuf> {
    let program = into.join(source.trim_end_matches(".c"));
    let path = workspace().join("bench/c").join(source);
    let mut compile = Command::new("cc");
    compile.args(["-O2", "-Wall", "-o"]).arg(&program).arg(path).args(options);
    let status = compile.status().context("there is no C compiler; install gcc")?;
    ensure!(status.success(), "{source} does not compile; see above");
    Ok(program)
}

/// Installs a package for Python into an environment in `dir`; returns the environment's Python.
fn python_with(dir: &Path, package: &str) -> Result<PathBuf> {
    let environment = dir.join("venv");
    let python = environment.join("bin/python");
    if !python.exists() {
        quietly(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    quietly(Command::new(&python).args(["-m", "pip", "install", "--quiet", package]))?;
    Ok(python)
}

fn quietly(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Runs a program to its end, and returns how long that took. What it prints goes nowhere.
fn time(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    let took = began.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(took)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The first line that a program prints, to say what was measured.
fn version(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// Returns a description of the machine.
fn machine() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let kernel = version("uname", &["-sr"]).unwrap_or_default();
    let day = version("date", &["+%Y-%m-%d"]).unwrap_or_default();
    format!("{model}, {cores} cores, {kernel}, {day}")
}

/// Keeps a table of Windows programs, which can't write to this file themselves.
fn keep_windows(heading: &str, table: &str) -> Result<()> {
    let notes = if heading.starts_with("Supervising") { SUPERVISING } else { "" };
    let text = format!("`cargo xtask windows bench` on {}.\n\n{table}{notes}", machine());
    println!("{text}");
    keep(heading, &text)
}

/// Replaces the section under `## heading` of docs/BENCHMARKS.md, or appends it.
fn keep(heading: &str, text: &str) -> Result<()> {
    let path = workspace().join("docs/BENCHMARKS.md");
    let old = fs::read_to_string(&path).unwrap_or_else(|_| INTRODUCTION.to_owned());
    fs::write(&path, replaced(&old, heading, &wrapped(text)))
        .context("cannot write docs/BENCHMARKS.md")
}

const INTRODUCTION: &str = "# Benchmarks\n\n\
    `cargo xtask bench` measures everything here and keeps its tables in this file. Programs run in\n\
    turn, so that each round sees the same state of the machine. Times are medians, ratios are medians\n\
    of the rounds' ratios. On another machine only ratios mean anything.\n";

/// Returns the cargo that runs this program.
fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Returns the folder of the workspace.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the benches lie in the workspace")
}

fn replaced(old: &str, heading: &str, text: &str) -> String {
    let head = format!("## {heading}\n");
    let (before, after) = match old.find(&head) {
        Some(at) => {
            let end = old[at + head.len()..].find("\n## ").map(|end| at + head.len() + end + 1);
            (&old[..at], end.map_or("", |end| &old[end..]))
        }
        None => (old, ""),
    };
    let gap = if after.is_empty() { "" } else { "\n" };
    format!("{}\n\n{head}\n{}\n{gap}{after}", before.trim_end(), text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let first = replaced("# B\n\nx\n", "One", "1");
        assert_eq!(first, "# B\n\nx\n\n## One\n\n1\n");
        let second = replaced(&first, "Two", "2\n");
        assert_eq!(second, "# B\n\nx\n\n## One\n\n1\n\n## Two\n\n2\n");
        assert_eq!(replaced(&second, "One", "3"), "# B\n\nx\n\n## One\n\n3\n\n## Two\n\n2\n");
        assert_eq!(replaced(&second, "Two", "3"), "# B\n\nx\n\n## One\n\n1\n\n## Two\n\n3\n");
    }
}

//! `cargo xtask windows`: builds for Windows on Debian, and runs the results under Wine.
//!
//! The work is done by the scripts in `xtask/windows-lab`; this module finds them, sets the lab up
//! where it is needed, and counts tests. On Windows itself there is no lab, and plain cargo runs.
//! Wine is not Windows: what it can't show has to be tried there.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Build and test for Windows, on Debian under Wine
///
/// `cargo xtask windows test` is all that is needed: it sets up what it needs, as root or with
/// sudo. On Windows itself it is `cargo test --workspace`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum WindowsCommand {
    /// Install and build what is missing, and verify it
    Setup,
    /// Verify that the lab works
    Check,
    /// Run all tests, and count them
    Test {
        /// Further arguments of `cargo test`, after `--`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Run clippy over everything; a warning fails
    Clippy,
    /// Check everything for MSVC, the target of most Windows users; it can't be linked here
    Msvc,
    /// Build everything
    Build {
        /// Further arguments of `cargo build`, after `--`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Run a program
    Run {
        /// The program, such as `target/windows/x86_64-pc-windows-gnu/debug/qc-ps.exe`
        exe: PathBuf,
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build the tools and run the demo with them
    Demo,
    /// Measure locks, and keep the table in docs/BENCHMARKS.md
    Bench,
}

/// Does what was asked for.
///
/// # Errors
/// If the lab can't be set up or used, or a program in it fails.
pub(crate) fn run(args: WindowsCommand) -> Result<()> {
    match args {
        WindowsCommand::Test { args } => test(&args),
        _ if cfg!(windows) => bail!(
            "this is Windows, and needs no lab: use `cargo build`, `cargo test --workspace`, `cargo xtask demo`"
        ),
        WindowsCommand::Setup => {
            set_up()?;
            if let Some(python) = python() {
                println!("A Python for Windows is at {}.", python.display());
            }
            Ok(())
        }
        WindowsCommand::Check => setup_script(&["--check"]),
        WindowsCommand::Clippy => {
            finish(cargo("clippy").args(["--workspace", "--all-targets", "--", "-D", "warnings"]))
        }
        WindowsCommand::Msvc => {
            setup_script(&["--msvc"])?;
            let mut check = cargo("check");
            check.env("QC_TARGET", "x86_64-pc-windows-msvc");
            finish(check.args(["--workspace", "--all-targets"]))
        }
        WindowsCommand::Build { args } => finish(cargo("build").arg("--workspace").args(args)),
        WindowsCommand::Run { exe, args } => finish(script("wine-run.sh").arg(exe).args(args)),
        WindowsCommand::Demo => demo(),
        WindowsCommand::Bench => bench(),
    }
}

fn test(args: &[OsString]) -> Result<()> {
    let mut cargo = cargo("test");
    if !cfg!(windows) {
        set_up()?;
        if env::var_os("QC_TEST_PYTHON").is_none()
            && let Some(python) = python()
        {
            cargo.env("QC_TEST_PYTHON", windows_path(&python));
        }
    }
    cargo.arg("--workspace").args(args).stdout(Stdio::piped());
    let mut child = cargo.spawn().with_context(|| cannot_start(&cargo))?;
    let output = child.stdout.take().expect("standard output was set to a pipe above");
    let total = pass_on(BufReader::new(output), io::stdout().lock())?;
    let status = child.wait()?;
    println!(
        "Windows tests: {} passed, {} failed, {} ignored",
        total.passed, total.failed, total.ignored
    );
    ensure!(
        status.success() && total.failed == 0,
        "the tests ended with {status}, see above; with `-- --no-fail-fast` all run in spite of a failure"
    );
    Ok(())
}

fn demo() -> Result<()> {
    let bins = build_demo()?;
    let mut demo = script("wine-run.sh");
    demo.arg(bins.join("xtask.exe")).args(["demo", "--bin-dir"]).arg(windows_path(&bins));
    finish(&mut demo)
}

/// Builds what the demo needs; returns the folder with the programs.
pub(crate) fn build_demo() -> Result<PathBuf> {
    set_up()?;
    let mut build = cargo("build");
    for package in ["qc-lock", "qc-ps", "qc-shutdown", "qc-launch", "qc-tests", "xtask"] {
        build.args(["--package", package]);
    }
    for bin in ["qc-lock", "qc-ps", "qc-shutdown", "qc-launch", "stand-in", "xtask"] {
        build.args(["--bin", bin]);
    }
    finish(&mut build)?;
    Ok(built("debug"))
}

fn bench() -> Result<()> {
    set_up()?;
    let mut build = cargo("build");
    build.args(["--release", "--package", "qc-lock", "--package", "qc-lock-core"]);
    build.args(["--package", "qc-tests", "--package", "xtask", "--example", "acquire"]);
    finish(build.args(["--bin", "qc-lock", "--bin", "stand-in", "--bin", "xtask"]))?;
    let bins = built("release");
    let mut bench = script("wine-run.sh");
    bench.arg(bins.join("xtask.exe")).args(["bench", "lock-here"]).arg(windows_path(&bins));
    let output = bench.stderr(Stdio::inherit()).output().with_context(|| cannot_start(&bench))?;
    ensure!(output.status.success(), "the benchmark ended with {}", output.status);
    let table = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let text = format!("`cargo xtask windows bench` on {}.\n\n{table}", crate::bench::machine());
    println!("{text}");
    crate::bench::keep("Locks, as Windows programs under Wine", &text)
}

/// Returns the folder of the programs that were built for Windows.
pub(crate) fn built(profile: &str) -> PathBuf {
    let target = env::var_os("QC_TARGET_DIR").unwrap_or_else(|| "target/windows".into());
    crate::workspace().join(target).join("x86_64-pc-windows-gnu").join(profile)
}

/// Sets the lab up; takes a second where it is there.
pub(crate) fn set_up() -> Result<()> {
    setup_script(&[])
}

/// Runs `setup.sh`; what it says on standard error is the error.
fn setup_script(args: &[&str]) -> Result<()> {
    let mut setup = script("setup.sh");
    setup.args(args).stderr(Stdio::piped());
    let child = setup.spawn().with_context(|| cannot_start(&setup))?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    eprint!("{said}");
    Ok(())
}

/// Returns the lab's Python for Windows. Tests that want one are skipped without it.
fn python() -> Option<PathBuf> {
    let output = script("winpython.sh").stderr(Stdio::inherit()).output().ok()?;
    if output.status.success() {
        return Some(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    eprintln!("No Python for Windows can be had (see above); tests that want one are skipped.");
    None
}

/// Returns cargo for Windows, in the workspace.
pub(crate) fn cargo(command: &str) -> Command {
    let mut cargo = if cfg!(windows) { Command::new("cargo") } else { script("cargo-windows.sh") };
    cargo.arg(command).current_dir(crate::workspace());
    cargo
}

/// Returns a script of the lab, to be run.
pub(crate) fn script(name: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.arg(crate::workspace().join("xtask/windows-lab").join(name));
    bash
}

/// Runs `command` to its end.
pub(crate) fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        let words: Vec<_> =
            command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        bail!("`{}` ended with {status}; see its message above", words.join(" "));
    }
    Ok(())
}

fn cannot_start(command: &Command) -> String {
    format!(
        "cannot run `{}`; install it, or try on Windows itself with `cargo test --workspace`",
        command.get_program().to_string_lossy()
    )
}

/// Returns how a Windows program names `path`: Wine shows `/` as drive `Z:`.
pub(crate) fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.to_string_lossy().replace('/', "\\"))
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

/// Copies `input` to `output` line by line, and sums up the results in it.
fn pass_on(mut input: impl BufRead, mut output: impl Write) -> io::Result<Counts> {
    let mut total = Counts::default();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        output.write_all(&line)?;
        output.flush()?;
        total += Counts::from_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed_and_passed_on() {
        let output = "running 3 tests\r\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s\r\n\
            not a test result: ok. 9 passed; \u{fffd}\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n\
            no line end";
        let mut copy = Vec::new();
        let total = pass_on(output.as_bytes(), &mut copy).unwrap();
        assert_eq!(total, Counts { passed: 4, failed: 2, ignored: 1 });
        assert_eq!(copy, output.as_bytes());
    }

    #[test]
    fn a_unix_path_lies_on_drive_z() {
        assert_eq!(windows_path(Path::new("/tmp/a b/x.exe")), r"Z:\tmp\a b\x.exe");
    }
}

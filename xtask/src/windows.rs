//! `cargo xtask windows`: builds for Windows on Debian, and runs the results under Wine.
//!
//! The work is done by the scripts in `xtask/windows-lab`; this module finds them, and sets the
//! lab up where it is needed. On Windows itself there is no lab, and plain cargo runs.
//! Wine is not Windows: what it can't show has to be tried there.

mod display;
mod testing;

use std::env;
use std::ffi::OsString;
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
    /// Measure locks and supervising, and keep the tables in docs/BENCHMARKS.md
    Bench,
}

/// Does what was asked for.
///
/// # Errors
/// If the lab can't be set up or used, or a program in it fails.
pub(crate) fn run(args: WindowsCommand) -> Result<()> {
    match args {
        WindowsCommand::Test { args } => testing::run(&args),
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
    build.args(["--package", "qc-launch", "--package", "qc-tests", "--package", "qc-bench"]);
    build.args(["--example", "acquire", "--bin", "qc-lock", "--bin", "qc-launch"]);
    finish(build.args(["--bin", "stand-in", "--bin", "qc-bench"]))?;
    keep_table("lock-here", "Locks, as Windows programs under Wine")?;
    keep_table("launch-here", "Supervising, as a Windows program under Wine")
}

/// Runs a benchmark as a Windows program, and keeps what it prints under `heading`.
fn keep_table(benchmark: &str, heading: &str) -> Result<()> {
    let bins = built("release");
    let mut bench = script("wine-run.sh");
    bench.arg(bins.join("qc-bench.exe")).arg(benchmark).arg(windows_path(&bins));
    let output = bench.stderr(Stdio::inherit()).output().with_context(|| cannot_start(&bench))?;
    ensure!(output.status.success(), "the benchmark ended with {}", output.status);
    let table = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    crate::bench(&["keep-windows", heading, table.as_str()].map(OsString::from))
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

/// The environment variable that names the Wine prefix.
const PREFIX: &str = "QC_WINEPREFIX";

/// Makes another prefix beside the lab's, and returns its folder.
fn second_prefix() -> Result<OsString> {
    let mut prefix = match (env::var_os(PREFIX), env::var_os("QC_LAB_DIR"), env::var_os("HOME")) {
        (Some(prefix), ..) => prefix,
        (None, Some(lab), _) => Path::new(&lab).join("wine").into_os_string(),
        (None, None, Some(home)) => Path::new(&home).join(".cache/qc-windows-lab/wine").into(),
        (None, None, None) => bail!("neither QC_LAB_DIR nor HOME says where the lab is"),
    };
    prefix.push("-2");
    run_setup(script("setup.sh").env(PREFIX, &prefix))?;
    Ok(prefix)
}

/// Runs `setup.sh`; what it says on standard error is the error.
fn setup_script(args: &[&str]) -> Result<()> {
    run_setup(script("setup.sh").args(args))
}

fn run_setup(setup: &mut Command) -> Result<()> {
    setup.stderr(Stdio::piped());
    let child = setup.spawn().with_context(|| cannot_start(setup))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_path_lies_on_drive_z() {
        assert_eq!(windows_path(Path::new("/tmp/a b/x.exe")), r"Z:\tmp\a b\x.exe");
    }
}

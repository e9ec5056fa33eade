//! `cargo xtask`: what the project does to itself.

#![forbid(unsafe_code)]

mod demo;
mod dist;
mod docs;
mod fuzz;
mod pictures;
mod release;
mod windows;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "What the project does to itself")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the whole story on a sample fleet: duplicates, a crash, a shutdown
    Demo {
        /// Folder with the programs, instead of building them
        #[arg(long, value_name = "DIR")]
        bin_dir: Option<PathBuf>,
    },
    /// Build the archives that users get, for Linux and for Windows
    Dist(dist::DistArgs),
    /// Play a day of a user in a folder where an archive was installed; used by `dist` itself
    #[command(hide = true)]
    Day {
        /// The folder
        root: PathBuf,
        /// Folder with the stand-in
        bin_dir: PathBuf,
    },
    /// Write docs/CONFIG.md anew, from the types that read the config
    Docs,
    /// Make the pictures in docs/pictures anew, from a real run on a sample fleet
    Pictures {
        /// Folder with the programs, instead of building them
        #[arg(long, value_name = "DIR")]
        bin_dir: Option<PathBuf>,
        /// Write nothing, and fail if the pictures show something else than the tools print now
        #[arg(long)]
        check: bool,
    },
    /// Let many processes contend for locks, with kills and deletions, watched by two referees
    Stress {
        /// How long
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// How many at a time
        #[arg(long, default_value_t = 200)]
        contenders: u64,
    },
    /// Fuzz the readers of records, the history, the config and command lines
    Fuzz {
        /// How long for each
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only this one: command, config, history or record
        target: Option<String>,
    },
    /// Measure how fast the tools are beside others, and keep the tables in docs/BENCHMARKS.md
    #[command(disable_help_flag = true)]
    Bench {
        /// What to measure; `--help` lists it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build programs as users get them, and print their folder; used by `bench`
    #[command(hide = true)]
    Release {
        /// Arguments of `cargo build`, after `--`
        #[arg(last = true)]
        selection: Vec<String>,
    },
    /// Build and test for Windows, under Wine
    #[command(subcommand)]
    Windows(windows::WindowsCommand),
}

fn main() -> ExitCode {
    qc_process::helper::run_if_asked();
    let result = match Cli::parse().command {
        Command::Demo { bin_dir } => demo::run(bin_dir),
        Command::Dist(args) => dist::run(&args),
        Command::Day { root, bin_dir } => dist::day(&root, &bin_dir),
        Command::Docs => docs::run(),
        Command::Pictures { bin_dir, check } => pictures::run(bin_dir, check),
        Command::Stress { seconds, contenders } => stress(seconds, contenders),
        Command::Fuzz { seconds, target } => fuzz::run(seconds, target),
        Command::Bench { args } => bench(&args),
        Command::Release { selection } => release::print(&selection),
        Command::Windows(command) => windows::run(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the stress test for longer and with more contenders than `cargo test` does.
fn stress(seconds: u64, contenders: u64) -> anyhow::Result<()> {
    let status = process::Command::new(cargo())
        .args(["test", "--quiet", "--package", "qc-tests", "--test", "stress", "--", "--nocapture"])
        .env("QC_STRESS_SECONDS", seconds.to_string())
        .env("QC_STRESS_CONTENDERS", contenders.to_string())
        .current_dir(workspace())
        .status()?;
    anyhow::ensure!(status.success(), "the stress test failed, see above");
    Ok(())
}

/// Runs a benchmark. The benches are a package of their own, so that tasks build without them.
fn bench(args: &[OsString]) -> anyhow::Result<()> {
    let mut bench = process::Command::new(cargo());
    bench.args(["run", "--quiet", "--package", "qc-bench", "--"]).args(args);
    let status = bench.current_dir(workspace()).status()?;
    anyhow::ensure!(status.success(), "the benchmark failed, see above");
    Ok(())
}

/// Returns the cargo that runs this program.
fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Returns the folder of the workspace.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

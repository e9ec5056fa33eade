//! `cargo xtask`: what the project does to itself.

#![forbid(unsafe_code)]

mod demo;
mod windows;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    /// Build and test for Windows, under Wine
    #[command(subcommand)]
    Windows(windows::WindowsCommand),
}

fn main() -> ExitCode {
    qc_process::helper::run_if_asked();
    let result = match Cli::parse().command {
        Command::Demo { bin_dir } => demo::run(bin_dir),
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

/// Returns the folder of the workspace.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

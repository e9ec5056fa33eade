//! Building programs as users get them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A system that programs are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// Linked statically: such programs start in two thirds of the time, and run on any Linux.
    Linux,
    /// Built by the Windows lab, or on Windows itself.
    Windows,
}

impl Target {
    /// Returns its name among Rust's targets.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Linux => "x86_64-unknown-linux-gnu",
            Self::Windows => "x86_64-pc-windows-gnu",
        }
    }

    /// Returns how it is named on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
        }
    }

    /// Returns what the compiler is told.
    fn flags(self) -> &'static [&'static str] {
        match self {
            // Loaded at an address that no one can guess, with tables that nothing can overwrite.
            Self::Linux => &[
                "-Ctarget-feature=+crt-static",
                "-Crelocation-model=pie",
                "-Crelro-level=full",
                // A static program can't look whether its C library has the call, and reads files.
                "--cfg=getrandom_backend=\"linux_getrandom\"",
            ],
            // The linker would write the time of the build into the program.
            Self::Windows => {
                &["-Ctarget-feature=+crt-static", "-Clink-arg=-Wl,--no-insert-timestamp"]
            }
        }
    }
}

/// Builds the packages that `selection` names for this machine; prints the folder with the
/// programs.
///
/// # Errors
/// If cargo can't be run or fails.
pub(crate) fn print(selection: &[String]) -> Result<()> {
    let selection: Vec<&str> = selection.iter().map(String::as_str).collect();
    println!("{}", build(&selection)?.display());
    Ok(())
}

fn build(selection: &[&str]) -> Result<PathBuf> {
    if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        return build_for(Target::Linux, selection);
    }
    let mut cargo = Command::new(crate::cargo());
    run(cargo.args(["build", "--release", "--quiet"]).args(selection))?;
    Ok(target_dir().join("release"))
}

/// Builds the packages that `selection` names for `target`; returns the folder with the programs.
///
/// # Errors
/// If cargo can't be run or fails.
pub(crate) fn build_for(target: Target, selection: &[&str]) -> Result<PathBuf> {
    let (mut cargo, dir) = match target {
        Target::Linux => {
            let mut cargo = Command::new(crate::cargo());
            // With a target of its own, the flags are not for build scripts and macros.
            cargo.args(["build", "--target", target.triple()]);
            (cargo, target_dir().join(target.triple()).join("release"))
        }
        Target::Windows => {
            crate::windows::set_up()?;
            (crate::windows::cargo("build"), crate::windows::built("release"))
        }
    };
    cargo.env("CARGO_ENCODED_RUSTFLAGS", encoded(target));
    run(cargo.args(["--release", "--quiet"]).args(selection))?;
    Ok(dir)
}

/// The flags as cargo takes them. Folders of this machine are kept out of the programs.
fn encoded(target: Target) -> String {
    let mut flags: Vec<String> = target.flags().iter().map(|flag| flag.to_string()).collect();
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    if let Some(home) = cargo_home {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    flags.push(format!("--remap-path-prefix={}=/qc", crate::workspace().display()));
    flags.join("\x1f")
}

fn target_dir() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    crate::workspace().join(target)
}

fn run(cargo: &mut Command) -> Result<()> {
    let status = cargo.current_dir(crate::workspace()).status().context("cannot run cargo")?;
    ensure!(status.success(), "the build failed; see above");
    Ok(())
}

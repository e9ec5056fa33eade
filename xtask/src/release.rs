//! Building programs as users get them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The target whose programs are linked statically: they start in two thirds of the time, and run
/// on any Linux. Without position independence they have nothing to relocate.
const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";
const STATIC_FLAGS: &str = "-Ctarget-feature=+crt-static\x1f-Crelocation-model=static";

/// Builds the packages that `selection` names; returns the folder with the programs.
///
/// # Errors
/// If cargo can't be run or fails.
pub(crate) fn build(selection: &[&str]) -> Result<PathBuf> {
    let mut build = Command::new(crate::cargo());
    build.current_dir(crate::workspace()).args(["build", "--release", "--quiet"]).args(selection);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let mut dir = crate::workspace().join(target);
    // With a target of its own, the flags are not for build scripts and macros.
    if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        build.args(["--target", STATIC_TARGET]).env("CARGO_ENCODED_RUSTFLAGS", STATIC_FLAGS);
        dir.push(STATIC_TARGET);
    }
    ensure!(build.status().context("cannot run cargo")?.success(), "the build failed; see above");
    Ok(dir.join("release"))
}

//! Whether the same sources give the same bytes, whatever folder they are built in.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::DistArgs;
use crate::windows::finish;

/// Builds the archives of the last commit once more, from nothing and in another folder, and compares
/// them with those in `dist`.
///
/// # Errors
/// If something is not committed, can't be built, or is not the same.
pub(crate) fn run(args: &DistArgs, dist: &Path) -> Result<()> {
    let mut status = git();
    let output = status.args(["status", "--porcelain"]).output().context("cannot run git")?;
    ensure!(
        output.status.success() && output.stdout.is_empty(),
        "only what is committed can be built twice; see `git status`"
    );
    let place = tempfile::Builder::new().prefix("qc once more ").tempdir()?;
    let clone = place.path().join("another folder");
    finish(git().args(["clone", "--quiet", "."]).arg(&clone))?;
    let mut again = Command::new(crate::cargo());
    again.args(["xtask", "dist", "--url", &args.url]).current_dir(&clone);
    // Both would lead it to what is built already.
    again.env_remove("CARGO_TARGET_DIR").env_remove("QC_TARGET_DIR");
    for target in &args.target {
        again.arg("--target").arg(target.as_str());
    }
    finish(&mut again)?;
    for archive in super::archives_in(&clone.join("target/dist"))? {
        let before = fs::read(dist.join(&archive.path))?;
        ensure!(
            before == archive.bytes,
            "{} is not the same when it is built once more; unpack both to see what differs",
            archive.path
        );
        println!("{} is the same when it is built in another folder.", archive.path);
    }
    Ok(())
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.current_dir(crate::workspace());
    git
}

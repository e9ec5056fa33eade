//! The same for programs that are already built, without the programs that only Linux has: what
//! can be measured of Windows programs under Wine.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qc_tests::{SampleLocks, Speaker, Tools};

use super::lock::{Row, in_turn};
use super::time;

/// Measures the programs in `bin_dir`; prints the table.
pub(crate) fn run(bin_dir: &Path, pairs: usize, rounds: usize, contenders: usize) -> Result<()> {
    let locks = SampleLocks::new(Tools::built(bin_dir));
    let acquire =
        bin_dir.join("examples").join("acquire").with_extension(std::env::consts::EXE_EXTENSION);
    let output = Command::new(&acquire).arg(locks.dir()).arg("200").output()?;
    let nanoseconds: f64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .with_context(|| format!("{} failed", acquire.display()))?;
    println!("| what | qc | beside | ratio |\n| --- | ---: | ---: | ---: |");
    println!("| acquire and release in one program | {:.0} µs | - | - |", nanoseconds / 1e3);

    let microseconds = |command: &mut Command| Ok(time(command)?.as_secs_f64() * 1e6);
    let qc_lock = bin_dir.join("qc-lock").with_extension(std::env::consts::EXE_EXTENSION);
    let mut bare = Command::new(&qc_lock);
    bare.arg("--version");
    let mut held = Command::new(&qc_lock);
    held.arg("--lock-dir").arg(locks.dir()).args(["run", "X", "--"]).arg(&qc_lock).arg("--version");
    let (own, peer) = in_turn(pairs, || microseconds(&mut held), || microseconds(&mut bare))?;
    let row = Row::new("`qc-lock run X -- PROGRAM`", &own, "PROGRAM alone", &peer, None);
    println!("| {} | {} | {} | {:.2} |", row.what, row.measured, row.peer, row.ratio);

    let mut decided = Vec::new();
    for _ in 0..rounds {
        decided.push(round(&locks, contenders)?.as_secs_f64() * 1e3);
    }
    let milliseconds = super::median(decided);
    println!(
        "| {contenders} contenders, {rounds} rounds, exactly one winner in each | {milliseconds:.0} ms | - | - |"
    );
    Ok(())
}

/// Lets the contenders ask at once; returns how long it took until all had an answer.
fn round(locks: &SampleLocks, contenders: usize) -> Result<Duration> {
    let mut crowd: Vec<_> =
        (0..contenders).map(|_| locks.contend(Speaker::Library, "CONTEST", None)).collect();
    let began = Instant::now();
    for contender in &mut crowd {
        contender.tell("go");
    }
    let winners = crowd.iter_mut().filter_map(|contender| contender.holds()).count();
    let took = began.elapsed();
    ensure!(winners == 1, "{winners} have won");
    Ok(took)
}

//! `cargo xtask fuzz`: invents records, histories, configs and command lines. The rules they must
//! keep are in `tests/inputs`; `cargo test` tries them on the seeds.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// A record may be larger than the 64 KiB that are read of one.
const LARGEST: &str = "-max_len=70000";

/// Fuzzes `target`, or each one after the other, for `seconds` each.
///
/// # Errors
/// If there is no `cargo fuzz`, or a rule was broken.
pub(crate) fn run(seconds: u64, target: Option<String>) -> Result<()> {
    let folder = crate::workspace().join("fuzz");
    let asked =
        cargo().args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(
        asked.is_ok_and(|status| status.success()),
        "there is no `cargo fuzz`; install it with `cargo install cargo-fuzz --locked`"
    );
    let mut targets = Vec::new();
    for entry in fs::read_dir(folder.join("seeds")).context("there are no seeds")? {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    if let Some(target) = target {
        ensure!(targets.contains(&target), "there is no target `{target}`, only {targets:?}");
        targets = vec![target];
    }
    for target in targets {
        println!("=== {target}, for {seconds} s");
        let (corpus, seeds) = (format!("corpus/{target}"), format!("seeds/{target}"));
        fs::create_dir_all(folder.join(&corpus))?;
        // The targets are safe code, which needs no sanitizer and so no nightly compiler.
        let mut fuzz = cargo();
        fuzz.current_dir(&folder).args(["fuzz", "run", "--sanitizer", "none", &target]);
        fuzz.args([&corpus, &seeds, "--", LARGEST]).arg(format!("-max_total_time={seconds}"));
        if !fuzz.status().context("cannot run cargo")?.success() {
            bail!(
                "`{target}` broke a rule, see above. Correct it, and put the input that did it into \
                 fuzz/{seeds} under a name that says what it is"
            );
        }
    }
    Ok(())
}

fn cargo() -> Command {
    Command::new(crate::cargo())
}

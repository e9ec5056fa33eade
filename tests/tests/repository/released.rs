//! The released programs have no fault points, and their scripts set no variable of a bot.

use std::process::Command;

use qc_tests::cannot_test;

use crate::workspace;

/// Returns the features that `cargo build` with these arguments builds qc-process with.
fn features_of_qc_process(args: &[&str]) -> Result<String, String> {
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["tree", "--edges", "normal,build", "--prefix", "none"]);
    cargo.args(["--format", "{p} features:{f}"]).args(args).current_dir(workspace());
    let output = cargo.output().map_err(|error| format!("cargo can't be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with("qc-process "));
    let features = line.and_then(|line| Some(line.split_once("features:")?.1));
    Ok(features.unwrap_or_else(|| panic!("no qc-process: {text}")).to_owned())
}

#[test]
fn released_programs_have_no_fault_points() {
    match features_of_qc_process(&[]) {
        Ok(features) => {
            assert!(!features.contains("fault"), "`cargo build` builds with {features}")
        }
        Err(why) => return cannot_test("that released programs have no fault points", &why),
    }
    let of_tests = features_of_qc_process(&["--workspace"]).expect("it worked just now");
    assert!(of_tests.contains("fault"), "the tests are built with {of_tests}");
}

#[test]
fn batch_files_set_no_variable_that_a_bot_may_read() {
    let folder = workspace().join("scripts");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "bat") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("set ") {
            let rest = text[at + 4..].trim_start_matches("/p ").trim_start_matches('"');
            let Some((name, _)) = rest.lines().next().and_then(|line| line.split_once('=')) else {
                continue;
            };
            assert!(name.starts_with("QC_") || name == "%2", "{}: {name}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

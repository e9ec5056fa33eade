//! `qc-launch drill`, on the system that the tests run on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use qc_process::Ended;
use qc_tests::{Program, run};
use tempfile::TempDir;

use crate::tools;

/// The page that explains each row.
const PAGE: &str = include_str!("../../../docs/WINDOWS.md");

/// The rows that Wine can't do, as the page lists them.
const BLIND: [&str; 6] = [
    "mandatory locks",
    "Ctrl-Break",
    "owner of a port",
    "access lists",
    "protected processes",
    "PowerShell",
];

/// The variables that name the system's temporary place.
const PLACE: [&str; 3] = ["TMPDIR", "TMP", "TEMP"];

fn is_wine() -> bool {
    let windows = std::env::var_os("SystemRoot").unwrap_or_default();
    cfg!(windows) && Path::new(&windows).join(r"system32\winecfg.exe").exists()
}

fn drill(place: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(tools().tool("qc-launch"));
    command.arg("drill").args(args).current_dir(place);
    command.envs(PLACE.map(|name| (name, place)));
    command
}

/// Sees that no file and no process of a drill is left.
fn assert_nothing_is_left(place: &TempDir) {
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let name = place.path().file_name().expect("it has a name").to_str().expect("it is text");
    let is_of_drill = |words: &[String]| words.iter().any(|word| word.contains(name));
    let listing = qc_process::list_wanted(&is_of_drill).unwrap();
    let children: Vec<_> =
        listing.processes.into_iter().filter(|one| is_of_drill(&one.args)).collect();
    assert!(children.is_empty(), "{children:#?}");
}

#[test]
fn this_system_passes_and_nothing_is_left() {
    let place = tempfile::tempdir().unwrap();
    let finished = run(&mut drill(place.path(), &["--json"]), "");
    assert_eq!(finished.stderr, "", "{finished:#?}");
    let report = finished.json();
    assert_eq!(report["version"], 1);
    assert_eq!(report["system"], std::env::consts::OS);
    let rows = report["rows"].as_array().expect("rows are a list");
    let failed: Vec<&str> = rows
        .iter()
        .filter(|row| row["result"] == "failed")
        .map(|row| row["what"].as_str().expect("a text"))
        .filter(|what| !is_wine() || !BLIND.contains(what))
        .collect();
    assert!(failed.is_empty(), "{failed:?} {report:#}");
    for (count, result) in ["passed", "failed", "skipped"].map(|one| (report[one].as_u64(), one)) {
        let found = rows.iter().filter(|row| row["result"] == result).count();
        assert_eq!(count, u64::try_from(found).ok(), "{report:#}");
    }
    assert_eq!(finished.code, if report["failed"] == 0 { 0 } else { 3 }, "{report:#}");
    for row in rows {
        assert_ne!(row["seen"], "", "{row}");
        let name = format!("`{}`", row["what"].as_str().expect("a text"));
        assert!(PAGE.contains(&name), "docs/WINDOWS.md does not explain {name}");
    }
    assert_nothing_is_left(&place);
}

#[test]
fn the_page_names_no_row_that_is_not_there() {
    let place = tempfile::tempdir().unwrap();
    let finished = run(&mut drill(place.path(), &[]), "");
    let mut lines = finished.stdout.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("RESULT   WHAT")), "{finished:#?}");
    // Columns are two blanks apart; no row's name holds two.
    let second = |line: &'_ str| {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).nth(1).map(str::to_owned)
    };
    let names: BTreeSet<String> = lines.clone().filter_map(second).collect();
    let (table, _) = PAGE.split_once("## The drill").expect("the page has a section on the drill");
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let last = line.split('|').nth(5).unwrap_or_default();
        for name in last.split('`').skip(1).step_by(2) {
            assert!(names.contains(name), "no row `{name}`: {finished:#?}");
        }
    }
    let last = lines.last().unwrap_or_default();
    assert!(last.contains(" passed, ") && last.ends_with(" skipped."), "{finished:#?}");
    assert_nothing_is_left(&place);
}

#[test]
fn an_interrupted_drill_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let text = place.path().to_str().expect("it is text");
    let env = PLACE.map(|name| (name, text));
    let program = tools().tool("qc-launch");
    let drill = Program::start(&program, &["drill"], place.path(), &env, |_| ());
    // The first row's folder: from then on it listens.
    let began = Instant::now();
    let has_begun = || {
        let folder = fs::read_dir(place.path()).unwrap().flatten().next();
        folder.is_some_and(|folder| folder.path().join("mandatory").exists())
    };
    while !has_begun() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not begin");
        thread::sleep(Duration::from_millis(2));
    }
    drill.ask_to_stop(&tools());
    let (ended, lines) = drill.finish();
    assert_eq!(ended, Ended::Code(130), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("interrupted before its turn")), "{lines:#?}");
    assert_nothing_is_left(&place);
}

#[test]
fn a_place_that_is_missing_is_named() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("missing");
    let mut command = drill(place.path(), &[]);
    command.envs(PLACE.map(|name| (name, &missing)));
    let finished = run(&mut command, "");
    assert_eq!(finished.code, 1, "{finished:#?}");
    assert!(finished.stderr.contains("cannot use the drill's folder"), "{finished:#?}");
    assert!(finished.stderr.contains("hint: "), "{finished:#?}");
}

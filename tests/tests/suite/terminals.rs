//! Trading terminals are never touched, whatever they are called and however they were started.

use std::fs;
use std::path::Path;

use qc_fleet::{CONFIG_FILE, Fleet};
use qc_lock_core::Terminal;
use qc_process::{Process, StopError};
use qc_tests::{Program, SampleFleet, cannot_test, copy_program, link};
use serde_json::json;

use crate::tools;

/// Asserts that the lowest layer refuses to open the program for stopping it.
fn assert_refused(program: &Program) {
    let opened = Process::open(program.identity());
    assert!(matches!(opened, Err(StopError::Terminal { .. })), "{opened:?}");
}

/// Starts a program that waits, which is no component of any fleet.
fn start(program: &Path, fleet: &SampleFleet) -> Program {
    let mut program = Program::start(program, &["IDLE.py"], fleet.root(), &[], |_| ());
    program.wait_for("ready");
    program
}

#[test]
fn a_program_that_the_config_names_as_a_terminal_is_one() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 1_211_001)]);
    let ending = std::env::consts::EXE_SUFFIX;
    let [vendor, other] =
        ["vendor", "other"].map(|name| fleet.root().join(format!("{name}{ending}")));
    // A file of its own each: a second name of it would be the same program.
    for program in [&vendor, &other] {
        fs::copy(fleet.tools.stand_in(), program).unwrap();
    }
    fleet.configure(&json!({ "ACCOUNTS": { "ATLAS": {
        "account": 1_211_001, "enabled": true, "terminal_path": vendor,
    } } }));
    let programs = [start(&vendor, &fleet), start(&other, &fleet)];
    assert!(
        Process::open(programs[0].identity()).unwrap().is_some(),
        "the config was not read yet"
    );
    Fleet::load(&fleet.root().join(CONFIG_FILE)).unwrap();
    assert_refused(&programs[0]);
    assert!(Process::open(programs[1].identity()).unwrap().is_some(), "it only lies beside it");
}

// Windows keeps the path that a program was started from, and starts none through links.
#[cfg(unix)]
#[test]
fn a_terminal_that_was_updated_or_is_started_by_another_name_is_still_one() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 1_211_002)]);
    let terminal = fleet.root().join("terminal64.exe");
    let (link, hard) = (fleet.root().join("python3"), fleet.root().join("python3.12"));
    fs::copy(fleet.tools.stand_in(), &terminal).unwrap();
    std::os::unix::fs::symlink("terminal64.exe", &link).unwrap();
    let linked = start(&link, &fleet);
    assert_refused(&linked);
    fs::remove_file(&terminal).unwrap();
    copy_program(&fleet.tools.stand_in(), &terminal);
    assert_refused(&linked);

    // A second name of the file says nothing; that the config names the first one does.
    let vendor = fleet.root().join("vendor");
    fs::copy(fleet.tools.stand_in(), &vendor).unwrap();
    fs::hard_link(&vendor, &hard).unwrap();
    let named = start(&hard, &fleet);
    fleet.configure(&json!({ "ACCOUNTS": { "ATLAS": {
        "account": 1_211_002, "enabled": true, "terminal_path": vendor,
    } } }));
    Fleet::load(&fleet.root().join(CONFIG_FILE)).unwrap();
    assert_refused(&named);
}

#[test]
fn a_bot_whose_name_begins_like_a_terminals_can_be_stopped() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 1_211_003)]);
    let bot = fleet.root().join("MetaTraderBot.exe");
    copy_program(&fleet.tools.stand_in(), &bot);
    let bot = start(&bot, &fleet);
    assert!(Process::open(bot.identity()).unwrap().is_some());
}

#[test]
fn a_terminal_below_a_link_is_the_same_before_and_after_it_is_installed() {
    let dir = tempfile::tempdir().unwrap();
    let [real, folder, dangling] = ["real", "link", "dangling"].map(|name| dir.path().join(name));
    fs::create_dir(&real).unwrap();
    for (to, at) in [(&real, &folder), (&real.join("later"), &dangling)] {
        if let Err(error) = link(to, at) {
            return cannot_test("a terminal behind a link", &error.to_string());
        }
    }
    let seen = || {
        let below = |path: &Path| path.join("mt5").join("terminal64.exe");
        let paths = [&real.join("later"), &folder.join("later"), &dangling];
        paths.map(|path| Terminal::new(below(path).to_str().unwrap()))
    };
    let before = seen();
    assert!(before.iter().all(|one| *one == before[0]), "{before:?}");
    fs::create_dir_all(real.join("later").join("mt5")).unwrap();
    assert_eq!(seen(), before);
    fs::write(real.join("later").join("mt5").join("terminal64.exe"), "").unwrap();
    assert_eq!(seen(), before);
}

#[test]
fn links_that_lead_to_each_other_keep_no_terminal_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
    if let Err(error) = link(&one, &other).and_then(|()| link(&other, &one)) {
        return cannot_test("a terminal behind a circle of links", &error.to_string());
    }
    let terminal = Terminal::new(one.join("mt5").to_str().unwrap());
    assert!(terminal.as_str().ends_with("/mt5"), "{terminal:?}");
}

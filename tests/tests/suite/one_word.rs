//! `qc`: one word for the tools.

use std::fs;
use std::time::Duration;

use qc_process::{Ended, Process, identity_of, wait_any};
use qc_tests::{Program, SampleFleet, section};
use serde_json::{Value, json};

use crate::tools;

/// The subcommands, each with the tool that its help must name.
const WORDS: [(&str, &str); 16] = [
    ("ps", "qc-ps"),
    ("up", "qc-launch up"),
    ("down", "qc-shutdown"),
    ("stop", "qc stop"),
    ("start", "qc-launch start"),
    ("restart", "qc-launch restart"),
    ("reload", "qc-launch reload"),
    ("status", "qc-launch status"),
    ("logs", "qc-launch logs"),
    ("check", "qc-launch check"),
    ("init", "qc-launch init"),
    ("unlatch", "qc-launch unlatch"),
    ("autostart", "qc-launch autostart"),
    ("drill", "qc-launch drill"),
    ("schema", "qc-launch schema"),
    ("lock", "qc-lock"),
];

fn fleet() -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 71)]);
    fleet.configure(&json!({
        "ACCOUNTS": { "ATLAS": { "account": 71, "enabled": true } },
        "PROCESS_MANAGER": section(&json!({ "defaults": { "ready": { "log": "^ready" } } })),
    }));
    fleet
}

fn pid(fleet: &SampleFleet, name: &str) -> Option<u64> {
    let report = fleet.run("qc", &["ps", "--json"]).json();
    let rows = report["processes"].as_array().expect("a list").clone();
    let is_it = |row: &Value| row["component"] == name && row["state"] != "foreign";
    rows.into_iter().find(is_it)?["pids"].as_array()?.last()?.as_u64()
}

#[test]
fn each_word_has_the_help_of_its_tool() {
    let place = tempfile::tempdir().unwrap();
    for (word, tool) in WORDS {
        for words in [["help", word], [word, "--help"]] {
            let help = tools().run("qc", &words, place.path(), "");
            assert_eq!(help.code, 0, "{words:?} {help:?}");
            // The copies for the tests, and programs of Windows, have longer names.
            let plain = help.stdout.replace("-dup", "").replace(".exe", "");
            assert!(plain.contains(&format!("Usage: {tool}")), "{words:?} {help:?}");
        }
    }
    let listed = tools().run("qc", &["--help"], place.path(), "").stdout;
    let is_listed = |word: &str| listed.lines().any(|line| line.trim_start().starts_with(word));
    let missing: Vec<_> = WORDS.iter().filter(|(word, _)| !is_listed(word)).collect();
    assert!(missing.is_empty(), "{missing:?} {listed}");
}

#[test]
fn a_tools_words_input_and_exit_code_are_its_own() {
    let place = tempfile::tempdir().unwrap();
    let stand_in = tools().stand_in();
    let stand_in = stand_in.to_str().expect("it is text");
    let locks = place.path().join("locks of this test");
    let locks = locks.to_str().expect("it is text");
    let words =
        ["--lock-dir", locks, "lock", "run", "X", "--", stand_in, "tell", "told", "exit", "7"];
    let ended = tools().run("qc", &words, place.path(), "an input");
    assert_eq!(ended.code, 7, "{ended:?}");
    let told = fs::read_to_string(place.path().join("told")).unwrap();
    assert!(told.contains("an input"), "{told}");
    let wrong = tools().run("qc", &["pss"], place.path(), "");
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("a similar subcommand exists: 'ps'"), "{wrong:?}");
}

#[test]
fn a_fleet_lives_its_day_under_one_word() {
    let fleet = fleet();
    let up = fleet.run("qc", &["up", "--detach"]);
    assert_eq!(up.code, 0, "{up:?}");
    let first = pid(&fleet, "BRAIN_ATLAS").expect("the brain runs");
    let status: Value = fleet.run("qc", &["status", "--json"]).json();
    let launcher = u32::try_from(status["pid"].as_u64().expect("a pid")).unwrap();
    let launcher = identity_of(launcher).unwrap();

    let restarted = fleet.run("qc", &["restart", "BRAIN_ATLAS"]);
    assert_eq!(restarted.code, 0, "{restarted:?}");
    assert_ne!(pid(&fleet, "BRAIN_ATLAS"), Some(first));

    // With a launcher, it is asked; without one, the component is stopped all the same.
    let stopped = fleet.run("qc", &["stop", "BRAIN_ATLAS"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(pid(&fleet, "BRAIN_ATLAS"), None);
    let started = fleet.run("qc", &["start", "BRAIN_ATLAS"]);
    assert_eq!(started.code, 0, "{started:?}");
    let launcher = Process::open(&launcher).unwrap().expect("it runs");
    launcher.kill().unwrap();
    assert_eq!(wait_any(&[&launcher], Duration::from_secs(30)).unwrap(), [0], "it lives");
    let stopped = fleet.run("qc", &["stop", "BRAIN_ATLAS", "--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(pid(&fleet, "BRAIN_ATLAS"), None);
    assert!(pid(&fleet, "WATCHDOG_ATLAS").is_some());

    let down = fleet.run("qc", &["down", "--yes"]);
    assert_eq!(down.code, 0, "{down:?}");
    assert!(down.stdout.contains("All automation has stopped"), "{down:?}");
}

#[test]
fn a_request_to_stop_reaches_the_launcher_behind_it() {
    let fleet = fleet();
    let qc = fleet.tools.tool("qc");
    let mut up = Program::start(&qc, &["up"], fleet.root(), &[], |_| ());
    up.wait_for("BRAIN_ATLAS is ready");
    up.ask_to_stop(&fleet.tools);
    let (ended, lines) = up.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    assert_eq!(pid(&fleet, "BRAIN_ATLAS"), None, "{lines:#?}");
}

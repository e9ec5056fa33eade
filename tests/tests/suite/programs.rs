//! The programs of components: found by the checklist exactly as by a start.

use std::env::consts::EXE_SUFFIX;
use std::fs;

use qc_process::Ended;
use qc_tests::{SampleFleet, copy_program, section};
use serde_json::{Value, json};

use crate::tools;

/// Returns a fleet of one account and these components.
fn fleet(account: u64, components: &Value) -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", account)]);
    configure(&fleet, account, &json!({ "components": components }));
    fleet
}

fn configure(fleet: &SampleFleet, account: u64, more: &Value) {
    fleet.configure(&json!({
        "ACCOUNTS": { "ATLAS": { "account": account, "enabled": true } },
        "PROCESS_MANAGER": section(more),
    }));
}

/// Returns the texts of the checklist that are not all right, and what to do.
fn found(fleet: &SampleFleet, code: i32) -> Vec<[String; 2]> {
    let finished = fleet.run("qc-launch", &["check", "--json"]);
    assert_eq!(finished.code, code, "{finished:#?}");
    let report = finished.json();
    let text = |check: &Value, key: &str| check[key].as_str().expect("a text").to_owned();
    let checks = report["checks"].as_array().expect("checks are a list");
    checks
        .iter()
        .filter(|check| check["verdict"] != "ok")
        .map(|check| ["text", "advice"].map(|key| text(check, key)))
        .collect()
}

/// `python3.11` has a dot, behind which Windows looks for no `.exe` by itself.
#[test]
fn a_program_with_a_dot_in_its_name_passes_the_check_and_starts() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 7_321)]);
    let folder = fleet.root().join("own bin");
    fs::create_dir(&folder).unwrap();
    copy_program(&fleet.tools.stand_in(), &folder.join(format!("feed3.11{EXE_SUFFIX}")));
    let feed = json!({ "command": ["feed3.11", "script.py"], "env": { "PATH": folder } });
    fleet.script("script.py", "");
    configure(&fleet, 7_321, &json!({ "components": { "FEED": feed } }));
    assert_eq!(found(&fleet, 0), Vec::<[String; 2]>::new());
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started FEED");
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
}

#[test]
fn a_program_that_is_not_found_is_told_with_the_folders_and_what_to_write() {
    let fleet = fleet(7_322, &json!({ "FEED": { "command": ["no-such-feed"] } }));
    let checks = found(&fleet, 2);
    let [[text, advice]] = &checks[..] else { panic!("{checks:#?}") };
    assert_eq!(text, "the program no-such-feed of FEED is not on PATH");
    assert!(advice.contains("it is in no folder of PATH ("), "{advice}");
    assert!(advice.ends_with("); write its full path"), "{advice}");
}

#[test]
fn a_terminal_among_the_components_and_old_scripts_are_warned_of() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 7_323)]);
    let terminal = fleet.root().join("MT5").join("terminal64.exe");
    fs::create_dir(terminal.parent().unwrap()).unwrap();
    copy_program(&fleet.tools.stand_in(), &terminal);
    configure(&fleet, 7_323, &json!({ "components": { "MT5": { "command": [terminal] } } }));
    for name in ["SAFE_SHUTDOWN.py", "MASTER_LAUNCH.py"] {
        fs::write(fleet.root().join(name), "").unwrap();
    }
    let texts: Vec<String> = found(&fleet, 0).into_iter().map(|[text, _]| text).collect();
    assert_eq!(
        texts,
        [
            "MT5 is a trading terminal, which no tool ever stops",
            "the old SAFE_SHUTDOWN.py is still here and works against these tools",
            "the old MASTER_LAUNCH.py is still here and works against these tools",
        ]
    );
}

/// `%` and `$` mean something to shells and to other supervisors; only `${` does here.
#[test]
fn values_with_percent_and_dollar_signs_arrive_as_they_were_written() {
    let awkward = [
        "http://h/x%2Fy%%3Az%(ENV_HOME)s?a=1&b=2",
        "p$ss$$w$HOME$(id)`id`%PATH%",
        "a\"b'c\\d\\\\",
        "  lead, trail;#x  ",
        "{KEY} {ACCOUNT} {} Grüße \u{20ac}",
    ];
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 7_324)]);
    let names: Vec<String> = (0..awkward.len()).map(|number| format!("QC_TEST_{number}")).collect();
    let mut env: serde_json::Map<String, Value> =
        names.iter().cloned().zip(awkward.iter().map(|&value| value.into())).collect();
    env.insert("QC_TEST_BRACE".into(), "$${HOME}".into());
    let said: String = names.iter().map(|name| format!("say {name}\n")).collect();
    fleet.script("BRAIN_ATLAS.py", &format!("{said}say QC_TEST_BRACE"));
    configure(&fleet, 7_324, &json!({ "defaults": { "env": env } }));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    let log = fs::read_dir(fleet.root().join("orchestrator_logs"))
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("BRAIN_ATLAS_2"))
        .expect("the brain has a log");
    let log = fs::read_to_string(log.path()).unwrap();
    for (name, value) in names.iter().zip(awkward) {
        assert!(log.contains(&format!("{name} is {value} in ")), "{value}: {log}");
    }
    assert!(log.contains("QC_TEST_BRACE is ${HOME} in "), "{log}");
}

#[test]
fn a_missing_script_is_told_with_the_file_that_was_meant() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 7_325)]);
    configure(&fleet, 7_325, &json!({}));
    let file = |name: &str| fleet.root().join(name);
    fs::rename(file("BRAIN_ATLAS.py"), file("BRAIN_ATALS.py")).unwrap();
    let texts: Vec<String> = found(&fleet, 0).into_iter().map(|[text, _]| text).collect();
    let near = "there is no BRAIN_ATLAS.py; did you mean BRAIN_ATALS.py?";
    assert!(texts.iter().any(|text| text == near), "{texts:#?}");
}

//! Settings beyond the three kinds of components, and secrets that are never shown.

use std::fs;

use qc_process::Ended;
use qc_tests::{Program, SampleFleet, section};
use serde_json::{Value, json};

use crate::tools;

const ONE: [(&str, u64); 1] = [("ATLAS", 11)];

/// A word that must stand nowhere but with the component that it is for.
const SECRET: &str = "hunter2";

fn config(more: &Value) -> Value {
    json!({ "ACCOUNTS": { "ATLAS": { "account": 11, "enabled": true } }, "PROCESS_MANAGER": section(more) })
}

/// Returns what a component has printed.
fn output(fleet: &SampleFleet, name: &str) -> String {
    let logs = fs::read_dir(fleet.root().join("orchestrator_logs")).expect("there are logs");
    logs.flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(name))
        .map(|entry| fs::read_to_string(entry.path()).expect("a log can be read"))
        .collect()
}

#[test]
fn a_component_of_its_own_runs_under_its_lock_and_stops_with_the_fleet() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fs::create_dir(fleet.root().join("sub")).unwrap();
    fleet.script("report.py", "say TOKEN");
    fleet.configure(&config(&json!({
        "components": {
            "report": {
                "script": "report.py", "args": ["--daily"], "cwd": "sub", "account": "ATLAS",
                "shared_account": true,
                "env": { "TOKEN": SECRET }, "depends_on": ["BRAIN_ATLAS"],
            },
        },
    })));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started report");
    let rows = fleet.processes();
    let row = rows.iter().find(|row| row["component"] == "report").expect("it is not listed");
    assert_eq!((&row["role"], &row["state"]), (&json!("other"), &json!("running")), "{row:#}");
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    let said = output(&fleet, "report_");
    assert!(said.contains(&format!("TOKEN is {SECRET} in ")), "{said}");
    assert!(said.lines().next().unwrap().ends_with("sub"), "{said}");
    assert!(said.contains("cleaned up"), "{said}");
    assert!(lines.iter().all(|line| !line.contains(SECRET)), "{lines:#?}");
}

/// A command from before there was a launcher: the wrapper asks for what the launcher holds for it.
#[test]
fn a_command_that_locks_what_the_launcher_holds_for_it_is_not_refused() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let (lock, brain) = (fleet.tools.tool("qc-lock"), fleet.python());
    let account = fleet.account(11).to_string();
    let lock = lock.to_str().unwrap();
    let wrapper = |name| [lock, "run", name, "--account", &account, "--"].map(str::to_owned);
    let program = [brain.to_str().unwrap(), "BRAIN_ATLAS.py"].map(str::to_owned);
    let shell = |line: &[String]| {
        let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
        ["sh".to_owned(), "-c".to_owned(), format!("{}; exit $?", words.join(" "))]
    };
    let once = [&wrapper("BRAIN_ATLAS")[..], &program].concat();
    let mut commands = vec![
        [&wrapper("OLD_WRAPPER")[..], &program].concat(),
        [&wrapper("BRAIN_ATLAS")[..], &wrapper("BRAIN_ATLAS"), &once].concat(),
        once.clone(),
    ];
    if cfg!(unix) {
        commands.push(shell(&once).to_vec());
    }
    for name in commands {
        let brain = json!({ "BRAIN_ATLAS": { "command": name } });
        fleet.configure(&config(&json!({ "components": brain })));
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for("started BRAIN_ATLAS");
        let started = fleet.run("qc-launch", &["start", "BRAIN_ATLAS"]);
        assert_eq!(started.code, 0, "{name:?}: {started:#?}");
        let seen = fleet.run("qc-ps", &["--check"]);
        assert_eq!(seen.code, 0, "{name:?}: {seen:#?}");
        let again = ["run", "OTHER", "--account", &account, "--", "hostname"];
        assert_eq!(fleet.run("qc-lock", &again).code, 75, "{name:?}");
        let stopped = fleet.run("qc-shutdown", &["--yes"]);
        assert_eq!(stopped.code, 0, "{name:?}: {stopped:#?}");
        assert!(stopped.stdout.contains("All automation has stopped."), "{name:?}: {stopped:#?}");
        assert_eq!(launch.finish().0, Ended::Code(0), "{name:?}");
    }
}

#[test]
fn names_of_variables_that_are_one_here_are_an_error_of_the_check() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let env = json!({ "TOKEN": "one", "Token": "two" });
    let code = if cfg!(windows) { 2 } else { 0 };
    for more in [
        json!({ "defaults": { "env": env } }),
        json!({ "components": { "report": { "command": ["x"], "enabled": false, "env": env } } }),
    ] {
        fleet.configure(&config(&more));
        let checked = fleet.run("qc-launch", &["check"]);
        assert_eq!(checked.code, code, "{checked:?}");
        let message = "`TOKEN` and `Token` are one environment variable here";
        assert_eq!(checked.stderr.contains(message), cfg!(windows), "{checked:?}");
    }
    // Of two places, the nearer one counts.
    fleet.script("BRAIN_ATLAS.py", "say TOKEN");
    let name = if cfg!(windows) { "Token" } else { "TOKEN" };
    fleet.configure(&config(&json!({
        "defaults": { "env": { (name): "far" } }, "brains": { "env": { "TOKEN": "near" } },
    })));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    launch.ask_to_stop(&fleet.tools);
    launch.finish();
    let said = output(&fleet, "BRAIN_ATLAS_");
    assert!(said.contains("TOKEN is near in "), "{said}");
}

#[test]
fn what_a_variable_stands_for_is_printed_nowhere() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("BRAIN_ATLAS.py", "say TOKEN");
    fleet.configure(&config(&json!({
        "brains": { "args": ["--key", "${QC_TEST_KEY}", "$${X}"], "env": { "TOKEN": "${QC_TEST_KEY}" } },
        "notify": { "webhook": "https://example.com/${QC_TEST_KEY}" },
    })));
    let launcher = fleet.tools.tool("qc-launch");
    let env = [("QC_TEST_KEY", SECRET)];
    let plan = Program::start(&launcher, &["--dry-run"], fleet.root(), &env, |_| ());
    let (ended, lines) = plan.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    let shown = lines.join("\n");
    assert!(shown.contains("BRAIN_ATLAS.py\" --key ${QC_TEST_KEY} $${X}"), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");

    let mut launch = Program::start(&launcher, &[], fleet.root(), &env, |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    // Without the variable, the fleet can be seen and stopped, but not started.
    for args in [&[][..], &["check"], &["--dry-run"]] {
        let refused = fleet.run("qc-launch", args);
        assert_eq!(refused.code, 2, "{refused:#?}");
        let why =
            "the environment variable `QC_TEST_KEY` is not set (at PROCESS_MANAGER.brains.args[1])";
        assert!(refused.stderr.contains(why), "{refused:#?}");
    }
    let seen = fleet.run("qc-ps", &["--json"]);
    assert_eq!(seen.code, 0, "{seen:#?}");
    assert!(seen.stdout.contains("--key ${QC_TEST_KEY}"), "{seen:#?}");
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");

    let said = output(&fleet, "BRAIN_ATLAS_");
    assert!(said.contains(&format!("TOKEN is {SECRET} in ")), "{said}");
    assert!(
        said.contains(&format!("ready BRAIN_ATLAS.py --key {SECRET} ${{X}}"))
            || said.contains(&format!("--key {SECRET} ${{X}}")),
        "{said}"
    );
    let told = [lines.join("\n"), output(&fleet, "orchestrator_"), seen.stdout, stopped.stdout];
    let history = fs::read_to_string(fleet.root().join(".locks").join("history.jsonl")).unwrap();
    for text in told.iter().chain([&history]) {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn names_and_scripts_can_be_others() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fs::create_dir(fleet.root().join("src")).unwrap();
    fleet.script("src/trade.py", "");
    fleet.script("src/guard.py", "");
    fleet.configure(&config(&json!({
        "orchestrator": "BOSS",
        "server": { "enabled": false },
        "watchdogs": { "script": "src/guard.py", "args": ["{KEY}", "{ACCOUNT}"] },
        "brains": { "script": "src/trade.py", "args": ["--account", "{KEY}"] },
    })));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    let names: Vec<String> = fleet
        .processes()
        .iter()
        .map(|row| format!("{} {}", row["component"], row["state"]).replace('"', ""))
        .collect();
    assert_eq!(names, ["BOSS running", "BRAIN_ATLAS running", "WATCHDOG_ATLAS running"]);
    launch.ask_to_stop(&fleet.tools);
    assert_eq!(launch.finish().0, Ended::Code(0));
    assert_eq!(fleet.processes(), Vec::<Value>::new());
}

//! The checklist before a start, and what a start makes of it.

use std::fs;
use std::net::TcpListener;

use qc_process::{Ended, LAUNCH_COMMAND, SHUTDOWN_COMMAND};
use qc_tests::{Program, SampleFleet, section};
use serde_json::{Value, json};

use crate::tools;

const TWO: [(&str, u64); 2] = [("ATLAS", 11), ("BOREAS", 12)];

/// Returns the config of two accounts with something more for each, and more for our section.
fn config(account: &Value, more: &Value) -> Value {
    let account = |number: u64| {
        let mut account = account.clone();
        account["account"] = number.into();
        account["enabled"] = true.into();
        account
    };
    json!({ "ACCOUNTS": { "ATLAS": account(11), "BOREAS": account(12) }, "PROCESS_MANAGER": section(more) })
}

/// Returns the lines of the checklist that are not all right: verdict, subject, text.
fn found(fleet: &SampleFleet, args: &[&str], code: i32) -> Vec<[String; 3]> {
    let finished = fleet.run("qc-launch", &[&["check", "--json"], args].concat());
    assert_eq!(finished.code, code, "{finished:#?}");
    let report = finished.json();
    assert_eq!(report["version"], 1);
    let text = |check: &Value, key: &str| check[key].as_str().expect("a text").to_owned();
    let checks = report["checks"].as_array().expect("checks are a list");
    checks
        .iter()
        .filter(|check| check["verdict"] != "ok")
        .inspect(|check| assert_ne!(check["advice"], "", "{check}"))
        .map(|check| ["verdict", "subject", "text"].map(|key| text(check, key)))
        .collect()
}

fn assert_nothing_runs(fleet: &SampleFleet) {
    assert_eq!(fleet.processes(), Vec::<Value>::new());
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
}

#[test]
fn a_fleet_that_can_start_passes() {
    let fleet = SampleFleet::new(tools(), &TWO);
    assert_eq!(found(&fleet, &[], 0), Vec::<[String; 3]>::new());
    let list = fleet.run("qc-launch", &["check"]);
    assert_eq!((list.code, list.stderr.as_str()), (0, ""), "{list:#?}");
    assert!(list.stdout.contains("\nok  running      nothing of the fleet runs\n"), "{list:#?}");
    assert!(list.stdout.ends_with("\n\n0 errors, 0 warnings.\n"), "{list:#?}");
    assert!(!fleet.root().join(".locks").exists(), "a check makes nothing");
    assert!(!fleet.root().join("orchestrator_logs").exists(), "a check makes nothing");
}

#[test]
fn accounts_with_one_terminal_start_only_if_that_is_allowed() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let terminal = fleet.root().join("MT5");
    fs::create_dir(&terminal).unwrap();
    fleet.configure(&config(&json!({ "terminal_path": terminal, "magic": 7 }), &json!({})));
    let checks = found(&fleet, &[], 2);
    let [[one, magic, _], [other, terminals, text]] = &checks[..] else { panic!("{checks:#?}") };
    assert_eq!([one.as_str(), magic, other, terminals], ["error", "magic", "error", "terminals"]);
    assert!(text.starts_with("ATLAS and BOREAS have one terminal, "), "{text}");

    for args in [&[][..], &["--dry-run"]] {
        let refused = fleet.run("qc-launch", args);
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.stderr.contains("ATLAS and BOREAS have one terminal"), "{refused:#?}");
        assert!(refused.stderr.contains("--allow-shared-terminal"), "{refused:#?}");
        assert_nothing_runs(&fleet);
    }
    let one = fleet.run("qc-launch", &["--dry-run", "--accounts", "ATLAS"]);
    assert_eq!(one.code, 0, "{one:#?}");

    // The magic number stays an error, and alone does not refuse a start.
    let allowed = found(&fleet, &["--allow-shared-terminal"], 2);
    assert_eq!(allowed.len(), 1, "{allowed:#?}");
    let mut launch = fleet.launch(&["--allow-shared-terminal"], |_| ());
    launch.wait_for("ATLAS and BOREAS have one magic number, 7");
    launch.wait_for("started BRAIN_BOREAS");
    let lock = fleet.run("qc-lock", &["list", "--json"]).json();
    assert!(!lock.to_string().contains("terminal/"), "{lock:#}");
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
}

#[test]
fn a_taken_port_refuses_a_start_and_names_who_listens() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    for section in
        [json!({ "server": { "port": port } }), json!({ "server": { "ready": { "port": port } } })]
    {
        fleet.configure(&config(&json!({}), &section));
        let checks = found(&fleet, &[], 2);
        let [[_, _, text]] = &checks[..] else { panic!("{checks:#?}") };
        let taken = format!("port {port} of quantum_server is taken by ");
        assert!(text.starts_with(&taken), "{text}");
        // Wine does not say whose a port is.
        let pid = format!("(PID {})", std::process::id());
        assert!(text.ends_with(&pid) || cfg!(windows), "{text}");
        let refused = fleet.run("qc-launch", &[]);
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.stderr.contains(&taken), "{refused:#?}");
        assert_nothing_runs(&fleet);
    }
    drop(socket);
    assert_eq!(found(&fleet, &[], 0), Vec::<[String; 3]>::new());
}

#[test]
fn the_advice_about_old_scripts_names_commands_of_this_system() {
    let fleet = SampleFleet::new(tools(), &TWO);
    for (script, command) in
        [("SAFE_SHUTDOWN.py", SHUTDOWN_COMMAND), ("MASTER_LAUNCH.py", LAUNCH_COMMAND)]
    {
        fs::write(fleet.root().join(script), "").unwrap();
        let list = fleet.run("qc-launch", &["check"]);
        assert_eq!(list.code, 0, "{list:?}");
        let line = list.stdout.lines().find(|line| line.contains(script)).expect("it is named");
        assert!(line.ends_with(&format!("; {command} takes its place")), "{line}");
        assert_eq!(line.contains(".bat"), cfg!(windows), "{line}");
    }
}

#[test]
fn what_runs_without_its_lock_or_under_another_launcher_is_an_error() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let python = fleet.python();
    let mut stray = Program::start(&python, &["BRAIN_ATLAS.py"], fleet.root(), &[], |_| ());
    stray.wait_for("ready");
    let pid = stray.identity().pid;
    let expected = ["error", "running", &format!("BRAIN_ATLAS runs (PID {pid}) without its lock")];
    assert_eq!(found(&fleet, &[], 2), [expected.map(str::to_owned)]);
    drop(stray);

    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_BOREAS");
    let checks = found(&fleet, &[], 2);
    assert!(
        matches!(&checks[..], [[_, _, text]] if text.ends_with("and supervises the fleet")),
        "{checks:#?}"
    );
    let plan = fleet.run("qc-launch", &["--dry-run"]);
    assert_eq!(plan.code, 75, "{plan:?}");
    assert!(plan.stderr.contains("it runs already (PID "), "{plan:?}");
    assert!(plan.stderr.contains("`qc-launch status`"), "{plan:?}");
}

#[test]
fn several_obstacles_are_listed_and_nothing_is_started() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let section = json!({
        "logs": { "folder": "BRAIN_ATLAS.py" },
        "components": { "bridge": { "command": ["bin/bridge"], "cwd": "nowhere" } },
    });
    fleet.configure(&config(&json!({}), &section));
    let refused = fleet.run("qc-launch", &[]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    let lines: Vec<&str> = refused.stderr.lines().collect();
    assert!(
        matches!(&lines[..], [first, program, folder, logs, hint]
            if *first == "qc-launch: 3 things are in the way of a start:"
                && program.contains("the program ") && program.ends_with("of bridge does not exist")
                && folder.ends_with("nowhere of bridge does not exist")
                && logs.contains("BRAIN_ATLAS.py cannot be written to: ")
                && hint.contains("qc-launch check")),
        "{lines:#?}"
    );
    assert_nothing_runs(&fleet);
}

#[test]
fn a_config_to_begin_with_passes_once_there_are_scripts() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let config = fleet.root().join("MASTER_CONFIG.json");
    let before = fs::read_to_string(&config).unwrap();
    let refused = fleet.run("qc-launch", &["init"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains("init --section"), "{refused:#?}");
    assert_eq!(fs::read_to_string(&config).unwrap(), before);
    let section = fleet.run("qc-launch", &["init", "--section"]);
    assert!(section.stdout.starts_with("  \"PROCESS_MANAGER\": {\n"), "{section:#?}");

    fs::remove_file(&config).unwrap();
    let root = fleet.root().to_str().unwrap();
    let written = fleet.run("qc-launch", &["init", "--root", root]);
    assert_eq!(written.code, 0, "{written:#?}");
    // Whether anything listens at the server's port on this machine is no matter here.
    let text = fs::read_to_string(&config).unwrap().replace("\"//port\": 8000,", "\"port\": null,");
    fs::write(&config, text).unwrap();
    let checks = found(&fleet, &[], 0);
    assert!(
        matches!(&checks[..], [[_, _, text]] if text == "no account is enabled"),
        "{checks:#?}"
    );
    let schema = fleet.run("qc-launch", &["schema"]).json();
    assert!(schema["$defs"]["ProcessManager"]["properties"]["interpreter"].is_object());
}

#[test]
fn two_components_that_are_one_program_are_an_error_of_the_check_and_of_a_start() {
    let fleet = SampleFleet::new(tools(), &[]);
    fleet.script("feed.py", "");
    let python = fleet.python();
    let feed = |argument: &str| json!({ "command": [python, "feed.py", argument] });
    let configure = |second: &str| {
        let components = json!({ "FEED_A": feed("gold"), "FEED_B": feed(second) });
        let manager = section(&json!({ "components": components, "server": { "enabled": false } }));
        fleet.configure(&json!({ "ACCOUNTS": {}, "PROCESS_MANAGER": manager }));
    };
    configure("gold");
    let text = "FEED_A and FEED_B run one script with the same arguments, ";
    let is_it = |[verdict, _, found]: &[String; 3]| verdict == "error" && found.starts_with(text);
    assert!(found(&fleet, &[], 2).iter().any(is_it));
    for args in [&["--dry-run"][..], &[]] {
        let refused = fleet.run("qc-launch", args);
        assert_eq!(refused.code, 2, "{args:?} {refused:?}");
        assert!(refused.stderr.contains(text), "{args:?} {refused:?}");
    }
    assert_nothing_runs(&fleet);
    configure("oil");
    assert!(!found(&fleet, &[], 0).iter().any(is_it));
}

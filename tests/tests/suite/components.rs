//! Which process is which component: the holder of its lock, then what its command line says, seen
//! through wrappers and runners.

use std::fs;
use std::path::Path;
use std::process::Command;

use qc_tests::{Program, SampleFleet, cannot_test, copy_program, link, python, run, section};
use serde_json::{Value, json};

use crate::tools;

/// An account that no other test uses.
const RHEA: [(&str, u64); 1] = [("RHEA", 7_310_001)];

/// A brain that runs until it is asked.
const WAITING: &str = "import time\nprint('ready', flush=True)\ntime.sleep(100)\n";

fn start(fleet: &SampleFleet, program: &Path, args: &[&str]) -> Program {
    let mut program = Program::start(program, args, fleet.root(), &[], |_| ());
    program.wait_for("ready");
    program
}

fn own(fleet: &SampleFleet) -> Vec<Value> {
    fleet.processes().into_iter().filter(|row| row["state"] != "foreign").collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

#[test]
fn what_holds_a_brains_lock_is_shown_as_it_is_refuses_a_start_and_is_stopped() {
    let fleet = SampleFleet::new(tools(), &RHEA);
    let feeder = fleet.root().join(format!("feeder{}", std::env::consts::EXE_SUFFIX));
    copy_program(&fleet.tools.stand_in(), &feeder);
    fleet.script("work.py", "");
    let lock = fleet.tools.tool("qc-lock");
    let _held = start(&fleet, &lock, &["run", "BRAIN_RHEA", "--", text(&feeder), "work.py"]);
    let rows = own(&fleet);
    let [brain] = &rows[..] else { panic!("{rows:#?}") };
    assert_eq!(
        (&brain["component"], &brain["lock"]["state"]),
        (&json!("BRAIN_RHEA"), &json!("held"))
    );
    assert!(brain["command"].as_str().unwrap().contains("feeder"), "{brain:#}");
    let pid = brain["pids"][0].to_string();
    let refused = fleet.run("qc-launch", &["--no-adopt"]);
    assert_eq!(refused.code, 75, "{refused:?}");
    assert!(refused.stderr.contains(&pid), "{refused:?}");
    let planned = fleet.run("qc-launch", &["--dry-run"]);
    let blocked = format!("BLOCKED BRAIN_RHEA: another copy runs: BRAIN_RHEA runs (PID {pid})");
    assert!(planned.stdout.contains(&blocked), "{planned:?}");
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stdout.contains(&format!("PID {pid}")), "{stopped:?}");
    assert_eq!(own(&fleet), Vec::<Value>::new());
}

#[test]
fn the_first_version_of_the_watchdog_is_a_copy_of_the_second() {
    let fleet = SampleFleet::new(tools(), &RHEA);
    fleet.script("STOPLOSS_WATCHDOG.py", "");
    fleet.script("STOPLOSS_WATCHDOG_V2.py", "");
    let args = |script: &'static str| [script, "--account", "RHEA"];
    let _first = start(&fleet, &fleet.python(), &args("STOPLOSS_WATCHDOG.py"));
    let rows = own(&fleet);
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(
        (&rows[0]["component"], &rows[0]["role"]),
        (&json!("WATCHDOG_RHEA"), &json!("watchdog"))
    );
    let _second = start(&fleet, &fleet.python(), &args("STOPLOSS_WATCHDOG_V2.py"));
    let check = fleet.run("qc-ps", &["--check"]);
    assert!(check.stdout.contains("WATCHDOG_RHEA runs 2 times"), "{check:?}");
    assert_eq!(fleet.run("qc-shutdown", &["--yes"]).code, 0);
    assert_eq!(own(&fleet), Vec::<Value>::new());
}

#[test]
fn a_brain_under_a_debugger_is_that_brain() {
    let Some(python) = python() else { return };
    let fleet = SampleFleet::new(tools(), &RHEA);
    fs::write(fleet.root().join("BRAIN_RHEA.py"), WAITING).unwrap();
    for args in [
        &["-u", "-m", "pdb", "-c", "continue", "BRAIN_RHEA.py"][..],
        &["-m", "cProfile", "-o", "profile", "BRAIN_RHEA.py"],
    ] {
        let _brain = start(&fleet, python, args);
        let rows = own(&fleet);
        assert_eq!(rows.len(), 1, "{args:?}: {rows:#?}");
        assert_eq!(rows[0]["component"], "BRAIN_RHEA", "{args:?}");
        let stopped = fleet.run("qc-shutdown", &["--yes"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
    }
}

#[test]
fn a_brain_that_is_not_called_by_its_scripts_name_is_that_brain() {
    let Some(python) = python() else { return };
    let fleet = SampleFleet::new(tools(), &RHEA);
    let script = fleet.root().join("BRAIN_RHEA.py");
    fs::write(&script, WAITING).unwrap();
    let compile = "import py_compile; py_compile.compile('BRAIN_RHEA.py', 'BRAIN_RHEA.pyc')";
    assert!(
        run(Command::new(python).args(["-c", compile]).current_dir(fleet.root()), "").code == 0
    );
    let mut calls = vec![
        vec!["BRAIN_RHEA.pyc"],
        vec!["-m", "BRAIN_RHEA"],
        vec!["-m", "runpy", "BRAIN_RHEA"],
        vec!["-c", "import sys, BRAIN_RHEA"],
    ];
    match link(&script, &fleet.root().join("bot.py")) {
        Ok(()) => calls.push(vec!["bot.py"]),
        Err(error) => cannot_test("a link to a script", &error.to_string()),
    }
    for args in calls {
        let _brain = start(&fleet, python, &args);
        let rows = own(&fleet);
        assert_eq!(rows.len(), 1, "{args:?}: {rows:#?}");
        assert_eq!(rows[0]["component"], "BRAIN_RHEA", "{args:?}");
        let stopped = fleet.run("qc-shutdown", &["--yes"]);
        assert_eq!(stopped.code, 0, "{args:?}: {stopped:?}");
        assert_eq!(own(&fleet), Vec::<Value>::new(), "{args:?}");
    }
}

#[test]
fn a_server_that_runs_itself_again_is_one_and_a_brain_is_two() {
    let Some(python) = python() else { return };
    let fleet = SampleFleet::new(tools(), &RHEA);
    let script = "import os, subprocess, sys, time
if os.environ.get('AGAIN') is None:
    os.environ['AGAIN'] = '1'
    sys.exit(subprocess.call([sys.executable, *sys.argv]))
print('ready', flush=True)
time.sleep(100)
";
    for (file, instances) in [("quantum_server.py", 1), ("BRAIN_RHEA.py", 2)] {
        fs::write(fleet.root().join(file), script).unwrap();
        let _program = start(&fleet, python, &[file]);
        let rows = own(&fleet);
        assert_eq!(rows.len(), instances, "{file}: {rows:#?}");
        let stopped = fleet.run("qc-shutdown", &["--yes"]);
        assert_eq!(stopped.code, 0, "{file}: {stopped:?}");
        assert_eq!(own(&fleet), Vec::<Value>::new(), "{file}");
    }
}

/// Programs of Unix.
#[cfg(unix)]
mod unix {
    use qc_tests::section;

    use super::*;

    /// Overwrites its own command line, as `setproctitle` does.
    const TITLED: &str = r#"
import ctypes, os, time
fields = open("/proc/self/stat").read().rsplit(") ", 1)[1].split()
start, end = int(fields[45]), int(fields[46])
ctypes.memset(start, 0, end - start)
ctypes.memmove(start, b"brain", 5)
os.chdir("/")
print("ready", flush=True)
time.sleep(100)
"#;

    #[test]
    fn a_python_with_the_title_of_a_terminal_is_stopped() {
        let Some(python) = python() else { return };
        let titles = [r"C:\\MT5\\terminal64.exe", "qc-lock", r"qc-launch\0up"];
        for title in titles {
            let fleet = SampleFleet::new(tools(), &RHEA);
            let body = TITLED.replace("b\"brain\", 5", &format!("(t := b\"{title}\"), len(t)"));
            assert_ne!(body, TITLED);
            fs::write(fleet.root().join("BRAIN_RHEA.py"), body).unwrap();
            let words = ["run", "BRAIN_RHEA", "--", text(python), "BRAIN_RHEA.py"];
            let _held = start(&fleet, &fleet.tools.tool("qc-lock"), &words);
            let rows = own(&fleet);
            let [brain] = &rows[..] else { panic!("{title}: {rows:#?}") };
            assert_eq!(brain["component"], "BRAIN_RHEA", "{title}");
            assert_eq!(brain["detail"], serde_json::Value::Null, "{title}: {brain:#}");
            let stopped = fleet.run("qc-shutdown", &["--yes"]);
            assert_eq!(stopped.code, 0, "{title}: {stopped:?}");
            let pid = u32::try_from(brain["pids"][0].as_u64().unwrap()).unwrap();
            assert!(qc_process::identity_of(pid).is_err(), "{title}: {brain:#}");
        }
    }

    #[test]
    fn a_title_that_reads_like_another_component_changes_nothing() {
        let Some(python) = python() else { return };
        let accounts = [("RHEA", RHEA[0].1), ("THEIA", RHEA[0].1 + 1)];
        let title = r"(t := b'python\0BRAIN_THEIA.py'), len(t)";
        for wrapper in [false, true] {
            let fleet = SampleFleet::new(tools(), &accounts);
            let body = TITLED.replace("b\"brain\", 5", title).replace("os.chdir(\"/\")", "");
            assert_ne!(body, TITLED);
            fs::write(fleet.root().join("BRAIN_RHEA.py"), body).unwrap();
            fs::write(fleet.root().join("BRAIN_THEIA.py"), WAITING).unwrap();
            let line = format!("'{}' BRAIN_RHEA.py; true", text(python));
            let command = match wrapper {
                true => json!(["/bin/sh", "-c", line]),
                false => json!([python, "BRAIN_RHEA.py"]),
            };
            let ready = json!({ "log": "^ready" });
            let account = |number: u64| json!({ "account": number, "enabled": true });
            fleet.configure(&json!({
                "ACCOUNTS": { "RHEA": account(accounts[0].1), "THEIA": account(accounts[1].1) },
                "PROCESS_MANAGER": section(&json!({ "server": { "enabled": false }, "components": {
                    "BRAIN_RHEA": { "command": command, "ready": ready },
                    "BRAIN_THEIA": { "command": [python, "BRAIN_THEIA.py"], "ready": ready },
                } })),
            }));
            let mut launch = fleet.launch(&[], |_| ());
            launch.wait_for("BRAIN_RHEA is ready");
            launch.wait_for("BRAIN_THEIA is ready");
            let check = || {
                let check = fleet.run("qc-ps", &["--check"]);
                let expected = "OK: 5 running, each once and under its lock.\n";
                assert_eq!((check.code, &*check.stdout), (0, expected), "{wrapper}: {check:?}");
            };
            check();
            launch.kill();
            drop(launch);
            let mut launch = fleet.launch(&[], |_| ());
            launch.wait_for("adopted BRAIN_RHEA");
            check();
            let stopped = fleet.run("qc-shutdown", &["--yes"]);
            assert_eq!(stopped.code, 0, "{wrapper}: {stopped:?}");
            launch.finish();
        }
    }

    #[test]
    fn a_component_behind_its_wrapper_is_one_and_its_program_is_stopped() {
        let Some(python) = python() else { return };
        let quoted = format!("'{}'", text(python));
        for (what, command, body) in [
            ("timeout", vec!["timeout", "90", text(python), "BRAIN_RHEA.py"], WAITING),
            ("a shell", vec!["sh", "-c", "PYTHON BRAIN_RHEA.py; true"], WAITING),
            ("a shell with a title", vec!["sh", "-c", "PYTHON BRAIN_RHEA.py; true"], TITLED),
        ] {
            let fleet = SampleFleet::new(tools(), &RHEA);
            fs::write(fleet.root().join("BRAIN_RHEA.py"), body).unwrap();
            let command: Vec<String> =
                command.iter().map(|word| word.replace("PYTHON", &quoted)).collect();
            let words: Vec<&str> = ["run", "BRAIN_RHEA", "--"]
                .into_iter()
                .chain(command.iter().map(String::as_str))
                .collect();
            let component = json!({ "BRAIN_RHEA": { "command": command } });
            fleet.configure(&json!({
                "ACCOUNTS": { "RHEA": { "account": RHEA[0].1, "enabled": true } },
                "PROCESS_MANAGER": { "components": component },
            }));
            let _held = start(&fleet, &fleet.tools.tool("qc-lock"), &words);
            let rows = own(&fleet);
            let [brain] = &rows[..] else { panic!("{what}: {rows:#?}") };
            assert_eq!(brain["component"], "BRAIN_RHEA", "{what}");
            assert_eq!(brain["lock"]["state"], "held", "{what}");
            assert_eq!(brain["pids"].as_array().unwrap().len(), 1, "{what}: {brain:#}");
            let stopped = fleet.run("qc-shutdown", &["--yes"]);
            assert_eq!(stopped.code, 0, "{what}: {stopped:?}");
            let pid = u32::try_from(brain["pids"][0].as_u64().unwrap()).unwrap();
            assert!(qc_process::identity_of(pid).is_err(), "{what}: {brain:#}");
        }
    }
}

#[test]
fn a_fleet_of_own_components_alone_is_told_nothing_of_accounts_and_trades() {
    let fleet = SampleFleet::new(tools(), &[]);
    let feed = json!({ "command": [fleet.python(), "feed.py"] });
    fleet.script("feed.py", "");
    let configure = |enabled: bool| {
        let mut feed = feed.clone();
        feed["enabled"] = enabled.into();
        let components = json!({ "components": { "FEED": feed }, "server": { "enabled": false } });
        fleet.configure(&json!({ "ACCOUNTS": {}, "PROCESS_MANAGER": section(&components) }));
    };
    configure(true);
    let mut told = String::new();
    let mut tell = |answer: qc_tests::Finished| told += &(answer.stdout + &answer.stderr);
    tell(fleet.run("qc-launch", &["check"]));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started FEED");
    tell(fleet.run("qc-ps", &[]));
    tell(fleet.run("qc-shutdown", &["--dry-run"]));
    tell(fleet.run("qc-launch", &["stop"]));
    tell(fleet.run("qc-shutdown", &["--yes"]));
    let (_, lines) = launch.finish();
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started FEED");
    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert!(stopped.stdout.contains("All automation has stopped.\n"), "{stopped:?}");
    tell(stopped);
    let (_, again) = launch.finish();
    configure(false);
    tell(fleet.run("qc-ps", &[]));
    tell(fleet.run("qc-launch", &["check"]));
    tell(fleet.run("qc-launch", &["--dry-run"]));
    told += &lines.join("\n");
    told += &again.join("\n");
    assert!(told.contains("The fleet is stopped.\n"), "{told}");
    assert!(!told.contains("trades"), "{told}");
    assert!(!told.contains("no account is enabled"), "{told}");
    assert!(!told.contains("No account is enabled"), "{told}");
    assert!(!told.contains("stop-loss"), "{told}");
}

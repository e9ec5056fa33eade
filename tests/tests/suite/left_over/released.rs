//! `qc-lock release-left` is offered only where it helps, and names what lives on without the lock.

use std::fs;

use super::*;

/// A fleet of one brain that has ended after it has started a worker which has no file of qc open.
fn with_worker_without_lock() -> (SampleFleet, Identity) {
    let fleet = fleet("run bash start.sh\nexit 1");
    fleet.script("engine.py", "");
    let closed: String = (3..64).map(|file| format!("exec {file}>&-\n")).collect();
    let start = format!(
        "{closed}{} engine.py &\n",
        fleet.python().display().to_string().replace(' ', "\\ ")
    );
    fs::write(fleet.root().join("start.sh"), start).unwrap();
    let account = json!({ "LARISSA": { "account": 31, "enabled": true } });
    let more = json!({ "components": { "BRAIN_LARISSA": { "restart": { "when": "never" } } } });
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": section(&more) }));
    let launch = fleet.launch(&[], |_| ());
    let engine = awaited(&fleet, "engine.py");
    launch.kill();
    let _ = launch.finish();
    (fleet, engine)
}

#[test]
fn a_worker_of_the_last_run_that_has_no_lock_open_is_named() {
    let (fleet, engine) = with_worker_without_lock();
    let released = fleet.run("qc-lock", &["release-left", "BRAIN_LARISSA", "--yes"]);
    assert_eq!(released.code, 0, "{released:?}");
    let left = format!("engine.py (PID {}) behind, which goes on", engine.pid);
    assert!(released.stdout.contains(&left), "{released:?}");
    assert!(
        released.stdout.contains("`qc-shutdown --name BRAIN_LARISSA` stops it"),
        "{released:?}"
    );
    let json = fleet.run("qc-lock", &["release-left", "BRAIN_LARISSA", "--json"]).json();
    assert_eq!(json["goes_on"][0]["pid"], engine.pid, "{json:#}");
    let stopped = fleet.run("qc-shutdown", &["--yes", "--name", "BRAIN_LARISSA"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(!is_alive(&engine));
}

/// The texts of all views of locks, and of a refused start.
fn shown(fleet: &SampleFleet) -> Vec<String> {
    let account = fleet.account(31).to_string();
    let run = ["run", "BRAIN_LARISSA", "--account", &account, "--", "never-run"];
    let refused = fleet.run("qc-lock", &run);
    assert_eq!(refused.code, 75, "{refused:?}");
    vec![
        refused.stderr,
        fleet.run("qc-lock", &["status", "BRAIN_LARISSA"]).stdout,
        fleet.run("qc-lock", &["list"]).stdout,
        fleet.run("qc-ps", &[]).stdout,
    ]
}

#[test]
fn what_the_launcher_itself_keeps_is_not_offered_for_release() {
    let fleet = fleet("");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_LARISSA");
    // A copy outside the fleet's locks blocks the brain, and the launcher keeps the lock meanwhile.
    let copy = Program::start(&fleet.python(), &["BRAIN_LARISSA.py"], fleet.root(), &[], |_| ());
    kill(&brain(&fleet));
    launch.wait_for("BLOCKED BRAIN_LARISSA");
    let shown = shown(&fleet);
    assert!(!shown.iter().any(|text| text.contains("release-left")), "{shown:#?}");
    let advice = "`qc-launch status` shows what the launcher waits for";
    assert!(shown.iter().any(|text| text.contains(advice)), "{shown:#?}");
    let released = fleet.run("qc-lock", &["release-left", "BRAIN_LARISSA", "--yes"]);
    assert_eq!(released.code, 0, "{released:?}");
    let keeps = format!("The launcher (PID {}) keeps BRAIN_LARISSA", launch.identity().pid);
    assert!(released.stdout.contains(&keeps), "{released:?}");
    assert!(is_alive(copy.identity()));
}

#[test]
fn a_living_holder_without_a_record_is_not_offered_for_release() {
    let fleet = fleet("");
    let account = fleet.account(31).to_string();
    let words = ["run", "BRAIN_LARISSA", "--account", &account, "--", "sleep", "300"];
    let _wrapper = Program::start(&fleet.tools.tool("qc-lock"), &words, fleet.root(), &[], |_| ());
    let holder = held(&fleet, "BRAIN_LARISSA");
    fs::remove_file(fleet.root().join(".locks").join("BRAIN_LARISSA.lock")).unwrap();
    for text in shown(&fleet) {
        assert!(!text.contains("release-left"), "{text}");
    }
    kill(&holder);
}

#[test]
fn a_refusal_over_the_account_names_the_lock_that_can_be_released() {
    let fleet = fleet("");
    let helper = left_open(&fleet, "log-shipper");
    fs::remove_file(fleet.root().join(".locks").join("BRAIN_LARISSA.lock")).unwrap();
    let account = fleet.account(31).to_string();
    let refused =
        fleet.run("qc-lock", &["run", "TRADER", "--account", &account, "--", "never-run"]);
    assert_eq!(refused.code, 75, "{refused:?}");
    assert!(refused.stderr.contains("`qc-lock release-left brain_larissa`"), "{refused:?}");
    let released = fleet.run("qc-lock", &["release-left", "brain_larissa", "--yes"]);
    assert_eq!(released.code, 0, "{released:?}");
    assert!(!is_alive(&helper));
}

//! The components that should run: the views compare the config, the launcher and the process list,
//! and show what differs.

use std::fs;

use std::time::{Duration, Instant};

use qc_process::{Identity, Liveness, Process, identity_of, is_suspended, liveness, resume_hint};
use qc_tests::{Finished, Program, SampleFleet, own_key, python, resume, section, suspend};
use serde_json::{Value, json};

use crate::bad_input::cannot_test;
use crate::tools;

/// A fleet of one account without a server and without pauses. Neither its key nor its number is
/// that of any other test: a copy that may trade the same account is a finding.
struct Iris {
    fleet: SampleFleet,
    key: String,
    account: u64,
    brain: String,
    watchdog: String,
}

impl std::ops::Deref for Iris {
    type Target = SampleFleet;

    fn deref(&self) -> &SampleFleet {
        &self.fleet
    }
}

fn fleet(more: &Value) -> Iris {
    let (key, account) = (own_key(), 11);
    let fleet = SampleFleet::new(tools(), &[(&key, account)]);
    fleet.configure(&json!({
        "ACCOUNTS": { (&*key): { "account": account, "enabled": true } },
        "PROCESS_MANAGER": manager(more),
    }));
    let (brain, watchdog) = (format!("BRAIN_{key}"), format!("WATCHDOG_{key}"));
    Iris { fleet, key, account, brain, watchdog }
}

fn manager(more: &Value) -> Value {
    let mut manager = json!({
        "server": { "enabled": false }, "watchdog_stagger_seconds": 0, "brain_stagger_seconds": 0,
    });
    for (key, value) in more.as_object().unwrap() {
        manager[key] = value.clone();
    }
    section(&manager)
}

fn start(fleet: &Iris) -> Program {
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for(&format!("started {}", fleet.brain));
    launch
}

fn check(fleet: &SampleFleet, args: &[&str]) -> Finished {
    fleet.run("qc-ps", &[&["--check"], args].concat())
}

/// Asserts, with IRIS for the key of the account, the exit codes of `--check` and `--check --allow-stopped`, and a line of the first.
fn assert_found(fleet: &Iris, codes: (i32, i32), line: &str) {
    let line = line.replace("IRIS", &fleet.key);
    let (all, others) = (check(fleet, &[]), check(fleet, &["--allow-stopped"]));
    assert_eq!((all.code, others.code), codes, "{all:?} {others:?}");
    assert!(all.stdout.lines().any(|one| one.starts_with(&line)), "no `{line}`: {all:?}");
}

fn identity(fleet: &SampleFleet, name: &str) -> Identity {
    let processes = fleet.processes();
    let row = processes.iter().find(|row| row["component"] == name);
    let row = row.unwrap_or_else(|| panic!("no {name}: {processes:#?}"));
    let pid = row["pids"].as_array().unwrap().last().unwrap().as_u64().unwrap();
    identity_of(u32::try_from(pid).unwrap()).unwrap()
}

fn kill(identity: &Identity) {
    let process = Process::open(identity).unwrap().expect("it has ended");
    process.kill().unwrap();
    qc_process::wait_any(&[&process], std::time::Duration::from_secs(30)).unwrap();
}

/// Returns the columns component and state, as `qc-ps` and as `qc-launch status` show them.
fn states(fleet: &Iris) -> Vec<String> {
    let components = |report: Value| report["components"].as_array().unwrap().clone();
    let shown_by_ps = || components(fleet.run("qc-ps", &["--json"]).json());
    let mut of_ps = shown_by_ps();
    // A component changes between two looks, such as in its first second. Where `qc-ps` shows the same
    // before and after the other tool, a difference between the two is real.
    let of_status = (0..50).find_map(|_| {
        let status = fleet.run("qc-launch", &["status", "--json"]);
        let before = std::mem::replace(&mut of_ps, shown_by_ps());
        (before == of_ps).then_some(status)
    });
    let of_status = of_status.expect("the fleet comes to rest");
    if of_status.code == 0 {
        assert_eq!(of_ps, components(of_status.json()), "the tools differ");
    }
    let word = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let line = |one: &Value| format!("{} {}", word(one, "name"), word(one, "state"));
    of_ps.iter().map(|one| line(one).replace(&fleet.key, "IRIS")).collect()
}

#[test]
fn a_fleet_that_was_never_started_is_stopped() {
    let fleet = fleet(&json!({}));
    let line = "BRAIN_IRIS is stopped: the fleet was never started";
    assert_found(&fleet, (3, 0), line);
    assert_eq!(states(&fleet), ["WATCHDOG_IRIS stopped", "BRAIN_IRIS stopped"]);
    let table = fleet.run("qc-ps", &[]);
    assert_eq!(table.code, 0, "{table:?}");
    assert!(table.stdout.contains("the fleet was never started"), "{table:?}");
}

#[test]
fn a_fleet_whose_launcher_was_stopped_is_stopped_and_a_crashed_one_is_missing() {
    let fleet = fleet(&json!({}));
    let launch = start(&fleet);
    let ok = check(&fleet, &[]);
    assert_eq!((ok.code, &*ok.stdout), (0, "OK: 3 running, each once and under its lock.\n"));
    assert_eq!(states(&fleet), ["WATCHDOG_IRIS running", "BRAIN_IRIS running"]);
    launch.ask_to_stop(&fleet.tools);
    launch.finish();
    assert_found(&fleet, (3, 0), "BRAIN_IRIS is stopped: as asked");

    let launch = start(&fleet);
    let components = [identity(&fleet, &fleet.brain), identity(&fleet, &fleet.watchdog)];
    launch.kill();
    drop(launch);
    // On Windows their wrappers, and with them they themselves, may have ended with the launcher.
    for one in &components {
        if let Ok(Some(process)) = Process::open(one) {
            // It may be ending by itself.
            let _ = process.kill();
            qc_process::wait_any(&[&process], std::time::Duration::from_secs(30)).unwrap();
        }
    }
    assert_found(&fleet, (3, 3), "BRAIN_IRIS is missing: the launcher crashed");
    assert_eq!(states(&fleet), ["WATCHDOG_IRIS missing", "BRAIN_IRIS missing"]);

    // A shutdown is what was asked for.
    let down = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(down.code, 0, "{down:?}");
    assert_found(&fleet, (3, 0), "BRAIN_IRIS is stopped");
}

#[test]
fn a_component_that_has_finished_stays_finished_after_a_crash_of_the_launcher() {
    let script = json!({ "script": "report.py", "restart": { "when": "on-failure" } });
    let fleet = fleet(&json!({ "components": { "REPORT": script } }));
    fleet.script("report.py", "exit 0");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("REPORT has finished with exit code 0");
    launch.kill();
    drop(launch);
    let seen = fleet.run("qc-ps", &["--json"]).json();
    let rows = seen["components"].as_array().expect("a list");
    let report = rows.iter().find(|one| one["name"] == "REPORT").expect("it has a row");
    assert_eq!(
        (&report["state"], &report["detail"]),
        (&json!("finished"), &json!("with exit code 0"))
    );
}

#[test]
fn a_start_that_is_refused_leaves_a_crash_of_the_launcher_in_view() {
    let fleet = fleet(&json!({}));
    let launch = start(&fleet);
    let (brain, watchdog) = (identity(&fleet, &fleet.brain), identity(&fleet, &fleet.watchdog));
    launch.kill();
    drop(launch);
    assert_eq!(liveness(&brain), Liveness::Alive, "its wrapper stays with it");
    if let Ok(Some(process)) = Process::open(&watchdog) {
        // It may be ending by itself.
        let _ = process.kill();
        qc_process::wait_any(&[&process], std::time::Duration::from_secs(30)).unwrap();
    }
    let orphan = "BRAIN_IRIS is not supervised by a launcher: PID";
    let missing = "WATCHDOG_IRIS is missing: the launcher crashed";
    assert_found(&fleet, (3, 3), orphan);
    assert_found(&fleet, (3, 3), missing);

    for attempt in 1..=2 {
        let refused = fleet.run("qc-launch", &["up", "--detach", "--no-adopt"]);
        assert_eq!(refused.code, 75, "{attempt}: {refused:?}");
        assert_found(&fleet, (3, 3), orphan);
        assert_found(&fleet, (3, 3), missing);
    }

    let down = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(down.code, 0, "{down:?}");
    assert_found(&fleet, (3, 0), "WATCHDOG_IRIS is stopped");
    assert_found(&fleet, (3, 0), "BRAIN_IRIS is stopped: as asked");
}

#[test]
fn a_crash_of_the_launcher_stays_in_view_while_a_part_of_the_fleet_is_stopped() {
    let fleet = fleet(&json!({}));
    let other = format!("{}X", fleet.key);
    let accounts = json!({
        (&*fleet.key): { "account": fleet.account, "enabled": true },
        (&*other): { "account": fleet.account + 1, "enabled": true },
    });
    fleet.configure(&json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": manager(&json!({})) }));
    fleet.script(&format!("BRAIN_{other}.py"), "");
    let mut launch = fleet.launch(&[], |_| ());
    // Both start at once.
    (0..2).for_each(|_| drop(launch.wait_for("started BRAIN_")));
    let (brain, watchdog) = (format!("BRAIN_{other}"), format!("WATCHDOG_{other}"));
    let live = [identity(&fleet, &brain), identity(&fleet, &watchdog)];
    launch.kill();
    drop(launch);
    for args in [&["--account", &*fleet.key][..], &["--name", &fleet.brain]] {
        let down = fleet.run("qc-shutdown", &[&["--yes"], args].concat());
        assert_eq!(down.code, 0, "{args:?} {down:?}");
        assert!(!down.stdout.contains("All automation"), "{args:?} {down:?}");
        let found = check(&fleet, &["--allow-stopped"]);
        assert_eq!(found.code, 3, "{args:?} {down:?} {found:?}");
        for (name, one) in [&brain, &watchdog].into_iter().zip(&live) {
            let what = match liveness(one) {
                Liveness::Alive => "is not supervised by a launcher",
                Liveness::Dead | Liveness::Unknown => "is missing: the launcher crashed",
            };
            let line = format!("{name} {what}");
            let has_line = found.stdout.lines().any(|one| one.starts_with(&line));
            assert!(has_line, "no `{line}` after {args:?}: {down:?} {found:?}");
        }
    }
    let down = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(down.code, 0, "{down:?}");
    let all = check(&fleet, &["--allow-stopped"]);
    assert_eq!(all.code, 0, "{down:?} {all:?}");
}

#[test]
fn a_first_start_that_is_refused_is_no_run_of_the_launcher() {
    let fleet = fleet(&json!({}));
    let script = format!("{}.py", fleet.brain);
    let mut by_hand = Program::start(&fleet.python(), &[&script], fleet.root(), &[], |_| ());
    by_hand.wait_for("ready");
    assert_found(&fleet, (3, 3), "WATCHDOG_IRIS is stopped: the fleet was never started");
    let refused = fleet.run("qc-launch", &["up", "--detach", "--no-adopt"]);
    assert_eq!(refused.code, 75, "{refused:?}");
    assert_found(&fleet, (3, 3), "WATCHDOG_IRIS is stopped: the fleet was never started");
}

#[test]
fn json_shows_no_character_that_steers_a_terminal() {
    let fleet = fleet(&json!({}));
    let account = "\u{9b}31m\u{85}\u{202e}1";
    let record = json!({
        "pid": 1, "name": "OTHER", "account": account, "timestamp": "2026-01-02T03:04:05+00:00",
        "host": "elsewhere",
    });
    fs::create_dir_all(fleet.locks().path()).unwrap();
    fs::write(fleet.locks().path().join("OTHER.lock"), record.to_string()).unwrap();
    let listed = fleet.run("qc-lock", &["list", "--json"]);
    assert!(listed.stdout.contains(r"\u009b31m\u0085\u202e1"), "{listed:?}");
    assert!(!listed.stdout.contains(['\u{9b}', '\u{85}', '\u{202e}']), "{listed:?}");
    assert!(listed.json().to_string().contains(account), "{listed:?}");
}

#[test]
fn a_component_that_was_stopped_by_name_is_stopped() {
    let fleet = fleet(&json!({}));
    let _launch = start(&fleet);
    let stopped = fleet.run("qc-launch", &["stop", &fleet.brain]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_found(&fleet, (3, 0), "BRAIN_IRIS is stopped");
    assert_eq!(states(&fleet), ["WATCHDOG_IRIS running", "BRAIN_IRIS stopped"]);
    assert_eq!(check(&fleet, &["--role", "watchdog"]).code, 0);
}

#[test]
fn a_brain_that_trades_without_its_watchdog_is_unguarded() {
    let keep = json!({ "max_restarts": 0, "defaults": { "stop": { "without_watchdog": "keep" } } });
    let fleet = fleet(&keep);
    let mut launch = start(&fleet);
    kill(&identity(&fleet, &fleet.watchdog));
    launch.wait_for(&format!("GAVE UP {}", fleet.watchdog));
    assert_found(&fleet, (3, 3), "BRAIN_IRIS is unguarded: WATCHDOG_IRIS does not run: PID ");
    assert_found(&fleet, (3, 3), "WATCHDOG_IRIS has been given up: ");
    assert_eq!(states(&fleet), ["WATCHDOG_IRIS gave-up", "BRAIN_IRIS unguarded"]);
    for tool in [&["qc-ps"][..], &["qc-launch", "status"]] {
        let shown = fleet.run(tool[0], &tool[1..]);
        let has = |name: &str, state: &str| {
            shown.stdout.lines().any(|line| line.contains(name) && line.contains(state))
        };
        assert!(has(&fleet.brain, "unguarded") && has(&fleet.watchdog, "gave-up"), "{shown:?}");
    }

    // The launcher crashes: what it had given up is still known.
    launch.kill();
    drop(launch);
    if qc_process::LOCKS_ARE_INHERITED {
        assert_found(&fleet, (3, 3), "BRAIN_IRIS is unguarded");
    }
    assert_found(&fleet, (3, 3), "WATCHDOG_IRIS has been given up: ");
}

#[test]
fn a_component_in_its_back_off_shows_restarts_and_the_next_attempt() {
    let fleet = fleet(&json!({ "restart_cooldown_seconds": 600 }));
    fleet.script(&format!("{}.py", fleet.brain), "exit 1");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_until("the second restart", |line| {
        line.contains(&fleet.brain) && line.contains("restarting in")
    });
    assert_found(
        &fleet,
        (3, 3),
        "BRAIN_IRIS has failed and will be started again after 2 restarts: ended with exit code 1, \
         next attempt 2",
    );
    assert_eq!(states(&fleet), ["WATCHDOG_IRIS running", "BRAIN_IRIS backing-off"]);
    let csv = ["--format", "csv", "--columns", "component,state,restarts", "--role", "brain"];
    let csv = fleet.run("qc-ps", &csv);
    assert!(csv.stdout.contains(&format!("{},backing-off,2\n", fleet.brain)), "{csv:?}");
}

/// Waits until the system shows a process as suspended; `false` where it does not, as Wine.
pub(crate) fn await_suspended(identity: &Identity) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_suspended(identity.pid) {
        if Instant::now() >= deadline {
            if cfg!(unix) {
                panic!("{identity:?} is not shown as suspended");
            }
            cannot_test("the state of a suspended process", "this system does not show it");
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_suspended_component_is_shown_with_what_resumes_it() {
    let fleet = fleet(&json!({}));
    let launch = start(&fleet);
    let brain = identity(&fleet, &fleet.brain);
    if !suspend(&brain) {
        return cannot_test("a suspended brain", "nothing here suspends a process");
    }
    if await_suspended(&brain) {
        let hint = resume_hint(brain.pid);
        let found = check(&fleet, &[]);
        let line =
            format!("{} is suspended and does nothing: PID {}; {hint}", fleet.brain, brain.pid);
        assert_eq!(found.code, 3, "{found:?}");
        assert!(found.stdout.contains(&line), "{found:?}");
        let report = fleet.run("qc-ps", &["--json"]).json();
        let of = |list: &str, key: &str| {
            let all = report[list].as_array().unwrap();
            all.iter().find(|row| row[key] == *fleet.brain).unwrap().clone()
        };
        let (row, component) = (of("processes", "component"), of("components", "name"));
        assert_eq!((&row["state"], &row["suspended"]), (&json!("suspended"), &json!(true)));
        assert_eq!(component["suspended"], true, "{component}");
        let watchdog = report["components"].as_array().unwrap().iter();
        let mut watchdog = watchdog.filter(|row| row["name"] == *fleet.watchdog);
        assert!(watchdog.all(|row| row["suspended"] == false && row["state"] == "running"));
        let status = fleet.run("qc-launch", &["status"]);
        assert!(status.stdout.contains("suspended"), "{status:?}");
        assert!(status.stdout.contains(&hint), "{status:?}");
    }
    resume(&brain);
    let again = fleet.run("qc-ps", &["--check"]);
    assert_eq!(again.code, 0, "{again:?}");
    launch.ask_to_stop(&fleet.tools);
    launch.finish();
}

#[test]
fn a_command_says_that_it_waits_for_a_launcher_that_stands_still() {
    let fleet = fleet(&json!({}));
    let launch = start(&fleet);
    if !suspend(launch.identity()) {
        return cannot_test("a launcher that stands still", "nothing here suspends a process");
    }
    let pid = launch.identity().pid;
    let is_shown = await_suspended(launch.identity());
    let tool = fleet.tools.tool("qc-launch");
    let mut status = Program::start(&tool, &["status"], fleet.root(), &[], |_| ());
    let said = status.wait_for("waiting up to 29");
    assert!(said.contains(&format!("qc-launch (PID {pid})")), "{said}");
    assert!(!is_shown || said.contains(&resume_hint(pid)), "{said}");
    resume(launch.identity());
    let (ended, lines) = status.finish();
    assert_eq!(ended, qc_process::Ended::Code(0), "{lines:#?}");
    launch.ask_to_stop(&fleet.tools);
    launch.finish();
}

#[test]
fn a_launcher_that_does_not_answer_is_found() {
    let fleet = fleet(&json!({}));
    let launch = start(&fleet);
    if !suspend(launch.identity()) {
        return cannot_test("a launcher that stands still", "nothing here suspends a process");
    }
    let pid = launch.identity().pid;
    let why = match await_suspended(launch.identity()) {
        true => format!("it is suspended; {}", resume_hint(pid)),
        false => "no answer within 3 s".into(),
    };
    let line = format!("the launcher (PID {pid}) is alive and can't be asked: {why}");
    let found = check(&fleet, &["--allow-stopped"]);
    resume(launch.identity());
    assert_eq!(found.code, 3, "{found:?}");
    assert!(found.stdout.contains(&line), "{found:?}");
    assert_eq!(check(&fleet, &[]).code, 0, "it answers again");
}

#[test]
fn a_config_that_is_broken_while_the_fleet_runs_blinds_no_view() {
    let fleet = fleet(&json!({}));
    fleet.script(&format!("{}.py", fleet.brain), "say NOTHING");
    let launch = start(&fleet);
    let folder = fleet.root().join("orchestrator_logs");
    let pid = identity(&fleet, &fleet.brain).pid.to_string();
    fleet.configure_as("{ \"ACCOUNTS\": {");
    for args in [&[][..], &["--format", "csv"], &["--json"], &["--tree"], &["--check"]] {
        let shown = fleet.run("qc-ps", args);
        assert_eq!(shown.code, 2, "{args:?} {shown:?}");
        assert!(shown.stderr.contains("MASTER_CONFIG.json:1:"), "{args:?} {shown:?}");
        let is_check = args == ["--check"];
        assert!(is_check || shown.stdout.contains(&pid), "{args:?} {shown:?}");
        assert!(!shown.stdout.contains("OK:"), "{args:?} {shown:?}");
    }
    assert_eq!(states(&fleet), ["WATCHDOG_IRIS running", "BRAIN_IRIS running"]);
    let status = fleet.run("qc-launch", &["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert!(status.stderr.contains("WARNING: the config can't be read"), "{status:?}");
    for name in [&*fleet.brain, "orchestrator"] {
        let logs = fleet.run("qc-launch", &["logs", name]);
        assert_eq!(logs.code, 2, "{logs:?}");
        assert!(!logs.stdout.is_empty() && folder.is_dir(), "{logs:?}");
        assert!(logs.stderr.contains("the config can't be read"), "{logs:?}");
    }

    // The findings are the same without the config.
    let stopped = fleet.run("qc-launch", &["stop", &fleet.brain]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let found = check(&fleet, &[]);
    assert_eq!(found.code, 2, "{found:?}");
    assert!(found.stdout.contains(&format!("{} is stopped", fleet.brain)), "{found:?}");
    launch.kill();
    drop(launch);
    let left = fleet.run("qc-ps", &[]);
    assert_eq!(left.code, 2, "{left:?}");
    assert!(!qc_process::LOCKS_ARE_INHERITED || left.stdout.contains(&fleet.watchdog), "{left:?}");
}

#[test]
fn where_nothing_is_enabled_the_view_says_so() {
    let fleet = fleet(&json!({}));
    fleet.configure(&json!({ "ACCOUNTS": {
        (&*fleet.key): { "account": fleet.account, "enabled": false },
        (format!("{}X", fleet.key)): { "account": fleet.account + 1 },
    } }));
    let plain = "No account is enabled in the config: nothing should run.\n";
    let found = check(&fleet, &[]);
    assert_eq!(found.code, 0, "{found:?}");
    assert!(found.stdout.starts_with(plain), "{found:?}");
    let table = fleet.run("qc-ps", &[]);
    assert!(table.stdout.contains(plain), "{table:?}");
    assert_eq!(states(&fleet).len(), 4);
    assert!(states(&fleet).iter().all(|one| one.ends_with(" not traded")), "{:?}", states(&fleet));
    let filtered = fleet.run("qc-ps", &["--state", "not-traded", "--format", "csv"]);
    assert_eq!(filtered.stdout.lines().count(), 5, "{filtered:?}");
    // Scripts that read the old format see only what runs.
    let legacy = fleet.run("qc-ps", &["--format", "legacy"]);
    assert!(!legacy.stdout.contains(&fleet.key), "{legacy:?}");
}

#[test]
fn a_script_that_does_not_exist_and_an_account_that_was_not_asked_for_are_told_apart() {
    let fleet = fleet(&json!({}));
    let both = json!({
        (&*fleet.key): { "account": fleet.account, "enabled": true },
        (format!("{}X", fleet.key)): { "account": fleet.account + 1, "enabled": true },
    });
    fleet.configure(&json!({ "ACCOUNTS": both, "PROCESS_MANAGER": manager(&json!({})) }));
    let mut launch = fleet.launch(&["--accounts", &fleet.key], |_| ());
    launch.wait_for(&format!("started {}", fleet.brain));
    let line = "WATCHDOG_IRISX is stopped: the running launcher was not asked to start it";
    assert_found(&fleet, (3, 3), line);
    let all = check(&fleet, &[]);
    assert!(all.stdout.contains(&format!("{}X is missing: its script ", fleet.brain)), "{all:?}");
    assert_eq!(check(&fleet, &["--account", &fleet.key]).code, 0);
}

/// An old launcher, which has no lock and can't be asked.
const OLD_LAUNCHER: &str = "import time
print('ready', flush=True)
time.sleep(100)
";

#[test]
fn a_launcher_that_can_not_be_asked_is_named() {
    let Some(python) = python() else { return };
    let fleet = fleet(&json!({}));
    let asked = |args: &[&str], pid: u32| {
        let answer = fleet.run("qc-launch", args);
        assert_eq!(answer.code, 1, "{answer:?}");
        let named = format!("MASTER_LAUNCH (PID {pid}) runs without its lock");
        assert!(answer.stderr.contains(&named), "{answer:?}");
        assert!(answer.stderr.contains("`qc-shutdown` stops the fleet"), "{answer:?}");
    };
    fs::write(fleet.root().join("MASTER_LAUNCH.py"), OLD_LAUNCHER).unwrap();
    let mut old = Program::start(python, &["MASTER_LAUNCH.py"], fleet.root(), &[], |_| ());
    old.wait_for("ready");
    asked(&["status"], old.identity().pid);
    old.kill();
    drop(old);
    let none = fleet.run("qc-launch", &["status"]);
    assert!(none.stderr.contains("no qc-launch is running for this fleet"), "{none:?}");
    // Windows deletes no folder with guards in it.
    if cfg!(unix) {
        let launch = start(&fleet);
        fs::remove_dir_all(fleet.locks().path()).unwrap();
        asked(&["status"], launch.identity().pid);
        asked(&["stop"], launch.identity().pid);
        let stopped = fleet.run("qc-shutdown", &["--yes"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
    }
}

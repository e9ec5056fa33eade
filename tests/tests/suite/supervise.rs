//! The supervisor as a user sees it: adoption, control, readiness, heartbeat, running in the
//! background.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use qc_control::{Answer, Client, Request, Server, StateWord, Status};
use qc_process::{Ended, Identity, Liveness, Process, identity_of, liveness};
use qc_tests::{Finished, Program, SampleFleet, WITH_WORKERS, python};
use serde_json::{Value, json};

use crate::tools;

const TWO: [(&str, u64); 2] = [("ATLAS", 11), ("BOREAS", 12)];
const ONE: [(&str, u64); 1] = [("ATLAS", 11)];

/// A config with these accounts and short pauses, whose components are ready when they say so.
fn config(accounts: &[(&str, u64)], more: &Value) -> Value {
    let accounts: serde_json::Map<String, Value> = accounts
        .iter()
        .map(|(key, number)| (key.to_string(), json!({ "account": number, "enabled": true })))
        .collect();
    let mut section = json!({
        "server_settle_seconds": 0, "watchdog_stagger_seconds": 0, "brain_stagger_seconds": 0,
        "defaults": { "ready": { "log": "^ready" } },
    });
    for (key, value) in more.as_object().unwrap() {
        section[key] = value.clone();
    }
    json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": section })
}

fn fleet(accounts: &[(&str, u64)], more: &Value) -> SampleFleet {
    let fleet = SampleFleet::new(tools(), accounts);
    fleet.configure(&config(accounts, more));
    fleet
}

/// Starts the fleet and waits until its last component is ready.
fn start(fleet: &SampleFleet, last: &str) -> Program {
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for(&format!("{last} is ready"));
    launch
}

fn status(fleet: &SampleFleet) -> Value {
    let status = fleet.run("qc-launch", &["status", "--json"]);
    assert_eq!(status.code, 0, "{status:?}");
    status.json()
}

fn component(fleet: &SampleFleet, name: &str) -> Value {
    let status = status(fleet);
    let components = status["components"].as_array().unwrap();
    let found = components.iter().find(|component| component["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {status:#}")).clone()
}

fn identity(fleet: &SampleFleet, name: &str) -> Identity {
    let component = component(fleet, name);
    let pid = component["pid"].as_u64().unwrap_or_else(|| panic!("no pid: {component:#}"));
    identity_of(u32::try_from(pid).unwrap()).unwrap()
}

fn kill(identity: &Identity) {
    Process::open(identity).unwrap().expect("it has ended").kill().unwrap();
}

fn assert_ok(finished: &Finished) {
    assert_eq!(finished.code, 0, "{finished:?}");
}

/// Stops what runs in the background, also when a test fails.
struct Background<'a>(&'a SampleFleet);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        self.0.run("qc-launch", &["stop"]);
    }
}

#[test]
fn what_a_killed_launcher_has_left_is_adopted_without_a_restart() {
    let fleet = fleet(&TWO, &json!({}));
    let launch = start(&fleet, "BRAIN_BOREAS");
    let names = ["quantum_server", "WATCHDOG_ATLAS", "BRAIN_ATLAS", "BRAIN_BOREAS"];
    let before: Vec<Identity> = names.iter().map(|name| identity(&fleet, name)).collect();
    let missing = identity(&fleet, "WATCHDOG_BOREAS");
    launch.kill();
    drop(launch);
    kill(&missing);

    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("WATCHDOG_BOREAS is ready");
    let after: Vec<Identity> = names.iter().map(|name| identity(&fleet, name)).collect();
    assert_eq!(after, before);
    assert_eq!(component(&fleet, "BRAIN_ATLAS")["adopted"], true);
    assert_eq!(component(&fleet, "WATCHDOG_BOREAS")["adopted"], false);

    // It is supervised as before.
    kill(&identity(&fleet, "BRAIN_ATLAS"));
    launch.wait_for("BRAIN_ATLAS is ready");
    assert_eq!(component(&fleet, "BRAIN_ATLAS")["adopted"], false);
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    assert!(before.iter().all(|one| liveness(one) == Liveness::Dead), "{lines:#?}");
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
}

#[test]
fn a_program_that_answers_in_place_of_the_launcher_is_not_believed() {
    let fleet = fleet(&ONE, &json!({}));
    let stand_in = fleet.tools.stand_in();
    let args = ["run", "MASTER_LAUNCH", "--", stand_in.to_str().unwrap(), "rest"];
    let mut holder = Program::start(&fleet.tools.tool("qc-lock"), &args, fleet.root(), &[], |_| ());
    holder.wait_for("ready rest");
    let name = "MASTER_LAUNCH".parse().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // The record names the wrapper first.
    let pid = loop {
        let lock = fleet.locks().status(&name).unwrap().expect("it is held");
        if lock.evidence.wrapper_pid.is_some() {
            break lock.pid.unwrap();
        }
        assert!(Instant::now() < deadline, "{lock:?}");
        thread::sleep(Duration::from_millis(10));
    };
    let status = Status { pid, ..Status::default() };
    Server::start(fleet.locks().path(), Arc::new(move |_| Answer::Done(status.clone()))).unwrap();

    let own = std::process::id();
    let said = format!(
        "another program (PID {own}) answers in place of the running qc-launch (PID {pid})"
    );
    for args in [&["status"][..], &["stop"], &["reload"], &["start", "BRAIN_ATLAS"]] {
        let asked = fleet.run("qc-launch", args);
        assert!(asked.code == 1 && asked.stderr.contains(&said), "{asked:?}");
    }
    let watched = fleet.run("qc-ps", &["--check"]);
    assert!(watched.code == 3 && watched.stdout.contains(&said), "{watched:?}");
    drop(holder);
}

#[test]
fn whoever_waits_hears_of_each_change() {
    let fleet = fleet(
        &ONE,
        &json!({ "defaults": {
        "ready": { "log": "^ready" }, "restart": { "cooldown": 0 },
    } }),
    );
    let launch = start(&fleet, "BRAIN_ATLAS");
    let mut watch = Program::start(
        &fleet.tools.tool("qc-launch"),
        &["status", "--watch"],
        fleet.root(),
        &[],
        |_| (),
    );
    watch.wait_for("BRAIN_ATLAS");

    let mut client = Client::connect(fleet.locks().path(), None).unwrap();
    let mut seen = client.ask(&Request::Status).unwrap();
    kill(&identity(&fleet, "BRAIN_ATLAS"));
    let brain = |status: &Status| {
        let found = status.components.iter().find(|one| one.name == "BRAIN_ATLAS");
        found.map(|one| (one.restarts, one.state)).unwrap()
    };
    while brain(&seen) != (1, StateWord::Running) {
        let next = client.ask(&Request::Wait { seen: seen.tag.clone() }).unwrap();
        assert_ne!(next.tag, seen.tag, "{next:?}");
        seen = next;
    }
    // An old state is answered at once, and the new one shows there, too.
    let now = client.ask(&Request::Wait { seen: "another".into() }).unwrap();
    assert_eq!(now.tag, seen.tag);
    watch.wait_for(&format!("{}", identity(&fleet, "BRAIN_ATLAS").pid));

    // A client that waits while everything ends gets an answer.
    assert_ok(&fleet.run("qc-launch", &["stop"]));
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
    assert_eq!(watch.finish().0, Ended::Code(1));
    assert_eq!(launch.finish().0, Ended::Code(0));
}

#[test]
fn an_unlocked_copy_is_not_adopted() {
    let fleet = fleet(&ONE, &json!({}));
    let mut copy = Program::start(&fleet.python(), &["BRAIN_ATLAS.py"], fleet.root(), &[], |_| ());
    copy.wait_for("ready");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for(&format!(
        "BLOCKED BRAIN_ATLAS: another copy runs: BRAIN_ATLAS runs (PID {}",
        copy.identity().pid
    ));
    let refused = fleet.run("qc-launch", &["--no-adopt"]);
    assert_eq!(refused.code, 75, "{refused:?}");
}

#[test]
fn components_are_stopped_and_started_by_name() {
    let fleet = fleet(&TWO, &json!({}));
    let launch = start(&fleet, "BRAIN_BOREAS");
    let run = |args: &[&str]| fleet.run("qc-launch", args);
    let others = ["quantum_server", "WATCHDOG_BOREAS", "BRAIN_BOREAS"];
    let before: Vec<Identity> = others.iter().map(|name| identity(&fleet, name)).collect();

    // With a watchdog its brain goes.
    let stopped = run(&["stop", "watchdog_atlas"]);
    assert_ok(&stopped);
    let first = "BRAIN_ATLAS is stopped first: WATCHDOG_ATLAS is its watchdog\n";
    assert_eq!(stopped.stdout, format!("{first}WATCHDOG_ATLAS does not run\n"));
    assert_eq!(component(&fleet, "WATCHDOG_ATLAS")["state"], "stopped");
    assert_eq!(component(&fleet, "BRAIN_ATLAS")["state"], "stopped");
    // And without it the brain does not come back.
    let refused = run(&["start", "BRAIN_ATLAS"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let why = "BRAIN_ATLAS is not started: it needs WATCHDOG_ATLAS, which is stopped\n";
    assert!(refused.stderr.contains(why), "{refused:?}");
    assert!(refused.stderr.contains("start WATCHDOG_ATLAS first"), "{refused:?}");
    assert!(!refused.stderr.contains("    | "), "the log of an earlier run: {refused:?}");
    let refused = run(&["restart", "BRAIN_ATLAS"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("BRAIN_ATLAS is not restarted: it needs"), "{refused:?}");
    assert_eq!(component(&fleet, "BRAIN_ATLAS")["state"], "stopped");
    assert_ok(&run(&["start", "BRAIN_ATLAS", "WATCHDOG_ATLAS"]));
    assert_eq!(component(&fleet, "BRAIN_ATLAS")["state"], "running");

    let brain = identity(&fleet, "BRAIN_ATLAS");
    assert_ok(&run(&["restart", "BRAIN_ATLAS"]));
    assert_ne!(identity(&fleet, "BRAIN_ATLAS"), brain);
    let after: Vec<Identity> = others.iter().map(|name| identity(&fleet, name)).collect();
    assert_eq!(after, before);

    let unknown = run(&["stop", "BRAIN_ATLANTIS"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("the components are quantum_server"), "{unknown:?}");
    let table = run(&["status"]);
    assert!(table.stdout.contains("WATCHDOG_BOREAS") && table.stdout.contains("running"));

    let all = run(&["stop"]);
    assert_ok(&all);
    assert!(all.stdout.contains("The fleet is stopped"), "{all:?}");
    assert_eq!(launch.finish().0, Ended::Code(0));
    let nobody = run(&["status"]);
    assert_eq!(nobody.code, 1, "{nobody:?}");
    assert!(nobody.stderr.contains("no qc-launch is running"), "{nobody:?}");
}

#[test]
fn a_reload_names_the_account_that_has_lost_its_enabled() {
    let fleet = fleet(&TWO, &json!({}));
    let mut launch = start(&fleet, "BRAIN_BOREAS");
    let mut config = config(&TWO, &json!({}));
    config["ACCOUNTS"]["BOREAS"].as_object_mut().unwrap().remove("enabled");
    fleet.configure(&config);
    let reloaded = fleet.run("qc-launch", &["reload"]);
    assert_ok(&reloaded);
    for said in ["account BOREAS has no `enabled`, so it is not traded", "stopping BRAIN_BOREAS"] {
        assert!(reloaded.stdout.contains(said), "{said}: {reloaded:?}");
    }
    launch.wait_for("account BOREAS has no `enabled`");
    assert_ok(&fleet.run("qc-launch", &["stop"]));
}

#[test]
fn a_restart_of_a_watchdog_alone_names_the_brain_that_nothing_guards_meanwhile() {
    let fleet = fleet(&ONE, &json!({}));
    let mut launch = start(&fleet, "BRAIN_ATLAS");
    let (brain, watchdog) = (identity(&fleet, "BRAIN_ATLAS"), identity(&fleet, "WATCHDOG_ATLAS"));
    let said = "BRAIN_ATLAS runs on, and nothing guards it until WATCHDOG_ATLAS has restarted";
    let restarted = fleet.run("qc-launch", &["restart", "WATCHDOG_ATLAS"]);
    assert_ok(&restarted);
    assert!(restarted.stdout.contains(said), "{restarted:?}");
    launch.wait_for(said);
    assert_eq!(identity(&fleet, "BRAIN_ATLAS"), brain);
    assert_ne!(identity(&fleet, "WATCHDOG_ATLAS"), watchdog);
    for names in [&["WATCHDOG_ATLAS", "BRAIN_ATLAS"][..], &["BRAIN_ATLAS"]] {
        let restarted = fleet.run("qc-launch", &[&["restart"], names].concat());
        assert_ok(&restarted);
        assert!(!restarted.stdout.contains("nothing guards it"), "{restarted:?}");
    }
}

#[test]
fn a_stop_succeeds_though_programs_run_on_that_the_launcher_has_not_started() {
    let fleet = fleet(&ONE, &json!({}));
    let launch = start(&fleet, "BRAIN_ATLAS");
    assert_ok(&fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]));
    let stand_in = fleet.tools.stand_in();
    let hold = |name: &str| {
        let args = ["run", name, "--", stand_in.to_str().unwrap(), "rest"];
        let mut held =
            Program::start(&fleet.tools.tool("qc-lock"), &args, fleet.root(), &[], |_| ());
        held.wait_for("ready rest");
        held
    };
    let (brain, other) = (hold("BRAIN_ATLAS"), hold("MY_TOOL"));
    let stopped = fleet.run("qc-launch", &["stop"]);
    assert_ok(&stopped);
    assert!(stopped.stdout.contains("The fleet is stopped"), "{stopped:?}");
    assert_eq!(liveness(other.identity()), Liveness::Alive);
    // A program that is left under the lock of a component is named.
    let brain_lock = fleet.locks().status(&"BRAIN_ATLAS".parse().unwrap()).unwrap();
    let said = "lock BRAIN_ATLAS is held by a program that qc-launch did not start";
    let is_left = brain_lock.is_some_and(|lock| lock.state.is_live());
    assert_eq!(stopped.stdout.contains(said), is_left, "{stopped:?}");
    drop(brain);
    assert_eq!(launch.finish().0, Ended::Code(0));
}

#[test]
fn a_reload_touches_only_what_has_changed() {
    let fleet = fleet(&TWO, &json!({}));
    let mut launch = start(&fleet, "BRAIN_BOREAS");
    let names = ["quantum_server", "WATCHDOG_ATLAS", "BRAIN_ATLAS"];
    let before: Vec<Identity> = names.iter().map(|name| identity(&fleet, name)).collect();

    fleet.configure_as("{\"ACCOUNTS\": {");
    let broken = fleet.run("qc-launch", &["reload"]);
    assert_eq!(broken.code, 2, "{broken:?}");
    assert!(broken.stderr.contains("nothing was changed: "), "{broken:?}");

    fleet.script("BRAIN_CASTOR.py", "");
    let boreas = identity(&fleet, "BRAIN_BOREAS");
    fleet.configure(&config(&[("ATLAS", 11), ("CASTOR", 13)], &json!({})));
    let reloaded = fleet.run("qc-launch", &["reload"]);
    assert_ok(&reloaded);
    assert!(reloaded.stdout.contains("stopping BRAIN_BOREAS, WATCHDOG_BOREAS"), "{reloaded:?}");
    assert!(reloaded.stdout.contains("starting WATCHDOG_CASTOR, BRAIN_CASTOR"), "{reloaded:?}");
    launch.wait_for("WATCHDOG_BOREAS ended");
    launch.wait_for("BRAIN_CASTOR is ready");
    assert_eq!(liveness(&boreas), Liveness::Dead);
    let after: Vec<Identity> = names.iter().map(|name| identity(&fleet, name)).collect();
    assert_eq!(after, before);

    let environment = json!({ "components": { "BRAIN_ATLAS": { "env": { "MODE": "new" } } } });
    fleet.configure(&config(&[("ATLAS", 11), ("CASTOR", 13)], &environment));
    let reloaded = fleet.run("qc-launch", &["reload"]);
    assert_eq!(reloaded.stdout, "restarting BRAIN_ATLAS\n", "{reloaded:?}");
    launch.wait_for("BRAIN_ATLAS is ready");
    assert_ne!(identity(&fleet, "BRAIN_ATLAS"), before[2]);
    assert_eq!(identity(&fleet, "WATCHDOG_ATLAS"), before[1]);
    assert_eq!(fleet.run("qc-launch", &["reload"]).stdout, "nothing has changed\n");
}

#[test]
fn a_brain_does_not_outlive_its_watchdog() {
    let fleet = fleet(&ONE, &json!({ "max_restarts": 0 }));
    let mut launch = start(&fleet, "BRAIN_ATLAS");
    kill(&identity(&fleet, "WATCHDOG_ATLAS"));
    launch.wait_for("GAVE UP WATCHDOG_ATLAS");
    launch.wait_for("stopping BRAIN_ATLAS: its watchdog WATCHDOG_ATLAS does not run");
    launch.wait_for("BRAIN_ATLAS ended");
    let brain = component(&fleet, "BRAIN_ATLAS");
    assert_eq!(brain["state"], "gave-up", "{brain:#}");

    let kept = json!({ "max_restarts": 0, "defaults": { "stop": { "without_watchdog": "keep" } } });
    drop(launch);
    let fleet = self::fleet(&ONE, &kept);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    kill(&identity(&fleet, "WATCHDOG_ATLAS"));
    launch.wait_for("GAVE UP WATCHDOG_ATLAS");
    assert_eq!(component(&fleet, "BRAIN_ATLAS")["state"], "unguarded");
}

#[test]
fn one_that_gives_no_sign_of_life_is_restarted() {
    let beat = json!({ "heartbeat": { "file": "beat", "within": 1 } });
    let fleet = fleet(&ONE, &json!({ "components": { "BRAIN_ATLAS": beat } }));
    fleet.script("BRAIN_ATLAS.py", "touch beat 100 30");
    let mut launch = start(&fleet, "BRAIN_ATLAS");
    let before = identity(&fleet, "BRAIN_ATLAS");
    launch.wait_for("BRAIN_ATLAS HANGS: no sign of life for");
    launch.wait_for("BRAIN_ATLAS is ready");
    assert_ne!(identity(&fleet, "BRAIN_ATLAS"), before);
}

#[test]
fn one_that_is_not_ready_in_time_has_failed() {
    let never = json!({ "ready": { "file": "never", "timeout": 1 } });
    let fleet =
        fleet(&ONE, &json!({ "max_restarts": 0, "components": { "WATCHDOG_ATLAS": never } }));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("WATCHDOG_ATLAS is NOT READY after 1.0 s");
    launch.wait_for("GAVE UP WATCHDOG_ATLAS: it was not ready within");
    launch.wait_for("GAVE UP BRAIN_ATLAS: it needs WATCHDOG_ATLAS");
}

#[test]
fn the_server_is_ready_when_its_port_is_and_a_taken_port_refuses_it() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let server = json!({ "server": { "port": port, "ready": { "port": port } } });
    let fleet = fleet(&ONE, &server);
    fleet.script("quantum_server.py", &format!("sleep 300\nlisten {port}"));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("quantum_server is ready");
    launch.wait_for("BRAIN_ATLAS is ready");
    assert_ok(&fleet.run("qc-launch", &["stop", "quantum_server"]));

    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let refused = fleet.run("qc-launch", &["start", "quantum_server"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains(&format!("its port {port} is taken")), "{refused:?}");
    if cfg!(unix) {
        let who = format!("PID {} (", std::process::id());
        assert!(refused.stderr.contains(&who), "{refused:?}");
    }
}

#[test]
fn a_fleet_runs_in_the_background_once_it_is_ready() {
    let fleet = fleet(&ONE, &json!({}));
    let _background = Background(&fleet);
    let up = fleet.run("qc-launch", &["up", "--detach"]);
    assert_ok(&up);
    assert!(up.stdout.contains("The fleet is ready"), "{up:?}");
    assert!(up.stdout.contains("BRAIN_ATLAS is ready"), "progress is shown: {up:?}");
    assert_eq!(component(&fleet, "BRAIN_ATLAS")["state"], "running");
    let second = fleet.run("qc-launch", &["up", "--detach"]);
    assert_eq!(second.code, 75, "{second:?}");
    assert!(second.stderr.contains("lock `MASTER_LAUNCH` is held by PID"), "{second:?}");
    assert_ok(&fleet.run("qc-launch", &["stop"]));
}

#[test]
fn in_the_background_the_exit_code_tells_of_what_is_missing() {
    let server = json!({ "ready": { "log": "^ready" } });
    let fleet = fleet(&ONE, &json!({ "max_restarts": 0, "server": server }));
    fleet.script("BRAIN_ATLAS.py", "exit 3");
    let _background = Background(&fleet);
    let up = fleet.run("qc-launch", &["up", "--detach"]);
    assert_eq!(up.code, 1, "{up:?}");
    assert!(up.stderr.contains("BRAIN_ATLAS: it ended with exit code 3"), "{up:?}");
    assert_eq!(component(&fleet, "WATCHDOG_ATLAS")["state"], "running");
    assert_ok(&fleet.run("qc-launch", &["stop"]));

    // Where nothing is left, nothing goes on.
    for script in ["quantum_server.py", "STOPLOSS_WATCHDOG_V2.py"] {
        fleet.script(script, "exit 3");
    }
    let up = fleet.run("qc-launch", &["up", "--detach"]);
    assert_eq!(up.code, 1, "{up:?}");
    assert!(up.stderr.contains("nothing is left to supervise"), "{up:?}");
}

/// A config whose brain dies at its start, as at an import that fails; nothing is ready by a line.
fn dying_brain(account: u64, more: &Value) -> SampleFleet {
    let section = json!({ "defaults": { "ready": {} }, "server": { "enabled": false } });
    let mut section = section.as_object().unwrap().clone();
    section.extend(more.as_object().unwrap().clone());
    let fleet = fleet(&[("ATLAS", account)], &Value::Object(section));
    fleet.script("BRAIN_ATLAS.py", "count 3\nexit 3");
    fleet
}

#[test]
fn a_start_that_does_not_stay_up_fails_and_shows_the_last_lines_of_its_log() {
    let fleet = dying_brain(21, &json!({}));
    let _background = Background(&fleet);
    let up = fleet.run("qc-launch", &["up", "--detach"]);
    assert_eq!(up.code, 1, "{up:?}");
    assert!(up.stderr.contains("goes on in the background"), "{up:?}");
    assert!(up.stderr.contains("\n    | "), "{up:?}");
    for command in ["restart", "start"] {
        let again = fleet.run("qc-launch", &[command, "BRAIN_ATLAS"]);
        assert_eq!(again.code, 1, "{again:?}");
        assert!(again.stderr.contains("\n    | "), "{again:?}");
        assert!(again.stderr.contains("the rest run on"), "{again:?}");
    }
    fleet.script("BRAIN_ATLAS.py", "exit 4");
    let silent = fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]);
    assert_eq!(silent.code, 1, "{silent:?}");
    assert!(silent.stderr.contains(", and is started again\n"), "{silent:?}");
    assert!(!silent.stderr.contains("    | "), "lines of an earlier start: {silent:?}");
    assert_eq!(component(&fleet, "WATCHDOG_ATLAS")["state"], "running");
}

#[test]
fn one_that_ends_well_and_is_not_to_be_restarted_has_been_started() {
    let brains = json!({ "restart": { "when": "on-failure" } });
    let fleet = dying_brain(22, &json!({ "brains": brains }));
    fleet.script("BRAIN_ATLAS.py", "exit 0");
    let _background = Background(&fleet);
    let up = fleet.run("qc-launch", &["up", "--detach"]);
    assert_ok(&up);
    let again = fleet.run("qc-launch", &["start", "BRAIN_ATLAS"]);
    assert_ok(&again);
    assert_eq!(again.stdout, "BRAIN_ATLAS has finished\n");
}

#[test]
fn a_start_waits_for_its_own_start_seconds_and_for_no_more() {
    let fleet = fleet(&[("ATLAS", 23)], &json!({ "start_seconds": 0 }));
    let launch = start(&fleet, "BRAIN_ATLAS");
    let restarted = fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]);
    assert_ok(&restarted);
    assert_eq!(component(&fleet, "BRAIN_ATLAS")["stayed_up"], true);
    launch.ask_to_stop(&fleet.tools);
    assert_eq!(launch.finish().0, Ended::Code(0));
}

#[test]
fn a_restart_says_that_the_config_has_changed() {
    let fleet = fleet(&[("ATLAS", 24)], &json!({}));
    let launch = start(&fleet, "BRAIN_ATLAS");
    let same = fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]);
    assert_ok(&same);
    assert!(!same.stdout.contains("config"), "{same:?}");
    let changed = json!({ "components": { "BRAIN_ATLAS": { "env": { "KEY": "new" } } } });
    fleet.configure(&config(&[("ATLAS", 24)], &changed));
    let other = fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]);
    assert_ok(&other);
    assert!(other.stdout.contains("BRAIN_ATLAS has changed in the config"), "{other:?}");
    assert!(other.stdout.contains("qc-launch reload"), "{other:?}");
    assert_ok(&fleet.run("qc-launch", &["reload"]));
    assert!(!fleet.run("qc-launch", &["restart", "BRAIN_ATLAS"]).stdout.contains("config"));
    launch.ask_to_stop(&fleet.tools);
    assert_eq!(launch.finish().0, Ended::Code(0));
}

#[test]
fn stopping_a_watchdog_stops_its_brain_also_where_that_may_trade_on() {
    let keep = json!({ "brains": { "stop": { "without_watchdog": "keep" } } });
    let fleet = fleet(&[("ATLAS", 25)], &keep);
    let launch = start(&fleet, "BRAIN_ATLAS");
    let brain = identity(&fleet, "BRAIN_ATLAS");
    let stopped = fleet.run("qc-launch", &["stop", "WATCHDOG_ATLAS"]);
    assert_ok(&stopped);
    assert!(stopped.stdout.contains("BRAIN_ATLAS is stopped first"), "{stopped:?}");
    assert_eq!(liveness(&brain), Liveness::Dead);
    launch.ask_to_stop(&fleet.tools);
    assert_eq!(launch.finish().0, Ended::Code(0));
}

#[test]
fn a_watchdog_that_was_given_up_is_stopped_with_the_brain_that_traded_on() {
    let keep = json!({
        "max_restarts": 0, "brains": { "stop": { "without_watchdog": "keep", "timeout": "2s" } },
    });
    let fleet = fleet(&[("ATLAS", 26)], &keep);
    fleet.script("BRAIN_ATLAS.py", "ignore stop");
    let mut launch = start(&fleet, "BRAIN_ATLAS");
    let brain = identity(&fleet, "BRAIN_ATLAS");
    kill(&identity(&fleet, "WATCHDOG_ATLAS"));
    launch.wait_for("GAVE UP WATCHDOG_ATLAS");
    assert_eq!(liveness(&brain), Liveness::Alive);
    let stopped = fleet.run("qc-launch", &["stop", "WATCHDOG_ATLAS"]);
    assert_ok(&stopped);
    assert_eq!(liveness(&brain), Liveness::Dead, "it came back too early: {stopped:?}");
    assert_eq!(component(&fleet, "WATCHDOG_ATLAS")["state"], "stopped");
    assert_eq!(component(&fleet, "BRAIN_ATLAS")["state"], "stopped");
    launch.ask_to_stop(&fleet.tools);
    assert_eq!(launch.finish().0, Ended::Code(0));
    let after = fleet.run("qc-ps", &["--check"]);
    assert!(after.stdout.contains("WATCHDOG_ATLAS is stopped: as asked"), "{after:?}");
}

#[test]
fn a_launcher_that_is_asked_to_stop_while_its_start_is_refused_leaves_no_record() {
    let fleet = fleet(&[("ATLAS", 26)], &json!({}));
    let mut copy = Program::start(&fleet.python(), &["BRAIN_ATLAS.py"], fleet.root(), &[], |_| ());
    copy.wait_for("ready");
    let launch = fleet.launch(&[], |_| ());
    let has_record = || {
        let locks = fleet.locks().list().unwrap();
        locks.iter().any(|lock| lock.name == "MASTER_LAUNCH")
    };
    // It has its lock, or has been refused already.
    while !has_record() && liveness(launch.identity()) == Liveness::Alive {
        std::thread::yield_now();
    }
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert!([Ended::Code(130), Ended::Code(75)].contains(&ended), "{ended:?} {lines:#?}");
    assert!(!has_record(), "{lines:#?}");
    copy.kill();
}

/// A script that claims its lock once there is a file `go`.
const CLAIMING: &str = "
import os, time
from process_lock import ProcessLock

while not os.path.exists('go'):
    time.sleep(0.01)
lock = ProcessLock('CLAIMING')
assert lock.acquire()
time.sleep(100)
";

#[test]
fn a_component_is_ready_by_its_lock_once_it_has_claimed_it() {
    let Some(python) = python() else { return };
    let claiming = json!({ "command": [python, "claiming.py"], "ready": { "lock": true } });
    let components = json!({ "components": { "CLAIMING": claiming } });
    let fleet = fleet(&ONE, &components);
    fs::write(fleet.root().join("claiming.py"), CLAIMING).unwrap();
    let module = include_str!("../../../scripts/process_lock.py");
    fs::write(fleet.root().join("process_lock.py"), module).unwrap();
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started CLAIMING");
    launch.wait_for("BRAIN_ATLAS is ready");
    assert_eq!(component(&fleet, "CLAIMING")["state"], "starting");
    fs::write(fleet.root().join("go"), "").unwrap();
    launch.wait_for("CLAIMING is ready");
    assert_ok(&fleet.run("qc-launch", &["stop"]));
}

#[test]
fn what_a_crashed_component_leaves_behind_keeps_it_from_nothing() {
    let Some(python) = python() else { return };
    let methods: &[&str] = if cfg!(windows) { &["spawn"] } else { &["spawn", "fork"] };
    for method in methods {
        let forking = json!({
            "command": [python, "forking.py", method], "ready": { "log": "^worker " },
            "restart": { "cooldown": 0 }, "stop": { "timeout": 1 },
        });
        let fleet = fleet(&ONE, &json!({ "components": { "FORKING": forking } }));
        fs::write(fleet.root().join("forking.py"), WITH_WORKERS).unwrap();
        let mut launch = fleet.launch(&[], |_| ());
        let worker = |launch: &mut Program| {
            launch.wait_for("FORKING is ready");
            let log = fleet.run("qc-launch", &["logs", "FORKING", "-n", "1"]).stdout;
            let pid = log.lines().find_map(|line| line.trim().strip_prefix("worker "));
            identity_of(pid.unwrap_or_else(|| panic!("{log}")).parse().unwrap()).unwrap()
        };
        let before = worker(&mut launch);
        kill(&identity(&fleet, "FORKING"));
        let after = worker(&mut launch);
        assert_ne!(before, after, "{method}");
        if *method == "fork" {
            assert_eq!(liveness(&before), Liveness::Dead, "{method}");
        }
        assert_ok(&fleet.run("qc-launch", &["stop"]));
        let (ended, lines) = launch.finish();
        assert_eq!(ended, Ended::Code(0), "{lines:#?}");
        if *method == "fork" {
            assert_eq!(liveness(&after), Liveness::Dead, "{method}: {lines:#?}");
        } else {
            // They run another program than the component, and keep nothing from it.
            for worker in [before, after] {
                if let Some(worker) = Process::open(&worker).unwrap() {
                    worker.kill().unwrap();
                }
            }
        }
    }
}

#[test]
fn a_stop_of_what_does_not_run_says_that_there_is_nothing_to_stop() {
    let fleet = fleet(&ONE, &json!({}));
    let launch = start(&fleet, "BRAIN_ATLAS");
    let stopped = fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]);
    assert_ok(&stopped);
    assert_eq!(stopped.stdout, "BRAIN_ATLAS does not run\n");
    let again = fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]);
    assert_ok(&again);
    assert_eq!(again.stdout, "BRAIN_ATLAS does not run; nothing to stop\n");
    launch.ask_to_stop(&fleet.tools);
    assert_eq!(launch.finish().0, Ended::Code(0));
}

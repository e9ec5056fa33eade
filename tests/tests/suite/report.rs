//! The output of a running launcher: its log as JSON, notifications, metrics; and its care for the
//! logs.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use qc_process::{Ended, Process, identity_of};
use qc_tests::{Program, SampleFleet, section};
use serde_json::{Value, json};

use crate::notify::{Mood, Server};
use crate::tools;

/// A config of one account with short pauses, whose components are ready when they say so.
fn configure(fleet: &SampleFleet, more: &Value) {
    let mut section = json!({
        "server": { "port": null },
        "server_settle_seconds": 0, "watchdog_stagger_seconds": 0, "brain_stagger_seconds": 0,
        "defaults": { "ready": { "log": "^ready" }, "restart": { "cooldown": 0 } },
    });
    for (key, value) in more.as_object().expect("an object") {
        section[key] = value.clone();
    }
    let accounts = json!({ "ATLAS": { "account": 11, "enabled": true } });
    fleet.configure(&json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": section }));
}

fn fleet(more: &Value) -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11)]);
    configure(&fleet, more);
    fleet
}

fn kill(fleet: &SampleFleet, name: &str) {
    let status = fleet.run("qc-launch", &["status", "--json"]).json();
    let components = status["components"].as_array().expect("a list");
    let found = components.iter().find(|one| one["name"] == name).expect("it is a component");
    let pid = found["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("it runs");
    let identity = identity_of(pid).expect("it runs");
    Process::open(&identity).expect("it can be opened").expect("it runs").kill().expect("killed");
}

fn wait_for_event(launch: &mut Program, event: &str, component: &str) -> Value {
    let is_it = |line: &Value| line["event"] == event && line["component"] == component;
    let line = launch.wait_until(&format!("{event} of {component}"), |line| {
        serde_json::from_str(line).is_ok_and(|line: Value| is_it(&line))
    });
    serde_json::from_str(&line).expect("it is JSON")
}

/// Asks for the figures at the address that the line names.
fn figures(line: &str) -> String {
    let address = line.split_once("http://").and_then(|(_, rest)| rest.split_once("/metrics"));
    let address = address.unwrap_or_else(|| panic!("no address in {line}")).0;
    let mut client = TcpStream::connect(address).expect("it listens");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).expect("it can be asked");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn a_crash_is_in_the_log_as_json_and_told_to_a_command_and_a_server_and_counted() {
    let server = Server::start(&[Mood::Answer(204)]);
    let stand_in = tools().stand_in();
    let fleet = fleet(&json!({}));
    let told = fleet.root().join("notices.json");
    configure(
        &fleet,
        &json!({ "notify": { "command": [stand_in, "tell", told], "webhook": server.address } }),
    );
    let args = ["--log-format", "json", "--metrics", "127.0.0.1:0"];
    let mut launch = fleet.launch(&args, |_| ());
    let served = launch.wait_for("metrics are served at");
    let started = wait_for_event(&mut launch, "started", "BRAIN_ATLAS");
    assert_eq!(started["account"], fleet.account(11).to_string());
    wait_for_event(&mut launch, "ready", "BRAIN_ATLAS");

    let before = figures(&served);
    assert!(before.contains("qc_component_restarts_total{component=\"BRAIN_ATLAS\"} 0\n"));
    kill(&fleet, "BRAIN_ATLAS");
    let restarting = wait_for_event(&mut launch, "restarting", "BRAIN_ATLAS");
    assert_eq!(
        (&restarting["level"], &restarting["pid"]),
        (&json!("warning"), &started["pid"]),
        "{restarting}"
    );
    wait_for_event(&mut launch, "ready", "BRAIN_ATLAS");
    let (_, crash) = server.next();
    assert_eq!((&crash["event"], &crash["component"]), (&json!("crash"), &json!("BRAIN_ATLAS")));
    let account = fleet.account(11).to_string();
    let masked = format!("{}{}", "*".repeat(account.len() - 3), &account[account.len() - 3..]);
    assert_eq!((&crash["account"], &crash["pid"]), (&json!(masked), &started["pid"]));
    let after = figures(&served);
    for text in [
        "qc_component_up{component=\"BRAIN_ATLAS\"} 1\n",
        "qc_component_up{component=\"WATCHDOG_ATLAS\"} 1\n",
        "qc_component_restarts_total{component=\"BRAIN_ATLAS\"} 1\n",
        "qc_component_restarts_total{component=\"WATCHDOG_ATLAS\"} 0\n",
        "qc_component_exits_total{component=\"BRAIN_ATLAS\",code=\"",
        "qc_component_start_seconds{component=\"BRAIN_ATLAS\"} ",
        "qc_lock_holder_age_seconds{lock=\"BRAIN_ATLAS\"} ",
        "qc_lock_holder_age_seconds{lock=\"MASTER_LAUNCH\"} ",
    ] {
        assert!(after.contains(text), "no {text} in {after}");
    }

    // A second launcher is refused, and says so to people.
    assert_eq!(fleet.run("qc-launch", &[]).code, 75);
    let (_, blocked) = server.next();
    assert_eq!(
        (&blocked["event"], &blocked["component"]),
        (&json!("blocked"), &json!("MASTER_LAUNCH"))
    );

    // So is a second brain, of which the launcher tells.
    let python = fleet.python();
    let brain = [python.to_str().unwrap(), "BRAIN_ATLAS.py"];
    let refused = fleet.run("qc-lock", &[&["run", "BRAIN_ATLAS", "--"], &brain[..]].concat());
    assert_eq!(refused.code, 75, "{refused:?}");
    let (_, blocked) = server.next();
    assert_eq!(
        (&blocked["event"], &blocked["component"]),
        (&json!("blocked"), &json!("BRAIN_ATLAS"))
    );
    let text = blocked["text"].as_str().unwrap();
    assert!(text.starts_with("a second BRAIN_ATLAS was refused: held by PID "), "{text}");

    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    let (_, stopped) = server.next();
    assert_eq!(
        (&stopped["event"], &stopped["component"]),
        (&json!("stopped"), &json!("MASTER_LAUNCH"))
    );
    let events: Vec<String> = lines
        .iter()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            assert!(line["time"].is_string() && line["text"].is_string(), "{line}");
            line["event"].as_str().expect("an event").to_owned()
        })
        .collect();
    for event in ["launcher", "starting", "restarting", "blocked", "stopping", "stopped", "ended"] {
        assert!(events.iter().any(|one| one == event), "no {event} in {lines:#?}");
    }
    // The command was told the same.
    let told = fs::read_to_string(&told).expect("something was told");
    let told: Vec<Value> = serde_json::Deserializer::from_str(&told)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("it is JSON");
    let told: Vec<&Value> = told.iter().map(|notice| &notice["event"]).collect();
    assert_eq!(told, ["crash", "blocked", "blocked", "stopped"]);
}

#[test]
fn a_log_is_cut_while_its_component_writes_and_followed_across_a_restart() {
    let fleet = fleet(&json!({ "logs": { "rotate_mib": 1 } }));
    fleet.script("BRAIN_ATLAS.py", "count 120000");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    let tool = fleet.tools.tool("qc-launch");
    let args = ["logs", "BRAIN_ATLAS", "-f", "-n", "1000000"];
    let mut reader = Program::start(&tool, &args, fleet.root(), &[], |_| ());
    reader.wait_until("the first line", |line| line == "line 0");
    launch.wait_for("bytes off a log: BRAIN_ATLAS_");
    reader.wait_until("the last line", |line| line == "line 119999");
    // It is ready before or after its log is cut.
    reader.wait_for("ready");
    kill(&fleet, "BRAIN_ATLAS");
    launch.wait_for("started BRAIN_ATLAS");
    reader.wait_until("the first line again", |line| line == "line 0");
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
}

#[test]
fn a_reload_changes_whom_to_tell_where_figures_are_and_what_is_kept() {
    let fleet = fleet(&json!({}));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("BRAIN_ATLAS is ready");
    let server = Server::start(&[Mood::Answer(204)]);
    let changed = json!({
        "notify": { "webhook": server.address, "events": ["crash"] },
        "logs": { "keep_files": 5, "folder": "elsewhere" },
        "metrics": "127.0.0.1:0",
    });
    configure(&fleet, &changed);
    let reloaded = fleet.run("qc-launch", &["reload"]);
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    for text in [
        "notices are sent by the new settings",
        "logs are kept by the new settings",
        "restart qc-launch to have them in",
        "metrics are served at http://127.0.0.1:",
    ] {
        assert!(reloaded.stdout.contains(text), "no {text} in {reloaded:?}");
    }
    let served = reloaded.stdout.lines().find(|line| line.contains("http://")).expect("an address");
    assert!(figures(served).contains("qc_component_up{component=\"BRAIN_ATLAS\"} 1\n"));
    kill(&fleet, "BRAIN_ATLAS");
    assert_eq!(server.next().1["event"], "crash");
    let again = fleet.run("qc-launch", &["reload"]);
    assert!(again.stdout.contains("nothing has changed"), "{again:?}");
    launch.ask_to_stop(&fleet.tools);
    assert_eq!(launch.finish().0, Ended::Code(0));
}

#[test]
fn metrics_are_for_this_machine_only() {
    let fleet = fleet(&json!({}));
    let refused = fleet.run("qc-launch", &["--metrics", "0.0.0.0:9464"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("can be reached by other machines"), "{refused:?}");
}

#[test]
fn one_look_serves_a_first_start_and_restarts_look_at_most_once_a_second() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11)]);
    let account = json!({ "ATLAS": { "account": 11, "enabled": true } });
    let restart = json!({ "restart": { "max_restarts": 1000, "cooldown": 0 } });
    let manager = section(&json!({ "components": { "BRAIN_ATLAS": restart } }));
    fleet.configure(&json!({ "ACCOUNTS": account, "PROCESS_MANAGER": manager }));
    fleet.script("BRAIN_ATLAS.py", "exit 1");
    let began = Instant::now();
    let mut launch = fleet.launch(&["--metrics", "127.0.0.1:0"], |_| ());
    let served = launch.wait_for("metrics are served at");
    for _ in 0..30 {
        launch.wait_for("started BRAIN_ATLAS");
    }
    let figures = figures(&served);
    let looks = figures.lines().find_map(|line| line.strip_prefix("qc_launcher_looks_total "));
    let looks: u64 = looks.expect("they are counted").parse().unwrap();
    assert!((1..=1 + began.elapsed().as_secs()).contains(&looks), "{looks} looks");
}

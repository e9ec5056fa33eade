//! Closing windows and consoles, logging off, shutting down: only Windows has these.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use qc_process::Ended;
use qc_tests::{Closing, Program, SampleFleet, cannot_test, end_session, has_desktop, run};
use serde_json::json;

use crate::tools;

/// How long Windows lets a program run after it has told it of one of these.
const LIMIT: Duration = Duration::from_secs(5);

/// Why windows can't be tested.
const NO_DESKTOP: &str = "no window can be made; Wine needs an X display (install xvfb)";

/// A fleet of two accounts, where these scripts do not end when they are asked.
fn fleet(deaf: &[&str]) -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[]);
    fleet.configure(&json!({
        "ACCOUNTS": { "ATLAS": { "account": 11, "enabled": true }, "BOREAS": { "account": 12, "enabled": true } },
        "TRADING_SETTINGS": { "WATCHDOG_LIMIT": 2.5 },
        "PROCESS_MANAGER": {
            "server": { "port": null },
            "server_settle_seconds": 0, "watchdog_stagger_seconds": 0, "brain_stagger_seconds": 0,
            "defaults": { "ready": { "log": "^ready" } },
        },
    }));
    for brain in ["BRAIN_ATLAS.py", "BRAIN_BOREAS.py"] {
        fleet.script(brain, "");
    }
    for script in deaf {
        fleet.script(script, "ignore stop");
    }
    fleet
}

/// Starts the fleet and waits until all of it runs.
fn start(fleet: &SampleFleet) -> Program {
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("BRAIN_BOREAS is ready");
    launch
}

/// Waits for the end of a launcher, which must have stopped its fleet in order; returns what it said.
fn assert_stopped_in_order(fleet: &SampleFleet, launch: Program) -> Vec<String> {
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    let expected = ["BRAIN", "BRAIN", "WATCHDOG", "WATCHDOG", "quantum_server"];
    let ends: Vec<&str> = lines
        .iter()
        .filter(|line| line.contains(" ended ") || line.contains(" was KILLED "))
        .map(|line| expected.into_iter().find(|kind| line.contains(kind)).unwrap_or_default())
        .collect();
    assert_eq!(ends, expected, "{lines:#?}");
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
    lines
}

#[test]
fn a_closing_console_stops_the_fleet_in_order_and_in_time() {
    const ALL: [&str; 4] =
        ["BRAIN_ATLAS.py", "BRAIN_BOREAS.py", "STOPLOSS_WATCHDOG_V2.py", "quantum_server.py"];
    for (closing, deaf) in [
        (Closing::Console, &ALL[..0]),
        (Closing::LogOff, &ALL[1..2]),
        (Closing::ShutDown, &ALL[..]),
    ] {
        let fleet = fleet(deaf);
        let launch = start(&fleet);
        let told = Instant::now();
        closing.tell(launch.identity().pid).unwrap();
        let lines = assert_stopped_in_order(&fleet, launch);
        assert!(told.elapsed() < LIMIT, "{closing:?} took {:?}: {lines:#?}", told.elapsed());
    }
}

#[test]
fn a_closing_console_leaves_no_time_to_a_stop_that_goes_on() {
    let fleet = fleet(&["BRAIN_BOREAS.py"]);
    let mut launch = start(&fleet);
    launch.ask_to_stop(&fleet.tools);
    launch.wait_for("BRAIN_ATLAS ended");
    let told = Instant::now();
    Closing::Console.tell(launch.identity().pid).unwrap();
    let lines = assert_stopped_in_order(&fleet, launch);
    assert!(told.elapsed() < LIMIT, "it took {:?}: {lines:#?}", told.elapsed());
}

#[test]
fn the_end_of_the_session_stops_the_fleet_in_order_and_in_time() {
    if !has_desktop() {
        return cannot_test("the end of a session", NO_DESKTOP);
    }
    let fleet = fleet(&["BRAIN_BOREAS.py"]);
    let launch = start(&fleet);
    let told = Instant::now();
    assert_ne!(end_session(launch.identity().pid), 0, "it has no window that could be told");
    let lines = assert_stopped_in_order(&fleet, launch);
    assert!(told.elapsed() < LIMIT, "it took {:?}: {lines:#?}", told.elapsed());
}

#[test]
fn a_launcher_that_taskkill_asks_stops_its_fleet() {
    if !has_desktop() {
        return cannot_test("taskkill without /F", NO_DESKTOP);
    }
    let fleet = fleet(&[]);
    let launch = start(&fleet);
    let pid = launch.identity().pid.to_string();
    let asked = run(Command::new("taskkill").args(["/PID", &pid]), "");
    assert_eq!(asked.code, 0, "{asked:?}");
    assert_stopped_in_order(&fleet, launch);
}

#[test]
fn a_program_with_a_window_is_asked_through_it() {
    if !has_desktop() {
        return cannot_test("a program with a window", NO_DESKTOP);
    }
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11)]);
    fleet.script("BRAIN_ATLAS.py", "window");
    let mut brain = Program::start(&fleet.python(), &["BRAIN_ATLAS.py"], fleet.root(), &[], |_| ());
    brain.wait_for("ready");
    let shutdown = fleet.run("qc-shutdown", &["--yes", "--timeout", "30s"]);
    assert_eq!(shutdown.code, 0, "{shutdown:?}");
    let (ended, lines) = brain.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("closed its window"), "{lines:?}");
}

#[test]
fn a_component_with_a_window_is_stopped_through_it() {
    if !has_desktop() {
        return cannot_test("a component with a window", NO_DESKTOP);
    }
    let fleet = fleet(&[]);
    fleet.script("BRAIN_BOREAS.py", "window");
    let launch = start(&fleet);
    let stop = fleet.run("qc-launch", &["stop"]);
    assert_eq!(stop.code, 0, "{stop:?}");
    let lines = assert_stopped_in_order(&fleet, launch);
    assert!(!lines.iter().any(|line| line.contains("killing")), "{lines:#?}");
    let log = fleet.root().join("orchestrator_logs").join("BRAIN_BOREAS_latest.log");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("closed its window"), "{log}");
}

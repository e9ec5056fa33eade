//! A watchdog protects a brain of its account wherever that runs: no stop of its own folder ends it,
//! nor the server that it may need.

use std::fs;

use qc_process::{Identity, Liveness, liveness};
use qc_tests::{Contender, Program, SampleFleet, SampleLocks, Speaker, section};
use serde_json::{Value, json};

use crate::tools;

const ONE: [(&str, u64); 1] = [("ATLAS", 81)];

/// A fleet whose brain does not run, so that one in another folder may trade its account.
struct Kept {
    fleet: SampleFleet,
    launch: Program,
    watchdog: Identity,
    server: Identity,
}

impl Kept {
    fn new() -> Self {
        let fleet = SampleFleet::new(tools(), &ONE);
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for("started BRAIN_ATLAS");
        assert_eq!(fleet.run("qc-launch", &["stop", "BRAIN_ATLAS"]).code, 0);
        let identity =
            |name: &str| fleet.locks().record(&name.parse().unwrap()).unwrap().identity();
        let (watchdog, server) = (identity("WATCHDOG_ATLAS"), identity("quantum_server"));
        Self { fleet, launch, watchdog, server }
    }

    /// Checks that each way to stop the watchdog names the brain with `texts` and leaves both alone.
    fn assert_stays(&self, texts: &[&str]) {
        for (tool, args) in [
            ("qc-shutdown", &["--dry-run"][..]),
            ("qc-launch", &["stop", "WATCHDOG_ATLAS"]),
            ("qc-launch", &["stop"]),
            ("qc-shutdown", &["--yes", "--name", "WATCHDOG_ATLAS"]),
            ("qc-shutdown", &["--yes"]),
        ] {
            let stopped = self.fleet.run(tool, args);
            assert_eq!(stopped.code, 1, "{tool} {args:?}: {stopped:#?}");
            let said = format!("{}{}", stopped.stdout, stopped.stderr);
            for text in texts.iter().chain(&["it protects ", "WATCHDOG_ATLAS"]) {
                assert!(said.contains(text), "no {text}, {tool} {args:?}: {stopped:#?}");
            }
            for wrong in ["has stopped.", "is stopped first", "loses its stop-loss watchdog"] {
                assert!(!said.contains(wrong), "{wrong}, {tool} {args:?}: {stopped:#?}");
            }
            for one in [&self.watchdog, &self.server] {
                assert_eq!(liveness(one), Liveness::Alive, "{tool} {args:?}: {stopped:#?}");
            }
        }
    }

    /// Checks that a config that disables the account is not taken over, and that this is said with
    /// the brain's PID and folder.
    fn assert_not_disabled(&self, pid: &str, folder: &str) {
        let config = self.fleet.root().join("MASTER_CONFIG.json");
        let before = fs::read_to_string(&config).unwrap();
        let mut changed: Value = serde_json::from_str(&before).unwrap();
        changed["ACCOUNTS"]["ATLAS"]["enabled"] = false.into();
        fs::write(&config, changed.to_string()).unwrap();
        let reloaded = self.fleet.run("qc-launch", &["reload"]);
        fs::write(&config, before).unwrap();
        assert_eq!(reloaded.code, 1, "{reloaded:#?}");
        for text in ["nothing was changed: WATCHDOG_ATLAS", "it protects ", pid, folder] {
            assert!(reloaded.stderr.contains(text), "no {text}: {reloaded:#?}");
        }
        assert_eq!(liveness(&self.watchdog), Liveness::Alive, "{reloaded:#?}");
    }

    /// Checks that all stops once the brain has ended.
    fn assert_stops(self) {
        let stopped = self.fleet.run("qc-shutdown", &["--yes"]);
        assert_eq!(stopped.code, 0, "{stopped:#?}");
        assert_eq!(liveness(&self.watchdog), Liveness::Dead, "{stopped:#?}");
        self.launch.finish();
    }
}

#[test]
fn whatever_holds_the_account_in_another_folder_keeps_its_watchdog() {
    let kept = Kept::new();
    let other = SampleLocks::new(tools());
    let account = kept.fleet.account(81).to_string();
    let holder: Contender = other.hold(Speaker::Tool, "BRAIN_STRANGE", Some(&account));
    let folder = other.folder().file_name().unwrap().to_str().unwrap();
    kept.assert_stays(&["BRAIN_STRANGE", &format!("(PID {})", holder.pid()), folder]);
    assert_eq!(holder.finish().code, 0);
    kept.assert_stops();
}

#[test]
fn a_brain_of_another_fleet_with_the_account_keeps_its_watchdog() {
    let kept = Kept::new();
    let other = kept.fleet.elsewhere(&ONE);
    let args = ["BRAIN_ATLAS.py"];
    let mut brain = Program::start(&other.python(), &args, other.root(), &[], |_| ());
    brain.wait_for("ready");
    let folder = other.root().file_name().unwrap().to_str().unwrap();
    kept.assert_stays(&["BRAIN_ATLAS", &format!("(PID {})", brain.identity().pid), folder]);
    kept.assert_not_disabled(&format!("(PID {})", brain.identity().pid), folder);
    let both = kept.fleet.run("qc-shutdown", &["--dry-run", "--all-roots"]);
    // All roots are also those of the tests beside this one.
    let stays = format!("WATCHDOG_ATLAS (PID {}) runs on", kept.watchdog.pid);
    assert!(!both.stdout.contains(&stays), "they are stopped in order: {both:#?}");
    brain.kill();
    drop(brain);
    kept.assert_stops();
}

#[test]
fn a_brain_on_paper_in_another_folder_keeps_no_watchdog_of_real_trades() {
    let kept = Kept::new();
    let other = kept.fleet.elsewhere(&ONE);
    let entry = json!({ "account": 81, "enabled": true, "paper": true });
    let section = section(&json!({}));
    other.configure(&json!({ "ACCOUNTS": { "ATLAS": entry }, "PROCESS_MANAGER": section }));
    let mut brain = Program::start(&other.python(), &["BRAIN_ATLAS.py"], other.root(), &[], |_| ());
    brain.wait_for("ready");
    let paper = SampleLocks::new(tools());
    let account = format!("{} paper", kept.fleet.account(81));
    let holder = paper.hold(Speaker::Tool, "BRAIN_STRANGE", Some(&account));
    kept.assert_stops();
    assert_eq!(liveness(brain.identity()), Liveness::Alive);
    assert_eq!(holder.finish().code, 0);
}

#[test]
fn a_config_with_one_account_twice_that_was_not_taken_over_doubles_nothing() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 81), ("BOREAS", 82)]);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_BOREAS");
    let entry = || json!({ "account": 81, "server": "Demo", "enabled": true });
    let accounts = json!({ "ATLAS": entry(), "BOREAS": entry() });
    fleet.configure(&json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": section(&json!({})) }));
    let seen = fleet.run("qc-ps", &["--check"]);
    assert_eq!(seen.code, 3, "{seen:#?}");
    let ran = format!("BRAIN_BOREAS runs for account {}, and ", fleet.account(82));
    for text in [&*ran, "the config has an error; `qc-launch check` names it"] {
        assert!(seen.stdout.contains(text), "no {text}: {seen:#?}");
    }
    for wrong in ["has 2 ", "`qc-launch reload`"] {
        assert!(!seen.stdout.contains(wrong), "{wrong}: {seen:#?}");
    }
    assert_eq!(fleet.run("qc-launch", &["check"]).code, 2);
    launch.ask_to_stop(&fleet.tools);
    launch.finish();
}

//! The checks that need all components.

use std::collections::HashMap;
use std::sync::Arc;

use qc_lock_core::LockName;
use qc_supervise::Probe;

use super::Builder;
use crate::config::{ConfigIssue, suggest_among};

impl Builder<'_> {
    pub(super) fn check_orchestrator(&self) -> Result<(), ConfigIssue> {
        let key = self.orchestrator.key();
        match self.components.iter().find(|one| one.name.key() == key) {
            None => Ok(()),
            Some(one) => {
                let message = format!("qc-launch and a component would both be {}", one.name);
                Err(ConfigIssue::new(self.section.key("orchestrator"), message))
            }
        }
    }

    /// Checks the names that components depend on, and spells them as the components do.
    pub(super) fn check_dependencies(&mut self) -> Result<(), ConfigIssue> {
        let names: Vec<LockName> = self.components.iter().map(|one| one.name.clone()).collect();
        let enabled: Vec<LockName> =
            self.components.iter().filter(|one| one.enabled).map(|one| one.name.clone()).collect();
        let by_key: HashMap<String, &LockName> =
            names.iter().map(|name| (name.key(), name)).collect();
        for component in &mut self.components {
            for (index, wanted) in component.depends_on.iter_mut().enumerate() {
                if let Some(&name) = by_key.get(&wanted.key()) {
                    *wanted = name.clone();
                    continue;
                }
                // A disabled component never runs, so it is no choice.
                let [known, enabled] = [&names, &enabled]
                    .map(|all| all.iter().map(LockName::as_str).collect::<Vec<&str>>());
                let nearest = suggest_among(wanted.as_str(), &known, &enabled);
                let message = format!("there is no component `{wanted}`{nearest}");
                // Only what stands there can name what there is not, whatever its case.
                let own = component.name.as_str();
                let mut given = self.manager.components.0.iter().map(|(name, _)| name.as_str());
                let name = given.find(|name| name.eq_ignore_ascii_case(own)).unwrap_or(own);
                let at = self.section.key("components").key(name).key("depends_on");
                return Err(ConfigIssue::new(at.index(index), message));
            }
        }
        Ok(())
    }

    /// Draws what follows from how components get ready.
    pub(super) fn complete_readiness(&mut self) {
        for component in &mut self.components {
            match component.settings.ready.probe {
                // A delay that is waited for must fit into the time that waiting may take.
                Probe::Delay(delay) => {
                    Arc::make_mut(&mut component.settings).ready.timeout += delay;
                }
                Probe::Port(port) if !component.ports.contains(&port) => component.ports.push(port),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use qc_supervise::{
        Heartbeat, HeartbeatSource, Readiness, RestartDelay, RestartPolicy, RestartWhen, Settings,
        WhenUnguarded,
    };

    use super::*;
    use crate::{Component, ConfigError, Fleet, Role, Text};

    fn root() -> PathBuf {
        std::env::temp_dir().join("qc no such fleet")
    }

    /// Loads two accounts with this section.
    fn load(section: &str) -> Result<Fleet, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("MASTER_CONFIG.json");
        let text = format!(
            r#"{{"ACCOUNTS": {{"A": {{"account": 1, "enabled": true}}, "GL_3": {{"account": 2, "enabled": false}}}},
                "PROCESS_MANAGER": {{{section}}}}}"#
        );
        std::fs::write(&path, text).unwrap();
        let variables = |name: &str| (name == "PASS").then(|| "hunter2".into());
        Fleet::load_for(&root(), &path, &variables)
    }

    fn fleet(section: &str) -> Fleet {
        load(section).unwrap_or_else(|error| panic!("{section}: {error}"))
    }

    fn one(fleet: &Fleet, name: &str) -> Component {
        fleet.component(name).unwrap_or_else(|| panic!("no {name}")).clone()
    }

    #[test]
    fn only_what_is_enabled_is_named_as_what_can_be_waited_for() {
        let wrong = r#""components": {"X": {"command": ["x"], "depends_on": ["nothing-like-it"]}}"#;
        let known = |section: &str| load(section).unwrap_err().to_string();
        assert!(known(wrong).contains("quantum_server"), "{}", known(wrong));
        let disabled = known(&format!(r#""server": {{"enabled": false}}, {wrong}"#));
        assert!(disabled.contains("BRAIN_A") && !disabled.contains("quantum_server"), "{disabled}");
    }

    fn names(fleet: &Fleet) -> Vec<&str> {
        fleet.components.iter().map(|component| component.name.as_str()).collect()
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn without_our_section_everything_is_as_the_old_launcher_did_it() {
        let fleet = fleet("");
        let server = one(&fleet, "quantum_server");
        let settle = Readiness { probe: Probe::Delay(seconds(5)), timeout: seconds(65) };
        assert_eq!(*server.settings, Settings { ready: settle, ..Settings::default() });
        assert_eq!((server.ports, server.depends_on), (vec![8000], vec![]));
        let watchdog = one(&fleet, "WATCHDOG_A");
        assert_eq!(*watchdog.settings, Settings::default());
        assert_eq!(watchdog.depends_on, [server.name]);
        let brain = one(&fleet, "BRAIN_A");
        assert_eq!(*brain.settings, Settings::default());
        assert_eq!(brain.depends_on, [watchdog.name]);
        assert_eq!((brain.cwd, brain.env), (root(), vec![]));
        assert!(!fleet.notify.is_on());
        assert_eq!(fleet.logs.folder, root().join("orchestrator_logs"));
        assert_eq!(fleet.metrics, None);
    }

    #[test]
    fn what_stands_nearer_to_a_component_decides() {
        let fleet = fleet(
            r#""max_restarts": 1, "stop_timeout_seconds": "1m", "server_settle_seconds": 0,
            "defaults": {"restart": {"max_restarts": 2, "window": "10m"}, "heartbeat": {"output": true}},
            "brains": {"restart": {"max_restarts": 3, "backoff": {}}, "stop": {"without_watchdog": "keep"},
                       "heartbeat": {"within": "5s"}},
            "components": {"brain_a": {"restart": {"max_restarts": 4, "when": "on-failure"}, "ready": {"lock": true},
                           "heartbeat": {"file": "beat"}}, "WATCHDOG_A": {"heartbeat": {"within": 0}}}"#,
        );
        let server = one(&fleet, "quantum_server").settings;
        assert_eq!((server.restart.max_restarts, server.restart.window), (2, Some(seconds(600))));
        assert_eq!((server.stop_timeout, &server.ready.probe), (seconds(60), &Probe::Started));
        assert_eq!(
            server.heartbeat,
            Some(Heartbeat { source: HeartbeatSource::Output, within: seconds(60) })
        );
        assert_eq!(one(&fleet, "WATCHDOG_A").settings.heartbeat, None);
        let expected = Settings {
            restart: RestartPolicy {
                when: RestartWhen::OnFailure,
                delay: RestartDelay::Backoff { initial: seconds(1), cap: seconds(60) },
                max_restarts: 4,
                window: Some(seconds(600)),
                ..RestartPolicy::default()
            },
            ready: Readiness { probe: Probe::Lock, timeout: seconds(60) },
            heartbeat: Some(Heartbeat {
                source: HeartbeatSource::File(root().join("beat")),
                within: seconds(5),
            }),
            start_seconds: seconds(1),
            stop_timeout: seconds(60),
            when_unguarded: WhenUnguarded::Keep,
        };
        assert_eq!(*one(&fleet, "BRAIN_A").settings, expected);
    }

    #[test]
    fn scripts_names_and_arguments_can_be_others() {
        let fleet = fleet(
            r#""orchestrator": "BOSS", "interpreter": "py/python",
            "server": {"name": "hub", "script": "hub.py", "port": 9000, "args": ["-v"]},
            "watchdogs": {"script": "guard.py", "args": ["{KEY}", "{ACCOUNT}"]},
            "brains": {"script": "brains/trade.py", "args": ["--key={KEY}"], "scripts": {"A": "BRAIN_X.py"}}"#,
        );
        assert_eq!(fleet.orchestrator.as_str(), "BOSS");
        assert_eq!(names(&fleet), ["hub", "WATCHDOG_A", "WATCHDOG_GL_3", "BRAIN_X", "BRAIN_GL_3"]);
        assert_eq!(one(&fleet, "hub").ports, [9000]);
        let command = |name: &str| {
            let words = one(&fleet, name).command;
            words.iter().skip(1).map(Text::path).map(PathBuf::from).collect::<Vec<_>>()
        };
        let script = |name: &str| root().join(name);
        assert_eq!(command("hub"), [script("hub.py"), "-v".into()]);
        assert_eq!(command("WATCHDOG_A"), [script("guard.py"), "A".into(), "1".into()]);
        assert_eq!(command("BRAIN_GL_3"), [script("brains/trade.py"), "--key=GL_3".into()]);
        assert_eq!(one(&fleet, "hub").command[0].path(), script("py/python"));
    }

    #[test]
    fn the_server_can_be_left_out() {
        let fleet = fleet(r#""server": {"enabled": false}"#);
        assert!(!one(&fleet, "quantum_server").enabled);
        assert_eq!(one(&fleet, "WATCHDOG_A").depends_on, []);
    }

    #[test]
    fn components_of_their_own_start_where_they_are_needed() {
        let fleet = fleet(
            r#""components": {
                "report": {"script": "report.py", "depends_on": ["brain_a"]},
                "bridge": {"command": ["bin/bridge", "--pass=${PASS}"], "account": "GL_3", "cwd": "sub",
                           "env": {"TOKEN": "${PASS}"}, "ready": {"port": 7000}},
                "BRAIN_A": {"depends_on": ["WATCHDOG_A", "bridge"]}}"#,
        );
        assert_eq!(
            names(&fleet),
            [
                "quantum_server",
                "WATCHDOG_A",
                "WATCHDOG_GL_3",
                "BRAIN_GETLEVERAGED",
                "bridge",
                "BRAIN_A",
                "report"
            ]
        );
        let bridge = one(&fleet, "bridge");
        assert_eq!((bridge.role, bridge.enabled), (Role::Other, false));
        assert_eq!((&bridge.cwd, &bridge.ports), (&root().join("sub"), &vec![7000]));
        assert_eq!(bridge.command[0].path(), root().join("bin/bridge"));
        assert_eq!(bridge.command[1].value(), "--pass=hunter2");
        assert_eq!(bridge.env[0].1.reveal(), "hunter2");
        let shown = format!("{bridge:?} {}", bridge.shown_command());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(one(&fleet, "report").script, Some(root().join("report.py")));
    }

    #[test]
    fn two_ways_around_the_same_circle_are_one_mistake() {
        let error = load(r#""components": {"watchdog_a": {"depends_on": ["BRAIN_A"]}}"#);
        let error = error.unwrap_err().to_string();
        let expected = "these wait for one another: WATCHDOG_A, BRAIN_A (at PROCESS_MANAGER.components.watchdog_a.depends_on)";
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn keys_that_begin_with_slashes_are_comments() {
        let noted = fleet(r#""//": "x", "//max_restarts": 1, "defaults": {"// a": {"b": []}}"#);
        assert_eq!(noted, fleet(""));
    }
}

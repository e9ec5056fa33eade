use std::time::Duration;

use super::*;
use crate::Fleet;

fn refusal(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("MASTER_CONFIG.json");
    std::fs::write(&path, text).unwrap();
    let text = Fleet::load_for(dir.path(), &path, &|_| None).expect_err("accepted").to_string();
    text.replace(&path.display().to_string(), "FILE")
}

#[test]
fn mistakes_are_named_with_line_column_and_path() {
    let cases = [
        ("", "FILE is empty"),
        ("{", "FILE:1:1: EOF while parsing an object"),
        ("[]", "FILE:1:1: invalid type: sequence, expected an object"),
        ("{}", "FILE:1:1: missing field `ACCOUNTS`"),
        (
            r#"{"ACCOUNTS": []}"#,
            "FILE:1:14: invalid type: sequence, expected an object (at ACCOUNTS)",
        ),
        (
            r#"{"ACCOUNTS": {"A": [5]}}"#,
            "FILE:1:20: invalid type: sequence, expected an object (at ACCOUNTS.A)",
        ),
        (
            "{\"ACCOUNTS\": {\"A\":\n {\"account\": true}}}",
            "FILE:2:14: invalid type: boolean `true`, expected an account: a number, or a text in quotes \
                 (at ACCOUNTS.A.account)",
        ),
        (
            r#"{"ACCOUNTS": {"A": {"account": 1}, "A": {"account": 2}}}"#,
            "FILE:1:38: duplicate key `A`",
        ),
        (
            r#"{"ACCOUNTS": {"A": {"account": 1}, "a": {"account": 2}}}"#,
            "FILE:1:36: this account and `A` would both be WATCHDOG_A (at ACCOUNTS.a)",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn mistakes_in_our_section_are_named_with_line_column_and_path() {
    // The section begins at the second line, and its content at the third.
    for (section, expected) in [
        (
            r#""max_restart": 1"#,
            "3:1: unknown key `max_restart`, did you mean `max_restarts`? (at PROCESS_MANAGER.max_restart)",
        ),
        (
            r#""max_restarts": -1"#,
            "3:17: invalid value: integer `-1`, expected a whole number from 0 to 4294967295 (at PROCESS_MANAGER.max_restarts)",
        ),
        (
            r#""defaults": []"#,
            "3:13: invalid type: sequence, expected an object (at PROCESS_MANAGER.defaults)",
        ),
        (
            r#""orchestrator": "A/B""#,
            "3:17: a lock name has letters, digits, `.`, `_` and `-` only, not '/' (at PROCESS_MANAGER.orchestrator)",
        ),
        (
            r#""orchestrator": "BRAIN_A""#,
            "3:17: qc-launch and a component would both be BRAIN_A (at PROCESS_MANAGER.orchestrator)",
        ),
        (
            r#""interpreter": "${NO}/python""#,
            "3:16: the environment variable `NO` is not set (at PROCESS_MANAGER.interpreter)",
        ),
        (
            r#""brain_stagger_seconds": 90000"#,
            "3:26: 90000 is not a number of seconds from 0 to 86400 (at PROCESS_MANAGER.brain_stagger_seconds)",
        ),
        (
            r#""stop_timeout_seconds": "2d""#,
            "3:25: `2d` is more than 24h (at PROCESS_MANAGER.stop_timeout_seconds)",
        ),
        (
            r#""stop_timeout_seconds": "soon""#,
            "3:25: `soon` is not a valid duration; write 500ms, 30s, 5m or 24h (at PROCESS_MANAGER.stop_timeout_seconds)",
        ),
        (
            r#""stop_timeout_seconds": true"#,
            "3:25: invalid type: boolean `true`, expected a number of seconds, or a text such as \"500ms\", \"30s\" or \"5m\" (at PROCESS_MANAGER.stop_timeout_seconds)",
        ),
        (
            r#""server": {"ready": {"port": 70000}}"#,
            "3:30: 70000 is not a port (1 to 65535) (at PROCESS_MANAGER.server.ready.port)",
        ),
        (
            r#""server": {"ready": {"port": 0}}"#,
            "3:30: 0 is not a port (1 to 65535) (at PROCESS_MANAGER.server.ready.port)",
        ),
        (
            r#""server": {"ready": {"log": "a(b"}}"#,
            "3:29: this is not a valid regular expression: unclosed group (at PROCESS_MANAGER.server.ready.log)",
        ),
        (
            r#""server": {"ready": {"delay": 1, "lock": true}}"#,
            "3:34: only one readiness check is allowed, and `delay` is given as well (at PROCESS_MANAGER.server.ready.lock)",
        ),
        (
            r#""brains": {"heartbeat": {"within": 5}}"#,
            "3:26: a heartbeat needs a `file`, or `output`: true (at PROCESS_MANAGER.brains.heartbeat.within)",
        ),
        (
            r#""brains": {"restart": {"when": "alway"}}"#,
            "3:32: `alway` is not known here, did you mean `always`? (at PROCESS_MANAGER.brains.restart.when)",
        ),
        (
            r#""brains": {"restart": {"cooldown": 1, "backoff": {}}}"#,
            "3:39: a restart has either a `cooldown` or a `backoff` (at PROCESS_MANAGER.brains.restart.backoff)",
        ),
        (
            r#""brains": {"restart": {"backoff": {"initial": "5m"}}}"#,
            "3:47: the `cap` is less than the `initial` wait (at PROCESS_MANAGER.brains.restart.backoff.initial)",
        ),
        (
            r#""brains": {"scripts": {"AA": "x.py"}}"#,
            "3:24: there is no account `AA`; known here: A (at PROCESS_MANAGER.brains.scripts.AA)",
        ),
        (
            r#""brains": {"script": "BRAIN_MAIN.py", "args": ["{LIMIT}"]}"#,
            "3:48: `{LIMIT}` stands for nothing: the config has no such value (at PROCESS_MANAGER.brains.args[0])",
        ),
        (
            r#""components": {"BRAIN_B": {}}"#,
            "3:16: there is no component `BRAIN_B`, did you mean `BRAIN_A`?; one of its own needs a `command` or `script` (at PROCESS_MANAGER.components.BRAIN_B)",
        ),
        (
            r#""components": {"X": {"command": []}}"#,
            "3:33: a command has at least a program (at PROCESS_MANAGER.components.X.command)",
        ),
        (
            r#""components": {"X": {"command": ["x"], "script": "y"}}"#,
            "3:22: a component has either a `command` or a `script` (at PROCESS_MANAGER.components.X.command)",
        ),
        (
            r#""components": {"X": {"command": ["x"], "colour": 1}}"#,
            "3:40: unknown key `colour`; known here: enabled, command, script, args, cwd, env, depends_on, port, account, terminal, shared_account, start_seconds, own_record, restart, ready, heartbeat, stop (at PROCESS_MANAGER.components.X.colour)",
        ),
        (
            r#""components": {"X": {"command": ["x"]}, "x": {"command": ["y"]}}"#,
            "3:41: there is another component `x` (at PROCESS_MANAGER.components.x)",
        ),
        (
            r#""components": {"X": {"command": ["x"], "depends_on": ["BRAIN_AA"]}}"#,
            "3:55: there is no component `BRAIN_AA`, did you mean `BRAIN_A`? (at PROCESS_MANAGER.components.X.depends_on[0])",
        ),
        (
            r#""components": {"X": {"command": ["x"], "depends_on": ["y"]}, "y": {"command": ["y"], "depends_on": ["X"]}}"#,
            "3:54: these wait for one another: X, y (at PROCESS_MANAGER.components.X.depends_on)",
        ),
        (
            r#""components": {"X": {"command": ["x"], "account": "B"}}"#,
            "3:51: there is no account `B`; known here: A (at PROCESS_MANAGER.components.X.account)",
        ),
        (
            r#""components": {"BRAIN_A": {"account": "A"}}"#,
            "3:28: the account of BRAIN_A follows from ACCOUNTS (at PROCESS_MANAGER.components.BRAIN_A.account)",
        ),
        (
            r#""components": {"X": {"command": ["x"], "env": {"A=B": "1"}}}"#,
            "3:48: this is not a valid name of an environment variable (at PROCESS_MANAGER.components.X.env.A=B)",
        ),
        (
            r#""components": {"X": {"command": ["x"], "env": {"A": "${NO}"}}}"#,
            "3:53: the environment variable `NO` is not set (at PROCESS_MANAGER.components.X.env.A)",
        ),
        (
            r#""components": {"MASTER_LAUNCH": {"command": ["x"]}}"#,
            "2:21: qc-launch and a component would both be MASTER_LAUNCH (at PROCESS_MANAGER.orchestrator)",
        ),
        (
            r#""defaults": {"env": {"PIN": 1234}}"#,
            "3:29: this must be a text in quotes; its value is not shown (at PROCESS_MANAGER.defaults.env.PIN)",
        ),
        (
            r#""metrics": "0.0.0.0:9464""#,
            "3:12: 0.0.0.0:9464 can be reached by other machines, use 127.0.0.1 (at PROCESS_MANAGER.metrics)",
        ),
        (
            r#""logs": {"keep_files": 0}"#,
            "3:24: this must be at least 1 (at PROCESS_MANAGER.logs.keep_files)",
        ),
        (
            r#""notify": {"webhook": "hunter2"}"#,
            "3:23: a webhook begins with https:// or http:// (at PROCESS_MANAGER.notify.webhook)",
        ),
        (
            r#""notify": {"events": ["crashed"]}"#,
            "3:23: `crashed` is not known here, did you mean `crash`? (at PROCESS_MANAGER.notify.events[0])",
        ),
    ] {
        let text = format!(
            "{{\"ACCOUNTS\": {{\"A\": {{\"account\": 1}}}},\n \"PROCESS_MANAGER\": {{\n{section}}}}}"
        );
        assert_eq!(refusal(&text), format!("FILE:{expected}"), "{section}");
    }
}

#[test]
fn a_file_far_too_large_is_refused_unread() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("MASTER_CONFIG.json");
    std::fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
    assert!(matches!(Fleet::load(&path), Err(ConfigError::Large { .. })));
}

#[test]
fn unknown_keys_of_the_trader_are_left_alone() {
    let text = r#"{"$schema": "x", "NEWS": [1], "ACCOUNTS": {"A": {"account": 1, "symbols": ["X"], "extra": {}}}}"#;
    let config = config(parse(text).unwrap()).unwrap();
    assert_eq!(config.accounts.0[0].1.0.magic, None);
}

#[test]
fn the_pace_can_be_set() {
    let text =
        r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"brain_stagger_seconds": 0.5, "max_restarts": 1}}"#;
    let timing = config(parse(text).unwrap()).unwrap().manager.0.timing();
    assert_eq!((timing.brain_stagger, timing.max_restarts), (Duration::from_millis(500), 1));
    assert_eq!(timing.restart_cooldown, Duration::from_secs(60));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_reading_panic(text: String) {
        let _ = parse(&text).map(config);
    }

    #[test]
    fn no_cut_of_a_config_makes_reading_panic(cut in 0..200_usize, byte in 0..128_u8) {
        let text = r#"{"ACCOUNTS": {"A": {"account": 1, "terminal_path": "C:\\MT5", "enabled": true}},
            "TRADING_SETTINGS": {"WATCHDOG_LIMIT": 2.5}, "PROCESS_MANAGER": {"max_restarts": 5}}"#;
        let mut bytes = text.as_bytes().to_vec();
        bytes.truncate(cut);
        bytes.push(byte);
        let _ = parse(&String::from_utf8_lossy(&bytes)).map(config);
    }

    #[test]
    fn what_is_decoded_as_utf16_is_what_was_encoded(text: String) {
        let text = format!("{{{text}");
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        proptest::prop_assert_eq!(decode(&[&[0xff, 0xfe], &bytes[..]].concat()), Some(text));
    }
}

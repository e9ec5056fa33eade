//! Broken configs, records, lock directories and names.

use std::fs::{self, File};
use std::path::Path;
#[cfg(unix)]
use std::process::Command;

use serde_json::{Value, json};

use super::bench::{OTHER, remove};

/// Makes a situation at a path.
pub(super) type Make = fn(&Path);

/// A situation: what it is, how it is made, and what a tool that meets it says.
pub(super) type Bad = (&'static str, Make, &'static str);

/// A record's key, and its text, made from that of a living record.
pub(super) type BadRecord = (&'static str, fn(&Value) -> Vec<u8>);

pub(super) const BAD_CONFIGS: [Bad; 24] = [
    ("no config", remove, "no MASTER_CONFIG.json in "),
    ("an empty config", |config| write(config, ""), "MASTER_CONFIG.json is empty"),
    ("a blank config", |config| write(config, " \r\n\t"), "MASTER_CONFIG.json is empty"),
    ("no JSON", |config| write(config, "ACCOUNTS = 1"), "MASTER_CONFIG.json:1:1: expected value"),
    (
        "a config cut off",
        |config| write(config, "{\n\"ACCOUNTS\": {"),
        "MASTER_CONFIG.json:2:13: EOF while parsing an object",
    ),
    (
        "two configs in one file",
        |config| write(config, "{\"ACCOUNTS\": {}}\n{}"),
        "MASTER_CONFIG.json:2:1: trailing characters",
    ),
    ("no ACCOUNTS", |config| write(config, "{}"), ":1:1: missing field `ACCOUNTS`"),
    (
        "ACCOUNTS is a list",
        |config| write(config, r#"{"ACCOUNTS": []}"#),
        ":1:14: invalid type: sequence, expected an object (at ACCOUNTS)",
    ),
    (
        "an account is a string",
        |config| write(config, r#"{"ACCOUNTS": {"ATLAS": "1000001"}}"#),
        ":1:24: invalid type: string \"1000001\", expected an object (at ACCOUNTS.ATLAS)",
    ),
    (
        "an account number is a word of JSON",
        |config| write(config, "{\"ACCOUNTS\": {\"ATLAS\":\n {\"account\": true}}}"),
        ":2:14: invalid type: boolean `true`, expected an account: a number, or a text in quotes \
         (at ACCOUNTS.ATLAS.account)",
    ),
    (
        "an account number with a fraction",
        |config| write(config, r#"{"ACCOUNTS": {"ATLAS": {"account": 12.5}}}"#),
        ":1:36: `12.5` is not an account: an account number has no fraction (at ACCOUNTS.ATLAS.account)",
    ),
    (
        "a misspelt key of an account",
        |config| write(config, r#"{"ACCOUNTS": {"ATLAS": {"account": 1, "enable": false}}}"#),
        ":1:39: `enable` is not read; did you mean `enabled`?",
    ),
    (
        "a misspelt key at the top",
        |config| write(config, r#"{"ACCOUNTS": {}, "PROCESS_MANGER": {}}"#),
        ":1:18: `PROCESS_MANGER` is not read; did you mean `PROCESS_MANAGER`?",
    ),
    (
        "a path with single backslashes that JSON reads",
        |config| {
            write(config, r#"{"ACCOUNTS": {"A": {"account": 1, "terminal_path": "C:\temp\new"}}}"#)
        },
        "or `\"C:/temp/new\"` (at ACCOUNTS.A.terminal_path)",
    ),
    (
        "a path with single backslashes that JSON refuses",
        |config| write(config, r#"{"ACCOUNTS": {"A": {"account": 1, "terminal_path": "C:\MT5"}}}"#),
        "invalid escape; in a path, write `",
    ),
    (
        "100 MB",
        |config| set_len(config, 100 << 20),
        "MASTER_CONFIG.json is larger than 16 MiB, so it can't be a fleet's config",
    ),
    (
        "a key twice",
        |config| write(config, r#"{"ACCOUNTS": {"A": {"account": 1}, "A": {"account": 2}}}"#),
        ":1:38: duplicate key `A`",
    ),
    (
        "neither UTF-8 nor UTF-16",
        |config| write(config, b"{\"ACCOUNTS\": {\"\xe4\": {\"account\": 1}}}"),
        "MASTER_CONFIG.json is neither UTF-8 nor UTF-16 text",
    ),
    (
        "UTF-16 cut off",
        |config| write(config, b"\xff\xfe{\0\"\0A"),
        "MASTER_CONFIG.json is neither UTF-8 nor UTF-16 text",
    ),
    (
        "a hundred thousand brackets",
        |config| write(config, "[".repeat(100_000)),
        "MASTER_CONFIG.json:1:128: recursion limit exceeded",
    ),
    (
        "an account key that is no file name",
        |config| write(config, r#"{"ACCOUNTS": {"../x": {"account": 1}}}"#),
        "only, not '/' (at ACCOUNTS.../x)",
    ),
    (
        "an account key that would clear the screen",
        |config| write(config, r#"{"ACCOUNTS": {"A\u001b[2J\nB": {"account": "1"}}}"#),
        r"(at ACCOUNTS.A\u{1b}[2J\nB)",
    ),
    (
        "a misspelt key of ours",
        |config| write(config, r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"max_restart": 1}}"#),
        ":1:38: unknown key `max_restart`, did you mean `max_restarts`?",
    ),
    (
        "a folder for a config",
        |config| {
            remove(config);
            fs::create_dir(config).expect("a folder can be made");
        },
        "MASTER_CONFIG.json: it is not a regular file",
    ),
];

/// Mistakes in our section of the config, and what is said of them. The section begins at the
/// second line, and what is said here at the third.
pub(super) const BAD_SECTIONS: [(&str, &str); 24] = [
    (r#""max_restart": 1"#, ":3:1: unknown key `max_restart`, did you mean `max_restarts`? (at "),
    (r#""brain_stagger_seconds": -1"#, ":3:26: -1 is not a number of seconds from 0 to 86400 (at "),
    (
        r#""stop_timeout_seconds": "5 minutes""#,
        ":3:25: `5 minutes` is not a valid duration; write ",
    ),
    (
        r#""interpreter": "${QC_NOT_SET}/python""#,
        ":3:16: the environment variable `QC_NOT_SET` is not set",
    ),
    (r#""interpreter": "${QC_NOT""#, ":3:16: `${` has no `}`; write `$${` for `${` itself"),
    (r#""orchestrator": "a b""#, ":3:17: a lock name has letters, digits"),
    (r#""server": {"ready": {"port": 65536}}"#, ":3:30: 65536 is not a port (1 to 65535) (at "),
    (
        r#""server": {"port": "8000"}"#,
        ":3:20: invalid type: string \"8000\", expected a port, a number",
    ),
    (
        r#""server": {"ready": {"log": "["}}"#,
        ":3:29: this is not a valid regular expression: unclosed character class",
    ),
    (
        r#""brains": {"ready": {"lock": true, "port": 1}}"#,
        ":3:22: only one readiness check is allowed, and `port` is given",
    ),
    (
        r#""brains": {"restart": {"when": "sometimes"}}"#,
        ":3:32: `sometimes` is not known here; known here: always,",
    ),
    (
        r#""brains": {"restart": {"never_after": [75, "x"]}}"#,
        ":3:44: invalid type: string \"x\", expected a whole number from",
    ),
    (
        r#""brains": {"heartbeat": {"within": "5s"}}"#,
        ":3:26: a heartbeat needs a `file`, or `output`: true (at ",
    ),
    (
        r#""brains": {"scripts": {"LIVES": "x.py"}}"#,
        ":3:24: there is no account `LIVES`, did you mean `LIVE`?",
    ),
    (
        r#""brains": {"args": ["{LIMIT}"]}"#,
        ":3:21: `{LIMIT}` stands for nothing: the config has no such",
    ),
    (
        r#""defaults": {"env": {"PIN": 1234}}"#,
        ":3:29: this must be a text in quotes; its value is not shown",
    ),
    (
        r#""components": {"BRAIN_LIV": {"restart": {}}}"#,
        ":3:16: there is no component `BRAIN_LIV`, did you mean `BRAIN_LIVE`?",
    ),
    (
        r#""components": {"x": {"command": ["a"]}, "X": {"command": ["b"]}}"#,
        ":3:41: there is another component `X`",
    ),
    (
        r#""components": {"x": {"command": ["a"], "depends_on": ["y"]}}"#,
        ":3:55: there is no component `y`; known here: ",
    ),
    (
        r#""components": {"x": {"command": ["a"], "depends_on": ["x"]}}"#,
        ":3:54: these wait for one another: x",
    ),
    (
        r#""components": {"con": {"command": ["a"]}}"#,
        ":3:16: `con` is the name of a Windows device",
    ),
    (
        r#""metrics": "example.com:80""#,
        ":3:12: `example.com:80` is not an address such as 127.0.0.1:9464",
    ),
    (
        r#""logs": {"total_mib": 0}"#,
        ":3:23: this must be at least 1 (at PROCESS_MANAGER.logs.total_mib)",
    ),
    (
        r#""notify": {"webhook": "ftp://hunter2"}"#,
        ":3:23: a webhook begins with https:// or http:// (at ",
    ),
];

/// Writes a config with this section.
pub(super) fn put_section(config: &Path, section: &str) {
    let text = format!(
        "{{\"ACCOUNTS\": {{\"LIVE\": {{\"account\": 1}}}},\n \"PROCESS_MANAGER\": {{\n{section}}}}}"
    );
    write(config, text);
}

/// Configs that other programs leave, and that are read.
pub(super) const GOOD_CONFIGS: [(&str, Make); 5] = [
    ("a byte-order mark", |config| write(config, format!("\u{feff}{GOOD}"))),
    ("UTF-16", |config| write(config, utf16(&format!("\u{feff}{GOOD}"), u16::to_le_bytes))),
    ("UTF-16, the other way round", |config| {
        write(config, utf16(&format!("\u{feff}{GOOD}"), u16::to_be_bytes));
    }),
    ("UTF-16 without a mark", |config| write(config, utf16(GOOD, u16::to_le_bytes))),
    ("unknown keys", |config| write(config, GOOD)),
];

pub(super) const GOOD: &str = r#"{"$schema": "x", "NEWS": [1], "ACCOUNTS": {"LIVE": {"account": 1, "enabled": true, "extra": {}}},
    "PROCESS_MANAGER": {"// a comment": 1, "server": {"port": null}}}"#;

/// Records that name no process, made from one that names one: the keys of their accounts, so that
/// each is the record of a brain.
pub(super) const BAD_RECORDS: [BadRecord; 14] = [
    ("EMPTY", |_| Vec::new()),
    ("BLANK", |_| b" \r\n".into()),
    ("TRUNCATED", |live| live.to_string().split_at(100).0.into()),
    ("10_MB", |live| format!("{live}{}", " ".repeat(10 << 20)).into()),
    ("NOT_UTF8", |live| {
        live.to_string()
            .into_bytes()
            .into_iter()
            .map(|b| if b == b'L' { 0xff } else { b })
            .collect()
    }),
    ("UTF16", |live| utf16(&format!("\u{feff}{live}"), u16::to_le_bytes)),
    ("A_LIST", |live| json!([live]).to_string().into()),
    ("BRACKETS", |_| "[".repeat(60_000).into()),
    ("VERSION_ONLY", |live| json!({ "pid": live["pid"], "version": 1 }).to_string().into()),
    ("PID_ZERO", |live| with_pid(live, json!(0))),
    ("PID_NEGATIVE", |live| with_pid(live, json!(-1))),
    ("PID_FLOAT", |live| with_pid(live, json!(1.5))),
    ("PID_2_TO_40", |live| with_pid(live, json!(1_u64 << 40))),
    ("PID_TEXT", |live| with_pid(live, json!(live["pid"].to_string()))),
];

/// Lock names that are refused, and why.
pub(super) const BAD_NAMES: [(&str, &str); 9] = [
    ("../x", "only, not '/'"),
    ("a/b", "only, not '/'"),
    (r"a\b", r"only, not '\\'"),
    ("C:x", "only, not ':'"),
    ("CON", "`CON` is the name of a Windows device"),
    ("nul.txt", "`nul.txt` is the name of a Windows device"),
    ("", "a lock name can't be empty"),
    (".", "neither starts nor ends with a dot"),
    (
        "x2345678901234567890123456789012345678901234567890123456789012345",
        "at most 64 characters, this one has 65",
    ),
];

pub(super) fn bad_lock_dirs() -> Vec<Bad> {
    vec![
        (
            "a file for the locks",
            |root| write(&root.join(OTHER), ""),
            "other locks: it is not a directory",
        ),
        #[cfg(unix)]
        (
            "a FIFO for the locks",
            |root| fifo(&root.join(OTHER)),
            "other locks: it is not a directory",
        ),
    ]
}

/// Record files that are no files.
pub(super) fn odd_records() -> impl Iterator<Item = (&'static str, Make)> {
    let odd: [(&str, Make); _] = [
        ("a file with a hole", |root| set_len(&root.join(".locks/ODD.lock"), 10 << 20)),
        #[cfg(unix)]
        ("a FIFO for a record", |root| fifo(&root.join(".locks/ODD.lock"))),
    ];
    odd.into_iter()
}

pub(super) fn folder_for_record(root: &Path) {
    let record = root.join(".locks/ODD.lock");
    fs::create_dir(&record).expect("a folder can be made");
    write(&record.join("inside"), "");
    write(&root.join(".locks/AFTER.lock"), "");
}

pub(super) fn folder_for_history(root: &Path) {
    remove(&root.join(".locks/history.jsonl"));
    fs::create_dir(root.join(".locks/history.jsonl")).expect("a folder can be made");
    for name in ["A", "B"] {
        write(&root.join(format!(".locks/{name}.lock")), "");
    }
}

pub(super) fn nonsense_for_history(root: &Path) {
    write(&root.join(".locks/history.jsonl"), b"{\"time\": \n\xff\xfe\0\n");
}

pub(super) fn file_for_guards(root: &Path) {
    fs::create_dir(root.join(OTHER)).expect("a folder can be made");
    write(&root.join(OTHER).join(".guards"), "");
}

pub(super) fn put_all_records(root: &Path, live: &Value) {
    for (key, make) in BAD_RECORDS {
        write(&root.join(format!(".locks/BRAIN_{key}.lock")), make(live));
    }
}

pub(super) fn with_pid(live: &Value, pid: Value) -> Vec<u8> {
    let mut record = live.clone();
    record["pid"] = pid;
    record.to_string().into()
}

pub(super) fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[track_caller]
pub(super) fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

pub(super) fn set_len(path: &Path, bytes: u64) {
    let file = File::create(path).expect("a file can be made");
    file.set_len(bytes).expect("a file can have a hole");
}

#[cfg(unix)]
pub(super) fn fifo(path: &Path) {
    remove(path);
    let made = Command::new("mkfifo").arg(path).status().expect("there is mkfifo");
    assert!(made.success(), "{}", path.display());
}

//! What a user at 3 a.m. gives the tools: broken files, wrong words, odd places. Each gets one
//! clear line and a hint, the documented exit code, and costs no living lock its record.

mod bench;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use qc_process::Ended;
use qc_tests::SampleFleet;
use serde_json::{Value, json};

use self::bench::{Bench, CONFIG, LIVE, OTHER, Row, can_mount, cannot_test, remove};
use crate::tools;

/// Makes a situation at a path.
type Make = fn(&Path);

/// A situation: what it is, how it is made, and what a tool that meets it says.
type Bad = (&'static str, Make, &'static str);

/// A record's key, and its text, made from that of a living record.
type BadRecord = (&'static str, fn(&Value) -> Vec<u8>);

const BAD_CONFIGS: [Bad; 19] = [
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
    ("no ACCOUNTS", |config| write(config, "{}"), ":1:2: missing field `ACCOUNTS`"),
    (
        "ACCOUNTS is a list",
        |config| write(config, r#"{"ACCOUNTS": []}"#),
        ":1:13: invalid type: sequence, expected an object of accounts (at ACCOUNTS)",
    ),
    (
        "an account is a string",
        |config| write(config, r#"{"ACCOUNTS": {"ATLAS": "1000001"}}"#),
        ":1:32: invalid type: string \"1000001\", expected an object (at ACCOUNTS.ATLAS)",
    ),
    (
        "an account number is a string",
        |config| write(config, "{\"ACCOUNTS\": {\"ATLAS\":\n {\"account\": \"12\"}}}"),
        ":2:17: invalid type: string \"12\", expected an account number, digits without quotes \
         (at ACCOUNTS.ATLAS.account)",
    ),
    (
        "100 MB",
        |config| set_len(config, 100 << 20),
        "MASTER_CONFIG.json is larger than 16 MiB, so it is no fleet's config",
    ),
    (
        "a key twice",
        |config| write(config, r#"{"ACCOUNTS": {"A": {"account": 1}, "A": {"account": 2}}}"#),
        ":1:38: the key `A` stands here twice",
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
        r"(at ACCOUNTS.A\u{1b}[2J\nB.account)",
    ),
    (
        "a misspelt key of ours",
        |config| write(config, r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"max_restart": 1}}"#),
        ":1:50: unknown field `max_restart`, expected one of ",
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

/// Configs that other programs leave, and that are read.
const GOOD_CONFIGS: [(&str, Make); 5] = [
    ("a byte-order mark", |config| write(config, format!("\u{feff}{GOOD}"))),
    ("UTF-16", |config| write(config, utf16(&format!("\u{feff}{GOOD}"), u16::to_le_bytes))),
    ("UTF-16, the other way round", |config| {
        write(config, utf16(&format!("\u{feff}{GOOD}"), u16::to_be_bytes));
    }),
    ("UTF-16 without a mark", |config| write(config, utf16(GOOD, u16::to_le_bytes))),
    ("unknown keys", |config| write(config, GOOD)),
];

const GOOD: &str =
    r#"{"$schema": "x", "NEWS": [1], "ACCOUNTS": {"LIVE": {"account": 1, "extra": {}}}}"#;

/// Records that name nobody, made from one that names somebody: the keys of their accounts, so that
/// each is the record of a brain.
const BAD_RECORDS: [BadRecord; 14] = [
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
const BAD_NAMES: [(&str, &str); 9] = [
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

#[test]
fn qc_lock_answers_bad_input_with_one_line() {
    let bench = Bench::new(&[]);
    let done = bench.fleet.tools.stand_in();
    let done = done.to_str().expect("a path in Unicode");
    let run = |name| run_done(name, done);
    let mut rows: Vec<Row> = [
        (Row::typed(&["status", "--jsno", "X"]), "unexpected argument '--jsno' found"),
        (Row::typed(&["lsit"]), "unrecognized subcommand 'lsit'"),
        (Row::typed(&["run", "X"]), "required arguments were not provided: <COMMAND>..."),
        (Row::typed(&["run", "-E", "300", "X", "--", done]), "300 is not in 0..=255"),
        (Row::typed(&["run", "--wait", "abc", "X", "--", done]), "`abc` is no duration"),
        (Row::typed(&["run", "--account", "", "X", "--", done]), "1 to 64 printable characters"),
        (Row::typed(&["run", "--terminal", "", "X", "--", done]), "a value is required for"),
        (Row::typed(&["history", "--since", "99999999999999999999"]), "is no duration"),
        (Row::typed(&["--color", "pink", "list"]), "[possible values: auto, always, never]"),
        (Row::typed(&["--json"]), "no command was given"),
        (Row::typed(&["--lock-dir", "", "list"]), "a value is required for '--lock-dir <DIR>'"),
        (Row::typed(&["--root", "nowhere", "list"]), "there is no folder "),
        (Row::typed(&["--root", CONFIG, "list"]), "there is no folder "),
        (Row::typed(&["--config", "nowhere/x.json", "list"]), "there is no folder "),
        (Row::typed(&["list"]).env("QC_ROOT", "nowhere"), "there is no folder "),
    ]
    .into_iter()
    .map(|(row, text)| row.refused(2, text))
    .collect();
    for (name, why) in BAD_NAMES {
        rows.push(Row::typed(&run(name)).refused(2, why));
        rows.push(Row::typed(&["status", name]).refused(2, why));
    }
    rows.extend([
        Row::typed(&["--help"]).prints("Usage: "),
        Row::typed(&["run", "--help"]).prints("Usage: "),
        Row::typed(&["--version"]).prints("qc-lock "),
        Row::typed(&["list"]).env("QC_ROOT", "").env("QC_LOCK_DIR", "").prints(LIVE),
        Row::typed(&["run", "X", "--", "no-such-program"])
            .refused(127, "cannot run `no-such-program`"),
        Row::new(
            "no program",
            |root| write(&root.join("x.exe"), "?"),
            &["run", "X", "--", "./x.exe"],
        )
        .refused(126, "cannot run `./x.exe`"),
        Row::typed(&run(LIVE)).refused(75, "is held by PID "),
        Row::typed(&run("BRAIN_OK")).ends_with(7),
    ]);
    rows.extend(BAD_CONFIGS[1..].iter().map(|&(what, make, _)| {
        // Locks need no more of the config than where it is.
        Row::new(what, move |root| make(&root.join(CONFIG)), &["list"]).prints(LIVE)
    }));
    for (what, make, why) in bad_lock_dirs() {
        for args in [&run("X")[..], &["list"], &["clear-stale"], &["clear-all"]] {
            let args = [&["--lock-dir", OTHER], args].concat();
            rows.push(Row::new(what, make, &args).refused(1, why));
        }
    }
    rows.push(
        Row::new(
            "a file for the guards",
            file_for_guards,
            &[&["--lock-dir", OTHER][..], &run("X")].concat(),
        )
        .refused(1, "cannot use lock directory "),
    );
    let live = bench.record();
    for (key, make) in BAD_RECORDS {
        let (name, text) = (format!("BRAIN_{key}"), make(&live));
        let file = format!(".locks/{name}.lock");
        let put = move |root: &Path| write(&root.join(&file), &text);
        let taken = format!("reclaimed lock {name} whose record was corrupt: ");
        rows.push(Row::new(key, put.clone(), &run_done(&name, done)).ends_with(7).notes(&taken));
        rows.push(Row::new(key, put, &["status", &name]).prints(&format!("{name}  corrupt")));
    }
    for (what, make) in odd_records() {
        rows.push(Row::new(what, make, &run("ODD")).ends_with(7).notes("reclaimed lock ODD whose"));
        rows.push(Row::new(what, make, &["clear-stale"]).prints("Cleared ODD (corrupt)\n"));
    }
    let all = move |root: &Path| put_all_records(root, &live);
    let cleared = BAD_RECORDS.len();
    rows.extend([
        Row::new("all records", all.clone(), &["clear-stale"])
            .prints(&format!("Cleared {cleared} stale locks, kept 1.\n")),
        Row::new("all records", all, &["clear-all"])
            .prints(&format!("Cleared {cleared} locks, kept 1.\n")),
        Row::new("a folder for a record", folder_for_record, &run("ODD"))
            .refused(1, "cannot access record "),
        Row::new("a folder for a record", folder_for_record, &["clear-stale"])
            .prints("Cleared AFTER (corrupt)\n")
            .refused(1, "cannot access record "),
        Row::new("no history", folder_for_history, &["history"])
            .refused(1, "cannot access history "),
        Row::new("no history", folder_for_history, &run("X"))
            .ends_with(7)
            .notes("cannot access history "),
        Row::new("no history", folder_for_history, &run(LIVE)).refused(75, "is held by PID "),
        Row::new("no history", folder_for_history, &["clear-all"])
            .prints("Cleared 2 locks, kept 1.\n")
            .notes("WARNING: cannot access history "),
        Row::new("a history of nonsense", nonsense_for_history, &["history"])
            .prints("No history.\n2 lines could not be read.\n"),
    ]);
    bench.check("qc-lock", &rows);
    assert!(!bench.fleet.root().with_file_name("x.lock").exists(), "`../x` has left something");
}

#[test]
fn qc_ps_answers_bad_input_with_one_line() {
    let bench = Bench::new(&[]);
    let mut rows = rows_about_configs(&["--check"], &["--json"], r#""name": "BRAIN_LIVE""#);
    rows.extend(rows_about_lock_dirs(&[]));
    rows.extend([
        Row::typed(&["--format", "csv"]).refused(2, "invalid value 'csv' for '--format <FORMAT>'"),
        Row::typed(&["--json", "--format", "legacy"]).refused(2, "cannot be used with"),
        Row::typed(&["--lock-dir", "nowhere"]).prints("Nothing of the fleet is running."),
        Row::typed(&["--help"]).prints("Usage: "),
    ]);
    let live = bench.record();
    for (key, make) in BAD_RECORDS {
        let (file, text) = (format!(".locks/BRAIN_{key}.lock"), make(&live));
        let put = move |root: &Path| write(&root.join(&file), &text);
        rows.push(Row::new(key, put, &[]).prints("corrupt"));
    }
    rows.extend(odd_records().map(|(what, make)| Row::new(what, make, &[]).prints("corrupt")));
    rows.push(
        Row::new("a folder for a record", folder_for_record, &["--check"]).prints("OK: 0 running"),
    );
    bench.check("qc-ps", &rows);
}

#[test]
fn qc_shutdown_answers_bad_input_with_one_line() {
    let keys: Vec<&str> = BAD_RECORDS.iter().map(|&(key, _)| key).chain(["FOLDER"]).collect();
    let bench = Bench::new(&keys);
    let nothing = "Nothing of the fleet is running.\n";
    let mut rows = rows_about_configs(&["--yes"], &["--dry-run"], nothing);
    rows.extend(rows_about_lock_dirs(&["--yes"]));
    rows.extend([
        Row::typed(&["--timeout", "abc"]).refused(2, "`abc` is no duration such as 500ms"),
        Row::typed(&["--timeout", "-1s"]).refused(2, "unexpected argument '-1' found"),
        Row::typed(&["--timeout", "99999999999999999999"]).refused(2, "is no duration"),
        Row::typed(&["everything"]).refused(2, "unexpected argument 'everything' found"),
        Row::typed(&["--help"]).prints("Usage: "),
    ]);
    let live = bench.record();
    for (key, make) in BAD_RECORDS {
        let (name, text) = (format!("BRAIN_{key}"), make(&live));
        let file = format!(".locks/{name}.lock");
        let put = move |root: &Path| write(&root.join(&file), &text);
        let cleared = format!("{nothing}Cleared the records of {name}.\n");
        rows.push(Row::new(key, put, &["--yes"]).prints(&cleared));
    }
    let folder = |root: &Path| {
        fs::create_dir(root.join(".locks/BRAIN_FOLDER.lock")).expect("a folder can be made");
        write(&root.join(".locks/BRAIN_EMPTY.lock"), "");
    };
    let cleared = format!("{nothing}Cleared the records of BRAIN_EMPTY.\n");
    rows.push(
        Row::new("a folder for a record", folder, &["--yes"])
            .prints(&cleared)
            .notes("WARNING: cannot access record "),
    );
    bench.check("qc-shutdown", &rows);
}

#[test]
fn qc_launch_answers_bad_input_with_one_line() {
    let bench = Bench::new(&[]);
    let elsewhere = ["--dry-run", "--lock-dir", OTHER];
    let mut rows = rows_about_configs(&["--dry-run"], &elsewhere, "2. WATCHDOG_LIVE (account 1): ");
    rows.extend(rows_about_lock_dirs(&[]));
    let known = |root: &Path| write(&root.join(CONFIG), r#"{"ACCOUNTS": {}}"#);
    let off = |root: &Path| {
        write(&root.join(CONFIG), r#"{"ACCOUNTS": {"A": {"account": 1, "enabled": false}}}"#);
    };
    let no_python = |root: &Path| {
        let text = r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"interpreter": "nowhere/python"}}"#;
        write(&root.join(CONFIG), text);
    };
    rows.extend([
        Row::typed(&["--accounts", "ATLAS"])
            .refused(2, "there is no account `ATLAS` in the config"),
        Row::new("no accounts", known, &["--accounts", "A"]).refused(2, "there is no account `A`"),
        Row::new("one disabled", off, &["--accounts", "A"]).refused(2, "account `A` is disabled"),
        Row::typed(&["--accounts"]).refused(2, "a value is required for '--accounts <KEY>...'"),
        Row::new("no Python", no_python, &[]).refused(2, "python does not exist"),
        Row::new(
            "no scripts",
            |root| write(&root.join(OTHER), "{\"ACCOUNTS\": {}}"),
            &["--config", OTHER, "--root", ".venv312_gpu"],
        )
        .refused(2, "nothing to start: "),
        Row::typed(&["hold", "a/b", "--", "x"]).refused(2, "only, not '/'"),
        Row::typed(&["--help"]).prints("Usage: "),
    ]);
    let live = bench.record();
    for (key, make) in BAD_RECORDS {
        let text = make(&live);
        let put = move |root: &Path| {
            fs::create_dir(root.join(OTHER)).expect("a folder can be made");
            write(&root.join(OTHER).join("BRAIN_LIVE.lock"), &text);
        };
        rows.push(Row::new(key, put, &elsewhere).prints("3. BRAIN_LIVE (account 1): "));
    }
    bench.check("qc-launch", &rows);

    // What is in the way of a start is a list, so it takes more than a line.
    put_all_records(bench.fleet.root(), &live);
    for args in [&["--dry-run"][..], &[]] {
        let refused = bench.fleet.run("qc-launch", args);
        assert_eq!(refused.code, 75, "{refused:?}");
        let expected = format!(
            "qc-launch: the fleet is running already, nothing was started:\n  \
             lock {LIVE} (held, PID {} on {})\nhint: Run SAFE_SHUTDOWN.bat (qc-shutdown) to stop all processes safely.\n",
            bench.holder.pid(),
            live["host"].as_str().expect("a record names its host"),
        );
        assert_eq!(refused.stderr, expected);
        bench.check_living("a start beside it");
    }
}

#[test]
fn a_fleet_starts_and_stops_over_corrupt_records_and_without_history() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11)]);
    let root = fleet.root();
    fs::create_dir(root.join(".locks")).expect("a folder can be made");
    folder_for_record(root);
    folder_for_history(root);
    write(&root.join(".locks/BRAIN_ATLAS.lock"), "");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("WARNING: cannot access record ");
    launch.wait_for("started BRAIN_ATLAS");

    let stopped = fleet.run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    assert!(stopped.stdout.contains("All automation has stopped."), "{stopped:#?}");
    let is_note = matches!(stopped.stderr.lines().collect::<Vec<_>>()[..], [line]
        if line.starts_with("WARNING: cannot access history "));
    assert!(is_note, "{stopped:#?}");
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
}

#[test]
fn a_corrupt_record_from_the_future_is_taken_over() {
    let bench = Bench::new(&[]);
    let future = |root: &Path| {
        let file = File::create(root.join(".locks/X.lock")).expect("a record can be written");
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        file.set_modified(tomorrow).expect("a time can be set");
    };
    let done = bench.fleet.tools.stand_in();
    let run = ["run", "X", "--", done.to_str().expect("a path in Unicode"), "done.py"];
    bench.check(
        "qc-lock",
        &[Row::new("a clock set back", future, &run).ends_with(7).notes("reclaimed")],
    );
}

#[test]
fn a_reader_that_goes_away_ends_a_tool_quietly() {
    let bench = Bench::new(&[]);
    for (tool, args) in [
        ("qc-lock", &["list"][..]),
        ("qc-lock", &["list", "--json"]),
        ("qc-lock", &["history"]),
        ("qc-lock", &["--help"]),
        ("qc-ps", &[]),
        ("qc-ps", &["--json"]),
        ("qc-shutdown", &["--dry-run"]),
        ("qc-launch", &["--dry-run"]),
    ] {
        let (reader, writer) = io::pipe().expect("a pipe can be made");
        drop(reader);
        let mut command = Command::new(bench.fleet.tools.tool(tool));
        command.args(args).args(["--root"]).arg(bench.fleet.root());
        command.env_remove("QC_LOCK_DIR").stdin(Stdio::null()).stdout(writer);
        let output = command.output().expect("it can be started");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*errors), (Some(0), ""), "{tool} {args:?}");
        bench.check_living(tool);
    }
}

#[test]
fn an_answer_that_can_not_be_written_is_a_failure() {
    let full = match File::options().write(true).open("/dev/full") {
        Ok(full) => full,
        Err(error) => return cannot_test("an output that is full", &error.to_string()),
    };
    let bench = Bench::new(&[]);
    let mut command = Command::new(bench.fleet.tools.tool("qc-lock"));
    command.args(["list", "--root"]).arg(bench.fleet.root()).env_remove("QC_LOCK_DIR");
    let output = command.stdin(Stdio::null()).stdout(full).output().expect("it can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    // "No space left on device", or "Disk full." of a Windows program under Wine.
    assert!(errors.starts_with("qc-lock: ") && errors.contains("os error"), "{errors}");
    assert!(errors.ends_with("\nhint: see whether the disk is full or the output is closed\n"));
}

#[test]
fn a_read_only_disk_frees_no_lock_and_hides_none() {
    if let Err(why) = can_mount() {
        return cannot_test("a read-only lock directory", &why);
    }
    let bench = Bench::read_only(&["EMPTY"]);
    let done = bench.fleet.tools.stand_in();
    let done = done.to_str().expect("a path in Unicode");
    let record = |root: &Path| write(&root.join(".locks/BRAIN_EMPTY.lock"), "");
    let refusal = "cannot lock guard ";
    bench.check(
        "qc-lock",
        &[
            Row::typed(&run_done("X", done)).refused(1, refusal),
            Row::typed(&run_done(LIVE, done)).refused(1, refusal),
            Row::new("a corrupt record", record, &run_done("BRAIN_EMPTY", done))
                .refused(1, refusal),
            Row::new("a corrupt record", record, &["clear-stale"])
                .prints("Cleared 0 stale locks, kept 1.\n")
                .refused(1, refusal),
            Row::new("a corrupt record", record, &["clear-all"])
                .prints("Cleared 0 locks, kept 1.\n")
                .refused(1, refusal),
            Row::new("a corrupt record", record, &["list"]).prints("BRAIN_LIVE   held "),
        ],
    );
    bench.check("qc-ps", &[Row::new("a corrupt record", record, &[]).prints(LIVE)]);
    bench.check(
        "qc-shutdown",
        &[Row::new("a corrupt record", record, &["--yes"])
            .prints("Nothing of the fleet is running.\n")
            .notes("WARNING: cannot lock guard ")],
    );
    bench.check("qc-launch", &[Row::typed(&[]).refused(1, refusal)]);
}

#[test]
fn a_full_disk_frees_no_lock_and_hides_none() {
    if let Err(why) = can_mount() {
        return cannot_test("a lock directory on a full disk", &why);
    }
    let bench = Bench::small(&["EMPTY"]);
    let done = bench.fleet.tools.stand_in();
    let done = done.to_str().expect("a path in Unicode");
    let locks = bench.locks.clone();
    let full = move |_: &Path| {
        // An empty file takes up no room.
        write(&locks.join("BRAIN_EMPTY.lock"), "");
        let filler = File::options().append(true).create(true).open(locks.join(".guards/filler"));
        let mut filler = filler.expect("a file can be made");
        let error =
            io::copy(&mut io::repeat(0), &mut filler).expect_err("a disk of 64 KiB has an end");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    };
    let full = |args: &[&str]| Row::new("a full disk", full.clone(), args);
    let refusal = ".lock: No space left on device";
    bench.check(
        "qc-lock",
        &[
            full(&run_done("X", done)).refused(1, refusal),
            full(&run_done("BRAIN_EMPTY", done)).refused(1, refusal),
            full(&run_done(LIVE, done)).refused(75, "is held by PID "),
            full(&["list"]).prints("BRAIN_LIVE   held "),
            full(&["clear-stale"])
                .prints("Cleared 1 stale locks, kept 1.\n")
                .notes("WARNING: cannot access history "),
            full(&["clear-all"])
                .prints("Cleared 1 locks, kept 1.\n")
                .notes("WARNING: cannot access history "),
        ],
    );
    bench.check("qc-ps", &[full(&[]).prints(LIVE)]);
    let cleared = "Cleared the records of BRAIN_EMPTY.\n";
    let shutdown = full(&["--yes"]).prints(cleared).notes("WARNING: cannot access history ");
    bench.check("qc-shutdown", &[shutdown]);
    bench.check("qc-launch", &[full(&[]).refused(1, refusal)]);
}

#[test]
fn links_are_refused_for_locks_and_followed_for_the_config() {
    let bench = Bench::new(&[]);
    let root = bench.fleet.root();
    // Wine only says that it has made one.
    let is_link = |path| fs::symlink_metadata(path).is_ok_and(|made| made.is_symlink());
    let made = match link(&root.join(".locks"), &root.join(OTHER)) {
        Ok(()) if is_link(root.join(OTHER)) => Ok(()),
        Ok(()) => Err("the system says that it made one, but did not".into()),
        Err(error) => Err(error.to_string()),
    };
    remove(&root.join(OTHER));
    if let Err(why) = made {
        return cannot_test("links", &why);
    }
    let done = bench.fleet.tools.stand_in();
    let run = [
        "--lock-dir",
        OTHER,
        "run",
        "X",
        "--",
        done.to_str().expect("a path in Unicode"),
        "done.py",
    ];
    let to_living = |root: &Path| link(&root.join(".locks"), &root.join(OTHER)).expect("linked");
    let to_nowhere = |root: &Path| link(&root.join("nowhere"), &root.join(OTHER)).expect("linked");
    let config_to_nowhere = |root: &Path| {
        remove(&root.join(CONFIG));
        link(&root.join("nowhere"), &root.join(CONFIG)).expect("linked");
    };
    let config_elsewhere = |root: &Path| {
        fs::rename(root.join(CONFIG), root.join(OTHER)).expect("renamed");
        link(&root.join(OTHER), &root.join(CONFIG)).expect("linked");
    };
    let record = |root: &Path| {
        let locks = root.join(".locks");
        link(&locks.join(format!("{LIVE}.lock")), &locks.join("ODD.lock")).expect("linked");
    };
    let is_link = "it is a symbolic link";
    bench.check(
        "qc-lock",
        &[
            Row::new("a link to living locks", to_living, &run).refused(1, is_link),
            Row::new("a link to living locks", to_living, &["--lock-dir", OTHER, "clear-all"])
                .refused(1, is_link),
            Row::new("a link to nowhere", to_nowhere, &run).refused(1, is_link),
            Row::new("a link to nowhere", to_nowhere, &["--lock-dir", OTHER, "list"])
                .refused(1, is_link),
            Row::new("a link to the living record", record, &["clear-stale"])
                .prints("Cleared ODD (corrupt)\n"),
            Row::new("a link to the living record", record, &run[2..]).ends_with(7),
            Row::new("a link to the living record", record, &["status", "ODD"])
                .prints("ODD   corrupt"),
        ],
    );
    bench.check(
        "qc-ps",
        &[
            Row::new("a link to nowhere", to_nowhere, &["--lock-dir", OTHER]).refused(1, is_link),
            Row::new("a config that leads nowhere", config_to_nowhere, &[])
                .refused(2, "cannot read "),
            Row::new("a config that is a link", config_elsewhere, &[])
                .prints("Nothing of the fleet"),
        ],
    );
    bench.check(
        "qc-shutdown",
        &[Row::new("a link to living locks", to_living, &["--yes", "--lock-dir", OTHER])
            .refused(1, is_link)],
    );
    bench.check(
        "qc-launch",
        &[Row::new("a link to living locks", to_living, &["--lock-dir", OTHER])
            .refused(1, is_link)],
    );
}

/// What each tool that reads the config says to bad ones (typed `bad`) and to good ones (typed
/// `good`, answered with `answer`).
fn rows_about_configs(bad: &[&str], good: &[&str], answer: &str) -> Vec<Row> {
    let at_config = |make: Make| move |root: &Path| make(&root.join(CONFIG));
    let refused = BAD_CONFIGS
        .iter()
        .map(|&(what, make, why)| Row::new(what, at_config(make), bad).refused(2, why));
    let read = GOOD_CONFIGS
        .iter()
        .map(|&(what, make)| Row::new(what, at_config(make), good).prints(answer));
    let nowhere = [
        Row::typed(&["--root", "nowhere"]).refused(2, "there is no folder "),
        Row::typed(&[]).env("QC_ROOT", "nowhere").refused(2, "there is no folder "),
        Row::typed(&["--config", "nowhere.json"]).refused(2, "cannot read "),
        Row::typed(&["--config", ""]).refused(2, "a value is required for '--config <FILE>'"),
        Row::typed(&["--rot", "."]).refused(2, "unexpected argument '--rot' found"),
        Row::typed(good).env("QC_ROOT", "").env("QC_LOCK_DIR", "").prints(answer),
    ];
    let mut rows: Vec<Row> = refused.chain(read).chain(nowhere).collect();
    #[cfg(unix)]
    rows.push(
        Row::new("a FIFO for a config", |root| fifo(&root.join(CONFIG)), bad)
            .refused(2, "MASTER_CONFIG.json: it is not a regular file"),
    );
    rows
}

/// What each tool that works on locks says, typed `args`, where there can be none.
fn rows_about_lock_dirs(args: &[&str]) -> Vec<Row> {
    let args = [args, &["--lock-dir", OTHER]].concat();
    bad_lock_dirs()
        .into_iter()
        .map(|(what, make, why)| Row::new(what, make, &args).refused(1, why))
        .collect()
}

/// What `qc-lock` is given to run the stand-in `done` under a lock.
fn run_done<'a>(name: &'a str, done: &'a str) -> [&'a str; 5] {
    ["run", name, "--", done, "done.py"]
}

fn bad_lock_dirs() -> Vec<Bad> {
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
fn odd_records() -> impl Iterator<Item = (&'static str, Make)> {
    let odd: [(&str, Make); _] = [
        ("a file with a hole", |root| set_len(&root.join(".locks/ODD.lock"), 10 << 20)),
        #[cfg(unix)]
        ("a FIFO for a record", |root| fifo(&root.join(".locks/ODD.lock"))),
    ];
    odd.into_iter()
}

fn folder_for_record(root: &Path) {
    let record = root.join(".locks/ODD.lock");
    fs::create_dir(&record).expect("a folder can be made");
    write(&record.join("inside"), "");
    write(&root.join(".locks/AFTER.lock"), "");
}

fn folder_for_history(root: &Path) {
    remove(&root.join(".locks/history.jsonl"));
    fs::create_dir(root.join(".locks/history.jsonl")).expect("a folder can be made");
    for name in ["A", "B"] {
        write(&root.join(format!(".locks/{name}.lock")), "");
    }
}

fn nonsense_for_history(root: &Path) {
    write(&root.join(".locks/history.jsonl"), b"{\"time\": \n\xff\xfe\0\n");
}

fn file_for_guards(root: &Path) {
    fs::create_dir(root.join(OTHER)).expect("a folder can be made");
    write(&root.join(OTHER).join(".guards"), "");
}

fn put_all_records(root: &Path, live: &Value) {
    for (key, make) in BAD_RECORDS {
        write(&root.join(format!(".locks/BRAIN_{key}.lock")), make(live));
    }
}

fn with_pid(live: &Value, pid: Value) -> Vec<u8> {
    let mut record = live.clone();
    record["pid"] = pid;
    record.to_string().into()
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[track_caller]
fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn set_len(path: &Path, bytes: u64) {
    let file = File::create(path).expect("a file can be made");
    file.set_len(bytes).expect("a file can have a hole");
}

#[cfg(unix)]
fn fifo(path: &Path) {
    remove(path);
    let made = Command::new("mkfifo").arg(path).status().expect("there is mkfifo");
    assert!(made.success(), "{}", path.display());
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(windows)]
fn link(to: &Path, at: &Path) -> io::Result<()> {
    if to.is_dir() {
        std::os::windows::fs::symlink_dir(to, at)
    } else {
        std::os::windows::fs::symlink_file(to, at)
    }
}

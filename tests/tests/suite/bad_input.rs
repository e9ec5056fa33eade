//! The inputs of a user at 3 a.m.: broken files, wrong words, odd places. Each gets one clear line
//! and a hint, the documented exit code, and costs no living lock its record.

mod bench;
mod disks;
mod situations;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use qc_process::Ended;
use qc_tests::SampleFleet;
pub(crate) use qc_tests::cannot_test;

pub(crate) use self::bench::can_mount;
use self::bench::{Bench, CONFIG, LIVE, OTHER, Row};
#[cfg(unix)]
use self::situations::fifo;
use self::situations::{
    BAD_CONFIGS, BAD_NAMES, BAD_RECORDS, BAD_SECTIONS, GOOD_CONFIGS, Make, bad_lock_dirs,
    file_for_guards, folder_for_history, folder_for_record, nonsense_for_history, odd_records,
    put_all_records, put_section, write,
};
use crate::tools;

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
        (Row::typed(&["run", "--wait", "abc", "X", "--", done]), "`abc` is not a valid duration"),
        (
            Row::typed(&["run", "--account", "1\u{1b}", "X", "--", done]),
            "1 to 64 printable characters",
        ),
        (
            Row::typed(&["run", "--account", "1.5", "X", "--", done]),
            "account number has no fraction",
        ),
        (Row::typed(&["run", "--terminal", "", "X", "--", done]), "a value is required for"),
        (Row::typed(&["history", "--since", "99999999999999999999"]), "is not a valid duration"),
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
    let mut rows = rows_about_configs_told(
        &["--check"],
        "the config can't be read: ",
        &["--json"],
        r#""name": "BRAIN_LIVE""#,
    );
    rows.extend(rows_about_lock_dirs(&[]));
    rows.extend([
        Row::typed(&["--format", "xml"]).refused(2, "invalid value 'xml' for '--format <FORMAT>'"),
        Row::typed(&["--tree", "--format", "csv"]).refused(2, "no other format than a table"),
        Row::typed(&["--watch"]).refused(2, "--watch needs a terminal"),
        Row::typed(&["--watch", "--check"]).refused(2, "cannot be used with"),
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
        Row::new("a folder for a record", folder_for_record, &["--check"])
            .ends_with(3)
            .prints("BRAIN_LIVE is missing: its lock is held by "),
    );
    bench.check("qc-ps", &rows);
}

#[test]
fn qc_shutdown_answers_bad_input_with_one_line() {
    let keys: Vec<&str> = BAD_RECORDS.iter().map(|&(key, _)| key).chain(["FOLDER"]).collect();
    let bench = Bench::new(&keys);
    // The bench holds a brain's lock, and goes on doing so.
    let nothing = "Nothing that is to be stopped is running.\n";
    let server = ["--yes", "--role", "server"];
    let mut rows = rows_about_configs_told(
        &["--dry-run"],
        "THE CONFIG CAN'T BE READ",
        &["--dry-run"],
        "BRAIN_LIVE (PID ",
    );
    rows.extend(rows_about_lock_dirs(&["--yes"]));
    rows.extend([
        Row::typed(&["--timeout", "abc"]).refused(2, "`abc` is not a valid duration; write 500ms"),
        Row::typed(&["--timeout", "-1s"]).refused(2, "unexpected argument '-1' found"),
        Row::typed(&["--timeout", "99999999999999999999"]).refused(2, "is not a valid duration"),
        Row::typed(&["everything"]).refused(2, "unexpected argument 'everything' found"),
        Row::typed(&["--help"]).prints("Usage: "),
    ]);
    let live = bench.record();
    for (key, make) in BAD_RECORDS {
        let (name, text) = (format!("BRAIN_{key}"), make(&live));
        let file = format!(".locks/{name}.lock");
        let put = move |root: &Path| write(&root.join(&file), &text);
        let cleared = format!("{nothing}Cleared the records of {name}.\n");
        rows.push(Row::new(key, put, &server).prints(&cleared));
    }
    let folder = |root: &Path| {
        fs::create_dir(root.join(".locks/BRAIN_FOLDER.lock")).expect("a folder can be made");
        write(&root.join(".locks/BRAIN_EMPTY.lock"), "");
    };
    let cleared = format!("{nothing}Cleared the records of BRAIN_EMPTY.\n");
    rows.push(
        Row::new("a folder for a record", folder, &server)
            .prints(&cleared)
            .notes("WARNING: cannot access record "),
    );
    bench.check("qc-shutdown", &rows);
}

#[test]
fn qc_launch_answers_bad_input_with_one_line() {
    let bench = Bench::new(&[]);
    let elsewhere = ["--dry-run", "--lock-dir", OTHER];
    let mut rows = rows_about_configs(&["--dry-run"], &elsewhere, "2. WATCHDOG_LIVE (account ");
    rows.extend(rows_about_lock_dirs(&[]));
    let commands = [&[][..], &["--dry-run"], &["check"]];
    for ((section, why), args) in BAD_SECTIONS.into_iter().zip(commands.into_iter().cycle()) {
        let put = move |root: &Path| put_section(&root.join(CONFIG), section);
        rows.push(Row::new(section, put, args).refused(2, why));
    }
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
        Row::new("no Python", no_python, &["--dry-run"]).refused(2, "python does not exist"),
        Row::new(
            "no scripts",
            |root| write(&root.join(OTHER), "{\"ACCOUNTS\": {}}"),
            &["--dry-run", "--config", OTHER, "--root", ".venv312_gpu"],
        )
        .refused(2, "nothing to start: "),
        Row::typed(&["check", "--accounts", "ATLAS"]).refused(2, "there is no account `ATLAS`"),
        Row::typed(&["chekc"]).refused(2, "unrecognized subcommand 'chekc'"),
        Row::typed(&["init", "x"]).refused(2, "unexpected argument 'x' found"),
        Row::typed(&["init"]).refused(2, "MASTER_CONFIG.json exists, nothing was written"),
        Row::typed(&["init", "--root", "nowhere"]).refused(2, "there is no folder "),
        Row::typed(&["schema", "--jsno"]).refused(2, "unexpected argument '--jsno' found"),
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
        rows.push(Row::new(key, put, &elsewhere).prints("3. BRAIN_LIVE (account "));
    }
    bench.check("qc-launch", &rows);

    // The obstacles to a start are a list, so they take more than a line.
    put_all_records(bench.fleet.root(), &live);
    for args in [&["--no-adopt", "--dry-run"][..], &["--no-adopt"]] {
        let refused = bench.fleet.run("qc-launch", args);
        assert_eq!(refused.code, 75, "{refused:?}");
        let first = "qc-launch: the fleet is running already, nothing was started:\n";
        // A wait of more than a moment is announced first.
        let (wait, rest) = refused.stderr.split_once(first).unwrap_or(("", ""));
        assert!(wait.is_empty() || wait.starts_with("waiting up to "), "{refused:?}");
        assert!(wait.lines().count() <= 1, "{refused:?}");
        let holder = format!("PID {}", bench.holder.pid());
        assert!(rest.contains(LIVE), "{refused:?}");
        assert!(rest.contains(&holder), "{refused:?}");
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

/// Each tool that reads the config, with bad ones (typed `bad`) and with good ones (typed `good`,
/// answered with `answer`).
fn rows_about_configs(bad: &[&str], good: &[&str], answer: &str) -> Vec<Row> {
    rows_about_configs_told(bad, "", good, answer)
}

/// The same of a tool that does what it can without a config, and prints `told` first.
fn rows_about_configs_told(bad: &[&str], told: &str, good: &[&str], answer: &str) -> Vec<Row> {
    let at_config = |make: Make| move |root: &Path| make(&root.join(CONFIG));
    let refused = BAD_CONFIGS.iter().map(|&(what, make, why)| {
        // Without one in this folder or above, it is unknown which fleet is meant.
        let told = if what == "no config" { "" } else { told };
        Row::new(what, at_config(make), bad).refused(2, why).prints(told)
    });
    let read = GOOD_CONFIGS
        .iter()
        .map(|&(what, make)| Row::new(what, at_config(make), good).prints(answer));
    let nowhere = [
        Row::typed(&["--root", "nowhere"]).refused(2, "there is no folder "),
        Row::typed(&[]).env("QC_ROOT", "nowhere").refused(2, "there is no folder "),
        Row::typed(&[&["--config", "nowhere.json"], bad].concat())
            .refused(2, "cannot read ")
            .prints(told),
        Row::typed(&["--config", ""]).refused(2, "a value is required for '--config <FILE>'"),
        Row::typed(&["--rot", "."]).refused(2, "unexpected argument '--rot' found"),
        Row::typed(good).env("QC_ROOT", "").env("QC_LOCK_DIR", "").prints(answer),
    ];
    #[cfg(unix)]
    let fifos = [Row::new("a FIFO for a config", |root| fifo(&root.join(CONFIG)), bad)
        .refused(2, "MASTER_CONFIG.json: it is not a regular file")
        .prints(told)];
    #[cfg(windows)]
    let fifos = [];
    refused.chain(read).chain(nowhere).chain(fifos).collect()
}

/// Each tool that works on locks, typed `args`, where there can be none.
fn rows_about_lock_dirs(args: &[&str]) -> Vec<Row> {
    let args = [args, &["--lock-dir", OTHER]].concat();
    bad_lock_dirs()
        .into_iter()
        .map(|(what, make, why)| Row::new(what, make, &args).refused(1, why))
        .collect()
}

/// The arguments of `qc-lock` that run the stand-in `done` under a lock.
fn run_done<'a>(name: &'a str, done: &'a str) -> [&'a str; 5] {
    ["run", name, "--", done, "done.py"]
}

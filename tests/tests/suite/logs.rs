//! Logs as a user sees them, and what happens to them on a disk that is full.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use qc_logs::{
    Format, Journal, Level, Line, LogFolder, LogJanitor, LogName, Retention, Settings, rotate,
};
use qc_process::{Console, Output, Spawn};
use qc_tests::{Program, SampleFleet, python, section};
use serde_json::json;

use crate::bad_input::{can_mount, cannot_test};
use crate::tools;

#[test]
fn a_log_is_shown_and_followed_while_it_is_cut_and_started_anew() {
    let fleet = SampleFleet::new(tools(), &[]);
    let folder = LogFolder::new(fleet.root().join("orchestrator_logs"));
    let (mut writer, path) = folder.open("BRAIN_A").expect("it can be made");
    writer.write_all("one\ntwo\nthree é\n".as_bytes()).expect("it can be written");

    let shown = fleet.run("qc-launch", &["logs", "brain_a", "-n", "2"]);
    assert_eq!((shown.code, &*shown.stdout), (0, "two\nthree é\n"), "{shown:?}");
    let unknown = fleet.run("qc-launch", &["logs", "BRAIN_B"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    let hint = "qc-launch: there is no log of `BRAIN_B`\nhint: there are logs of BRAIN_A\n";
    assert_eq!(unknown.stderr, hint);

    let tool = fleet.tools.tool("qc-launch");
    let mut reader =
        Program::start(&tool, &["logs", "BRAIN_A", "-f", "-n", "1"], fleet.root(), &[], |_| ());
    reader.wait_for("three é");
    let settings = Settings { rotate_at: Some(64 * 1024), retention: Retention::default() };
    let (rotate, cuts) = std::sync::mpsc::channel();
    let janitor = LogJanitor::start(folder.clone(), settings, move |line| {
        rotate.send(line.to_owned()).expect("the test listens");
    });
    let janitor = janitor.expect("it can be started");
    janitor.changed(vec![path.clone()], Vec::new());
    writer.write_all(&b"a long line\n".repeat(10_000)).expect("it can be written");
    writer.write_all(b"before the cut\n").expect("it can be written");
    let line = cuts.recv().expect("the log is cut");
    assert!(line.contains("bytes off a log: BRAIN_A_"), "{line}");
    writer.write_all(b"after the cut\n").expect("it can be written");
    reader.wait_for("before the cut");
    reader.wait_for("after the cut");
    // A start in another second, whatever the clock says.
    let anew = folder.path().join("BRAIN_A_20200101_000000.log");
    fs::write(anew, "started anew\n").expect("it can be written");
    reader.wait_for("started anew");
}

#[test]
fn the_log_of_the_launcher_is_shown_by_the_name_of_its_lock_too() {
    let fleet = SampleFleet::new(tools(), &[]);
    let folder = LogFolder::new(fleet.root().join("orchestrator_logs"));
    let (mut writer, _) = folder.open("orchestrator").expect("it can be made");
    writer.write_all(b"started\n").expect("it can be written");
    let shown = fleet.run("qc-launch", &["logs", "master_launch"]);
    assert_eq!((shown.code, &*shown.stdout), (0, "started\n"), "{shown:?}");
}

#[test]
fn a_child_that_is_cut_while_it_writes_loses_nothing_it_need_not_lose() {
    const LINES: usize = 50_000;
    let dir = tempfile::tempdir().expect("a folder");
    let folder = LogFolder::new(dir.path().join("logs"));
    let (file, path) = folder.open("BRAIN_A").expect("it can be made");
    let name = path.file_name().and_then(|name| LogName::parse(name.to_str()?)).expect("a name");
    let spawn = Spawn {
        output: Output::File(&file),
        console: Console::Own,
        end_with_parent: true,
        ..Spawn::new(tools().stand_in(), vec!["count".into(), LINES.to_string().into()])
    };
    let mut child = spawn.start(|_| Ok(())).expect("it can be started");
    drop(file);
    let writer = thread::spawn(move || child.wait().expect("it can be waited for"));
    let (mut cuts, mut lost) = (0, 0);
    while !writer.is_finished() {
        if fs::metadata(&path).expect("it is there").len() > 32 * 1024 {
            let rotate =
                rotate(&folder, &name).expect("it can be cut").expect("there is something");
            cuts += 1;
            lost += rotate.lost;
        }
    }
    assert!(writer.join().expect("it ended").success());
    assert!(cuts > 0, "it was never cut");

    let files = folder.list().expect("it can be listed");
    let text: String = files.iter().map(|file| read_text(&file.path)).collect();
    let number = |line: &str| line.trim_end().strip_prefix("line ")?.parse::<usize>().ok();
    let numbers: Vec<usize> = text.lines().filter_map(number).collect();
    if is_lossless(&folder) {
        assert_eq!(lost, 0);
        assert!(numbers.into_iter().eq(0..LINES));
        assert_eq!(text.lines().count(), LINES);
    } else {
        // No line twice, and next to none lost: microseconds each time, unless the machine is so
        // busy that it interrupts this program right there.
        assert!(numbers.is_sorted_by(|a, b| a < b));
        let missing = LINES - numbers.len();
        eprintln!("{missing} of {LINES} lines lost in {cuts} cuts, {lost} bytes of them seen");
        assert!(missing * 20 < LINES, "{missing} in {cuts} cuts");
    }
}

fn read_text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("it can be read")).into_owned()
}

/// Whether cutting loses nothing here, or only next to nothing.
fn is_lossless(folder: &LogFolder) -> bool {
    let path = folder.path().join("probe");
    fs::write(&path, vec![b'x'; 1 << 20]).expect("it can be written");
    let file = qc_process::file::open_for_cutting(&path).expect("it can be opened");
    let blocks = qc_process::file::whole_blocks(&file).expect("it can be asked");
    blocks > 0 && qc_process::file::cut_front(&file, blocks).is_ok()
}

#[test]
fn a_log_that_can_not_be_written_keeps_no_command_from_running() {
    let fleet = SampleFleet::new(tools(), &[]);
    let done = fleet.root().join("done");
    let stand_in = tools().stand_in().display().to_string();
    let missing = fleet.root().join("missing").join("a.log").display().to_string();
    let done_text = done.display().to_string();
    let words = ["hold", "--output", &missing, "X", "--", &stand_in, "tell", &done_text];
    let held = fleet.run("qc-launch", &words);
    assert_eq!(held.code, 0, "{held:?}");
    assert!(held.stdout.contains("started "), "{held:?}");
    assert!(held.stderr.starts_with("WARNING: its output is lost, as "), "{held:?}");
    assert!(done.exists(), "it ran");
}

#[test]
fn a_full_disk_stops_nobody_from_speaking() {
    if let Err(why) = can_mount() {
        return cannot_test("logs on a full disk", &why);
    }
    // The disk is mounted for a program of its own, and reached through it.
    let dir = tempfile::tempdir().expect("a folder");
    let mount = r#"mount -t tmpfs -o size=64k none "$1" && echo ready && exec cat"#;
    let mut holder = Command::new("unshare");
    holder.args(["-m", "sh", "-c", mount, "sh"]).arg(dir.path());
    let mut holder =
        holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be started");
    let mut ready = String::new();
    let mut output = io::BufReader::new(holder.stdout.take().expect("a pipe"));
    io::BufRead::read_line(&mut output, &mut ready).expect("it says something");
    assert_eq!(ready, "ready\n");
    let disk = format!("/proc/{}/root{}", holder.id(), dir.path().display());
    let disk = Path::new(&disk);

    let folder = LogFolder::new(disk.join("logs"));
    let journal = Journal::open(&folder, Format::Json, false).expect("there is room yet");
    let say = |text: &str| journal.log(&Line::new(Level::Info, "test", text));
    say("first");
    let filler = disk.join("filler");
    let error = io::copy(&mut io::repeat(0), &mut File::create(&filler).expect("room for a name"));
    assert_eq!(error.expect_err("the disk has an end").kind(), io::ErrorKind::StorageFull);
    // More than the page that the file has already.
    for _ in 0..100 {
        say(&"x".repeat(200));
    }
    fs::remove_file(&filler).expect("it can be removed");
    say("last");

    let text = fs::read_to_string(journal.path()).expect("it can be read");
    let lines: Vec<serde_json::Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let texts: Vec<&str> = lines.iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!((texts[0], texts[texts.len() - 1]), ("first", "last"));
    let note = texts[texts.len() - 2];
    assert!(note.ends_with(" lines before this one could not be written"), "{note}");
    drop(holder.stdin.take());
    assert!(holder.wait().expect("it ends").success());
}

#[test]
fn a_python_prints_any_character_at_once_unless_the_user_has_it_otherwise() {
    let Some(python) = python() else { return cannot_test("a Python's output", "there is none") };
    let text = r#"import sys, time
print("\U0001f680 \ud83d to the moon", sys.stdout.encoding)
while True: time.sleep(0.1)
"#;
    for (env, expected) in [
        (&[][..], "\u{1f680} \\ud83d to the moon utf-8"),
        (&[("LC_ALL", "POSIX"), ("PYTHONIOENCODING", "")], "\u{1f680} \\ud83d to the moon utf-8"),
        (&[("PYTHONIOENCODING", "ascii:replace")], "? ? to the moon ascii"),
    ] {
        let fleet = SampleFleet::new(tools(), &[]);
        fs::write(fleet.root().join("bot.py"), text).expect("it can be written");
        fleet.configure(&json!({ "ACCOUNTS": {}, "PROCESS_MANAGER": section(&json!({
            "server": { "enabled": false },
            "components": { "BOT": {
                "command": [python, "bot.py"],
                "ready": { "log": "to the moon", "timeout": "40s" },
            } },
        })) }));
        let tool = fleet.tools.tool("qc-launch");
        let mut launch = Program::start(&tool, &[], fleet.root(), env, |_| ());
        launch.wait_for("BOT is ready");
        let shown = fleet.run("qc-launch", &["logs", "BOT"]);
        launch.ask_to_stop(&fleet.tools);
        launch.finish();
        assert_eq!(shown.stdout.trim_end(), expected, "{env:?}: {shown:?}");
    }
}

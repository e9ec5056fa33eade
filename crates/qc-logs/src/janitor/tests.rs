use std::fs::{self, File};
use std::io::Write;
use std::sync::mpsc::Receiver;
use std::time::SystemTime;

use super::work::LEAST_SIZE;
use super::*;
use crate::LogName;

/// Waits for a line that holds `text`.
fn wait_for(lines: &Receiver<String>, text: &str) -> String {
    loop {
        let line =
            lines.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("no `{text}`"));
        if line.contains(text) {
            return line;
        }
    }
}

fn janitor(folder: &LogFolder, settings: Settings) -> (LogJanitor, Receiver<String>) {
    let (sender, lines) = mpsc::channel();
    let tell = move |line: &str| sender.send(line.to_owned()).unwrap();
    (LogJanitor::start(folder.clone(), settings, tell).unwrap(), lines)
}

fn fill(file: &mut File, bytes: usize) {
    file.write_all(&b"0123456789abcde\n".repeat(bytes / 16)).unwrap();
}

#[test]
fn a_log_in_use_is_cut_and_old_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    let folder = LogFolder::new(dir.path().join("logs"));
    let (mut writer, path) = folder.open("BRAIN_A").unwrap();
    let name = LogName::parse(path.file_name().unwrap().to_str().unwrap()).unwrap();
    let old = folder.path().join("BRAIN_A_20200101_000000.log");
    let note = folder.path().join("notes_20200101.log");
    fs::write(&old, "old").unwrap();
    fs::write(&note, "mine").unwrap();

    let retention = Retention { max_files: Some(2), ..Retention::default() };
    let (janitor, lines) = janitor(&folder, Settings { rotate_at: Some(LEAST_SIZE), retention });
    janitor.changed(vec![path.clone()], Vec::new());
    fill(&mut writer, 100_000);
    wait_for(&lines, "bytes off a log");
    wait_for(&lines, "removed old log BRAIN_A_20200101_000000.log");
    assert!(!old.exists() && note.exists());
    assert!(folder.path().join(name.with_segment(1).file_name()).exists());
    let latest = folder.path().join("BRAIN_A_latest.log");
    writer.write_all(b"the end").unwrap();
    assert!(fs::read(latest).unwrap().ends_with(b"the end"), "the pointer leads to the rest");

    // The segment is the older of the two; the file in use never goes.
    fill(&mut writer, 100_000);
    wait_for(&lines, "bytes off a log");
    wait_for(&lines, &format!("removed old log {}", name.with_segment(1).file_name()));
    assert!(path.exists());
    janitor.changed(Vec::new(), vec![path]);
}

#[test]
fn a_writer_that_never_pauses_stays_near_the_limit() {
    const LIMIT: u64 = 2 << 20;
    let dir = tempfile::tempdir().unwrap();
    let folder = LogFolder::new(dir.path().join("logs"));
    let (mut writer, path) = folder.open("BRAIN_A").unwrap();
    let retention = Retention { max_bytes: Some(LIMIT), ..Retention::default() };
    let (janitor, lines) = janitor(&folder, Settings { rotate_at: Some(LEAST_SIZE), retention });
    janitor.changed(vec![path], Vec::new());
    // 10 MB/s; the first look is the last one that can find much.
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(4) {
        fill(&mut writer, 100_000);
        thread::sleep(Duration::from_millis(10));
        let total: u64 = folder.list().unwrap().iter().map(|found| found.bytes).sum();
        most = most.max(total);
    }
    // Some rotations late, on a machine with other work; without limit it were 40 MB.
    assert!(most < 10 * LIMIT, "{most}");
    drop(janitor);
    let said = lines.iter().filter(|line| line.contains("bytes off a log")).count();
    assert!((2..=10).contains(&said), "{said} lines");
}

#[test]
fn after_the_clock_went_back_the_newest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let folder = LogFolder::new(dir.path().join("logs"));
    fs::create_dir_all(folder.path()).unwrap();
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    // Two from before, under times that are to come, and two since.
    for (name, modified) in [
        ("BRAIN_A_29990102_000000.log", now + day),
        ("BRAIN_A_29990103_000000.log", now + day * 2),
        ("BRAIN_A_29990101_000000.log", now - Duration::from_secs(60)),
        ("BRAIN_A_29990101_000001.log", now),
    ] {
        let file = File::create(folder.path().join(name)).unwrap();
        file.set_modified(modified).unwrap();
    }
    let retention = Retention { max_files: Some(2), ..Retention::default() };
    let (janitor, lines) = janitor(&folder, Settings { rotate_at: None, retention });
    wait_for(&lines, "removed old log BRAIN_A_29990102_000000.log");
    wait_for(&lines, "removed old log BRAIN_A_29990103_000000.log");
    drop(janitor);
    assert_eq!(folder.list().unwrap().len(), 2);
    let latest = folder.latest("BRAIN_A").unwrap();
    assert!(latest.ends_with("BRAIN_A_29990101_000001.log"), "{}", latest.display());
}

#[test]
fn what_can_not_be_done_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = LogFolder::new(dir.path().join("logs"));
    let (_writer, path) = folder.open("BRAIN_A").unwrap();
    // A folder stands where the pointer should.
    fs::create_dir_all(folder.path().join("BRAIN_A_latest.log/full")).unwrap();
    let (janitor, lines) = janitor(&folder, Settings::default());
    janitor.changed(vec![path.clone(), path], Vec::new());
    wait_for(&lines, "WARNING: cannot make pointers to the latest logs in ");
    drop(janitor);
    assert_eq!(lines.iter().collect::<Vec<String>>(), [""; 0]);
}

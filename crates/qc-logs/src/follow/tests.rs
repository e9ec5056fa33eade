use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use qc_process::file;

use super::*;
use crate::rotate;

const FIRST: &str = "A_20260101_000000.log";

fn name(text: &str) -> LogName {
    LogName::parse(text).unwrap()
}

fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, LogFolder) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let folder = LogFolder::new(dir.path());
    (dir, folder)
}

fn append(folder: &LogFolder, name: &str, text: &str) {
    let mut file = file::open_for_append(&folder.path().join(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn the_last_lines_are_found_over_parts_and_starts() {
    let (_dir, folder) = folder(&[
        ("A_20260101_000000.001.log", "1\n2\n3"),
        ("A_20260101_000000.log", "3\n4"),
        ("A_20260102_000000.log", "5\n\n6\n7"),
        ("A_20260103_000000.log", ""),
        ("B_20260109_000000.log", "other"),
        ("A_latest.log", "other"),
    ]);
    for (lines, expected) in [
        (0, ""),
        (1, "7"),
        (2, "6\n7"),
        (3, "\n6\n7"),
        (4, "5\n\n6\n7"),
        (5, "4\n5\n\n6\n7"),
        (6, "33\n4\n5\n\n6\n7"),
        (8, "1\n2\n33\n4\n5\n\n6\n7"),
        (usize::MAX, "1\n2\n33\n4\n5\n\n6\n7"),
    ] {
        let (mut follower, text) = Follower::start(&folder, "A", lines).unwrap().unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), expected, "{lines}");
        assert_eq!(follower.read().unwrap(), b"");
    }
    assert!(Follower::start(&folder, "C", 10).unwrap().is_none());

    let is_new = |one: &LogName| one.without_segment() == name("A_20260102_000000.log");
    let (_, text) = Follower::start_among(&folder, "A", 9, is_new).unwrap().unwrap();
    assert_eq!(text, b"5\n\n6\n7");
    assert!(Follower::start_among(&folder, "A", 9, |_| false).unwrap().is_none());
}

#[test]
fn long_lines_are_found_block_by_block() {
    let long = "x".repeat(100_000);
    let (_dir, folder) = folder(&[(FIRST, &format!("{long}\n{long}\n{long}\n"))]);
    let (_, text) = Follower::start(&folder, "A", 2).unwrap().unwrap();
    assert_eq!(text.len(), 200_002);
}

#[test]
fn what_is_written_is_read_once_over_cuts_and_restarts() {
    let (_dir, folder) = folder(&[(FIRST, "one\ntwo\n")]);
    let (mut follower, text) = Follower::start(&folder, "A", 1).unwrap().unwrap();
    assert_eq!(text, b"two\n");
    assert_eq!(follower.read().unwrap(), b"");
    append(&folder, FIRST, "three\n");
    assert_eq!(follower.read().unwrap(), b"three\n");
    append(&folder, FIRST, "four\n");
    rotate(&folder, &name(FIRST)).unwrap().unwrap();
    append(&folder, FIRST, "five\n");
    rotate(&folder, &name(FIRST)).unwrap().unwrap();
    append(&folder, FIRST, "six");
    // Started anew while the clock was set back.
    append(&folder, "A_20250101_000000.log", "seven\n");
    let mut all = Vec::new();
    loop {
        match follower.read().unwrap() {
            text if text.is_empty() => break,
            text => all.extend(text),
        }
    }
    assert_eq!(String::from_utf8(all).unwrap(), "four\nfive\nsix\nseven\n");
    append(&folder, "A_20250101_000000.log", "eight\n");
    assert_eq!(follower.read().unwrap(), b"eight\n");
}

#[test]
fn a_file_that_goes_or_is_emptied_is_no_end() {
    let (_dir, folder) = folder(&[(FIRST, "one\n")]);
    let (mut follower, _) = Follower::start(&folder, "A", 1).unwrap().unwrap();
    fs::write(folder.path().join(FIRST), "1\n").unwrap();
    assert_eq!(follower.read().unwrap(), b"1\n");
    fs::remove_file(folder.path().join(FIRST)).unwrap();
    assert_eq!(follower.read().unwrap(), b"");
    append(&folder, "A_20260102_000000.log", "two\n");
    assert_eq!(follower.read().unwrap(), b"two\n");
}

#[test]
fn a_half_finished_cut_is_waited_for_but_not_for_ever() {
    let (_dir, folder) = folder(&[(FIRST, "")]);
    let (mut follower, _) = Follower::start(&folder, "A", 1).unwrap().unwrap();
    fs::write(folder.path().join("A_20260101_000000.001.log.cutting"), "one\n").unwrap();
    append(&folder, FIRST, "two\n");
    let began = Instant::now();
    while follower.read().unwrap().is_empty() {
        thread::sleep(PAUSE);
    }
    assert!(began.elapsed() >= TIMEOUT);
}

/// Whether cutting loses nothing here, or only next to nothing.
fn is_lossless(folder: &LogFolder) -> bool {
    let path = folder.path().join("probe");
    fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    let file = file::open_for_cutting(&path).unwrap();
    let blocks = file::whole_blocks(&file).unwrap();
    blocks > 0 && file::cut_front(&file, blocks).is_ok()
}

/// One thread writes, one cuts, one reads along.
#[test]
fn a_reader_sees_every_line_once_while_the_log_is_cut() {
    const LINES: usize = 40_000;
    let (_dir, folder) = folder(&[(FIRST, "")]);
    let done = AtomicBool::new(false);
    let (read, rotations, lost) = thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = file::open_for_append(&folder.path().join(FIRST)).unwrap();
            for number in 0..LINES {
                file.write_all(format!("line {number}\n").as_bytes()).unwrap();
                if number % 100 == 0 {
                    // Quiet moments, as a program has that does something between two lines.
                    thread::sleep(Duration::from_millis(5));
                }
            }
            done.store(true, Ordering::Release);
        });
        let cutter = scope.spawn(|| {
            let (mut rotations, mut lost) = (0, 0);
            while !done.load(Ordering::Acquire) {
                let large = fs::metadata(folder.path().join(FIRST)).unwrap().len() > 16_384;
                if let Some(rotate) =
                    large.then(|| rotate(&folder, &name(FIRST)).unwrap()).flatten()
                {
                    rotations += 1;
                    lost += rotate.lost;
                }
            }
            (rotations, lost)
        });
        let (mut follower, mut read) = Follower::start(&folder, "A", usize::MAX).unwrap().unwrap();
        loop {
            let is_done = done.load(Ordering::Acquire) && cutter.is_finished();
            let text = follower.read().unwrap();
            if is_done && text.is_empty() {
                break;
            }
            read.extend(text);
        }
        let (rotations, lost) = cutter.join().unwrap();
        (read, rotations, lost)
    });
    assert!(rotations > 0, "it was never cut");
    let read = String::from_utf8(read).unwrap();
    let number = |line: &str| line.strip_prefix("line ")?.parse::<usize>().ok();
    let numbers: Vec<usize> = read.lines().filter_map(number).collect();
    if is_lossless(&folder) {
        assert_eq!(lost, 0);
        assert!(numbers.into_iter().eq(0..LINES));
    } else {
        // Nothing twice, and next to nothing lost; see the test with a real child.
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert!((LINES - numbers.len()) * 20 < LINES, "{} in {rotations} cuts", numbers.len());
    }
}

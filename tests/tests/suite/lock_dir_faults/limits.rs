//! Missing resources: open files, room on the disk, a disk that works. Then there is no lock, and
//! one line says so; and no living holder is taken for dead meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use qc_lock_core::{Lock, Request};
use qc_tests::{Contender, SampleLocks, Speaker, cannot_test, python, run};
use serde_json::json;
use tempfile::TempDir;

use super::{NAME, ask, wrapped};
use crate::tools;
use crate::tracing::{calls, can_trace, traced};

/// The holder of the lock, and the evidence of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// No process.
    Not,
    /// This test, as usual.
    Here,
    /// This test, whose guards were deleted: only its record is left.
    ByRecord,
    /// A process on another machine, according to its record.
    Elsewhere,
}

impl Held {
    const ALL: [Self; 4] = [Self::Not, Self::Here, Self::ByRecord, Self::Elsewhere];

    fn make(self, locks: &SampleLocks) -> Option<Lock> {
        if self == Self::Not {
            return None;
        }
        let request = Request::new(NAME.parse().expect("a lock name"));
        let lock = locks.locks().acquire(&request).expect("it is free");
        match self {
            Self::Not | Self::Here => {}
            Self::ByRecord => {
                // Windows deletes none that is held.
                let _ = fs::remove_dir_all(locks.dir().join(".guards"));
            }
            Self::Elsewhere => {
                let mut record = serde_json::to_value(lock.record()).expect("a record is JSON");
                lock.release().expect("it is given back");
                record["host"] = json!("ELSEWHERE");
                record["boot_id"] = json!("another boot");
                locks.write(NAME, &record);
                return None;
            }
        }
        Some(lock)
    }
}

/// Makes the system refuse something to `who`, and looks what comes of it; returns whether the
/// lock was taken.
fn try_under(held: Held, who: Speaker, what: &str, wrap: impl Fn(&Command) -> Command) -> bool {
    let locks = SampleLocks::new(tools());
    let lock = held.make(&locks);
    let record = fs::read(locks.record(NAME)).ok();
    let finished = run(&mut wrap(&locks.command(who, NAME, None)), "");
    let taken = finished.stdout.lines().any(|line| line.starts_with("held by PID"));
    if held == Held::Not {
        // In any case, nothing is left in the way of the next one.
        locks.attempt(Speaker::Library, NAME, None).taken();
    } else {
        assert!(!taken, "{who:?} {what}: a second holder: {finished:?}");
        assert_ne!(finished.code, 0, "{who:?} {what}: {finished:?}");
        assert_eq!(fs::read(locks.record(NAME)).ok(), record, "{who:?} {what}: {finished:?}");
    }
    drop(lock);
    taken
}

#[test]
fn without_files_to_open_there_is_no_second_holder() {
    if let Err(error) = Command::new("prlimit").args(["--nofile=100", "--", "true"]).output() {
        return cannot_test("a process without files to open", &error.to_string());
    }
    for who in Speaker::all() {
        for held in Held::ALL {
            let mut taken = Vec::new();
            for files in 3..24 {
                let limit = format!("--nofile={files}");
                let prlimit = ["prlimit", &limit, "--"];
                let what = format!("may open {files} files while it is held {held:?}");
                if try_under(held, who, &what, |command| wrapped(&prlimit, command)) {
                    taken.push(files);
                }
            }
            println!("{who:?}, held {held:?}: taken with {taken:?} files");
            assert_eq!(taken.last() == Some(&23), held == Held::Not, "{who:?} {held:?} {taken:?}");
        }
    }
}

#[test]
fn a_process_without_files_to_open_says_so() {
    if let Err(error) = Command::new("prlimit").args(["--nofile=100", "--", "true"]).output() {
        return cannot_test("what a process without files to open says", &error.to_string());
    }
    for who in Speaker::all() {
        let mut said = 0;
        for files in 3..24 {
            let locks = SampleLocks::new(tools());
            let answer = ask(&locks, who, &["prlimit", &format!("--nofile={files}"), "--"]);
            // With fewer files a program does not even start.
            if answer.finished.code == 1 && answer.finished.stdout.contains("failed: ") {
                answer.failed("may open few files", "Too many open files");
                said += 1;
            }
        }
        // A wrapper says the same in other words, and a Python that starts at all has enough.
        assert!(said > 0 || who != Speaker::Library, "{who:?} never says so");
    }
}

/// The errors that each system call can fail with.
const FAILURES: [(&str, &[&str]); 10] = [
    ("openat", &["EMFILE", "EIO"]),
    ("read", &["EIO"]),
    ("getdents64", &["EIO"]),
    ("statx", &["EIO"]),
    ("newfstatat", &["EIO"]),
    ("flock", &["ENOLCK", "EIO"]),
    ("write", &["ENOSPC", "EIO"]),
    ("rename", &["ENOSPC", "EIO"]),
    ("mkdir", &["ENOSPC"]),
    ("unlink", &["EIO"]),
];

/// More calls of one kind than it takes to look at a lock once.
const MOST_CALLS: usize = 32;

/// Lets each system call of `who` that can fail do so, one after the other.
fn fail_each_call(who: Speaker) {
    if !can_trace(&format!("failures of each system call of {who:?}")) {
        return;
    }
    let locks = SampleLocks::new(tools());
    let dir = locks.dir();
    let before = calls(&locks.command(who, NAME, None), dir.to_str().expect("a path in Unicode"));
    let mut failures = 0;
    for held in Held::ALL {
        for (name, errors) in FAILURES {
            let Some(&before) = before.get(name) else { continue };
            for error in errors {
                // Until one goes by that there is not; a program that looks again and again does
                // the same each time.
                for number in (before + 1..).take(MOST_CALLS) {
                    let log = tempfile::NamedTempFile::new().expect("a file can be made");
                    let path = log.path().to_str().expect("a path in Unicode");
                    let trace = format!("trace={name}");
                    let inject = format!("inject={name}:error={error}:when={number}");
                    let options = ["-o", path, "-e", &trace, "-e", &inject];
                    let what =
                        format!("{name} {number} fails with {error} while it is held {held:?}");
                    try_under(held, who, &what, |command| traced(&options, command));
                    let calls = fs::read_to_string(path).expect("strace has written it");
                    if !calls.contains("(INJECTED)") {
                        break;
                    }
                    failures += 1;
                }
            }
        }
    }
    println!("{who:?}: {failures} failures");
    assert!(failures > 100, "{who:?}: only {failures} failures");
}

#[test]
fn a_failing_call_of_the_library_makes_no_second_holder() {
    fail_each_call(Speaker::Library);
}

#[test]
fn a_failing_call_of_a_python_makes_no_second_holder() {
    if python().is_some() {
        fail_each_call(Speaker::Python);
    }
}

/// Mounts the file `$1` at `$2`.
const MOUNT: &str = r#"mount -o loop,errors=remount-ro "$1" "$2""#;

/// A small disk of its own; unmounted when dropped.
struct Disk {
    folder: TempDir,
    device: String,
}

impl Disk {
    /// Makes it.
    fn new() -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("qc disk ").tempdir().expect("a folder");
        let image = folder.path().join("image");
        let mount = folder.path().join("mount");
        fs::create_dir(&mount).expect("a folder can be made");
        let file = fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(8 << 20).map_err(|error| error.to_string())?;
        sh(&format!(r#"mkfs.ext4 -q -F "$1" && {MOUNT}"#), &[&image, &mount])?;
        let mut disk = Self { folder, device: String::new() };
        let device = sh(r#"basename "$(losetup -j "$1" -n -O NAME)""#, &[&image])?;
        disk.device = device.trim().to_owned();
        Ok(disk)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// The kernel finds an error on it, and from now on writes nothing to it, whoever uses it.
    fn fail(&self) -> Result<(), String> {
        // Earlier writes are not to fail.
        sh(r#"sync -f "$1""#, &[&self.path()])?;
        let trigger = format!("/sys/fs/ext4/{}/trigger_fs_error", self.device);
        fs::write(&trigger, "test").map_err(|error| format!("{trigger}: {error}"))
    }

    /// It is repaired.
    fn repair(&self) -> Result<(), String> {
        let image = self.folder.path().join("image");
        // fsck ends with 1 after it has corrected something.
        let repair = r#"umount "$2" && { fsck.ext4 -p -f "$1" >&2 || test $? = 1; }"#;
        sh(&format!("{repair} && {MOUNT}"), &[&image, &self.path()]).map(drop)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Where it could not be mounted there is nothing to unmount.
        let _ = sh(r#"umount "$1""#, &[&self.path()]);
    }
}

/// Runs a shell script; returns what it prints.
fn sh(script: &str, args: &[&Path]) -> Result<String, String> {
    let output = Command::new("sh").args(["-c", script, "sh"]).args(args).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

#[test]
fn a_disk_that_becomes_read_only_under_a_holder_frees_no_lock() {
    for who in Speaker::all() {
        let disk = match Disk::new().and_then(|disk| disk.fail().map(|()| disk)) {
            // Only to see whether it can be done.
            Ok(disk) => disk.repair().map(|()| disk),
            Err(why) => Err(why),
        };
        let disk = match disk {
            Ok(disk) => disk,
            Err(why) => return cannot_test("a disk that becomes read-only", &why),
        };
        let locks = SampleLocks::under(&disk.path(), tools());
        let mut held: Contender = locks.hold(who, NAME, None);
        disk.fail().expect("it could fail before");
        for asker in Speaker::all() {
            let by = format!("PID {} ", held.pid());
            ask(&locks, asker, &[]).refused("asks on a disk that has failed", &by);
        }
        held.kill();
        drop(held);
        for asker in Speaker::all() {
            let answer = ask(&locks, asker, &[]);
            answer.failed("asks on a disk that has failed, after a crash", "Read-only file system");
        }
        disk.repair().expect("it can be repaired");
        for asker in Speaker::all() {
            ask(&locks, asker, &[]).taken("asks after the disk was repaired");
        }
        drop(locks);
    }
}

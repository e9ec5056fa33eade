//! Links, FIFOs and folders where a file belongs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use qc_lock_core::{LockDir, Request};
use qc_tests::{SampleLocks, Speaker, cannot_test, link};

use super::{Answer, NAME, ask, wrapped};
use crate::tools;

const GUARD: &str = ".locks/.guards/name@brain_atlas";
const HISTORY_GUARD: &str = ".locks/.guards/history";
const RECORD: &str = ".locks/BRAIN_ATLAS.lock";
const HISTORY: &str = ".locks/history.jsonl";
const OLD_HISTORY: &str = ".locks/history.1.jsonl";

/// Another user's file, outside of the lock directory.
struct Victim {
    folder: PathBuf,
    path: PathBuf,
    text: Vec<u8>,
    modified: SystemTime,
}

impl Victim {
    fn new(locks: &SampleLocks) -> Self {
        let folder = locks.folder().join("of somebody else");
        fs::create_dir(&folder).expect("a folder can be made");
        let path = folder.join("MASTER_CONFIG.json");
        let text = br#"{"ACCOUNTS": {"ATLAS": {"account": 1000001, "enabled": true}}}"#.to_vec();
        fs::write(&path, &text).expect("a file can be written");
        let modified = modified(&path);
        Self { folder, path, text, modified }
    }

    /// Nothing was written, truncated, made or removed there.
    fn check(&self, what: &str) {
        let text = fs::read(&self.path).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(text, self.text, "{what}: {}", String::from_utf8_lossy(&text));
        assert_eq!(modified(&self.path), self.modified, "{what}: it was written to");
        let there = fs::read_dir(&self.folder).expect("it is there").count();
        assert_eq!(there, 1, "{what}: something was made there");
    }
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|found| found.modified()).expect("it has a time")
}

/// How something odd is put at a path: another name for the victim, or nothing of its.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    /// A symbolic link to the victim.
    Link,
    /// A symbolic link to a file beside the victim that does not exist.
    LinkToNothing,
    /// A symbolic link to the victim's folder.
    LinkToFolder,
    /// A hard link to the victim.
    HardLink,
    /// A FIFO without a reader.
    Fifo,
    /// A FIFO with a reader.
    FifoWithReader,
    /// A folder with something in it.
    Folder,
}

impl Odd {
    /// Puts it there; what must stay open for it is returned.
    fn put(self, at: &Path, victim: &Victim) -> io::Result<Option<File>> {
        fs::create_dir_all(at.parent().expect("it lies in a folder"))?;
        match self {
            Self::Link => link(&victim.path, at)?,
            Self::LinkToNothing => link(&victim.folder.join("nothing"), at)?,
            Self::LinkToFolder => link(&victim.folder, at)?,
            Self::HardLink => fs::hard_link(&victim.path, at)?,
            Self::Fifo | Self::FifoWithReader => {
                let made = Command::new("mkfifo").arg(at).status()?;
                if !made.success() {
                    return Err(io::Error::other("mkfifo has failed"));
                }
            }
            Self::Folder => {
                fs::create_dir(at)?;
                fs::write(at.join("inside"), "")?;
            }
        }
        let reader = self == Self::FifoWithReader;
        // Opened for both, or it would wait for a writer.
        reader.then(|| File::options().read(true).write(true).open(at)).transpose()
    }
}

/// Puts something odd at `path`, lets everybody ask for the lock, and looks that the victim has
/// not suffered. `full` histories are rotated.
fn try_all(path: &str, odd: Odd, full: bool, check: impl Fn(&Answer, &str)) {
    for who in Speaker::all() {
        let locks = SampleLocks::new(tools());
        let victim = Victim::new(&locks);
        let what = format!("finds {odd:?} at {path}");
        let _reader = match odd.put(&locks.folder().join(path), &victim) {
            Ok(reader) => reader,
            Err(why) => return cannot_test(&format!("{odd:?} at {path}"), &why.to_string()),
        };
        if full {
            let line =
                format!(r#"{{"time":"","event":"exited","name":"{}"}}"#, " ".repeat(5 << 20));
            fs::write(locks.folder().join(HISTORY), line + "\n").expect("it can be written");
        }
        check(&ask(&locks, who, &[]), &what);
        victim.check(&format!("{who:?} {what}"));
    }
}

#[test]
fn an_odd_guard_is_refused_and_not_touched() {
    let is_link = "it is a symbolic link";
    for (odd, why) in [
        (Odd::Link, is_link),
        (Odd::LinkToNothing, is_link),
        (Odd::LinkToFolder, is_link),
        (Odd::Fifo, "it is not a regular file"),
        (Odd::Folder, ""),
    ] {
        try_all(GUARD, odd, false, |answer, what| {
            answer.failed(what, "cannot lock guard ");
            answer.failed(what, why);
        });
    }
    // A file that is only locked may have another name: nothing is written to it.
    try_all(GUARD, Odd::HardLink, false, |answer, what| answer.taken(what));
}

#[test]
fn an_odd_folder_is_refused_and_not_touched() {
    for path in [".locks", ".locks/.guards"] {
        try_all(path, Odd::LinkToFolder, false, |answer, what| {
            answer.failed(what, "cannot use lock directory ");
            answer.failed(what, "it is a symbolic link");
        });
        try_all(path, Odd::Fifo, false, |answer, what| {
            answer.failed(what, "it is not a directory");
        });
    }
}

#[test]
fn an_odd_record_is_replaced_and_what_it_leads_to_not_touched() {
    for odd in [Odd::Link, Odd::LinkToNothing, Odd::LinkToFolder, Odd::HardLink, Odd::Fifo] {
        try_all(RECORD, odd, false, |answer, what| {
            answer.taken(what);
        });
    }
    try_all(RECORD, Odd::Folder, false, |answer, what| answer.failed(what, " record "));
}

#[test]
fn an_odd_history_costs_no_lock_and_is_not_touched() {
    for (odd, why) in [
        (Odd::Link, "it is a symbolic link"),
        (Odd::LinkToNothing, "it is a symbolic link"),
        (Odd::HardLink, "it is a hard link"),
        (Odd::Fifo, "it is not a regular file"),
        (Odd::FifoWithReader, "it is not a regular file"),
        (Odd::Folder, ""),
    ] {
        try_all(HISTORY, odd, false, |answer, what| answer.taken_but(what, why));
    }
}

#[test]
fn a_history_is_rotated_over_links_and_through_none() {
    for odd in [Odd::Link, Odd::LinkToNothing, Odd::HardLink] {
        try_all(OLD_HISTORY, odd, true, |answer, what| answer.taken(what));
    }
    try_all(HISTORY_GUARD, Odd::Link, true, |answer, what| {
        answer.taken_but(what, "it is a symbolic link");
    });
}

/// A record is first written to a file whose name can be guessed.
#[test]
fn a_link_where_a_record_is_written_is_not_followed() {
    // `exec` keeps the pid that the shell has.
    let script = r#"mkdir .locks && ln -s "$1" .locks/.BRAIN_ATLAS.$$.0.tmp && shift && exec "$@""#;
    for who in Speaker::all() {
        let locks = SampleLocks::new(tools());
        let victim = Victim::new(&locks);
        let victims = victim.path.to_str().expect("a path in Unicode");
        let wrapper = ["sh", "-c", script, "sh", victims];
        let mut command = wrapped(&wrapper, &locks.command(who, NAME, None));
        command.current_dir(locks.folder());
        if let Err(why) = Command::new("sh").arg("-c").arg("exit 0").output() {
            return cannot_test("links where records are written", &format!("no shell: {why}"));
        }
        let finished = qc_tests::run(&mut command, "");
        let what = "finds a link where it writes its record";
        Answer { who, finished }.taken(what);
        victim.check(what);
    }
}

#[test]
fn what_only_looks_or_clears_follows_no_link() {
    let locks = SampleLocks::new(tools());
    locks.leave_dead(NAME, None);
    let elsewhere = locks.folder().join("elsewhere");
    if let Err(why) = link(&locks.dir(), &elsewhere) {
        return cannot_test("looking at locks through a link", &why.to_string());
    }
    let elsewhere = elsewhere.to_str().expect("a path in Unicode");
    for word in ["list", "clear-stale", "clear-all", "history"] {
        let mut command = Command::new(tools().tool("qc-lock"));
        let finished = qc_tests::run(command.args([word, "--lock-dir", elsewhere]), "");
        // The history is only read, and a link in the path above a file does not matter.
        assert_eq!(finished.code, i32::from(word != "history"), "{word}: {finished:?}");
    }
    for flag in ["--list", "--clear-stale", "--clear-all"] {
        if let Some(finished) = locks.drop_in(&[flag, "--lock-dir", elsewhere]) {
            assert_eq!(finished.code, 1, "{flag}: {finished:?}");
            assert!(finished.stderr.contains("it is a symbolic link"), "{flag}: {finished:?}");
        }
    }
    assert!(locks.record(NAME).exists(), "it was cleared through a link");
    let request = Request::new(NAME.parse().expect("a lock name"));
    assert!(LockDir::new(elsewhere).acquire(&request).is_err());
}

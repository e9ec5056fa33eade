//! The visible parts of the machine's guards beyond their sockets: the files in `/dev/shm`, and
//! whether this program sees the sockets of all others. Nothing here takes a lock.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, major, minor};

use super::machine::{FOLDER, LEAD};
use super::open_files::openers_of_sockets;

/// The prefix of each file's name.
const FILE: &str = "qc2.";

/// The inode of the user namespace that is there from the start (`PROC_USER_INIT_INO` of Linux).
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// More than any process has; a list that changes meanwhile could have no end.
const MOST_ANCESTORS: usize = 256;

/// Returns for each of these guards the processes that have its socket open: pid and name.
///
/// Source: <https://man7.org/linux/man-pages/man5/proc_pid_net.5.html>
pub(crate) fn socket_openers(guards: &[&str]) -> Vec<Vec<(u32, String)>> {
    if guards.is_empty() {
        return Vec::new();
    }
    let text = fs::read("/proc/net/unix").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let inodes = |guard: &&str| {
        let end = format!(" @{LEAD}{guard}");
        let lines = text.lines().filter_map(|line| line.strip_suffix(&end));
        lines.filter_map(|line| line.split_ascii_whitespace().last()?.parse().ok()).collect()
    };
    let sockets: Vec<Vec<u64>> = guards.iter().map(inodes).collect();
    if sockets.iter().all(Vec::is_empty) {
        return vec![Vec::new(); guards.len()];
    }
    openers_of_sockets(&sockets)
}

/// Returns the guards whose files are locked, by whatever process. The kernel shows that also of processes
/// in another network namespace, whose sockets it does not show.
pub(crate) fn machine_locked() -> Vec<String> {
    let locked = fs::read_to_string("/proc/locks").map(|text| locked_files(&text));
    let locked = locked.unwrap_or_default();
    let is_locked = |path: &Path| {
        let id = |found: fs::Metadata| (major(found.dev()), minor(found.dev()), found.ino());
        fs::symlink_metadata(path).is_ok_and(|found| locked.contains(&id(found)))
    };
    let files = if locked.is_empty() { Vec::new() } else { files() };
    files.into_iter().filter(|(_, path)| is_locked(path)).map(|(guard, _)| guard).collect()
}

/// Returns the device and the inode of all files that `/proc/locks` names.
///
/// Source: <https://man7.org/linux/man-pages/man5/proc_locks.5.html>
fn locked_files(text: &str) -> HashSet<(u32, u32, u64)> {
    let file = |line: &str| {
        // One that waits has `->` as a second word, and locks nothing.
        let word = line.split_ascii_whitespace().nth(5)?;
        let mut parts = word.split(':');
        let mut device = || u32::from_str_radix(parts.next()?, 16).ok();
        let (major, minor) = (device()?, device()?);
        Some((major, minor, parts.next()?.parse().ok()?))
    };
    text.lines().filter_map(file).collect()
}

/// Returns what stands in the place of a guard's file and can't be locked by this program: a folder, a
/// link, a file that may not be read.
pub(crate) fn machine_unusable() -> Vec<PathBuf> {
    files().into_iter().map(|(_, path)| path).filter(|path| !is_usable(path)).collect()
}

fn is_usable(path: &Path) -> bool {
    let is_file = match fs::symlink_metadata(path) {
        Ok(found) => found.is_file(),
        // Removed meanwhile.
        Err(_) => return true,
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    is_file && rustix::fs::open(path, flags, Mode::empty()).is_ok()
}

/// The guards that have, or had, a file.
fn files() -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        Some((name.strip_prefix(FILE)?.to_owned(), entry.path()))
    };
    entries.filter_map(file).collect()
}

/// Whether this program has namespaces of its own, as far as that can be told: not the network of a
/// process from which it descends, or not the first users.
pub(crate) fn has_own_namespaces() -> bool {
    let namespace = |pid: u32| Some(fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino());
    let own = namespace(std::process::id());
    let parent = |pid: &u32| Some(super::stat(*pid).ok()?.parent).filter(|&parent| parent > 0);
    let line = std::iter::successors(Some(std::process::id()), parent).take(MOST_ANCESTORS);
    // The files of other users are not shown.
    let mut seen = line.chain([1]).filter_map(namespace);
    let user = fs::metadata("/proc/self/ns/user").ok().map(|found| found.ino());
    seen.any(|one| Some(one) != own)
        || super::machine::is_container()
        || user.is_some_and(|user| user != FIRST_USER_NAMESPACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_waited_for_locks_nothing() {
        let text = "1: POSIX  ADVISORY  READ  5433 08:01:7864448 128 128
2: FLOCK  ADVISORY  WRITE 2001 00:1a:7864554 0 EOF
2: -> FLOCK  ADVISORY  WRITE 2001 00:1a:9 0 EOF
3: OFDLCK ADVISORY  WRITE -1 00:1a:12 0 0
odd
";
        let found = locked_files(text);
        assert_eq!(found, [(8, 1, 7_864_448), (0, 0x1a, 7_864_554), (0, 0x1a, 12)].into());
    }
}

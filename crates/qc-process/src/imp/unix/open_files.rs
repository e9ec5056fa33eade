//! The files that a process has open, as `/proc` shows them.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file_id;

/// The suffix that `/proc/PID/fd` adds to the path of a file that was deleted.
const DELETED: &[u8] = b" (deleted)";

/// Whether the process has the file at `path` open; `None` if the system does not show its files.
/// A file that was deleted under that path counts.
pub(crate) fn is_open_in(pid: u32, path: &Path) -> Option<bool> {
    let (open, may_be_hidden) = descriptors(pid, path)?;
    match open.is_empty() {
        false => Some(true),
        true if may_be_hidden => None,
        true => Some(false),
    }
}

/// Whether a lock on the file at `path` is held by what the process has open there: whoever only reads it
/// has opened it for itself.
fn is_locked_in(pid: u32, path: &Path) -> bool {
    let has_lock = |descriptor: &OsString| {
        let info = Path::new("/proc").join(pid.to_string()).join("fdinfo").join(descriptor);
        // A descriptor that can't be read counts as locked.
        fs::read_to_string(info).map_or(true, |info| info.lines().any(|it| it.starts_with("lock:")))
    };
    descriptors(pid, path).is_some_and(|(open, _)| open.iter().any(has_lock))
}

/// Returns the descriptors by which the process has the file at `path` open, and whether it may have others
/// that are not shown.
///
/// Only links with the file's name are followed: any other may lead to a disk that does not answer.
fn descriptors(pid: u32, path: &Path) -> Option<(Vec<OsString>, bool)> {
    let name = path.file_name()?;
    let wanted = fs::symlink_metadata(path).ok().map(|found| file_id(&found));
    let (mut found, mut may_be_hidden) = (Vec::new(), false);
    for open in fs::read_dir(format!("/proc/{pid}/fd")).ok()? {
        let Ok(open) = open else {
            may_be_hidden = true;
            continue;
        };
        // One that was closed meanwhile has no target any more.
        let Ok(target) = fs::read_link(open.path()) else { continue };
        let target = target.as_os_str().as_bytes();
        let deleted = target.strip_suffix(DELETED).map(OsStr::from_bytes).map(Path::new);
        let is_deleted = deleted.is_some_and(|target| is_same_path(target, path));
        let is_named_so = Path::new(OsStr::from_bytes(target)).file_name() == Some(name);
        let is_it = || fs::metadata(open.path()).is_ok_and(|it| Some(file_id(&it)) == wanted);
        if is_deleted || (is_named_so && is_it()) {
            found.push(open.file_name());
        }
    }
    Some((found, may_be_hidden))
}

/// Returns for each of `paths` the processes that have that file open with a lock on it, as far as `/proc`
/// shows: pid and name. Reads the open files of each process once.
pub(crate) fn openers(paths: &[&Path]) -> Vec<Vec<(u32, String)>> {
    let mut found = vec![Vec::new(); paths.len()];
    let mut by_name: HashMap<&OsStr, Vec<usize>> = HashMap::new();
    for (at, path) in paths.iter().enumerate() {
        by_name.entry(path.file_name().unwrap_or_default()).or_default().push(at);
    }
    let mut pids = super::pids().unwrap_or_default();
    pids.sort_unstable();
    for pid in pids {
        for name in names_of_open_files(pid) {
            let candidates = by_name.get(name.as_os_str()).into_iter().flatten();
            for &at in candidates.filter(|&&at| is_locked_in(pid, paths[at])) {
                let is_known = |one: &(u32, String)| one.0 == pid;
                if !found[at].last().is_some_and(is_known) {
                    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                    found[at].push((pid, name.trim().to_owned()));
                }
            }
        }
    }
    found
}

/// Returns for each of these inodes of sockets the processes that have one of them open: pid and name.
pub(super) fn openers_of_sockets(sockets: &[Vec<u64>]) -> Vec<Vec<(u32, String)>> {
    let mut found = vec![Vec::new(); sockets.len()];
    let mut pids = super::pids().unwrap_or_default();
    pids.sort_unstable();
    for pid in pids {
        let names = names_of_open_files(pid);
        for (at, inodes) in sockets.iter().enumerate() {
            let is_open = |inode: &u64| names.iter().any(|it| *it == *format!("socket:[{inode}]"));
            if inodes.iter().any(is_open) {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                found[at].push((pid, name.trim().to_owned()));
            }
        }
    }
    found
}

/// Returns the file names of what a process has open, without what `/proc` adds to those of deleted files.
fn names_of_open_files(pid: u32) -> Vec<OsString> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let name = |target: PathBuf| {
        let name = target.file_name()?.as_bytes();
        Some(OsStr::from_bytes(name.strip_suffix(DELETED).unwrap_or(name)).to_os_string())
    };
    open.filter_map(|open| name(fs::read_link(open.path()).ok()?)).collect()
}

/// Whether `target`, a path from the kernel, is `path`, whose folder may be reached by links.
fn is_same_path(target: &Path, path: &Path) -> bool {
    target.file_name() == path.file_name()
        && path.parent().and_then(|folder| fs::canonicalize(folder).ok()).as_deref()
            == target.parent()
}

//! The files that a process has open, as `/proc` shows them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::file_id;

/// The suffix that `/proc/PID/fd` adds to the path of a file that was deleted.
const DELETED: &[u8] = b" (deleted)";

/// Whether the process has the file at `path` open; `None` if the system does not show its files.
/// A file that was deleted under that path counts.
///
/// Only links with the file's name are followed: any other may lead to a disk that does not answer.
pub(crate) fn is_open_in(pid: u32, path: &Path) -> Option<bool> {
    let name = path.file_name()?;
    let wanted = fs::symlink_metadata(path).ok().map(|found| file_id(&found));
    let mut may_be_hidden = false;
    for open in fs::read_dir(format!("/proc/{pid}/fd")).ok()? {
        let Ok(open) = open else {
            may_be_hidden = true;
            continue;
        };
        // One that was closed meanwhile has no target any more.
        let Ok(target) = fs::read_link(open.path()) else { continue };
        let target = target.as_os_str().as_bytes();
        let deleted = target.strip_suffix(DELETED).map(OsStr::from_bytes).map(Path::new);
        if deleted.is_some_and(|target| is_same_path(target, path)) {
            return Some(true);
        }
        let is_named_so = Path::new(OsStr::from_bytes(target)).file_name() == Some(name);
        if is_named_so && fs::metadata(open.path()).is_ok_and(|it| Some(file_id(&it)) == wanted) {
            return Some(true);
        }
    }
    if may_be_hidden { None } else { Some(false) }
}

/// Returns the processes that have the file at `path` open, as far as `/proc` shows: pid and name.
pub(crate) fn openers(path: &Path) -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let open = pids.filter(|&pid| is_open_in(pid, path) == Some(true));
    let name = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let mut open: Vec<(u32, String)> = open.map(|pid| (pid, name(pid).trim().to_owned())).collect();
    open.sort();
    open
}

/// Whether `target`, a path from the kernel, is `path`, whose folder may be reached by links.
fn is_same_path(target: &Path, path: &Path) -> bool {
    target.file_name() == path.file_name()
        && path.parent().and_then(|folder| fs::canonicalize(folder).ok()).as_deref()
            == target.parent()
}

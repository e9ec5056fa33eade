//! A closer look at a single process, through `/proc/PID`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(crate) use super::mark::with_marks;
use super::{file_id, read_at_once};
use crate::{Identity, identity_of, par_chunks};

/// How many environments are read one after the other before another processor is worth it.
const READ_AT_ONCE: usize = 64;

pub(crate) fn open_in(pid: u32, folder: &str) -> Vec<PathBuf> {
    let is_in = |file: &PathBuf| {
        file.parent().and_then(Path::file_name).is_some_and(|parent| parent == folder)
    };
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links.filter_map(|link| fs::read_link(link.path()).ok()).filter(is_in).collect()
}

/// Returns the children of a process, whose command lines may say anything: a program can change its
/// own. None where the kernel was built without the list.
pub(crate) fn children_with_titles(pid: u32) -> Vec<u32> {
    // Each thread has started children of its own.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| pids(&list)).collect()
}

fn pids(list: &str) -> Vec<u32> {
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The folder of a process always belongs to its user, also where its files are hidden.
pub(crate) fn user_of(pid: u32) -> Option<u32> {
    Some(fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}

pub(crate) fn first_folder(pid: u32) -> Option<PathBuf> {
    let environment = read_at_once(&format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|&byte| byte == 0);
    let folder = variables.find_map(|variable| variable.strip_prefix(b"PWD="))?;
    let folder = Path::new(OsStr::from_bytes(folder));
    folder.is_absolute().then(|| folder.to_path_buf())
}

/// Returns the processes of these sessions, each with the session.
///
/// Source: <https://man7.org/linux/man-pages/man2/getsid.2.html>
pub(crate) fn in_sessions(sessions: &[u32]) -> io::Result<Vec<(Identity, u32)>> {
    let session = |pid: u32| {
        // SAFETY: getsid takes any number.
        let session = unsafe { libc::getsid(pid.try_into().ok()?) };
        u32::try_from(session).ok().filter(|session| sessions.contains(session))
    };
    let found = super::pids()?.into_iter().filter_map(|pid| Some((pid, session(pid)?)));
    Ok(found.filter_map(|(pid, session)| Some((identity_of(pid).ok()?, session))).collect())
}

pub(crate) fn folder_id(folder: &Path) -> Option<String> {
    super::id_text(&file_id(&fs::metadata(folder).ok()?))
}

pub(crate) fn with_variables<const N: usize>(
    names: [&str; N],
) -> io::Result<Vec<(u32, [Option<OsString>; N])>> {
    let pids = super::pids()?;
    let read = |pids: &[u32]| {
        let found = pids.iter().filter_map(|&pid| Some((pid, variables_of(pid, names)?)));
        found.collect::<Vec<_>>()
    };
    Ok(par_chunks(&pids, READ_AT_ONCE, read).into_iter().flatten().collect())
}

pub(crate) fn variables_of<const N: usize>(
    pid: u32,
    names: [&str; N],
) -> Option<[Option<OsString>; N]> {
    let environment = read_at_once(&format!("/proc/{pid}/environ")).ok()?;
    let value = |name: &str| {
        let mut variables = environment.split(|&byte| byte == 0);
        let value =
            variables.find_map(|it| it.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        Some(OsStr::from_bytes(value).to_os_string())
    };
    let values = names.map(value);
    values.first()?.is_some().then_some(values)
}

pub(crate) fn sees_same(pid: u32, path: &Path, own: &Path) -> bool {
    let Ok(below) = path.strip_prefix("/") else { return false };
    let seen = fs::metadata(PathBuf::from(format!("/proc/{pid}/root")).join(below));
    let ids = [seen, fs::metadata(own)].map(|found| found.ok().as_ref().map(file_id));
    ids[0].is_some() && ids[0] == ids[1]
}

/// Another user's root directory is not shown; this one is taken for the same then.
pub(crate) fn sees_file(pid: u32, file: &Path) -> bool {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    match (fs::read_link(&root), file.strip_prefix("/")) {
        (Ok(_), Ok(below)) => root.join(below).exists(),
        _ => file.exists(),
    }
}

pub(crate) fn loads_python(pid: u32) -> Option<bool> {
    let maps = read_at_once(&format!("/proc/{pid}/maps")).ok().filter(|maps| !maps.is_empty())?;
    let is_python = |line: &[u8]| {
        let name = line.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let has_path = name.len() < line.len();
        has_path && [&b"libpython"[..], b"python", b"pypy"].iter().any(|it| name.starts_with(it))
    };
    Some(maps.split(|&byte| byte == b'\n').any(is_python))
}

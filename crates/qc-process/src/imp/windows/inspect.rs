//! A closer look at a single process. Open files and owners are not looked at here: a wrapper keeps
//! the locks, and what elevated programs create belongs to a group.

use std::ffi::OsString;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};

use windows_sys::Win32::Foundation::{ERROR_BAD_LENGTH, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, MODULEENTRY32W, Module32FirstW, Module32NextW, TH32CS_SNAPMODULE,
    TH32CS_SNAPMODULE32,
};

use crate::Identity;

/// How often a process that is loading libraries at this moment is looked at.
const TRIES: usize = 5;

pub(crate) fn open_in(_pid: u32, _folder: &str) -> Vec<PathBuf> {
    Vec::new()
}

pub(crate) fn user_of(_pid: u32) -> Option<u32> {
    None
}

pub(crate) fn first_folder(_pid: u32) -> Option<PathBuf> {
    None
}

pub(crate) fn sees_file(_pid: u32, file: &Path) -> bool {
    file.exists()
}

pub(crate) fn with_variables<const N: usize>(
    names: [&str; N],
) -> io::Result<Vec<(u32, [Option<OsString>; N])>> {
    super::list::with_variables(names)
}

pub(crate) fn with_marks() -> io::Result<Vec<(Identity, u64)>> {
    super::run_job::with_marks()
}

pub(crate) fn in_sessions(_sessions: &[u32]) -> io::Result<Vec<(Identity, u32)>> {
    Ok(Vec::new())
}

pub(crate) fn folder_id(folder: &Path) -> Option<String> {
    let mut options = std::fs::OpenOptions::new();
    super::prepare_following(options.read(true));
    let opened = options.open(folder).ok()?;
    super::sys::volume_and_index(opened.as_handle())
        .ok()
        .map(|(volume, index)| format!("{volume:x}:{index:x}"))
}

pub(crate) fn variables_of<const N: usize>(
    pid: u32,
    names: [&str; N],
) -> Option<[Option<OsString>; N]> {
    super::list::variables_of(pid, names)
}

pub(crate) fn sees_same(_pid: u32, path: &Path, own: &Path) -> bool {
    let same = [path, own].map(|path| std::fs::canonicalize(path).ok());
    same[0].is_some() && same[0] == same[1]
}

/// No program changes its command line here: what matters has been found by it.
pub(crate) fn children_with_titles(_pid: u32) -> Vec<u32> {
    Vec::new()
}

/// Python comes as `python312.dll`, PyPy as `libpypy3.10-c.dll`.
pub(crate) fn loads_python(pid: u32) -> Option<bool> {
    // Process 0 would be this one.
    let modules = (pid > 0).then(|| modules(pid))??;
    let is_python = |name: &String| name.starts_with("python3") || name.starts_with("libpypy");
    Some(modules.iter().any(is_python))
}

/// Returns the file names of a process's libraries, in lower case.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/tlhelp32/nf-tlhelp32-createtoolhelp32snapshot>
fn modules(pid: u32) -> Option<Vec<String>> {
    let snapshot = (0..TRIES).find_map(|_| open_snapshot(pid).transpose())?.ok()?;
    let mut entry = MODULEENTRY32W {
        dwSize: u32::try_from(size_of::<MODULEENTRY32W>()).ok()?,
        ..MODULEENTRY32W::default()
    };
    let mut names = Vec::new();
    // SAFETY: `snapshot` keeps the handle open, and `entry` is a live local with its size set.
    let mut is_there = unsafe { Module32FirstW(snapshot.as_raw_handle(), &mut entry) } != 0;
    while is_there {
        let end = entry.szModule.iter().position(|&unit| unit == 0);
        let name = &entry.szModule[..end.unwrap_or(entry.szModule.len())];
        names.push(String::from_utf16_lossy(name).to_lowercase());
        // SAFETY: as above.
        is_there = unsafe { Module32NextW(snapshot.as_raw_handle(), &mut entry) } != 0;
    }
    (!names.is_empty()).then_some(names)
}

/// Opens the list of a process's libraries; `None` if they are changing at this moment.
fn open_snapshot(pid: u32) -> io::Result<Option<OwnedHandle>> {
    // SAFETY: the call takes no pointers.
    let handle = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPMODULE | TH32CS_SNAPMODULE32, pid) };
    if handle == INVALID_HANDLE_VALUE {
        let error = io::Error::last_os_error();
        let is_changing = error.raw_os_error() == Some(ERROR_BAD_LENGTH.cast_signed());
        return if is_changing { Ok(None) } else { Err(error) };
    }
    // SAFETY: the handle was just opened and nothing else owns it.
    Ok(Some(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

//! Windows.

mod console;
mod listener;
mod relay;
mod spawn;
mod stop;
mod sys;
mod volume;

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsHandle;
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_DELETE_PENDING, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::Threading::{CREATE_NO_WINDOW, PROCESS_QUERY_LIMITED_INFORMATION};

use crate::imp::Share;
use crate::{AtLogOn, ProcessInfo};

pub(crate) use console::{on_interrupt, run_helper};
pub(crate) use listener::listener;
pub(crate) use relay::Relay;
pub(crate) use spawn::{ChildHandle, spawn};
pub(crate) use stop::{ProcessHandle, ask_all, kill, open_process, pass_on, wait_any};
pub(crate) use volume::volume;

pub(crate) const PYTHON_IN_ENVIRONMENT: &str = "Scripts\\python.exe";
pub(crate) const PYTHON_ON_PATH: &str = "python.exe";
pub(crate) const CLOSE_LIMIT: Option<Duration> = Some(Duration::from_secs(5));
pub(crate) const LOCKS_ARE_INHERITED: bool = false;
pub(crate) const NOWHERE: &str = "NUL";
pub(crate) const AT_LOG_ON: AtLogOn = AtLogOn::TaskScheduler;

/// Seconds between 1601, where Windows starts counting, and 1970.
const EPOCH_DIFFERENCE: u64 = 11_644_473_600;

/// Returns when the process with `pid` was created, in 100 ns ticks since 1601-01-01 UTC.
///
/// # Errors
/// `NotFound` if there is none or it has ended, `PermissionDenied` if it exists but is protected.
pub(crate) fn start_time(pid: u32) -> io::Result<u64> {
    let process = sys::open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION)?;
    // A process that has ended can still be opened while somebody holds a handle to it.
    if sys::has_ended(process.as_handle())? {
        return Err(io::ErrorKind::NotFound.into());
    }
    sys::created_at(process.as_handle())
}

/// Tells whether start time `started` falls into the wall-clock second `seconds` of the list.
pub(crate) fn started_at(started: u64, seconds: u64) -> bool {
    (started / 10_000_000).saturating_sub(EPOCH_DIFFERENCE).abs_diff(seconds) <= 1
}

/// The system's own processes never show a command line; what is no Python is none of ours.
pub(crate) fn hides_its_command(process: &ProcessInfo) -> bool {
    process.name.is_empty() || process.name.to_lowercase().starts_with("py")
}

pub(crate) fn host_name() -> String {
    sys::computer_name().unwrap_or_else(|_| "unknown".into())
}

pub(crate) fn boot_id() -> String {
    sys::machine_guid().map_or_else(|_| "machine-unknown".into(), |guid| format!("machine-{guid}"))
}

pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

pub(crate) fn user_name() -> String {
    sys::user_name().unwrap_or_else(|_| "unknown".into())
}

/// Makes an open reach a symbolic link or a folder itself, which is then refused for being no
/// regular file. Without that, a folder is "access denied", as if it were only busy.
pub(crate) fn prepare(options: &mut OpenOptions, share: Share) {
    let delete = if share == Share::Everything { FILE_SHARE_DELETE } else { 0 };
    options
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | delete);
}

/// A guard is opened without sharing deletion, so the path can't come to mean another file.
#[derive(Debug)]
pub(crate) struct FileId;

pub(crate) fn file_id(_found: &Metadata) -> FileId {
    FileId
}

pub(crate) fn is_at(_id: &FileId, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// NTFS can't take bytes off the front of a file.
pub(crate) fn whole_blocks(_file: &File) -> io::Result<u64> {
    Ok(0)
}

pub(crate) fn cut_front(_file: &File, _length: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A hard link: a symbolic one needs a privilege, or developer mode.
pub(crate) fn link(target: &Path, at: &Path) -> io::Result<()> {
    fs::hard_link(target, at)
}

pub(crate) fn set_apart(command: &mut Command) {
    command.creation_flags(CREATE_NO_WINDOW);
}

/// Virus scanners, indexers and sync clients open files for a moment; a file being deleted and
/// one that is open without sharing both look like this.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    let codes =
        [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION, ERROR_DELETE_PENDING];
    error.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
}

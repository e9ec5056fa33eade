//! Windows.

mod attributes;
mod chain;
mod command_line;
mod console;
mod ctrl_c;
pub(crate) mod hand_over;
pub(crate) mod inspect;
mod job;
mod list;
mod listener;
#[cfg(feature = "channel")]
mod local;
mod machine;
mod relay;
mod run_job;
mod session;
mod spawn;
mod stop;
pub(crate) mod suspended;
mod sys;
mod volume;
mod watch;
mod window;

use std::ffi::OsStr;
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
use windows_sys::Win32::UI::WindowsAndMessaging::{
    SPI_GETHUNGAPPTIMEOUT, SPI_GETWAITTOKILLTIMEOUT,
};

use crate::AtLogOn;
use crate::imp::Share;

pub(crate) use console::{on_interrupt, output_mode, press_ctrl_break, set_output_mode};
pub(crate) use ctrl_c::run_helper;
pub(crate) use list::{describe, pids, scan};
pub(crate) use listener::listener;
#[cfg(feature = "channel")]
pub(crate) use local::{CallLimit, LocalPlace, clear_left_over, for_this_user};
pub(crate) use machine::{
    MACHINE_PART, MACHINE_TEXT, MachineLegs, folder_text, forget_machine_guard, has_own_namespaces,
    is_container, machine_file, machine_locked, machine_names, machine_unusable, socket_openers,
};
pub(crate) use relay::Relay;
pub(crate) use session::watch_session;
pub(crate) use spawn::{ChildHandle, child_handle, spawn, spawn_detached};
pub(crate) use stop::{
    ProcessHandle, ask_all, exit_of, kill, open_child, open_process, pass_on, process_handle,
    wait_any,
};
pub(crate) use sys::fill_random;
pub(crate) use volume::volume;
pub(crate) use watch::{Waker, Watcher};

pub(crate) const PYTHON_IN_ENVIRONMENT: &str = "Scripts\\python.exe";
pub(crate) const PYTHON_ON_PATH: &str = "python.exe";
/// Without a PATH, programs are looked for nowhere.
pub(crate) const DEFAULT_PATH: &str = "";
pub(crate) const EMPTY_IN_PATH_IS_HERE: bool = false;
pub(crate) const PROGRAM_ENDINGS: &[&str] = &[".com", ".exe", ".bat", ".cmd"];
pub(crate) const LOCKS_ARE_INHERITED: bool = false;
pub(crate) const NOWHERE: &str = "NUL";
pub(crate) const NOT_MARKED: &str =
    "Windows lets it be in no job of its own; start the fleet outside of a sandbox";
pub(crate) const FOLDER_ONLY: &str = "accounts and terminals are locked in this folder only: this program may make no objects that other sessions see";
pub(crate) const MACHINE_HOLDER_HINT: &str =
    "Process Explorer, run as administrator, shows who it is (Find Handle: `qc2.`)";
pub(crate) const SCRIPTS_NAME_THEIR_PROGRAM: bool = false;
pub(crate) const AT_LOG_ON: AtLogOn = AtLogOn::TaskScheduler;
pub(crate) const LAUNCH_COMMAND: &str = "MASTER_LAUNCH.bat (qc-launch)";
pub(crate) const SHUTDOWN_COMMAND: &str = "SAFE_SHUTDOWN.bat (qc-shutdown)";
pub(crate) const SHUTDOWN_HINT: &str =
    "Run SAFE_SHUTDOWN.bat (qc-shutdown) to stop all processes safely.";

/// A console that closes tells everybody.
pub(crate) fn on_hang_up(_act: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    Ok(())
}

/// Whether the program at `path` may be run: every file counts; `None` if there is none. A program of
/// the Store has an alias on PATH that can be run and not be opened.
pub(crate) fn may_run(path: &Path) -> Option<bool> {
    let is_file = path.is_file() || std::fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
    is_file.then_some(true)
}

/// Whether two names are those of one environment variable: case makes no difference.
pub(crate) fn is_same_variable(one: &OsStr, other: &OsStr) -> bool {
    sys::compare_names(one, other).is_eq()
}

/// Returns when the process with `pid` was created, in 100 ns ticks since 1601-01-01 UTC.
///
/// # Errors
/// `NotFound` if there is none or it has ended, `PermissionDenied` if it exists but is protected.
pub(crate) fn start_time(pid: u32) -> io::Result<u64> {
    let process = sys::open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION)?;
    // A process that has ended can still be opened while another process holds a handle to it.
    if sys::has_ended(process.as_handle())? {
        return Err(io::ErrorKind::NotFound.into());
    }
    sys::created_at(process.as_handle())
}

/// The mask and the dispositions of signals are of Unix. Deafness to Ctrl-C is dealt with where a
/// child is started, see `console::hear_ctrl_c`.
pub(crate) fn reset_inherited() {}

/// The limit for a console that closes, or that for the end of a session: this program learns of
/// both in the same way, so the shorter one counts.
pub(crate) fn close_limit() -> Option<Duration> {
    let hung = sys::timeout_setting(SPI_GETHUNGAPPTIMEOUT);
    let end = sys::timeout_setting(SPI_GETWAITTOKILLTIMEOUT);
    Some(hung.min(end))
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

/// The system's heap does so by itself.
pub(crate) fn return_memory() {}

pub(crate) fn has_group(_pid: u32) -> bool {
    false
}

/// Whether memory, handles or the paging file are used up, or the disk is full.
///
/// Source: <https://learn.microsoft.com/windows/win32/debug/system-error-codes>
pub(crate) fn is_out_of_room(error: i32) -> bool {
    // ERROR_TOO_MANY_OPEN_FILES, _NOT_ENOUGH_MEMORY, _OUTOFMEMORY, _HANDLE_DISK_FULL, _DISK_FULL,
    // _NO_SYSTEM_RESOURCES, _COMMITMENT_LIMIT
    matches!(error, 4 | 8 | 14 | 39 | 112 | 1450 | 1455)
}

/// Makes an open follow links, and read what lies in the cloud. A folder is refused for being no
/// regular file.
pub(crate) fn prepare_following(options: &mut OpenOptions) {
    options
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE);
}

/// There is no limit.
pub(crate) fn allow_open_files(_count: u64) -> u64 {
    u64::MAX
}

/// Ends this program at once, by TerminateProcess.
#[cfg(feature = "fault")]
pub(crate) fn die() -> ! {
    sys::terminate_self();
    std::process::abort()
}

/// A guard is opened without sharing deletion, so the path can't come to mean another file.
#[derive(Debug)]
pub(crate) struct FileId;

pub(crate) fn file_id(_found: &Metadata) -> FileId {
    FileId
}

/// Not told of running programs: their full path is.
pub(crate) type ProgramId = u64;

pub(crate) fn program_at(_path: &Path) -> Option<ProgramId> {
    None
}

pub(crate) fn id_text(_id: &FileId) -> Option<String> {
    None
}

/// Takes the lock of a file: that of its first byte, as all versions of the protocol do. `false` if
/// another process has it.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    sys::lock_first_byte(file.as_handle())
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

pub(crate) fn spawn_apart(command: &mut Command) -> io::Result<std::process::Child> {
    spawn::by_itself(command.creation_flags(CREATE_NO_WINDOW))
}

/// Whether the file has another name in some folder, too.
pub(crate) fn has_other_names(file: &File, _found: &Metadata) -> io::Result<bool> {
    Ok(sys::link_count(file.as_handle())? > 1)
}

/// A folder's access list, not the owner, says who may write there.
pub(crate) fn owner(_path: &Path) -> Option<u32> {
    None
}

/// The system shows the files of other processes to administrators and drivers only.
pub(crate) fn is_open_in(_pid: u32, _path: &Path) -> Option<bool> {
    None
}

/// As above.
pub(crate) fn openers(paths: &[&Path]) -> Vec<Vec<(u32, String)>> {
    vec![Vec::new(); paths.len()]
}

/// The system's own words explain a denied access.
pub(crate) fn other_owner(_path: &Path) -> Option<String> {
    None
}

/// On Windows what is made in a folder inherits who may use it.
pub(crate) fn open_to_writers(_file: &File, _found: &Metadata, _path: &Path) {}

/// A new file inherits its access rights from the folder.
pub(crate) fn let_share(_file: &File, _path: &Path) {}

/// The same for a folder.
pub(crate) fn let_share_directory(_path: &Path) {}

/// Virus scanners, indexers and sync clients open files for a moment; a file being deleted and
/// one that is open without sharing both look like this.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    let codes =
        [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION, ERROR_DELETE_PENDING];
    error.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
}

//! Safe functions over single Windows calls.

mod computer;
mod file;

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{
    ERROR_INVALID_PARAMETER, FILETIME, HANDLE, STILL_ACTIVE, TRUE, WAIT_FAILED, WAIT_OBJECT_0,
    WAIT_TIMEOUT,
};
use windows_sys::Win32::Globalization::{
    CSTR_EQUAL, CSTR_GREATER_THAN, CSTR_LESS_THAN, CompareStringOrdinal,
};
use windows_sys::Win32::Security::Cryptography::{
    BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom,
};
use windows_sys::Win32::System::Console::{CONSOLE_MODE, GetConsoleMode, SetConsoleMode};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetExitCodeProcess, GetProcessId, GetProcessTimes, OpenProcess,
    PROCESS_ACCESS_RIGHTS, PROCESS_NAME_FORMAT, PROCESS_NAME_NATIVE, PROCESS_NAME_WIN32,
    PROCESS_SYNCHRONIZE, QueryFullProcessImageNameW, TerminateProcess, WaitForMultipleObjects,
    WaitForSingleObject,
};

pub(super) use self::computer::{
    computer_name, machine_guid, system_directory, timeout_setting, user_name,
};
pub(super) use self::file::{link_count, lock_first_byte, volume_and_index};

/// The most handles that one wait takes.
pub(super) const MOST_HANDLES: usize = 64;

/// Opens the process with `pid` for waiting and for `access`.
///
/// # Errors
/// `NotFound` if there is none, `PermissionDenied` if it is protected.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-openprocess>
pub(super) fn open_process(pid: u32, access: PROCESS_ACCESS_RIGHTS) -> io::Result<OwnedHandle> {
    // SAFETY: the call takes no pointers.
    let handle = unsafe { OpenProcess(access | PROCESS_SYNCHRONIZE, 0, pid) };
    if handle.is_null() {
        let error = io::Error::last_os_error();
        let absent = error.raw_os_error() == Some(ERROR_INVALID_PARAMETER.cast_signed());
        return Err(if absent { io::ErrorKind::NotFound.into() } else { error });
    }
    // SAFETY: the handle was just opened and nothing else owns it.
    let process = unsafe { OwnedHandle::from_raw_handle(handle) };
    // The two lowest bits of a pid are not looked at, so 5 opens process 4.
    // SAFETY: `process` keeps the handle open.
    if unsafe { GetProcessId(process.as_raw_handle()) } == pid {
        Ok(process)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Returns the mode of a console's input or output.
///
/// # Errors
/// If `console` is none.
///
/// Source: <https://learn.microsoft.com/windows/console/getconsolemode>
pub(super) fn console_mode(console: BorrowedHandle<'_>) -> io::Result<CONSOLE_MODE> {
    let mut mode = 0;
    // SAFETY: the borrow keeps the handle open, and the out-pointer is a live local.
    checked(unsafe { GetConsoleMode(console.as_raw_handle(), &mut mode) })?;
    Ok(mode)
}

/// Sets the mode of a console's input or output.
///
/// # Errors
/// If `console` is none, or does not know the mode.
///
/// Source: <https://learn.microsoft.com/windows/console/setconsolemode>
pub(super) fn set_console_mode(console: BorrowedHandle<'_>, mode: CONSOLE_MODE) -> io::Result<()> {
    // SAFETY: the borrow keeps the handle open.
    checked(unsafe { SetConsoleMode(console.as_raw_handle(), mode) })
}

/// Returns when `process` was created, in 100 ns ticks since 1601-01-01 UTC.
///
/// # Errors
/// `PermissionDenied` if the handle was opened without `PROCESS_QUERY_LIMITED_INFORMATION`.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-getprocesstimes>
pub(super) fn created_at(process: BorrowedHandle<'_>) -> io::Result<u64> {
    let zero = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    let (mut created, mut exited, mut kernel, mut user) = (zero, zero, zero, zero);
    // SAFETY: the borrow keeps the handle open, and the four out-pointers are live locals.
    let ok = unsafe {
        GetProcessTimes(process.as_raw_handle(), &mut created, &mut exited, &mut kernel, &mut user)
    };
    checked(ok)?;
    Ok(u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime))
}

/// Tells whether `process` has ended.
///
/// # Errors
/// Whatever the system reports.
pub(super) fn has_ended(process: BorrowedHandle<'_>) -> io::Result<bool> {
    // SAFETY: the borrow keeps the handle open.
    match unsafe { WaitForSingleObject(process.as_raw_handle(), 0) } {
        WAIT_OBJECT_0 => Ok(true),
        WAIT_TIMEOUT => Ok(false),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until one of at most [`MOST_HANDLES`] processes has ended, or `milliseconds` are over.
///
/// # Errors
/// Whatever the system reports.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-waitformultipleobjects>
pub(super) fn wait_for_any(processes: &[BorrowedHandle<'_>], milliseconds: u32) -> io::Result<()> {
    let handles: Vec<HANDLE> = processes.iter().map(AsRawHandle::as_raw_handle).collect();
    let count = u32::try_from(handles.len()).map_err(io::Error::other)?;
    // SAFETY: `handles` holds `count` handles that the borrows keep open.
    match unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, milliseconds) } {
        WAIT_FAILED => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Returns the exit code of `process`, or `None` while it runs.
///
/// # Errors
/// Whatever the system reports.
pub(super) fn exit_code(process: BorrowedHandle<'_>) -> io::Result<Option<u32>> {
    let mut code = 0;
    // SAFETY: the borrow keeps the handle open, and the out-pointer is a live local.
    checked(unsafe { GetExitCodeProcess(process.as_raw_handle(), &mut code) })?;
    // 259 means "running", unless the process really ended with that code.
    let running = code == STILL_ACTIVE.cast_unsigned() && !has_ended(process)?;
    Ok((!running).then_some(code))
}

/// Ends `process` at once, with exit code 1.
///
/// # Errors
/// `PermissionDenied` without the right to, or if it has ended already.
pub(super) fn terminate(process: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the borrow keeps the handle open.
    checked(unsafe { TerminateProcess(process.as_raw_handle(), 1) })
}

/// Ends this program at once, with exit code 1.
#[cfg(feature = "fault")]
pub(super) fn terminate_self() {
    // SAFETY: the call takes no pointers, and what it returns always means this process.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: that handle needs no opening and can't be closed.
    unsafe { TerminateProcess(this, 1) };
}

/// Returns the full path of the program that `process` runs. On a volume without a Win32 name, such
/// as some RAM disks and encrypted drives, it is the kernel's own path.
///
/// # Errors
/// Whatever the system reports.
pub(super) fn image_path(process: BorrowedHandle<'_>) -> io::Result<String> {
    image_path_as(process, PROCESS_NAME_WIN32)
        .or_else(|_| image_path_as(process, PROCESS_NAME_NATIVE))
}

/// Source: <https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-queryfullprocessimagenamew>
fn image_path_as(process: BorrowedHandle<'_>, form: PROCESS_NAME_FORMAT) -> io::Result<String> {
    let mut buffer = vec![0; 32 * 1024];
    let mut length = 32 * 1024;
    // SAFETY: the borrow keeps the handle open, and `buffer` has room for `length` units.
    let ok = unsafe {
        QueryFullProcessImageNameW(process.as_raw_handle(), form, buffer.as_mut_ptr(), &mut length)
    };
    checked(ok)?;
    Ok(text(&buffer, length))
}

/// Fills `bytes` with random ones.
///
/// # Errors
/// Whatever the system reports.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/bcrypt/nf-bcrypt-bcryptgenrandom>
pub(crate) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let how = BCRYPT_USE_SYSTEM_PREFERRED_RNG;
    // SAFETY: `bytes` has room for `length` bytes, and no algorithm is asked for.
    match unsafe { BCryptGenRandom(ptr::null_mut(), bytes.as_mut_ptr(), length, how) } {
        0 => Ok(()),
        status => Err(io::Error::other(format!("no random bytes: status {status:#x}"))),
    }
}

/// Compares names as the system does, whatever their case.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/stringapiset/nf-stringapiset-comparestringordinal>
pub(super) fn compare_names(one: &OsStr, other: &OsStr) -> Ordering {
    let (one, other): (Vec<u16>, Vec<u16>) =
        (one.encode_wide().collect(), other.encode_wide().collect());
    let length = |text: &[u16]| i32::try_from(text.len()).unwrap_or(i32::MAX);
    // SAFETY: both texts live during the call and have the lengths that are given.
    let found = unsafe {
        CompareStringOrdinal(one.as_ptr(), length(&one), other.as_ptr(), length(&other), TRUE)
    };
    match found {
        CSTR_LESS_THAN => Ordering::Less,
        CSTR_GREATER_THAN => Ordering::Greater,
        CSTR_EQUAL => Ordering::Equal,
        // Not for texts of this length.
        _ => one.cmp(&other),
    }
}

/// Turns the result of a call that returns zero on failure into a `Result`.
pub(super) fn checked(ok: i32) -> io::Result<()> {
    if ok == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns `text` in UTF-16 with a terminating zero.
pub(super) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn text(buffer: &[u16], length: u32) -> String {
    let length = usize::try_from(length).unwrap_or(0).min(buffer.len());
    String::from_utf16_lossy(&buffer[..length])
}

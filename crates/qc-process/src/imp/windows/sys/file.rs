//! What the system says of an open file, and its lock.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};

use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, ERROR_LOCK_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, GetFileInformationByHandle, LOCKFILE_EXCLUSIVE_LOCK,
    LOCKFILE_FAIL_IMMEDIATELY, LockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::checked;

/// Returns in how many folders, and under how many names, `file` stands.
///
/// # Errors
/// Whatever the system reports.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getfileinformationbyhandle>
pub(in crate::imp::windows) fn link_count(file: BorrowedHandle<'_>) -> io::Result<u32> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the borrow keeps the handle open, and the out-pointer is a live local.
    checked(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut found) })?;
    Ok(found.nNumberOfLinks)
}

/// Returns which file or folder of which volume `file` is, whatever its name.
///
/// # Errors
/// Whatever the system reports.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/fileapi/ns-fileapi-by_handle_file_information>
pub(in crate::imp::windows) fn volume_and_index(
    file: BorrowedHandle<'_>,
) -> io::Result<(u32, u64)> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the borrow keeps the handle open, and the out-pointer is a live local.
    checked(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut found) })?;
    let index = u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow);
    Ok((found.dwVolumeSerialNumber, index))
}

/// Locks the first byte of `file` for this process alone; `false` if another one has it.
///
/// # Errors
/// Whatever the system reports.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-lockfileex>
pub(in crate::imp::windows) fn lock_first_byte(file: BorrowedHandle<'_>) -> io::Result<bool> {
    let mut nowhere = OVERLAPPED::default();
    let how = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    // SAFETY: the borrow keeps the handle open, and `nowhere` is a live local that a call which does
    // not wait is done with.
    let ok = unsafe { LockFileEx(file.as_raw_handle(), how, 0, 1, 0, &mut nowhere) };
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(i32::cast_unsigned) {
        _ if ok != 0 => Ok(true),
        Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING) => Ok(false),
        _ => Err(error),
    }
}

//! Which process has started which, as the system's process list tells.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};

/// Returns the pids of all processes, with those of their parents.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/tlhelp32/nf-tlhelp32-process32firstw>
pub(super) fn parents() -> io::Result<Vec<(u32, u32)>> {
    // SAFETY: the call takes no pointers.
    let handle = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just opened and nothing else owns it.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(handle) };
    let size = u32::try_from(size_of::<PROCESSENTRY32W>()).unwrap_or(0);
    let mut entry = PROCESSENTRY32W { dwSize: size, ..PROCESSENTRY32W::default() };
    let mut found = Vec::new();
    // SAFETY: `snapshot` keeps the handle open, and `entry` is a live local with its size set.
    let mut is_there = unsafe { Process32FirstW(snapshot.as_raw_handle(), &mut entry) } != 0;
    while is_there {
        found.push((entry.th32ProcessID, entry.th32ParentProcessID));
        // SAFETY: as above.
        is_there = unsafe { Process32NextW(snapshot.as_raw_handle(), &mut entry) } != 0;
    }
    Ok(found)
}

//! Handles that another process is given: its share of a guard, or a job that it keeps open.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{
    DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::super::sys;

/// A handle in another process that this one has put there.
#[derive(Debug)]
pub(in crate::imp::windows) struct Given(usize);

/// Gives another process its share of a guard: what it has open, it holds.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-duplicatehandle>
pub(in crate::imp::windows) fn hand_to(
    handle: BorrowedHandle<'_>,
    child: BorrowedHandle<'_>,
) -> io::Result<Given> {
    let mut theirs: HANDLE = ptr::null_mut();
    // SAFETY: the call takes no pointers, and what it returns always means this process.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: both handles are open, and the out-pointer is a live local. The new handle is the child's,
    // and closed with it.
    let ok = unsafe {
        DuplicateHandle(
            this,
            handle.as_raw_handle(),
            child.as_raw_handle(),
            &mut theirs,
            0,
            0,
            DUPLICATE_SAME_ACCESS,
        )
    };
    sys::checked(ok).map(|()| Given(theirs.addr()))
}

/// Takes back what `child` was given.
pub(in crate::imp::windows) fn take_back(
    given: &Given,
    child: BorrowedHandle<'_>,
) -> io::Result<()> {
    let theirs: HANDLE = ptr::without_provenance_mut(given.0);
    let mut ours: HANDLE = ptr::null_mut();
    // SAFETY: the call takes no pointers, and what it returns always means this process.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: the child's handle was made for it alone, so nothing of the child's own is closed. The
    // out-pointer is a live local.
    let ok = unsafe {
        DuplicateHandle(
            child.as_raw_handle(),
            theirs,
            this,
            &mut ours,
            0,
            0,
            DUPLICATE_CLOSE_SOURCE | DUPLICATE_SAME_ACCESS,
        )
    };
    sys::checked(ok)?;
    // SAFETY: the handle was just made and nothing else owns it. It is closed at once.
    drop(unsafe { OwnedHandle::from_raw_handle(ours) });
    Ok(())
}

//! Events of a desktop: windows are shown and closed, consoles close, users log off, machines shut
//! down. Only for Windows.

use std::io;
use std::mem;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{FARPROC, HWND};
use windows_sys::Win32::System::Console::{
    CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::{
    CreateRemoteThread, OpenProcess, PROCESS_CREATE_THREAD, PROCESS_QUERY_INFORMATION,
    PROCESS_VM_OPERATION, PROCESS_VM_READ, PROCESS_VM_WRITE,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, FindWindowExW, GetMessageW, GetWindowThreadProcessId, MSG, SendMessageW,
    SendNotifyMessageW, WINDOW_STYLE, WM_CLOSE, WM_ENDSESSION, WM_QUERYENDSESSION,
    WS_OVERLAPPEDWINDOW, WS_VISIBLE,
};
use windows_sys::core::{s, w};

/// Whether windows can be made; where there is no desktop they can't.
pub fn has_desktop() -> bool {
    !make_window(0).is_null()
}

/// Shows a window, calls `shown`, and returns when the window is asked to close.
///
/// # Panics
/// If no window can be made.
pub fn show_window(shown: impl FnOnce()) {
    assert!(!make_window(WS_OVERLAPPEDWINDOW | WS_VISIBLE).is_null(), "no window can be made");
    shown();
    let mut message = MSG::default();
    while message.message != WM_CLOSE {
        // SAFETY: the out-pointer is a live local.
        let got = unsafe { GetMessageW(&mut message, ptr::null_mut(), 0, 0) };
        assert!(got > 0, "the window gets no messages");
    }
}

/// Makes a window that lives as long as the thread; null if that fails.
fn make_window(style: WINDOW_STYLE) -> HWND {
    let (name, none) = (w!("a program of the tests"), ptr::null_mut());
    // SAFETY: the names are constants that end in zero; the rest may be null.
    unsafe {
        CreateWindowExW(0, w!("STATIC"), name, style, 0, 0, 200, 100, none, none, none, ptr::null())
    }
}

/// The event that ends a program together with its surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The window of its console is closed.
    Console,
    /// The user logs off.
    LogOff,
    /// The machine shuts down.
    ShutDown,
}

impl Closing {
    /// Lets the system tell a program's handlers of it: on a thread in that program, as the system
    /// does, with the function of the system that calls the handlers.
    ///
    /// # Errors
    /// If the system does not offer that function, or refuses the thread.
    pub fn tell(self, pid: u32) -> io::Result<()> {
        let event = match self {
            Self::Console => CTRL_CLOSE_EVENT,
            Self::LogOff => CTRL_LOGOFF_EVENT,
            Self::ShutDown => CTRL_SHUTDOWN_EVENT,
        };
        // SAFETY: the name is a constant that ends in zero.
        let library = unsafe { GetModuleHandleW(w!("kernelbase")) };
        // SAFETY: the library stays loaded as long as this program runs.
        let found = unsafe { GetProcAddress(library, s!("CtrlRoutine")) };
        let Some(routine) = found else { return Err(io::Error::last_os_error()) };
        let rights = PROCESS_CREATE_THREAD
            | PROCESS_QUERY_INFORMATION
            | PROCESS_VM_OPERATION
            | PROCESS_VM_READ
            | PROCESS_VM_WRITE;
        // SAFETY: the call takes no pointers.
        let process = owned(unsafe { OpenProcess(rights, 0, pid) })?;
        // SAFETY: the function is one that a thread can begin with, and lies at the same address in
        // all programs.
        let routine = unsafe {
            mem::transmute::<FARPROC, Option<unsafe extern "system" fn(*mut _) -> u32>>(Some(
                routine,
            ))
        };
        // SAFETY: the function takes the number of the event in the place of a pointer.
        let thread = unsafe {
            CreateRemoteThread(
                process.as_raw_handle(),
                ptr::null(),
                0,
                routine,
                ptr::without_provenance(event as usize),
                0,
                ptr::null_mut(),
            )
        };
        owned(thread).map(drop)
    }
}

fn owned(handle: *mut std::ffi::c_void) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just made for us.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Tells the windows of a program that the session ends, as the system does: first asks whether it
/// may, then says so. Returns how many windows have agreed; none where the program has no windows.
pub fn end_session(pid: u32) -> usize {
    let windows: Vec<HWND> = windows_of(pid);
    for &window in &windows {
        // SAFETY: the message takes no pointers.
        let agreed = unsafe { SendMessageW(window, WM_QUERYENDSESSION, 0, 0) };
        assert_ne!(agreed, 0, "a window does not let the session end");
    }
    for &window in &windows {
        // SAFETY: the message takes no pointers. There is no wait for the answer, which never comes.
        unsafe { SendNotifyMessageW(window, WM_ENDSESSION, 1, 0) };
    }
    windows.len()
}

/// Returns the top-level windows of a program.
fn windows_of(pid: u32) -> Vec<HWND> {
    let mut windows = Vec::new();
    let mut last = ptr::null_mut();
    loop {
        // SAFETY: no names are given, and a window that is gone ends the search.
        last = unsafe { FindWindowExW(ptr::null_mut(), last, ptr::null(), ptr::null()) };
        if last.is_null() {
            return windows;
        }
        let mut owner = 0;
        // SAFETY: the out-pointer is a live local.
        unsafe { GetWindowThreadProcessId(last, &mut owner) };
        if owner == pid {
            windows.push(last);
        }
    }
}

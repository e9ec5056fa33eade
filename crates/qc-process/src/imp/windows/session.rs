//! The end of the session: the user logs off, or the machine shuts down.
//!
//! Windows tells a console program of neither through its handler once it has loaded `user32.dll`, as
//! this one has, to look at the windows of others. It tells the windows of such a program instead, so
//! there is an invisible one. It also takes WM_CLOSE, as `taskkill` without `/F` sends it.
//!
//! Source: <https://learn.microsoft.com/windows/console/setconsolectrlhandler#remarks>

use std::io;
use std::sync::mpsc;
use std::thread;

use windows_sys::Win32::Foundation::{HWND, LPARAM, LRESULT, WPARAM};
use windows_sys::Win32::System::Shutdown::ShutdownBlockReasonCreate;
use windows_sys::Win32::System::Threading::SetProcessShutdownParameters;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DispatchMessageW, GetMessageW, MSG, RegisterClassW, WM_CLOSE,
    WM_ENDSESSION, WNDCLASSW,
};
use windows_sys::core::{PCWSTR, w};

use super::{console, sys};
use crate::Interrupt;

const CLASS: PCWSTR = w!("qc session");

/// The text that the system shows while it waits.
const REASON: PCWSTR =
    w!("The fleet is being stopped: brains first, then what guards their positions.");

/// The first place in the order in which programs are told; all begin at 0x280.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-setprocessshutdownparameters>
const FIRST: u32 = 0x3ff;

pub(crate) fn watch_session() -> io::Result<()> {
    // SAFETY: the call takes no pointers.
    sys::checked(unsafe { SetProcessShutdownParameters(FIRST, 0) })?;
    let (sender, receiver) = mpsc::channel();
    // Only the thread that has made a window gets its messages.
    thread::Builder::new().name("session".into()).spawn(move || {
        let made = make_window();
        let is_made = made.is_ok();
        // The receiver waits for this.
        let _ = sender.send(made.map(drop));
        if is_made {
            pass_messages();
        }
    })?;
    receiver.recv().unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn make_window() -> io::Result<HWND> {
    let class =
        WNDCLASSW { lpfnWndProc: Some(handle_message), lpszClassName: CLASS, ..Default::default() };
    // SAFETY: `class` is a live local, and its name and function live as long as the program.
    if unsafe { RegisterClassW(&class) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let none = std::ptr::null_mut();
    // SAFETY: the class and the name are constants that end in zero; the rest may be null.
    let window = unsafe {
        CreateWindowExW(0, CLASS, CLASS, 0, 0, 0, 0, 0, none, none, none, std::ptr::null())
    };
    if window.is_null() { Err(io::Error::last_os_error()) } else { Ok(window) }
}

/// Gives each message to `handle_message`, for as long as the program runs.
fn pass_messages() {
    let mut message = MSG::default();
    // SAFETY: the out-pointer is a live local.
    while unsafe { GetMessageW(&mut message, std::ptr::null_mut(), 0, 0) } > 0 {
        // SAFETY: the message is one that the system has just filled in.
        unsafe { DispatchMessageW(&message) };
    }
}

unsafe extern "system" fn handle_message(
    window: HWND,
    message: u32,
    wide: WPARAM,
    long: LPARAM,
) -> LRESULT {
    match message {
        // Zero says that the session goes on after all. To return would say that the program may be
        // ended.
        WM_ENDSESSION if wide != 0 => {
            // Without it the user sees a program that does not answer, and may end it.
            let _ = give_reason(window);
            console::heard(Interrupt::Close);
            0
        }
        WM_CLOSE => {
            console::heard(Interrupt::Terminate);
            0
        }
        // SAFETY: these are the arguments as the system has given them.
        _ => unsafe { DefWindowProcW(window, message, wide, long) },
    }
}

/// Shows the user what the end of the session waits for.
///
/// # Errors
/// Whatever the system reports; Wine shows nothing.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/winuser/nf-winuser-shutdownblockreasoncreate>
fn give_reason(window: HWND) -> io::Result<()> {
    // SAFETY: the window is this thread's, and the text is a constant that ends in zero.
    sys::checked(unsafe { ShutdownBlockReasonCreate(window, REASON) })
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::System::Shutdown::ShutdownBlockReasonQuery;
    use windows_sys::Win32::System::Threading::GetProcessShutdownParameters;

    use super::*;

    #[test]
    fn who_watches_is_told_first() {
        // Without a desktop there is no window, but the place is taken.
        let _ = watch_session();
        let (mut level, mut flags) = (0, 0);
        // SAFETY: both out-pointers are live locals.
        assert_ne!(unsafe { GetProcessShutdownParameters(&mut level, &mut flags) }, 0);
        assert_eq!(level, FIRST);
    }

    #[test]
    fn the_user_sees_what_the_end_of_the_session_waits_for() {
        let Ok(window) = make_window() else {
            eprintln!("NOT TESTED here: the reason for a late end of the session: no window");
            return;
        };
        if let Err(error) = give_reason(window) {
            // Wine has no such call.
            eprintln!("NOT TESTED here: the reason for a late end of the session: {error}");
            return;
        }
        let mut length = 0;
        // SAFETY: without a buffer, the call only writes the length, a live local.
        unsafe { ShutdownBlockReasonQuery(window, std::ptr::null_mut(), &mut length) };
        assert!(length > 0, "{length}");
    }
}

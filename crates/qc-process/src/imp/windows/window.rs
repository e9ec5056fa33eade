//! Asking programs that have windows.

use std::collections::HashMap;
use std::io;

use windows_sys::Win32::Foundation::{HWND, LPARAM, TRUE};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    EnumWindows, GetClassNameW, GetWindowThreadProcessId, IsWindowVisible, PostMessageW, WM_CLOSE,
};

use super::sys;
use crate::Process;

/// The windows of consoles. Windows names a program at the console as the owner, but to close such a
/// window ends everybody there after some seconds, however busy: a console is asked with Ctrl-C.
///
/// Source: <https://github.com/microsoft/terminal/issues/11823>
const CONSOLES: [&str; 2] = ["ConsoleWindowClass", "PseudoConsoleWindow"];

/// The result of asking a program through its windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Windows {
    /// A window that can be seen was asked. Hidden ones are helpers of libraries, which may take the
    /// message for nothing that concerns their program.
    pub(super) asked: bool,
    /// Windows does not let this program send messages to one that runs elevated.
    pub(super) denied: bool,
}

/// Posts WM_CLOSE to every top-level window of `processes`; returns what came of it, by pid.
pub(super) fn close_all(processes: &[&Process]) -> HashMap<u32, Windows> {
    let mut windows: HashMap<u32, Windows> =
        processes.iter().map(|process| (process.identity().pid, Windows::default())).collect();
    let argument: LPARAM = std::ptr::from_mut(&mut windows) as LPARAM;
    // SAFETY: `close_if_theirs` gets `argument` during this call only, while `windows` is alive and
    // used by nothing else.
    unsafe { EnumWindows(Some(close_if_theirs), argument) };
    windows
}

unsafe extern "system" fn close_if_theirs(window: HWND, argument: LPARAM) -> i32 {
    let mut pid = 0;
    // SAFETY: the out-pointer is a live local; a window that is gone leaves 0.
    unsafe { GetWindowThreadProcessId(window, &mut pid) };
    // SAFETY: `argument` is the map that `close_all` passes, borrowed by nothing else.
    let windows = unsafe { &mut *(argument as *mut HashMap<u32, Windows>) };
    if let Some(found) = windows.get_mut(&pid)
        && !is_console(&class(window))
    {
        // SAFETY: the call takes no pointers.
        let is_visible = unsafe { IsWindowVisible(window) } != 0;
        // SAFETY: posting copies its plain arguments.
        match sys::checked(unsafe { PostMessageW(window, WM_CLOSE, 0, 0) }) {
            Ok(()) => found.asked |= is_visible,
            Err(error) => found.denied |= error.kind() == io::ErrorKind::PermissionDenied,
        }
    }
    TRUE
}

/// Returns the name of a window's class; nothing for one that is gone.
fn class(window: HWND) -> String {
    let mut name = [0; 256];
    // SAFETY: `name` has room for 256 characters.
    let length = unsafe { GetClassNameW(window, name.as_mut_ptr(), 256) };
    String::from_utf16_lossy(&name[..usize::try_from(length).unwrap_or(0)])
}

fn is_console(class: &str) -> bool {
    CONSOLES.contains(&class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_no_window_to_be_closed() {
        assert!(is_console("ConsoleWindowClass") && is_console("PseudoConsoleWindow"));
        assert!(!is_console("MetaQuotes::MetaTrader::5.00") && !is_console(""));
    }
}

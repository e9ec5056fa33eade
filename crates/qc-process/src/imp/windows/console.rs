//! This program's console: what is heard there, and who sits at it.

use std::io;
use std::os::windows::io::AsHandle;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::TRUE;
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, GenerateConsoleCtrlEvent, GetConsoleProcessList,
    SetConsoleCtrlHandler,
};

use super::sys;
use crate::Interrupt;

/// Returns how the console behind standard output is set, if there is one.
pub(crate) fn output_mode() -> Option<u32> {
    sys::console_mode(io::stdout().as_handle()).ok()
}

/// Where the console is gone, nothing is to be set.
pub(crate) fn set_output_mode(mode: u32) {
    let _ = sys::set_console_mode(io::stdout().as_handle(), mode);
}

type Act = Box<dyn Fn(Interrupt) + Send + Sync>;

static ACT: OnceLock<Act> = OnceLock::new();

/// How long an event takes at most from one program of a console to another.
const ECHO_TIMEOUT: Duration = Duration::from_millis(500);

/// Ctrl-C events that this program is about to send into its own console.
static OWN_ECHOES: AtomicU32 = AtomicU32::new(0);

pub(crate) fn on_interrupt(act: Act) -> io::Result<()> {
    ACT.set(act).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
    listen()
}

/// Expects one Ctrl-C event that this program lets be sent into its own console.
pub(super) fn expect_echo() -> io::Result<()> {
    listen()?;
    OWN_ECHOES.store(1, Ordering::Relaxed);
    Ok(())
}

/// Expects no such event any more: what comes from now on is the user's. One that was `sent` is given
/// a moment to arrive.
pub(super) fn end_echo(sent: bool) {
    let deadline = Instant::now() + ECHO_TIMEOUT;
    while sent && OWN_ECHOES.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    OWN_ECHOES.store(0, Ordering::Relaxed);
}

fn listen() -> io::Result<()> {
    static LISTENING: OnceLock<bool> = OnceLock::new();
    // SAFETY: `handle_event` is a function that lives as long as the program.
    let set =
        *LISTENING.get_or_init(|| unsafe { SetConsoleCtrlHandler(Some(handle_event), TRUE) } != 0);
    if set { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs on a thread that Windows makes for the event. To return from a close event ends the
/// program, so that case waits for the program to end by itself.
unsafe extern "system" fn handle_event(event: u32) -> i32 {
    let is_echo = || {
        OWN_ECHOES
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    };
    if event == CTRL_C_EVENT && is_echo() {
        return 1;
    }
    let interrupt = match event {
        CTRL_C_EVENT => Interrupt::CtrlC,
        CTRL_BREAK_EVENT => Interrupt::Terminate,
        _ => Interrupt::Close,
    };
    // Without a listener the next handler decides, which is the system's and ends the program.
    i32::from(heard(interrupt))
}

/// Tells the listener of `interrupt`; `false` if there is none. Does not return after
/// [`Interrupt::Close`].
pub(super) fn heard(interrupt: Interrupt) -> bool {
    let Some(act) = ACT.get() else { return false };
    act(interrupt);
    if interrupt == Interrupt::Close {
        loop {
            thread::park();
        }
    }
    true
}

pub(crate) fn press_ctrl_break() -> io::Result<()> {
    if own_console() != [std::process::id()] {
        return Err(io::Error::other("this program is not alone at a console"));
    }
    // SAFETY: the call takes no pointers. Group 0 is everybody, and that is this program.
    sys::checked(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, 0) })
}

/// Returns the pids on this program's console; none if it has no console.
///
/// Source: <https://learn.microsoft.com/windows/console/getconsoleprocesslist>
pub(super) fn own_console() -> Vec<u32> {
    let mut pids = vec![0; 256];
    loop {
        let room = u32::try_from(pids.len()).unwrap_or(u32::MAX);
        // SAFETY: `pids` has room for `room` entries.
        let count = unsafe { GetConsoleProcessList(pids.as_mut_ptr(), room) };
        // Where there are more, nothing is stored, and the call returns how many there are.
        let found = usize::try_from(count).unwrap_or(0);
        let is_stored = found <= pids.len();
        pids.resize(found, 0);
        if is_stored {
            return pids;
        }
    }
}

/// Keeps Ctrl-C away from this program, though not from others at its console.
///
/// # Errors
/// Whatever the system reports.
pub(super) fn ignore_ctrl_c() -> io::Result<()> {
    // SAFETY: without a function, the call only sets this process's wish to ignore Ctrl-C.
    sys::checked(unsafe { SetConsoleCtrlHandler(None, TRUE) })
}

/// Lets children hear Ctrl-C even if this program was started deaf to it, which they would inherit.
pub(super) fn hear_ctrl_c() -> io::Result<()> {
    // SAFETY: without a function, the call only clears this process's wish to ignore Ctrl-C.
    sys::checked(unsafe { SetConsoleCtrlHandler(None, 0) })
}

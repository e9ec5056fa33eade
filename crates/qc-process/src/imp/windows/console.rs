//! Ctrl-C: receiving it, and sending it into another console.

use std::collections::HashMap;
use std::io;
use std::os::windows::io::AsHandle;
use std::os::windows::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use windows_sys::Win32::Foundation::{HWND, LPARAM, TRUE};
use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_BREAK_EVENT, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent,
    GetConsoleProcessList, SetConsoleCtrlHandler,
};
use windows_sys::Win32::System::Threading::{DETACHED_PROCESS, PROCESS_QUERY_LIMITED_INFORMATION};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    EnumWindows, GetWindowThreadProcessId, PostMessageW, WM_CLOSE,
};

use super::sys;
use crate::helper::{self, HELPER};
use crate::{Identity, Interrupt, Process, here, is_terminal};

type Act = Box<dyn Fn(Interrupt) + Send + Sync>;

static ACT: OnceLock<Act> = OnceLock::new();

/// Ctrl-C events that this program is about to send into its own console.
static OWN_ECHOES: AtomicU32 = AtomicU32::new(0);

pub(crate) fn on_interrupt(act: Act) -> io::Result<()> {
    ACT.set(act).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
    listen()
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
    let Some(act) = ACT.get() else { return 0 };
    act(interrupt);
    if interrupt == Interrupt::Close {
        loop {
            std::thread::park();
        }
    }
    1
}

/// Sends WM_CLOSE to the windows of `processes` and Ctrl-C into their consoles; `NotConnected`
/// for those that have neither.
pub(super) fn ask_all(processes: &[&Process]) -> Vec<io::Result<()>> {
    let windows = close_windows(processes);
    let consoles = send_ctrl_c(processes);
    let results = processes.iter().map(|process| {
        let pid = process.identity().pid;
        if windows.get(&pid).is_some_and(|&count| count > 0) {
            return Ok(());
        }
        match &consoles {
            Ok(reached) if reached.contains(&pid) => Ok(()),
            Ok(_) => Err(io::ErrorKind::NotConnected.into()),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    });
    results.collect()
}

/// Lets a helper send the events; returns the pids that it reached.
fn send_ctrl_c(processes: &[&Process]) -> io::Result<Vec<u32>> {
    if !helper::is_ready() {
        return Err(io::Error::other(
            "this program does not call qc_process::helper::run_if_asked",
        ));
    }
    let beside_us = own_console();
    let shared =
        processes.iter().filter(|process| beside_us.contains(&process.identity().pid)).count();
    if shared > 0 {
        listen()?;
        OWN_ECHOES.fetch_add(u32::try_from(shared).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
    let targets = processes.iter().map(|process| {
        let Identity { pid, started, .. } = process.identity();
        format!("{pid}:{started}")
    });
    let output = Command::new(std::env::current_exe()?)
        .arg(HELPER)
        .args(targets)
        .creation_flags(DETACHED_PROCESS)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    let reached = String::from_utf8_lossy(&output.stdout);
    Ok(reached.lines().filter_map(|line| line.trim().parse().ok()).collect())
}

/// The helper: visits the console of each `pid:started`, and prints the pids it reached.
pub(crate) fn run_helper(args: impl Iterator<Item = String>) -> i32 {
    // The event reaches everybody on the visited console, this helper too.
    // SAFETY: without a function, the call only sets this process to ignore Ctrl-C.
    unsafe { SetConsoleCtrlHandler(None, TRUE) };
    let mut visited: Vec<u32> = Vec::new();
    for target in args {
        let Some((pid, started)) = target.split_once(':') else { return 2 };
        let (Ok(pid), Ok(started)) = (pid.parse(), started.parse()) else { return 2 };
        // Several targets can share a console, as a stub and its interpreter do; one event is enough.
        if visited.contains(&pid)
            || visit(&Identity { pid, started, boot_id: here().boot_id.clone() }, &mut visited)
        {
            println!("{pid}");
        }
    }
    0
}

/// Sends Ctrl-C into the console of the process; `false` if it has none.
fn visit(identity: &Identity, visited: &mut Vec<u32>) -> bool {
    // Held open during the visit, so that the pid can't come to mean another process.
    let Ok(Some(_process)) = super::open_process(identity) else { return false };
    // SAFETY: the call takes no pointers; failing for want of a console is as good.
    unsafe { FreeConsole() };
    // SAFETY: the call takes no pointers.
    if unsafe { AttachConsole(identity.pid) } == 0 {
        return false;
    }
    let neighbours = own_console();
    // A trading terminal has windows and no console. One that sits here all the same would hear
    // the event, too: then nobody is asked.
    let sent = !neighbours.iter().any(|&pid| is_terminal_process(pid)) && send_to_all();
    if sent {
        visited.extend(neighbours);
    }
    // SAFETY: the call takes no pointers.
    unsafe { FreeConsole() };
    sent
}

/// Sends Ctrl-C to everybody on the attached console.
fn send_to_all() -> bool {
    // SAFETY: the call takes no pointers. Group 0 is everybody.
    unsafe { GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) != 0 }
}

fn is_terminal_process(pid: u32) -> bool {
    let process = sys::open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION);
    process
        .and_then(|process| sys::image_path(process.as_handle()))
        .is_ok_and(|image| is_terminal(&image))
}

/// Returns the pids on this program's console; none if it has no console.
fn own_console() -> Vec<u32> {
    let mut pids = vec![0; 256];
    // SAFETY: `pids` has room for 256 entries.
    let count = unsafe { GetConsoleProcessList(pids.as_mut_ptr(), 256) };
    pids.truncate(usize::try_from(count).unwrap_or(0).min(256));
    pids
}

/// Posts WM_CLOSE to every top-level window of `processes`; returns the number of windows by pid.
fn close_windows(processes: &[&Process]) -> HashMap<u32, u32> {
    let mut windows: HashMap<u32, u32> =
        processes.iter().map(|process| (process.identity().pid, 0)).collect();
    let argument: LPARAM = std::ptr::from_mut(&mut windows) as LPARAM;
    // SAFETY: `close_if_ours` gets `argument` during this call only, while `windows` is alive and
    // used by nothing else.
    unsafe { EnumWindows(Some(close_if_ours), argument) };
    windows
}

unsafe extern "system" fn close_if_ours(window: HWND, argument: LPARAM) -> i32 {
    let mut pid = 0;
    // SAFETY: the out-pointer is a live local; a window that is gone leaves 0.
    unsafe { GetWindowThreadProcessId(window, &mut pid) };
    // SAFETY: `argument` is the map that `close_windows` passes, borrowed by nobody else.
    let windows = unsafe { &mut *(argument as *mut HashMap<u32, u32>) };
    if let Some(count) = windows.get_mut(&pid) {
        // SAFETY: posting copies its plain arguments.
        if unsafe { PostMessageW(window, WM_CLOSE, 0, 0) } != 0 {
            *count += 1;
        }
    }
    TRUE
}

/// Lets children hear Ctrl-C even if this program was started deaf to it, which they would inherit.
pub(super) fn hear_ctrl_c() -> io::Result<()> {
    // SAFETY: without a function, the call only clears this process's wish to ignore Ctrl-C.
    sys::checked(unsafe { SetConsoleCtrlHandler(None, 0) })
}

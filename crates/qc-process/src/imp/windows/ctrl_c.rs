//! Asking processes to stop: Ctrl-C into their consoles, sent by a helper, and WM_CLOSE to their
//! windows.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::os::windows::io::AsHandle;
use std::os::windows::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::TRUE;
use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
};
use windows_sys::Win32::System::Threading::{DETACHED_PROCESS, PROCESS_QUERY_LIMITED_INFORMATION};

use super::console::{expect_echoes, own_console};
use super::{sys, window};
use crate::fault::point;
use crate::helper::{self, HELPER};
use crate::{Identity, Process, here, is_terminal};

/// How long the helper may take for one console. One that does not answer must not keep the
/// others from being asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take to be gone once it was ended, in milliseconds.
const LEAVING: u32 = 1000;

/// After so many consoles that do not answer, the rest is not asked either.
const MOST_STUCK: usize = 2;

/// What came of visiting a process's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    /// Everybody there was sent Ctrl-C.
    Reached,
    /// It has no console, or a terminal sits there.
    NotReached,
    /// The console did not answer.
    Stuck,
}

/// Sends WM_CLOSE to the windows of `processes` and Ctrl-C into their consoles; `NotConnected`
/// for those that have neither.
pub(super) fn ask_all(processes: &[&Process]) -> Vec<io::Result<()>> {
    let windows = window::close_all(processes);
    let consoles = send_ctrl_c(processes);
    let results = processes.iter().map(|process| {
        let pid = process.identity().pid;
        if windows.get(&pid).is_some_and(|&count| count > 0) {
            return Ok(());
        }
        match &consoles {
            Ok(visits) => match visits.get(&pid) {
                Some(Visit::Reached) => Ok(()),
                Some(Visit::NotReached) => Err(io::ErrorKind::NotConnected.into()),
                Some(Visit::Stuck) | None => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "its console does not answer, so it is killed at the deadline",
                )),
            },
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    });
    results.collect()
}

/// Lets helpers visit the consoles, one after the other; returns what came of it, by pid.
fn send_ctrl_c(processes: &[&Process]) -> io::Result<HashMap<u32, Visit>> {
    if !helper::is_ready() {
        return Err(io::Error::other(
            "this program does not call qc_process::helper::run_if_asked",
        ));
    }
    let beside_us = own_console();
    let shared = processes.iter().filter(|one| beside_us.contains(&one.identity().pid)).count();
    if shared > 0 {
        expect_echoes(shared)?;
    }
    let mut left: Vec<&Identity> = processes.iter().map(|process| process.identity()).collect();
    let mut visits = HashMap::new();
    for _ in 0..=MOST_STUCK {
        if left.is_empty() {
            break;
        }
        visit_all(&left, &mut visits)?;
        left.retain(|one| !visits.contains_key(&one.pid));
    }
    Ok(visits)
}

/// Lets one helper visit the consoles of `targets`, until it has, or one does not answer.
fn visit_all(targets: &[&Identity], visits: &mut HashMap<u32, Visit>) -> io::Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(HELPER)
        .args(targets.iter().map(|Identity { pid, started, .. }| format!("{pid}:{started}")))
        .creation_flags(DETACHED_PROCESS)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (sender, lines) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // Who does not wait any more does not miss it.
            lines.for_each(|line| drop(sender.send(line)));
        });
    }
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        let Some((word, pid)) = line.trim().split_once(' ') else { continue };
        let visit = match word {
            REACHED => Visit::Reached,
            NOT_REACHED => Visit::NotReached,
            // Until more is said.
            _ => Visit::Stuck,
        };
        visits.extend(pid.parse::<u32>().ok().map(|pid| (pid, visit)));
    }
    // It has ended, or waits for a console. One that does not go keeps nobody waiting, either.
    let _ = child.kill();
    sys::wait_for_any(&[child.as_handle()], LEAVING)
}

/// What a helper prints before a pid.
const VISITS: &str = "visits";
const REACHED: &str = "reached";
const NOT_REACHED: &str = "not-reached";

/// The helper: visits the console of each `pid:started`, and prints which pids it reached.
pub(crate) fn run_helper(args: impl Iterator<Item = String>) -> i32 {
    // The event reaches everybody on the visited console, this helper too.
    // SAFETY: without a function, the call only sets this process to ignore Ctrl-C.
    unsafe { SetConsoleCtrlHandler(None, TRUE) };
    let mut visited: Vec<u32> = Vec::new();
    for target in args {
        let Some((pid, started)) = target.split_once(':') else { return 2 };
        let (Ok(pid), Ok(started)) = (pid.parse(), started.parse()) else { return 2 };
        // Several targets can share a console, as a stub and its interpreter do; one event is enough.
        if visited.contains(&pid) {
            continue;
        }
        println!("{VISITS} {pid}");
        let neighbours = visit(&Identity { pid, started, boot_id: here().boot_id.clone() });
        if !neighbours.contains(&pid) {
            println!("{NOT_REACHED} {pid}");
        }
        for pid in &neighbours {
            println!("{REACHED} {pid}");
        }
        visited.extend(neighbours);
        // SAFETY: the call takes no pointers; failing for want of a console is as good.
        unsafe { FreeConsole() };
    }
    0
}

/// Sends Ctrl-C into the console of the process, and stays there; returns who sits there, none if
/// nobody was sent it.
fn visit(identity: &Identity) -> Vec<u32> {
    // Held open during the visit, so that the pid can't come to mean another process.
    let Ok(Some(_process)) = super::open_process(identity) else { return Vec::new() };
    point("visit console");
    // SAFETY: the call takes no pointers; failing for want of a console is as good.
    unsafe { FreeConsole() };
    // SAFETY: the call takes no pointers.
    if unsafe { AttachConsole(identity.pid) } == 0 {
        return Vec::new();
    }
    let mut neighbours = own_console();
    // A trading terminal has windows and no console. One that sits here all the same would hear
    // the event, too: then nobody is asked.
    if neighbours.iter().any(|&pid| is_terminal_process(pid)) || !send_to_all() {
        neighbours.clear();
    }
    neighbours
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

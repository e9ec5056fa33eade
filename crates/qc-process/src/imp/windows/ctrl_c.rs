//! Asking processes to stop: Ctrl-C into their consoles, sent by a helper, and WM_CLOSE to their
//! windows.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::windows::io::AsHandle;
use std::os::windows::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent,
};
use windows_sys::Win32::System::Threading::{DETACHED_PROCESS, PROCESS_QUERY_LIMITED_INFORMATION};

use super::console::{end_echo, expect_echo, ignore_ctrl_c, own_console};
use super::window::{self, Windows};
use super::{spawn, sys};
use crate::fault::point;
use crate::helper::{self, HELPER};
use crate::terminal::spared_paths;
use crate::{Identity, Process, StopError, here, is_terminal, spare_programs};

/// How long the helper may take for one console. One that does not answer must not keep the
/// others from being asked.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to be gone once it was ended, in milliseconds.
const LEAVING: u32 = 1000;

/// After so many consoles that do not answer, the rest is not asked either.
const MOST_STUCK: usize = 2;

/// The result of visiting a process's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    /// Everybody there was sent Ctrl-C.
    Reached,
    /// It has no console.
    NotReached,
    /// Windows does not let this program join the console: its programs run elevated.
    Denied,
    /// This process sits there, too, and is a terminal, or can't be told from one.
    Terminal(u32),
    /// The console did not answer.
    Stuck,
}

/// Sends WM_CLOSE to the windows of `processes` and Ctrl-C into their consoles.
pub(super) fn ask_all(processes: &[&Process]) -> Vec<Result<(), StopError>> {
    let windows = window::close_all(processes);
    let consoles = send_ctrl_c(processes);
    let answer = |process: &&Process| {
        let pid = process.identity().pid;
        let windows = windows.get(&pid).copied().unwrap_or_default();
        let visit = match &consoles {
            Ok(visits) => visits.get(&pid).copied().unwrap_or(Visit::Stuck),
            Err(_) if windows.asked => Visit::Reached,
            Err(error) => {
                let source = io::Error::new(error.kind(), error.to_string());
                return Err(StopError::System { pid, source });
            }
        };
        answer(pid, visit, windows)
    };
    processes.iter().map(answer).collect()
}

/// Decides whether a process was asked, by its console or by its windows, and if not, why.
fn answer(pid: u32, visit: Visit, windows: Windows) -> Result<(), StopError> {
    match visit {
        _ if windows.asked => Ok(()),
        Visit::Reached => Ok(()),
        Visit::Terminal(terminal) => Err(StopError::TerminalAtConsole { pid, terminal }),
        Visit::Denied => Err(StopError::Denied { pid }),
        Visit::Stuck => Err(StopError::Stuck { pid }),
        Visit::NotReached if windows.denied => Err(StopError::Denied { pid }),
        Visit::NotReached => Err(StopError::Unreachable { pid }),
    }
}

/// Lets helpers visit the consoles, one after the other; returns what came of it, by pid.
fn send_ctrl_c(processes: &[&Process]) -> io::Result<HashMap<u32, Visit>> {
    if !helper::is_ready() {
        return Err(io::Error::other(
            "this program does not call qc_process::helper::run_if_asked",
        ));
    }
    let beside_us = own_console();
    let shared: Vec<u32> = (processes.iter().map(|one| one.identity().pid))
        .filter(|pid| beside_us.contains(pid))
        .collect();
    if !shared.is_empty() {
        expect_echo()?;
    }
    let mut visits = HashMap::new();
    let visited = visit_in_turn(processes, &mut visits);
    if !shared.is_empty() {
        end_echo(shared.iter().any(|pid| visits.get(pid) == Some(&Visit::Reached)));
    }
    visited.map(|()| visits)
}

/// Goes on with another helper where one has met a console that does not answer.
fn visit_in_turn(processes: &[&Process], visits: &mut HashMap<u32, Visit>) -> io::Result<()> {
    let mut left: Vec<&Identity> = processes.iter().map(|process| process.identity()).collect();
    for _ in 0..=MOST_STUCK {
        if left.is_empty() {
            break;
        }
        visit_all(&left, visits)?;
        left.retain(|one| !visits.contains_key(&one.pid));
    }
    Ok(())
}

/// Lets one helper visit the consoles of `targets`, until it has, or one does not answer.
fn visit_all(targets: &[&Identity], visits: &mut HashMap<u32, Visit>) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(HELPER)
        .args(targets.iter().map(|Identity { pid, started, .. }| format!("{pid}:{started}")))
        .creation_flags(DETACHED_PROCESS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = spawn::by_itself(&mut command)?;
    if let Some(mut input) = child.stdin.take() {
        // The terminals that only the config knows. A helper that can't be reached visits no process.
        let paths: String = spared_paths().into_iter().map(|path| path + "\n").collect();
        let _ = input.write_all(paths.as_bytes());
    }
    let (sender, lines) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // The receiver may have given up waiting.
            lines.for_each(|line| drop(sender.send(line)));
        });
    }
    while let Ok(line) = lines.recv_timeout(TIMEOUT) {
        visits.extend(parse(&line));
    }
    // It has ended, or waits for a console. One that does not go blocks nothing, either.
    let _ = child.kill();
    sys::wait_for_any(&[child.as_handle()], LEAVING)
}

/// The word that a helper prints before a pid.
const VISITS: &str = "visits";
const REACHED: &str = "reached";
const NOT_REACHED: &str = "not-reached";
const DENIED: &str = "denied";
const TERMINAL: &str = "terminal";

/// Reads a line of a helper: which process, and what came of the visit until more is said.
fn parse(line: &str) -> Option<(u32, Visit)> {
    let mut words = line.split_whitespace();
    let (word, pid) = (words.next()?, words.next()?.parse().ok()?);
    let visit = match word {
        REACHED => Visit::Reached,
        NOT_REACHED => Visit::NotReached,
        DENIED => Visit::Denied,
        TERMINAL => Visit::Terminal(words.next()?.parse().ok()?),
        VISITS => Visit::Stuck,
        _ => return None,
    };
    Some((pid, visit))
}

/// The helper: visits the console of each `pid:started`, and prints what came of it.
pub(crate) fn run_helper(args: impl Iterator<Item = String>) -> i32 {
    let Ok(spared) = io::read_to_string(io::stdin()) else { return 2 };
    spare_programs(spared.lines().map(PathBuf::from));
    let mut visited: Vec<u32> = Vec::new();
    for target in args {
        let Some((pid, started)) = target.split_once(':') else { return 2 };
        let (Ok(pid), Ok(started)) = (pid.parse(), started.parse()) else { return 2 };
        // Several targets can share a console, as a stub and its interpreter do; one event is enough.
        if visited.contains(&pid) {
            continue;
        }
        println!("{VISITS} {pid}");
        match visit(&Identity { pid, started, boot_id: here().boot_id.clone() }) {
            Ok(neighbours) => {
                neighbours.iter().for_each(|pid| println!("{REACHED} {pid}"));
                visited.extend(neighbours);
            }
            Err(Visit::Terminal(terminal)) => println!("{TERMINAL} {pid} {terminal}"),
            Err(Visit::Denied) => println!("{DENIED} {pid}"),
            Err(_) => println!("{NOT_REACHED} {pid}"),
        }
        // SAFETY: the call takes no pointers; failing for want of a console is as good.
        unsafe { FreeConsole() };
    }
    0
}

/// Sends Ctrl-C into the console of the process, and stays there.
///
/// Returns all who sit there, or why nothing was sent.
fn visit(identity: &Identity) -> Result<Vec<u32>, Visit> {
    // Held open during the visit, so that the pid can't come to mean another process.
    let _process = match super::open_process(identity) {
        Ok(Some(process)) => process,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(Visit::Denied),
        Ok(None) | Err(_) => return Err(Visit::NotReached),
    };
    point("visit console");
    // SAFETY: the call takes no pointers; failing for want of a console is as good.
    unsafe { FreeConsole() };
    // SAFETY: the call takes no pointers.
    let joined = sys::checked(unsafe { AttachConsole(identity.pid) });
    joined.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Visit::Denied,
        _ => Visit::NotReached,
    })?;
    let neighbours = own_console();
    if !neighbours.contains(&identity.pid) {
        return Err(Visit::NotReached);
    }
    // A trading terminal has windows and no console. One that sits here all the same would hear
    // the event, too: then no process is asked.
    if let Some(&terminal) = neighbours.iter().find(|&&pid| may_be_terminal(pid)) {
        return Err(Visit::Terminal(terminal));
    }
    // The event reaches everybody here, this helper too; to join a console has reset what it ignores.
    ignore_ctrl_c().map_err(|_| Visit::NotReached)?;
    // SAFETY: the call takes no pointers. Group 0 is everybody.
    let sent = sys::checked(unsafe { GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) });
    sent.map(|()| neighbours).map_err(|_| Visit::NotReached)
}

/// Whether the process is a terminal, or lives and can't be told from one.
fn may_be_terminal(pid: u32) -> bool {
    match sys::open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION) {
        Ok(process) => match sys::image_path(process.as_handle()) {
            Ok(image) => is_terminal(&image),
            Err(_) => !sys::has_ended(process.as_handle()).unwrap_or(false),
        },
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_is_understood_and_nothing_else_is() {
        for (line, expected) in [
            ("visits 12", Some((12, Visit::Stuck))),
            ("reached 12\r", Some((12, Visit::Reached))),
            ("not-reached 12", Some((12, Visit::NotReached))),
            ("denied 12", Some((12, Visit::Denied))),
            ("terminal 12 34", Some((12, Visit::Terminal(34)))),
            ("terminal 12", None),
            ("reached", None),
            ("reached x", None),
            ("hello 12", None),
            ("", None),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn why_a_process_was_not_asked_is_said() {
        let [none, asked, denied] = [(false, false), (true, false), (false, true)]
            .map(|(asked, denied)| Windows { asked, denied });
        let reason = |visit, windows| answer(7, visit, windows).err();
        assert!(reason(Visit::Reached, none).is_none());
        assert!(reason(Visit::NotReached, asked).is_none());
        assert!(reason(Visit::Terminal(9), asked).is_none());
        for (visit, windows) in [(Visit::Denied, none), (Visit::NotReached, denied)] {
            assert!(matches!(reason(visit, windows), Some(StopError::Denied { pid: 7 })));
        }
        assert!(matches!(
            reason(Visit::Terminal(9), none),
            Some(StopError::TerminalAtConsole { pid: 7, terminal: 9 })
        ));
        assert!(matches!(reason(Visit::Stuck, none), Some(StopError::Stuck { .. })));
        assert!(matches!(reason(Visit::NotReached, none), Some(StopError::Unreachable { .. })));
    }
}

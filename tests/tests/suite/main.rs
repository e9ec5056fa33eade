//! The suite as a user sees it: real processes, real kills, on Linux and on Windows.

#![forbid(unsafe_code)]

// Accounts of the config: which are traded, and how they are written.
mod accounts;
// `qc-launch autostart`, with a stand-in for the system's own tool.
mod autostart;
// Broken files, wrong words, odd places: one clear line for each.
mod bad_input;
// No start beside another copy.
mod blocked;
// Programs behind a batch file, `cmd`, a stub or a runner.
#[cfg(windows)]
mod chain;
// The checklist before a start.
mod check;
// Closing windows and consoles, logging off, shutting down.
#[cfg(windows)]
mod closing;
// Manners that all tools share: colours, hints, times, names that hold anything.
mod command_line;
// Which process is which component.
mod components;
// Settings beyond the three kinds of components; secrets stay hidden.
mod config;
// The lock protocol: the same cases for every implementation.
mod conformance;
// A holder is killed at every step of taking and giving back a lock.
mod crash_points;
// `qc-launch drill`, on the system that the tests run on.
mod drill;
// The drop-in `process_lock.py`, as scripts for the old module expect it.
mod drop_in;
// A watchdog stays while a brain of its account runs in another folder.
mod elsewhere;
// The day of a fleet: start, duplicates, crashes, stop.
mod fleet;
// A lock directory with foreign things, links, other users, scanners.
mod lock_dir_faults;
// Signals and limits that a tool inherits from its parent.
#[cfg(unix)]
mod inherited;
// Any contents of a record, a history, a config or a command line.
mod inputs;
// Two contenders, interleaved step by step.
mod interleavings;
// Programs that a run has left behind end before the next run.
mod left_over;
// `qc-ps`: one line for each program that runs.
mod listing;
// `qc-lock`: list, status, clear, history, the old command line.
mod locks;
// `qc-launch logs`, rotation, and a full disk.
mod logs;
// Accounts are held on the whole machine.
mod machine;
// The copy of a folder whose fleet runs in the moved one.
#[cfg(unix)]
mod moved;
// Notifications to a real server and a real command.
mod notify;
// `qc`: one word for the tools.
mod one_word;
// Programs of components: the checklist finds what a start finds.
mod programs;
// A running launcher's log as JSON, notifications, metrics.
mod report;
// `qc-lock run`: the command's own life under a lock.
mod run;
// Brains that something else than a plain `python BRAIN_X.py` runs.
mod runners;
// The drop-in batch files, run by `cmd`.
#[cfg(windows)]
mod scripts;
// Which components a command is for: names, patterns, accounts, roles.
mod selection;
// `qc-shutdown`: what each scope stops and what it leaves.
mod shutdown;
// `qc-shutdown` reports what happened: stages, kills, what was left.
mod shutdown_truth;
// Adoption, control, readiness, heartbeat, the background.
mod supervise;
// Trading terminals are never touched.
mod terminals;
// Support: programs under strace, whose system calls can be made to fail.
mod tracing;
// The views compare the config, the launcher and the process list.
mod view;
// Components whose command is a wrapper: what they run is asked itself.
#[cfg(unix)]
mod wrapped;

use qc_tests::Tools;

/// The tools as they are built with these tests, two folders up from the test program.
///
/// `CARGO_BIN_EXE_stand-in` would name them, too, but a compiler behind a shell script never sees
/// a variable with a hyphen in its name.
fn tools() -> Tools {
    let test = std::env::current_exe().expect("no path of this program");
    let deps = test.parent().expect("a program lies in a folder");
    Tools::of_tests(deps)
}

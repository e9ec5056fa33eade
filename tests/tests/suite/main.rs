//! The suite as a user sees it: real processes, real kills, on Linux and on Windows.

#![forbid(unsafe_code)]

mod accounts;
mod autostart;
mod bad_input;
mod blocked;
#[cfg(windows)]
mod chain;
mod check;
#[cfg(windows)]
mod closing;
mod command_line;
mod components;
mod config;
mod conformance;
mod crash_points;
mod drill;
mod drop_in;
mod fleet;
mod hostile;
#[cfg(unix)]
mod inherited;
mod inputs;
mod interleavings;
mod left_over;
mod listing;
mod locks;
mod logs;
mod machine;
#[cfg(unix)]
mod moved;
mod notify;
mod programs;
mod report;
mod repository;
mod run;
mod runners;
#[cfg(windows)]
mod scripts;
mod shutdown;
mod shutdown_truth;
mod supervise;
mod terminals;
mod tracing;
mod view;
mod words;
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

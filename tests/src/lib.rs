//! Shared parts of the tests and the demo: the tools, a sample fleet, a lock directory with all
//! speakers of its protocol, and programs whose output is awaited line by line.

#![deny(unsafe_code)]

mod contender;
mod deadline;
#[cfg(windows)]
#[expect(unsafe_code, reason = "system calls")]
mod desktop;
mod fault;
mod fleet;
mod lines;
mod link;
mod locks;
mod program;
mod python;
mod random;
mod scanner;
mod screen;
mod suspend;
mod tools;
mod untested;
mod wine;
mod wrapped;

pub use contender::Contender;
#[cfg(windows)]
pub use desktop::{Closing, end_session, has_desktop, show_window};
pub use fault::{DIES, FAULT_VARIABLE, WAITS, arm_fault};
pub use fleet::{ACCOUNTS, SampleFleet, section};
pub use link::link;
pub use locks::{Attempt, SampleLocks, SharedFiles, Speaker};
pub use program::Program;
pub use python::python;
pub use random::{Random, own_account, own_key, random_account, stress_ports};
pub use scanner::Scanner;
pub use screen::Screen;
pub use suspend::{resume, suspend};
pub use tools::{Finished, Tools, copy_program, run};
pub use untested::cannot_test;
pub use wine::is_wine;
pub use wrapped::{WIDTH, is_prose, wrapped};

/// A script that lets other Pythons work for it: its first argument is the start method of
/// `multiprocessing`, its second, if there is one, a terminal to start. It prints `worker PID` and
/// `terminal PID`.
pub const WITH_WORKERS: &str = include_str!("with_workers.py");

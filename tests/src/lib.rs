//! What the tests and the demo share: the tools, a sample fleet, a lock directory with all who
//! speak its protocol, and programs whose output is awaited line by line.

#![forbid(unsafe_code)]

mod contender;
mod fault;
mod fleet;
mod locks;
mod program;
mod python;
mod random;
mod tools;
mod untested;

pub use contender::Contender;
pub use fault::{DIES, FAULT_VARIABLE, WAITS, arm_fault};
pub use fleet::{ACCOUNTS, SampleFleet, section};
pub use locks::{Attempt, SampleLocks, Speaker};
pub use program::Program;
pub use python::python;
pub use random::{Random, stress_ports};
pub use tools::{Finished, Tools, copy_program, run};
pub use untested::cannot_test;

//! What the tests and the demo share: the tools, a sample fleet, and programs whose output is
//! awaited line by line.

#![forbid(unsafe_code)]

mod fleet;
mod program;
mod tools;

pub use fleet::{ACCOUNTS, SampleFleet};
pub use program::Program;
pub use tools::{Finished, Tools, run};

//! Shared parts of the tools that look at a fleet: reading its config, the columns of its components,
//! the question before something is stopped.
//!
//! `qc-lock` does without them and stays small: one runs for each program that is started under a lock.

#![forbid(unsafe_code)]

mod column;
mod no_launcher;
mod origin;
mod prompt;
mod read;
mod selection;

pub use column::{Column, Order, compare};
pub use no_launcher::{no_launcher, runs_elsewhere};
pub use origin::{asking_component, origin};
pub use prompt::{Answer, confirm};
pub use read::{ReadFleet, cannot_look};
pub use selection::{Candidate, SelectionArgs};

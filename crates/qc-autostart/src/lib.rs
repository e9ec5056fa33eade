//! Starting the fleet at log-on: through the Task Scheduler on Windows, the user's systemd on
//! Linux.
//!
//! What is set up is plain text that can be read before: `--print` shows the file and the commands,
//! and nothing else is ever written or run.

#![forbid(unsafe_code)]

mod cli;
mod plan;
mod task;
mod unit;

pub use cli::{AutostartArgs, autostart};
pub use plan::{Facts, Plan, Unsuitable, plan};

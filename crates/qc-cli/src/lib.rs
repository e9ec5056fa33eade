//! Shared parts of all tools: flags, exit codes, messages, tables, and running a command under a lock.
//!
//! It knows nothing of a fleet: what the tools that look at one share is in `qc-fleet-cli`.

#![forbid(unsafe_code)]

mod args;
mod exit;
mod hand_over;
mod hold;
mod output;
mod usage;

pub use args::{ColorChoice, Location, LocationArgs};
pub use exit::{
    Exit, Failure, chain, describe, print_waiting, run_tool, say_waiting_for, warn, warn_text,
};
pub use hand_over::hand_over;
pub use hold::{AccountArg, HoldArgs, hold};
pub use output::{Text, Tone, duration, memory, print_json, table, terminal_width, uses_color};
pub use qc_lock_core::{local_time, parse_duration};
pub use qc_process::{SHUTDOWN_COMMAND, SHUTDOWN_HINT, shown, visible, visible_json};
pub use usage::{parse, parse_command};

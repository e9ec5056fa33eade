//! Shared parts of the tools: flags, exit codes, messages, tables, prompts, and running a command
//! under a lock.

#![forbid(unsafe_code)]

mod args;
mod column;
mod exit;
mod hold;
mod origin;
mod output;
mod prompt;
mod usage;

pub use args::{ColorChoice, Location, LocationArgs};
pub use column::{Column, Order, compare};
pub use exit::{
    Exit, Failure, chain, describe, print_waiting, run_tool, say_waiting_for, warn, warn_text,
};
pub use hold::{AccountArg, HoldArgs, hold};
pub use origin::{asking_component, origin};
pub use output::{Text, Tone, duration, memory, print_json, table, terminal_width, uses_color};
pub use prompt::{Answer, confirm};
pub use qc_fleet::parse_duration;
pub use qc_lock_core::local_time;
pub use qc_process::{SHUTDOWN_COMMAND, SHUTDOWN_HINT, shown, visible, visible_json};
pub use usage::parse;

//! The fleet: what `MASTER_CONFIG.json` says should run, which of the running processes are
//! part of it, and how it is stopped in order.
//!
//! ```
//! use qc_fleet::Fleet;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = tempfile::tempdir()?;
//! let config = root.path().join("MASTER_CONFIG.json");
//! std::fs::write(&config, r#"{"ACCOUNTS": {"ATLAS": {"account": 1234567, "enabled": true}}}"#)?;
//! let fleet = Fleet::load(&config)?;
//! let names: Vec<&str> = fleet.components.iter().map(|component| component.name.as_str()).collect();
//! assert_eq!(names, ["quantum_server", "WATCHDOG_ATLAS", "BRAIN_ATLAS"]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod call;
mod command;
mod component;
mod config;
mod encoding;
mod error;
mod finding;
mod fold;
mod mask;
mod matching;
mod root;
mod snapshot;
mod stop;
mod supervision;
mod terminal;

pub use command::shown_command;
pub use component::{Component, Fleet, Role};
pub use config::Timing;
pub use error::ConfigError;
pub use finding::{Finding, FindingKind, State};
pub use mask::Mask;
pub use matching::{Match, Matcher, Place};
pub use root::{CONFIG_FILE, find_root, same_folder};
pub use snapshot::{Instance, Snapshot};
pub use stop::{Outcome, Progress, Stage, StopPlan, Target, perform};
pub use terminal::{TerminalEntry, terminals};

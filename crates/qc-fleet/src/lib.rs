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

mod build;
mod channel;
pub mod check;
mod command;
mod component;
mod config;
mod encoding;
mod error;
mod evidence;
mod finding;
mod grouping;
mod instance;
mod interpreted;
pub mod launcher;
mod left_over;
mod mask;
mod matching;
mod may_start;
mod named;
mod order;
mod program;
mod reference;
mod root;
mod run_mark;
mod schema;
mod snapshot;
mod starter;
mod stop;
mod supervision;
mod terminal;
mod text;
mod view;

pub use channel::connect_to_launcher;
pub use command::shown_command;
pub use component::{AccountEntry, Component, Fleet, Role, share_terminals, with_scripts};
pub use config::{ConfigWarning, LogSettings, NotifyEvent, NotifySettings, Timing, Variables};
pub use error::ConfigError;
pub use evidence::{Evidence, Untouchable};
pub use finding::{Finding, FindingKind, State, dead_holder_text};
pub use instance::Instance;
pub use left_over::{
    COMPONENT_LOCKS_ID_VARIABLE, COMPONENT_LOCKS_VARIABLE, COMPONENT_VARIABLE, Fate, LeftOver,
    judge_left_over, left_over,
};
pub use mask::Mask;
pub use matching::{Match, Matcher, Place};
pub use may_start::{Beside, Blocked, MayStart, Obstacle, Survey};
pub use named::{is_account, is_named};
pub use program::shown_program;
pub use qc_call::without_false_title;
pub use reference::{Group, Key, Kind, reference};
pub use root::{CONFIG_FILE, find_root, same_folder};
pub use run_mark::run_mark;
pub use schema::schema;
pub use snapshot::{MovedFleet, Snapshot, moved_fleets};
pub use starter::{section_template, template};
pub use stop::{
    CannotBeTold, Exposure, Kept, Outcome, Progress, STOP_ORDER, Scope, Stage, StopMode, StopPlan,
    Stopped, Stopping, Target, perform, perform_at, plan_now, plan_seen, shown_name,
    way_to_stop_in,
};
pub use terminal::{TerminalEntry, terminals};
pub use text::{Secret, Text};
pub use view::{
    ComponentView, FleetView, LastEnd, Launcher, Look, LookError, Past, Row, RowKind, RowLock,
    TreePart, TreePartKind, rfc3339,
};

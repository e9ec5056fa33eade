//! The fleet's logs: where children's output goes, and what the launcher itself says.
//!
//! A child writes into its file itself, through a handle that it was given when it was started, so
//! its output goes on with or without a supervisor. A [`LogJanitor`] cuts files that have grown too
//! large, removes old ones, and keeps `<name>_latest.log` pointing at the newest. A [`Follower`]
//! reads along. The launcher's own log is the [`Journal`].

#![forbid(unsafe_code)]

mod folder;
mod follow;
mod janitor;
mod journal;
mod limiter;
mod name;
mod pace;
mod reader;
mod retention;
mod rotate;
mod utf8;

pub use folder::{Found, LogFolder};
pub use follow::Follower;
pub use janitor::{LogJanitor, Settings};
pub use journal::{Format, Journal, Level, Line, Lines};
pub use name::LogName;
pub use reader::{Added, LogReader};
pub use retention::{Candidate, Retention, plan};
pub use rotate::{Rotated, recover, rotate};
pub use utf8::Utf8;

//! The launcher that stays: starts the fleet, supervises it, and stops it. It is given
//! [`up::Options`], and does not depend on the command line or on any subcommand.

mod adopt;
pub(crate) mod announcement;
pub(crate) mod event_loop;
mod heartbeat;
mod interrupts;
pub(crate) mod look;
pub mod metrics;
pub(crate) mod preflight;
mod readiness;
mod report;
mod start;
pub(crate) mod up;

//! The launcher that stays: starts the fleet, supervises it, and stops it. It is given
//! [`up::Options`], and does not depend on the command line or on any subcommand.

pub(crate) mod event_loop;
mod interrupts;
pub(crate) mod preflight;
mod report;
pub(crate) mod up;

//! The lines by which a launcher in the background reports, to the command that has started it, how
//! the start went.

/// The line for each component that should run and does not: its name, a tab, and the reason.
pub const MISSING: &str = "MISSING ";

/// The line once the state of the fleet no longer changes.
pub const SETTLED: &str = "SETTLED";

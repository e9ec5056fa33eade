//! A component becomes a process under its lock, or a process that runs is taken over; and the
//! signs by which a component shows that it is ready and alive.

#![forbid(unsafe_code)]

mod adopt;
mod heartbeat;
mod listen;
mod look;
mod no_start;
mod readiness;
mod starter;

pub use adopt::{Adopted, Beginning, adopt};
pub use heartbeat::HeartbeatMonitor;
pub use look::Look;
pub use no_start::NoStart;
pub use readiness::ReadinessCheck;
pub use starter::{Begun, Starter, WrapperReport};

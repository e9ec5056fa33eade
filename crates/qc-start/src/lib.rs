//! Starting one component under its lock, and the signs by which it shows that it is ready and alive.

#![forbid(unsafe_code)]

mod heartbeat;
mod listen;
mod no_start;
mod readiness;
mod starter;

pub use heartbeat::HeartbeatMonitor;
pub use no_start::NoStart;
pub use readiness::ReadinessCheck;
pub use starter::{Begun, Starter, WrapperReport};

//! Supervision as a pure state machine: events and the time go in, actions come out. No clock, no
//! process and no file is touched here, so thousands of histories can be simulated in seconds.

#![forbid(unsafe_code)]

mod settings;

pub use settings::{
    Heartbeat, Probe, Pulse, Readiness, RestartDelay, RestartPolicy, RestartWhen, Settings,
    WhenUnguarded,
};

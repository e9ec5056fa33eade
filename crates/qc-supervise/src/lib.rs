//! Supervision as a pure state machine: events and the time go in, actions come out. No clock, no
//! process and no file is touched here, so thousands of histories can be simulated in seconds.
//!
//! ```
//! use std::time::Duration;
//! use qc_supervise::{Action, Event, Exit, Id, Machine, Settings, Spec};
//!
//! let mut machine = Machine::new(vec![Spec::new(Settings::default())], 1);
//! let brain = Id(0);
//! let actions = machine.handle(Event::StartAll, Duration::ZERO);
//! assert_eq!(actions, [Action::Spawn { id: brain, life: 1 }]);
//! machine.handle(Event::Started { id: brain, life: 1 }, Duration::ZERO);
//!
//! // It crashes, and is started again.
//! let crash = Event::Exited { id: brain, life: 1, exit: Exit::Code(1) };
//! let actions = machine.handle(crash, Duration::from_secs(5));
//! assert_eq!(actions.last(), Some(&Action::Spawn { id: brain, life: 2 }));
//! ```

#![forbid(unsafe_code)]

mod agenda;
mod component;
mod event;
mod machine;
mod note;
mod policy;
mod random;
mod settings;
mod spec;
mod start_queue;
mod stop_queue;

pub use component::{State, View};
pub use event::{Action, Change, Event, Exit, Id, NotStarted};
pub use machine::Machine;
pub use note::{Cause, LOCK_HELD, Note, Reason, seconds};
pub use settings::{
    Heartbeat, Probe, Pulse, Readiness, RestartDelay, RestartPolicy, RestartWhen, Settings,
    WhenUnguarded,
};
pub use spec::Spec;

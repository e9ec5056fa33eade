//! Supervision as a pure state machine: events and the time go in, actions come out. No clock, no
//! process and no file is touched here, so thousands of histories can be simulated in seconds.
//!
//! ```
//! use std::time::Duration;
//! use qc_supervise::{Action, Event, Exit, Id, Supervisor, Settings, Spec};
//!
//! let mut supervisor = Supervisor::new(vec![Spec::new(Settings::default())], 1);
//! let brain = Id(0);
//! let actions = supervisor.handle(Event::StartAll, Duration::ZERO);
//! assert_eq!(actions, [Action::Spawn { id: brain, generation: 1 }]);
//! supervisor.handle(Event::Started { id: brain, generation: 1 }, Duration::ZERO);
//!
//! // It crashes, and is started again.
//! let crash = Event::Exited { id: brain, generation: 1, exit: Exit::Code(1) };
//! let actions = supervisor.handle(crash, Duration::from_secs(5));
//! assert_eq!(actions.last(), Some(&Action::Spawn { id: brain, generation: 2 }));
//! ```

#![forbid(unsafe_code)]

mod component;
mod escalation;
mod event;
mod policy;
mod random;
mod settings;
mod spec;
mod start_queue;
mod stop_queue;
mod supervisor;
mod supervisor_event;
mod timers;

pub use component::{State, View};
pub use escalation::{Escalation, StopStep};
pub use event::{Action, Change, Event, Exit, Id, NotStarted};
pub use settings::{
    Heartbeat, HeartbeatSource, Probe, Readiness, RestartDelay, RestartPolicy, RestartWhen,
    Settings, WhenUnguarded,
};
pub use spec::Spec;
pub use supervisor::Supervisor;
pub use supervisor_event::{Cause, LOCK_HELD, Reason, SupervisorEvent, seconds};

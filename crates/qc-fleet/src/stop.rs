//! Stopping in order: the orchestrator, brains, watchdogs, the server. The plan is made from what
//! was seen; performing it touches exactly those processes and nothing else.

mod command;
mod elsewhere;
mod exposure;
mod guarded;
mod now;
mod plan;
mod scope;
mod stopping;
mod target;

use std::time::Duration;

use serde::Serialize;

pub(crate) use command::stop_command;
pub use command::way_to_stop_in;
pub use exposure::Exposure;
pub use now::{plan_now, plan_seen};
pub use plan::{Kept, STOP_ORDER, Stage, StopPlan};
pub use scope::Scope;
pub use stopping::{Progress, StopMode, Stopping};
pub use target::{CannotBeTold, Target, shown_name};

/// How stopping one process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "reason")]
pub enum Outcome {
    /// It had ended before stopping began.
    AlreadyGone,
    /// It ended before it was asked.
    ByItself,
    /// It was asked and ended.
    Stopped,
    /// It was killed at the deadline.
    Killed,
    /// It lives, and the system does not let us touch it; says how.
    Denied(String),
    /// It lives; says why.
    Survived(String),
    /// It was left running, for example because stopping was interrupted; says why.
    Left(String),
    /// It protects what could not be stopped; says what that is.
    Kept(String),
}

/// A process, how stopping it ended, and how long that took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The process.
    pub target: Target,
    /// How it ended.
    pub outcome: Outcome,
    /// The time since it was its turn.
    pub took: Duration,
    /// Why it could not be asked, or not obey, if that is so.
    pub unasked: Option<String>,
}

impl Outcome {
    /// Whether the process may still be there.
    pub fn is_alive(&self) -> bool {
        match self {
            Self::AlreadyGone | Self::ByItself | Self::Stopped | Self::Killed => false,
            Self::Denied(_) | Self::Survived(_) | Self::Left(_) | Self::Kept(_) => true,
        }
    }
}

/// Performs `plan`: stage after stage, in each asks all at once, waits for all at once, and kills
/// at the deadline what is left. Returns each process with how it ended.
///
/// # Errors
/// If the system does not let us wait for processes; nothing was stopped then.
pub fn perform(
    plan: &StopPlan,
    report: &mut dyn FnMut(Progress<'_>),
) -> std::io::Result<Vec<Stopped>> {
    perform_at(plan, StopMode::Escalate, report)
}

/// Performs `plan` at another pace.
///
/// # Errors
/// As [`perform`].
pub fn perform_at(
    plan: &StopPlan,
    mode: StopMode,
    report: &mut dyn FnMut(Progress<'_>),
) -> std::io::Result<Vec<Stopped>> {
    let mut stopping = Stopping::new(report)?;
    stopping.add(plan.targets());
    for stage in &plan.stages {
        stopping.stop(stage.role, mode);
    }
    Ok(stopping.finish())
}

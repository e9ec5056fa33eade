//! Stopping in order: the orchestrator, brains, watchdogs, the server. The plan is made from what
//! was seen; performing it touches exactly those processes and nothing else.

mod elsewhere;
mod guarded;
mod now;
mod plan;
mod scope;
mod stopping;

use std::path::PathBuf;
use std::time::Duration;

use qc_process::{Identity, StopSignal};
use serde::Serialize;

use crate::Role;

pub use now::{plan_now, plan_seen};
pub use plan::{Exposure, Kept, STOP_ORDER, Stage, StopPlan};
pub use scope::Scope;
pub use stopping::{Progress, StopMode, Stopping};

/// One process to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its component.
    pub component: String,
    /// Its role.
    pub role: Role,
    /// The key of its account.
    pub account_key: Option<String>,
    /// Its account.
    pub account: Option<String>,
    /// The folder of its fleet, if that is not this one.
    pub elsewhere: Option<PathBuf>,
    /// The programs that started it and wait for it, the outermost first: they end with it.
    pub wrappers: Vec<u32>,
    /// Whether it is known that no orchestrator looks after it, such as a second copy that
    /// the user started by hand.
    pub is_unmanaged: bool,
    /// Whether it works for the component's own process, which is to end it: it is only asked when
    /// that has ended, or after three quarters of its time.
    pub is_worker: bool,
    /// The program that it is, where it is not the component's own: a helper that the component has
    /// started.
    pub helper: Option<String>,
    /// Whether it is an orchestrator that is a script, such as the old launcher: asked to stop, it
    /// ends its children at once, watchdogs first.
    pub is_scripted: bool,
    /// Its identity.
    pub identity: Identity,
    /// How long it gets to end after it was asked to, before it is killed.
    pub timeout: Duration,
    /// The signal that asks it, where the config names one.
    pub signal: Option<StopSignal>,
}

impl Target {
    /// Returns what to call it in messages, without its PID.
    pub fn shown_name(&self) -> String {
        shown_name(&self.component, self.helper.as_deref())
    }
}

/// Returns what to call a process of `component`; `helper` is its program where it is not the
/// component's own.
pub fn shown_name(component: &str, helper: Option<&str>) -> String {
    helper.map_or_else(|| component.to_owned(), |it| format!("the helper {it} of {component}"))
}

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

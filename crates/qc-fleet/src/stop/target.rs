//! The processes to stop of an instance.

use std::path::PathBuf;
use std::time::Duration;

use qc_call::call_of;
use qc_process::{Identity, ProcessInfo, StopSignal};

use crate::program::shown_program;
use crate::{Fleet, Instance, Role};

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
    /// Why it can't be told to stop its fleet, if it is an orchestrator that can't. It is killed before
    /// what it supervises, because it would start that again.
    pub cannot_be_told: Option<CannotBeTold>,
    /// Its identity.
    pub identity: Identity,
    /// How long it gets to end after it was asked to, before it is killed.
    pub timeout: Duration,
    /// The signal that asks it, where the config names one.
    pub signal: Option<StopSignal>,
}

/// Why an orchestrator can't be told to stop its fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannotBeTold {
    /// It is a script, such as the old launcher: asked to stop, it ends its children at once, watchdogs
    /// first.
    Scripted,
    /// The system has suspended it: it reads no request until it is resumed.
    Suspended,
}

impl CannotBeTold {
    /// Returns why it is killed, as a clause.
    pub fn why_killed(self) -> &'static str {
        match self {
            Self::Scripted => "when asked it ends watchdogs before brains",
            Self::Suspended => "it is suspended and can't be told to stop its fleet",
        }
    }
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

/// Returns the processes to stop of `instance`; `timeout` replaces what the config says.
pub(super) fn targets(
    fleet: &Fleet,
    instance: &Instance,
    timeout: Option<Duration>,
) -> Vec<Target> {
    let configured = fleet.component(&instance.component);
    let signal = configured.and_then(|component| component.stop_signal);
    let configured = configured.map(|component| component.settings.stop_timeout);
    let timeout = timeout.or(configured).unwrap_or(fleet.timing.stop_timeout);
    let target = |process: &ProcessInfo, is_worker: bool| Target {
        component: instance.component.clone(),
        role: instance.role,
        account_key: instance.account_key.clone(),
        account: instance.account.clone(),
        elsewhere: instance.other_root.clone(),
        wrappers: instance.wrappers.iter().map(|one| one.identity.pid).collect(),
        is_unmanaged: instance.supervised == Some(false),
        is_worker,
        helper: is_worker.then(|| shown_program(process)),
        cannot_be_told: cannot_be_told(instance, process),
        identity: process.identity.clone(),
        timeout,
        signal,
    };
    let own = instance.processes.iter().map(|one| target(one, false));
    // An orchestrator's part is stopped by name.
    let workers = instance.workers.iter().filter(|_| instance.role != Role::Orchestrator);
    own.chain(workers.map(|one| target(one, true))).collect()
}

fn cannot_be_told(instance: &Instance, process: &ProcessInfo) -> Option<CannotBeTold> {
    match instance.role == Role::Orchestrator {
        true if call_of(process).is_some() => Some(CannotBeTold::Scripted),
        true if instance.is_suspended => Some(CannotBeTold::Suspended),
        true | false => None,
    }
}

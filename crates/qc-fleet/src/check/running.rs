//! What lives already, and whether a start may take it over. The one place that decides this.

use std::sync::Arc;

use qc_lock_core::{LockEntry, LockState};
use qc_process::SHUTDOWN_COMMAND;

use super::{Check, Subject};
use crate::{Component, Fleet, Instance, Role, Snapshot};

/// Checks what runs beside a start of `components`. With `adopt`, a component that runs once and
/// under its lock is no obstacle: it is supervised from then on.
pub fn running(
    fleet: &Fleet,
    components: &[Arc<Component>],
    snapshot: &Snapshot,
    adopt: bool,
) -> Vec<Check> {
    let own: Vec<&Instance> = snapshot.own().collect();
    let mut checks: Vec<Check> =
        own.iter().map(|instance| judge(instance, &own, components, adopt)).collect();
    let live = snapshot.loose_locks().filter(|lock| lock.state.is_live());
    checks.extend(live.map(|lock| judge_lock(lock, fleet, components, adopt)));
    if checks.is_empty() {
        checks.push(Check::ok(Subject::Running, "nothing of the fleet runs"));
    }
    checks
}

fn judge(
    instance: &Instance,
    all: &[&Instance],
    components: &[Arc<Component>],
    adopt: bool,
) -> Check {
    let stop = format!("run {SHUTDOWN_COMMAND} to stop it safely");
    let subject = Subject::Running;
    let name = &instance.component;
    let pids: Vec<String> = instance.pids().iter().map(ToString::to_string).collect();
    let shown = format!("{name} runs (PID {})", pids.join(", "));
    if instance.role == Role::Orchestrator {
        return Check::error(subject, format!("{shown} and supervises the fleet"), stop);
    }
    let copies = all.iter().filter(|other| other.component.eq_ignore_ascii_case(name)).count();
    if copies > 1 {
        return Check::error(subject, format!("{shown}, one of {copies} copies"), stop);
    }
    if instance.lock.is_none() {
        return Check::error(subject, format!("{shown} without its lock"), stop);
    }
    if !components.iter().any(|one| one.name.as_str().eq_ignore_ascii_case(name)) {
        let text = format!("{shown} and is not among what is to be started");
        return Check::error(subject, text, stop);
    }
    if adopt {
        Check::ok(subject, format!("{shown} under its lock"))
    } else {
        Check::error(subject, format!("{shown} already"), stop)
    }
}

/// Judges a lock whose holder is not known to be a component: a program that does not look like
/// one, or a process of another machine.
fn judge_lock(
    lock: &LockEntry,
    fleet: &Fleet,
    components: &[Arc<Component>],
    adopt: bool,
) -> Check {
    let subject = Subject::Running;
    let pid = lock.pid.map(|pid| format!(" by PID {pid}")).unwrap_or_default();
    let host = lock.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    let text = format!("lock {} is held{pid}{host}", lock.name);
    let is_component =
        components.iter().any(|one| one.name.as_str().eq_ignore_ascii_case(&lock.name));
    let is_orchestrator = lock.name.eq_ignore_ascii_case(fleet.orchestrator.as_str());
    if adopt && is_component && !is_orchestrator && lock.state == LockState::Held {
        return Check::ok(subject, text);
    }
    let advice = "stop its holder, or if it has ended, see `qc-lock list`";
    Check::error(subject, text, advice)
}

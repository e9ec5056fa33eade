//! The processes that run already, as the checklist shows them; [`Beside`] decides.

use std::sync::Arc;

use super::{Check, Subject};
use crate::{Beside, Component, Fleet, LeftOver, Obstacle, Snapshot};

/// Checks what runs beside a start of `components`. With `adopt`, a component that runs once and
/// under its lock is no obstacle: it is supervised from then on.
pub fn running(
    fleet: &Fleet,
    components: &[Arc<Component>],
    snapshot: &Snapshot,
    adopt: bool,
) -> Vec<Check> {
    let survey = Beside::new(fleet, snapshot, |_| false).survey(components);
    let mut checks: Vec<Check> = Vec::new();
    for (_, copy) in &survey.adoptable {
        checks.push(match adopt {
            true => Check::ok(Subject::Running, copy.text()),
            false => judge(copy),
        });
    }
    checks.extend(survey.all_obstacles().map(judge));
    let is_meant = |one: &&LeftOver| {
        components.iter().any(|it| it.name.as_str().eq_ignore_ascii_case(&one.component))
    };
    checks.extend(snapshot.left_behind.iter().filter(is_meant).map(|one| match one.blocks() {
        true => Check::error(Subject::Running, one.behind(), one.way_out()),
        false => Check::warning(Subject::Running, one.behind(), one.way_out()),
    }));
    if checks.is_empty() {
        checks.push(Check::ok(Subject::Running, "nothing of the fleet runs"));
    }
    checks
}

fn judge(obstacle: &Obstacle) -> Check {
    let stop = obstacle.way_out();
    let advice = match (&obstacle.processes[..], obstacle.is_orchestrator) {
        ([], false) => "stop its holder, or if it has ended, see `qc-lock list`",
        (_, true) if !obstacle.is_moved => {
            "see `qc-launch status`; `qc-launch reload` applies a changed config"
        }
        _ => &stop,
    };
    Check::error(Subject::Running, obstacle.text(), advice)
}

#[cfg(test)]
mod tests;

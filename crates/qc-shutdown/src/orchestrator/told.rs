//! The orders that orchestrators have obeyed, so that each is given once.

use std::collections::HashSet;

use qc_fleet::{Role, StopPlan, Target};
use qc_process::Identity;

use super::{Group, orchestrators};

/// The orders that orchestrators have obeyed.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The pids of those that obey.
    pub(crate) pids: Vec<u32>,
    /// Components that the orchestrator of this folder, which runs on, does not start again.
    pub(crate) names: Vec<String>,
    /// The processes that orchestrators were told to stop.
    pub(super) processes: HashSet<Identity>,
    /// Components that the orchestrator of this folder was told not to start, running or not.
    pub(super) withheld: HashSet<String>,
}

impl Told {
    /// Whether the orchestrator of this folder, which runs on, stops `target` without being told again.
    pub(super) fn covers(&self, plan: &StopPlan, target: &Target) -> bool {
        let runs_on = || plan.told.iter().any(|one| one.elsewhere.is_none());
        target.elsewhere.is_none()
            && !target.is_unmanaged
            && self.names.iter().any(|name| name.eq_ignore_ascii_case(&target.component))
            && runs_on()
    }

    /// Returns what the orchestrator of `group` has still to be told, by name: what runs and has its
    /// turn, or, without a turn, what does not run and must not come up.
    pub(super) fn news(
        &mut self,
        plan: &StopPlan,
        group: &Group<'_>,
        turn: Option<Role>,
    ) -> Vec<String> {
        let mut names: Vec<String> = match turn {
            Some(role) => plan
                .targets()
                .filter(|one| one.role == role && group.knows(one))
                .filter(|one| self.processes.insert(one.identity.clone()))
                .map(|one| one.component.clone())
                .collect(),
            None if group.elsewhere.is_none() => {
                let is_new = |name: &&String| self.withheld.insert(name.to_ascii_lowercase());
                plan.withheld.iter().filter(is_new).cloned().collect()
            }
            None => Vec::new(),
        };
        names.dedup();
        if group.elsewhere.is_none() {
            self.withheld.extend(names.iter().map(|name| name.to_ascii_lowercase()));
        }
        names
    }

    pub(super) fn obeyed(&mut self, plan: &StopPlan, group: &Group<'_>, known: &[String]) {
        let of_group = orchestrators(plan).filter(|one| group.includes(one));
        self.pids.extend(of_group.map(|one| one.identity.pid));
        if group.elsewhere.is_none() {
            self.names.extend_from_slice(known);
        }
    }
}

#[cfg(test)]
mod tests {
    use qc_fleet::Stage;

    use super::super::groups;
    use super::*;
    use crate::testing::target;

    fn plan(watchdog: u32, withheld: &[&str]) -> StopPlan {
        let stage = |target: Target| Stage { role: target.role, targets: vec![target] };
        let mut by_hand = target("BRAIN_B", Role::Brain, 20);
        by_hand.is_unmanaged = true;
        StopPlan {
            stages: vec![stage(by_hand), stage(target("WATCHDOG_A", Role::Watchdog, watchdog))],
            told: vec![target("MASTER_LAUNCH", Role::Orchestrator, 1)],
            withheld: withheld.iter().map(ToString::to_string).collect(),
            ..StopPlan::default()
        }
    }

    #[test]
    fn an_orchestrator_that_runs_on_is_told_once_of_each_that_turns_up() {
        let mut told = Told::default();
        let mut news = |plan: &StopPlan, turn| {
            let groups = groups(plan, std::path::Path::new("x"));
            told.news(plan, &groups[0], turn)
        };
        let first = plan(30, &["BRAIN_A"]);
        assert_eq!(news(&first, None), ["BRAIN_A"]);
        assert_eq!(news(&first, Some(Role::Brain)), [""; 0], "it did not start that one");
        assert_eq!(news(&first, Some(Role::Watchdog)), ["WATCHDOG_A"]);
        assert_eq!(news(&first, Some(Role::Watchdog)), [""; 0]);
        let second = plan(31, &["BRAIN_A", "WATCHDOG_C"]);
        assert_eq!(news(&second, None), ["WATCHDOG_C"]);
        assert_eq!(news(&second, Some(Role::Watchdog)), ["WATCHDOG_A"], "it was started again");
    }
}

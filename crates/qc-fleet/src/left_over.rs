//! What components have left behind when they ended: copies of themselves, and Pythons that worked
//! for them. They work for nobody, keep a lock where locks are inherited, and could go on trading
//! beside those of the component's next life.

use qc_process::ProcessInfo;

use crate::fold::is_worker_program;
use crate::{Component, Fleet, Instance, Matcher, StopPlan};

impl StopPlan {
    /// Plans to stop what these components have left behind, of what was found where they ran. All
    /// else, such as a terminal, another program or another component, is not touched.
    pub fn of_left_over<'a>(
        fleet: &Fleet,
        found: impl IntoIterator<Item = (&'a Component, ProcessInfo)>,
    ) -> Self {
        let mut matcher = Matcher::new(fleet);
        let mut instances = Vec::new();
        for (component, process) in found {
            let is_its = match matcher.find(&process) {
                Some(found) => process.is_fork && component.name.as_str() == found.component,
                None => is_worker_program(&process),
            };
            if is_its {
                let name = component.name.to_string();
                instances.push(Instance {
                    account_key: component.account_key.clone(),
                    account: component.account.as_ref().map(ToString::to_string),
                    ..Instance::new(name, component.role, vec![process])
                });
            }
        }
        Self::of(fleet, &instances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::{fleet, process};

    #[test]
    fn copies_and_workers_go_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let fleet = fleet(root.path());
        let brain = fleet.component("BRAIN_A").unwrap();
        let fork = |pid, line| ProcessInfo { is_fork: true, ..process(root.path(), pid, 1, line) };
        let found = [
            fork(10, "python BRAIN_A.py"),
            process(root.path(), 11, 1, "python -c from_multiprocessing"),
            process(root.path(), 12, 1, "python BRAIN_A.py"),
            fork(13, "python BRAIN_B.py"),
            process(root.path(), 14, 1, "terminal64.exe /portable"),
            process(root.path(), 15, 1, "node report.js"),
            fork(16, "sh -c anything"),
        ];
        let plan = StopPlan::of_left_over(&fleet, found.map(|one| (brain, one)));
        let pids: Vec<u32> = plan.targets().map(|one| one.identity.pid).collect();
        assert_eq!(pids, [10, 11]);
        assert!(plan.targets().all(|one| one.account.as_deref() == Some("1")));
    }
}

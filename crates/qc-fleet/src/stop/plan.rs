//! From what runs to what will be stopped: one decision, for showing it and for doing it.

use std::collections::BTreeSet;
use std::time::Duration;

use qc_process::{Identity, ProcessInfo};
use serde::Serialize;

use super::elsewhere::Elsewhere;
use super::guarded::{is_to_protect, protects, reason};
use super::{Scope, Target};
use crate::matching::call_of;
use crate::program::shown_program;
use crate::{Fleet, Instance, LeftOver, Role, Snapshot};

/// The order of stopping. Watchdogs outlive the brains whose positions they guard.
pub const STOP_ORDER: [Role; 5] =
    [Role::Orchestrator, Role::Brain, Role::Watchdog, Role::Server, Role::Other];

/// Which processes to stop, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopPlan {
    /// One after the other, as they end.
    pub stages: Vec<Stage>,
    /// Orchestrators that run on: they are told to stop their part and not to start it again. An old
    /// launcher that can't be told is among the stages instead, unless it is spared.
    pub told: Vec<Target>,
    /// The processes that are meant but run on, because the command that asks was started from
    /// them.
    pub spared: Vec<Target>,
    /// The processes that look like a component and are never stopped.
    pub untouchable: Vec<Kept>,
    /// The processes that are meant but run on, because they protect a brain that runs on.
    pub kept: Vec<Kept>,
    /// Whether one of these protects a brain in another folder, which this stop does not reach.
    pub protects_elsewhere: bool,
    /// Components of this fleet that are meant and do not run: an orchestrator that runs on must not
    /// start them, either.
    pub withheld: Vec<String>,
    /// The accounts left without protection.
    pub exposure: Exposure,
    /// The process that asks, and those it descends from.
    pub asked_by: Vec<Identity>,
    /// The programs among the stages that ended runs have left behind, each with a description.
    pub left_over: Vec<(Identity, String)>,
}

/// Processes that are stopped at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Their role.
    pub role: Role,
    /// The processes.
    pub targets: Vec<Target>,
}

/// A process that is meant but runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The process.
    pub target: Target,
    /// Why it runs on.
    pub reason: String,
}

/// The protection of the accounts of what runs; positions can't be seen here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// Accounts whose watchdog is stopped, so that nothing guards what is open there.
    pub lose_watchdog: Vec<String>,
    /// Accounts whose brain runs on without a watchdog.
    pub trade_unguarded: Vec<String>,
    /// Accounts whose watchdog runs on.
    pub stay_guarded: Vec<String>,
}

impl StopPlan {
    /// Plans to stop what `scope` means of what runs. `timeout` replaces what the config says.
    ///
    /// With a watchdog, the brains of its account are stopped, too, as `qc-launch stop` does: a
    /// brain is never left to trade unguarded by a stop.
    pub fn new(
        fleet: &Fleet,
        snapshot: &Snapshot,
        scope: &Scope,
        timeout: Option<Duration>,
    ) -> Self {
        let reached: Vec<&Instance> =
            snapshot.instances.iter().filter(|one| scope.reaches(fleet, one)).collect();
        let mut chosen: Vec<bool> = reached.iter().map(|one| scope.means(one)).collect();
        for (position, brain) in reached.iter().enumerate() {
            let guard = |(one, &chosen): (&&Instance, &bool)| {
                chosen && one.role == Role::Watchdog && same_account(one, brain)
            };
            chosen[position] |= brain.role == Role::Brain && reached.iter().zip(&chosen).any(guard);
        }
        let targets = |instance: &Instance| targets(fleet, instance, timeout);
        let mut plan = Self { asked_by: scope.spared.clone(), ..Self::default() };
        for (one, chosen) in reached.iter().zip(&mut chosen).filter(|(_, chosen)| **chosen) {
            if let Some(reason) = scope.forbids(one) {
                *chosen = false;
                let kept = |target| Kept { target, reason: reason.clone() };
                plan.untouchable.extend(targets(one).into_iter().map(kept));
            }
        }
        for (one, chosen) in reached.iter().zip(&mut chosen) {
            if *chosen && scope.spares(one) {
                *chosen = false;
                plan.spared.extend(targets(one));
            }
        }
        let running_on = plan.spared.iter().chain(plan.untouchable.iter().map(|one| &one.target));
        let brains: Vec<&Target> = running_on.filter(|one| one.role == Role::Brain).collect();
        let elsewhere = Elsewhere::new(snapshot, &reached, &chosen);
        plan.protects_elsewhere = elsewhere.keeps_any();
        for (one, chosen) in reached.iter().zip(&mut chosen).filter(|(_, chosen)| **chosen) {
            let targets = targets(one);
            let brain = targets.first().and_then(|target| protects(target, &brains));
            if let Some(reason) = brain.map(reason).or_else(|| elsewhere.reason(one)) {
                *chosen = false;
                let kept = |target| Kept { target, reason: reason.clone() };
                plan.kept.extend(targets.into_iter().map(kept));
            }
        }
        // One that runs on needs an orchestrator that goes on looking after it.
        if !plan.spared.is_empty() || !plan.kept.is_empty() {
            let of_orchestrators = reached.iter().zip(&mut chosen);
            of_orchestrators
                .filter(|(one, _)| one.role == Role::Orchestrator)
                .for_each(|(_, chosen)| *chosen = false);
        }
        plan.exposure = Exposure::after(&reached, &chosen);
        let mut orchestrators = Vec::new();
        for role in STOP_ORDER {
            let of_role = reached.iter().zip(&chosen).filter(|(one, _)| one.role == role);
            let (stay, go): (Vec<_>, Vec<_>) = of_role.partition(|(_, chosen)| !**chosen);
            let go: Vec<Target> = go.into_iter().flat_map(|(one, _)| targets(one)).collect();
            if role == Role::Orchestrator {
                plan.told = stay.into_iter().flat_map(|(one, _)| targets(one)).collect();
                orchestrators = go;
            } else if !go.is_empty() {
                plan.stages.push(Stage { role, targets: go });
            }
        }
        plan.withheld = withheld(fleet, &reached, scope, &brains);
        // One that has nothing to do with it is left alone, as is its folder.
        let has_part = |one: &Target| {
            let is_here = |target: &Target| target.elsewhere == one.elsewhere;
            let is_withheld = one.elsewhere.is_none() && !plan.withheld.is_empty();
            plan.targets().any(is_here)
                || (!one.is_scripted && (is_withheld || plan.run_on().any(is_here)))
        };
        let told = plan.told.iter().filter(|one| has_part(one)).cloned();
        // An old launcher can't be told, and would start again what is stopped beside it.
        let (old, told): (Vec<Target>, Vec<Target>) =
            told.partition(|one| one.is_scripted && !plan.spares(one));
        plan.told = told;
        let may_go = |one: &Target| plan.untouchable.iter().all(|kept| kept.target != *one);
        orchestrators.extend(old.into_iter().filter(may_go));
        // A launcher that was told stops its fleet before it ends itself.
        let (first, last): (Vec<Target>, Vec<Target>) =
            orchestrators.into_iter().partition(|one| one.is_scripted);
        let stage = |targets: Vec<Target>| {
            (!targets.is_empty()).then_some(Stage { role: Role::Orchestrator, targets })
        };
        plan.stages = stage(first).into_iter().chain(plan.stages).chain(stage(last)).collect();
        plan
    }

    /// Whether `target` is an orchestrator that the command that asks was started from.
    pub fn spares(&self, target: &Target) -> bool {
        self.asked_by.contains(&target.identity)
    }

    /// Whether an ended run has left `target` behind.
    pub fn is_left_over(&self, target: &Target) -> bool {
        self.left_over.iter().any(|(left, _)| *left == target.identity)
    }

    /// Returns what is not to be started again once it has ended by itself: what is meant and has
    /// asked for that. A watchdog goes on protecting.
    pub fn run_on(&self) -> impl Iterator<Item = &Target> {
        let runs_on = |one: &&Target| !matches!(one.role, Role::Orchestrator | Role::Watchdog);
        self.spared.iter().filter(runs_on)
    }

    /// Plans to stop these instances, whatever else runs.
    pub fn of<'a>(fleet: &Fleet, instances: impl IntoIterator<Item = &'a Instance>) -> Self {
        let snapshot =
            Snapshot { instances: instances.into_iter().cloned().collect(), ..Snapshot::default() };
        Self::new(fleet, &snapshot, &Scope { all_roots: true, ..Scope::default() }, None)
    }

    /// Adds what components have left behind that are meant and do not run any more: each is stopped with
    /// those of its component's role. `timeout` replaces what the config says.
    pub fn with_left_over(
        mut self,
        fleet: &Fleet,
        left: &[LeftOver],
        timeout: Option<Duration>,
    ) -> Self {
        for one in left {
            let target = one.target(fleet);
            let target = Target { timeout: timeout.unwrap_or(target.timeout), ..target };
            let is_known = |it: &Target| it.identity == target.identity;
            if self.targets().chain(self.run_on()).chain(&self.told).any(is_known) {
                continue;
            }
            let text = format!("{} has left {} behind", target.component, one.text());
            self.left_over.push((target.identity.clone(), text));
            self.stage(target.role).push(target);
        }
        self
    }

    /// Returns the processes of one role to add to, in their place among the stages.
    fn stage(&mut self, role: Role) -> &mut Vec<Target> {
        let turn = |role: Role| STOP_ORDER.iter().position(|&one| one == role);
        let found = self.stages.iter().position(|stage| stage.role == role);
        let position = found.unwrap_or_else(|| {
            // An orchestrator is the first, or the last after it has stopped its fleet.
            let is_later =
                |stage: &Stage| stage.role == Role::Orchestrator || turn(stage.role) > turn(role);
            let lead = self.stages.iter().take_while(|it| it.role == Role::Orchestrator).count();
            let lead = if lead == self.stages.len() { 0 } else { lead };
            let rest = self.stages[lead..].iter().position(is_later);
            let position = rest.map_or(self.stages.len(), |at| lead + at);
            self.stages.insert(position, Stage { role, targets: Vec::new() });
            position
        });
        &mut self.stages[position].targets
    }

    /// Returns the same plan without some processes.
    pub fn without(mut self, skipped: impl Fn(&Target) -> bool) -> Self {
        for stage in &mut self.stages {
            stage.targets.retain(|target| !skipped(target));
        }
        self.stages.retain(|stage| !stage.targets.is_empty());
        self
    }

    /// Whether there is nothing to stop and no orchestrator to tell.
    pub fn is_idle(&self) -> bool {
        self.stages.is_empty() && self.told.is_empty()
    }

    /// Whether there is nothing to stop.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Returns all processes, in the order of stopping.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.stages.iter().flat_map(|stage| &stage.targets)
    }
}

impl Exposure {
    fn after(instances: &[&Instance], chosen: &[bool]) -> Self {
        let accounts = |role: Role, goes: bool| -> BTreeSet<String> {
            let those = instances.iter().zip(chosen);
            let those = those.filter(|(one, chosen)| one.role == role && **chosen == goes);
            those.map(|(one, _)| account_of(one)).collect()
        };
        let guarded = accounts(Role::Watchdog, false);
        let without = |all: BTreeSet<String>| all.difference(&guarded).cloned().collect();
        Self {
            lose_watchdog: without(accounts(Role::Watchdog, true)),
            trade_unguarded: without(accounts(Role::Brain, false)),
            stay_guarded: guarded.iter().cloned().collect(),
        }
    }
}

/// How people call its account.
fn account_of(instance: &Instance) -> String {
    let account = instance.account_key.as_ref().or(instance.account.as_ref());
    account.unwrap_or(&instance.component).clone()
}

fn same_account(one: &Instance, other: &Instance) -> bool {
    let same = |one: &Option<String>, other: &Option<String>| match (one, other) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    };
    one.other_root == other.other_root
        && (same(&one.account_key, &other.account_key) || same(&one.account, &other.account))
}

/// `brains` run on, so that what protects them is needed.
fn withheld(
    fleet: &Fleet,
    reached: &[&Instance],
    scope: &Scope,
    brains: &[&Target],
) -> Vec<String> {
    let runs = |name: &str| {
        let mut own = reached.iter().filter(|one| one.other_root.is_none());
        own.any(|one| one.component.eq_ignore_ascii_case(name))
    };
    let meant = fleet
        .components
        .iter()
        .filter(|one| scope.means_component(one) && !is_to_protect(one, brains));
    meant.map(|one| one.name.to_string()).filter(|name| !runs(name)).collect()
}

fn targets(fleet: &Fleet, instance: &Instance, timeout: Option<Duration>) -> Vec<Target> {
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
        is_scripted: instance.role == Role::Orchestrator && call_of(process).is_some(),
        identity: process.identity.clone(),
        timeout,
        signal,
    };
    let own = instance.processes.iter().map(|one| target(one, false));
    // An orchestrator's part is stopped by name.
    let workers = instance.workers.iter().filter(|_| instance.role != Role::Orchestrator);
    own.chain(workers.map(|one| target(one, true))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::snapshot::tests::{fleet, process, snapshot};

    fn running(root: &Path, elsewhere: &Path) -> Snapshot {
        let processes = vec![
            process(root, 10, 1, "python quantum_server.py"),
            process(root, 11, 1, "python STOPLOSS_WATCHDOG_V2.py --account A"),
            process(root, 12, 1, "python BRAIN_A.py"),
            process(root, 13, 1, "qc-launch"),
            process(root, 14, 1, r"C:\MT5\terminal64.exe"),
            process(root, 15, 1, "notepad BRAIN_A.py"),
            process(elsewhere, 16, 1, "python BRAIN_A.py"),
            process(root, 17, 1, "python BRAIN_B.py"),
            process(root, 18, 1, "python STOPLOSS_WATCHDOG_V2.py --account B"),
            process(root, 19, 1, "qc-shutdown --name BRAIN_A --root ."),
        ];
        snapshot(root, processes, Vec::new())
    }

    fn pids(plan: &StopPlan) -> Vec<u32> {
        plan.targets().map(|target| target.identity.pid).collect()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_scope_stops_what_it_says_in_order() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let seen = running(root.path(), elsewhere.path());
        let fleet = fleet(root.path());
        let scope = Scope::default;
        let all = || Scope { all_roots: true, ..scope() };
        let cases = [
            (scope(), vec![12, 17, 11, 18, 10, 13], &[][..]),
            (all(), vec![12, 16, 17, 11, 18, 10, 13], &[]),
            (Scope { accounts: texts(&["a"]), ..scope() }, vec![12, 11], &["B"]),
            (Scope { accounts: texts(&["2"]), ..scope() }, vec![17, 18], &["A"]),
            (Scope { accounts: texts(&["002.0"]), ..scope() }, vec![17, 18], &["A"]),
            (Scope { roles: vec![Role::Brain], ..scope() }, vec![12, 17], &["A", "B"]),
            (Scope { keep_watchdogs: true, ..scope() }, vec![12, 17], &["A", "B"]),
            (Scope { names: texts(&["brain_a"]), ..scope() }, vec![12], &["A", "B"]),
            (Scope { names: texts(&["WATCHDOG_A"]), ..scope() }, vec![12, 11], &["B"]),
            (Scope { names: texts(&["MASTER_LAUNCH"]), ..scope() }, vec![], &["A", "B"]),
        ];
        for (scope, expected, guarded) in cases {
            let plan = StopPlan::new(&fleet, &seen, &scope, None);
            assert_eq!(pids(&plan), expected, "{scope:?}");
            assert_eq!(plan.exposure.stay_guarded, guarded, "{scope:?}");
            assert!(plan.exposure.trade_unguarded.is_empty(), "{scope:?}");
            let told = !scope.is_whole() && !plan.is_empty();
            assert_eq!(plan.told.len(), usize::from(told), "{scope:?}");
        }
    }

    #[test]
    fn a_strangers_script_in_a_folder_without_a_config_is_of_no_fleet() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let fleet = fleet(root.path());
        let processes = vec![
            process(other.path(), 20, 1, "python brain_mri.py"),
            process(other.path(), 21, 1, "python BRAIN_A.py"),
        ];
        let seen = snapshot(root.path(), processes, Vec::new());
        let scope = Scope { all_roots: true, ..Scope::default() };
        let plan = || StopPlan::new(&fleet, &seen, &scope, None);
        assert_eq!(pids(&plan()), [21], "a copy of our own is one wherever it lies");
        std::fs::write(other.path().join("MASTER_CONFIG.json"), "{}").unwrap();
        assert_eq!(pids(&plan()), [21, 20]);
    }

    #[test]
    fn only_orchestrators_of_what_is_stopped_are_told() {
        let [root, one, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        for folder in [&one, &other] {
            std::fs::write(folder.path().join("MASTER_CONFIG.json"), "{}").unwrap();
        }
        let processes = vec![
            process(root.path(), 10, 1, "qc-launch"),
            process(one.path(), 11, 1, "qc-launch"),
            process(one.path(), 12, 11, "python BRAIN_X.py"),
            process(other.path(), 13, 1, "python MASTER_LAUNCH.py"),
            process(other.path(), 14, 13, "python BRAIN_B.py"),
        ];
        let seen = snapshot(root.path(), processes, Vec::new());
        let names = texts(&["BRAIN_X"]);
        let scope = Scope { names, all_roots: true, ..Scope::default() };
        let plan = StopPlan::new(&fleet(root.path()), &seen, &scope, None);
        let told: Vec<u32> = plan.told.iter().map(|one| one.identity.pid).collect();
        assert_eq!((pids(&plan), told), (vec![12], vec![11]));
    }

    #[test]
    fn an_old_launcher_is_planned_as_what_it_is_the_first_to_go() {
        let root = tempfile::tempdir().unwrap();
        let processes = || {
            vec![
                process(root.path(), 10, 1, "python MASTER_LAUNCH.py"),
                process(root.path(), 12, 10, "python BRAIN_A.py"),
                process(root.path(), 17, 10, "python BRAIN_B.py"),
            ]
        };
        let fleet = fleet(root.path());
        let seen = snapshot(root.path(), processes(), Vec::new());
        let part = || Scope { names: texts(&["BRAIN_A"]), ..Scope::default() };
        for (scope, expected) in [(Scope::default(), &[10, 12, 17][..]), (part(), &[10, 12])] {
            let plan = StopPlan::new(&fleet, &seen, &scope, None);
            assert_eq!(pids(&plan), expected, "{scope:?}");
            assert_eq!(plan.told, [], "{scope:?}");
        }
        let idle = Scope { names: texts(&["WATCHDOG_A"]), ..Scope::default() };
        let plan = StopPlan::new(&fleet, &seen, &idle, None);
        assert_eq!((pids(&plan), plan.told), (vec![], vec![]), "it has nothing to do with it");
        let spared = vec![processes()[0].identity.clone()];
        let plan = StopPlan::new(&fleet, &seen, &Scope { spared, ..part() }, None);
        assert_eq!((pids(&plan), plan.told.len()), (vec![12], 1));
    }

    #[test]
    fn what_the_one_who_asks_descends_from_is_spared_and_looked_after() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let seen = running(root.path(), elsewhere.path());
        let brain = process(root.path(), 12, 1, "python BRAIN_A.py").identity;
        let scope = Scope { spared: vec![brain], ..Scope::default() };
        let plan = StopPlan::new(&fleet(root.path()), &seen, &scope, None);
        assert_eq!(pids(&plan), [17, 18], "the brain that runs on keeps its protection");
        assert_eq!(plan.spared[0].identity.pid, 12);
        let mut kept: Vec<u32> = plan.kept.iter().map(|one| one.target.identity.pid).collect();
        kept.sort_unstable();
        assert_eq!(kept, [10, 11]);
        assert_eq!(plan.told[0].identity.pid, 13);
        assert_eq!(plan.exposure.trade_unguarded, [""; 0]);
        assert_eq!(plan.exposure.lose_watchdog, ["B"]);
        let run_on: Vec<&str> = plan.run_on().map(|one| one.component.as_str()).collect();
        assert_eq!(run_on, ["BRAIN_A"], "its orchestrator does not start it again");
    }

    #[test]
    fn a_brain_that_asks_is_meant_itself_and_its_orchestrator_is_never_stopped() {
        let root = tempfile::tempdir().unwrap();
        let processes = vec![
            process(root.path(), 10, 1, "qc-launch"),
            process(root.path(), 12, 10, "python BRAIN_A.py"),
            process(root.path(), 17, 10, "python BRAIN_B.py"),
        ];
        let spared: Vec<Identity> = processes[..2].iter().map(|one| one.identity.clone()).collect();
        let fleet = fleet(root.path());
        let seen = snapshot(root.path(), processes, Vec::new());
        for (scope, stopped) in [
            (Scope { accounts: texts(&["A"]), ..Scope::default() }, &[][..]),
            (Scope { keep_watchdogs: true, ..Scope::default() }, &[17]),
            (Scope::default(), &[17]),
        ] {
            let scope = Scope { spared: spared.clone(), ..scope };
            let plan = StopPlan::new(&fleet, &seen, &scope, None);
            assert_eq!(pids(&plan), stopped, "{scope:?}");
            let run_on: Vec<&str> = plan.run_on().map(|one| one.component.as_str()).collect();
            assert_eq!(run_on, ["BRAIN_A"], "{scope:?}");
            assert_eq!(plan.told.len(), 1, "{scope:?}");
            assert!(plan.spares(&plan.told[0]), "{scope:?}");
            let guards = ["WATCHDOG_A", "quantum_server"].map(String::from);
            assert!(
                !guards.iter().any(|one| plan.withheld.contains(one)),
                "it needs them: {scope:?}"
            );
        }
    }

    #[test]
    fn a_watchdog_that_asks_is_obeyed_and_its_orchestrator_told_to_start_nothing_again() {
        let root = tempfile::tempdir().unwrap();
        let processes = vec![
            process(root.path(), 10, 1, "qc-launch"),
            process(root.path(), 11, 10, "python STOPLOSS_WATCHDOG_V2.py --account A"),
            process(root.path(), 12, 10, "python BRAIN_A.py"),
        ];
        let spared = processes[..2].iter().map(|one| one.identity.clone()).collect();
        let fleet = fleet(root.path());
        let seen = snapshot(root.path(), processes, Vec::new());
        let scope = Scope { spared, ..Scope::default() };
        let plan = StopPlan::new(&fleet, &seen, &scope, None);
        assert_eq!(pids(&plan), [12]);
        assert_eq!(plan.told.len(), 1);
        assert!(plan.spares(&plan.told[0]));
        let configured = fleet.components.iter().map(|one| one.name.as_str());
        let silent: Vec<&str> =
            configured.filter(|name| !["BRAIN_A", "WATCHDOG_A"].contains(name)).collect();
        assert_eq!(plan.withheld, silent, "not even what does not run now");
    }

    #[test]
    fn the_timeout_is_the_users_the_components_or_the_fleets() {
        let root = tempfile::tempdir().unwrap();
        let brain = process(root.path(), 12, 1, "python BRAIN_A.py");
        let seen = snapshot(root.path(), vec![brain], Vec::new());
        let mut fleet = fleet(root.path());
        let timeout = |fleet: &Fleet, given| {
            let plan = StopPlan::new(fleet, &seen, &Scope::default(), given);
            plan.targets().next().unwrap().timeout.as_secs()
        };
        for component in &mut fleet.components {
            let component = Arc::make_mut(component);
            Arc::make_mut(&mut component.settings).stop_timeout = Duration::from_secs(7);
        }
        assert_eq!(timeout(&fleet, None), 7);
        assert_eq!(timeout(&fleet, Some(Duration::from_secs(3))), 3);
        fleet.components.clear();
        assert_eq!(timeout(&fleet, None), fleet.timing.stop_timeout.as_secs());
    }
}

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
fn a_suspended_launcher_is_planned_as_the_first_to_go_because_it_can_t_be_told() {
    let root = tempfile::tempdir().unwrap();
    let processes = vec![
        process(root.path(), 10, 1, "qc-launch"),
        process(root.path(), 12, 10, "python BRAIN_A.py"),
        process(root.path(), 17, 10, "python BRAIN_B.py"),
    ];
    let fleet = fleet(root.path());
    let part = || Scope { names: texts(&["BRAIN_A"]), ..Scope::default() };
    let idle = || Scope { names: texts(&["WATCHDOG_A"]), ..Scope::default() };
    for (is_suspended, all, of_part) in
        [(true, &[10, 12, 17][..], &[10, 12][..]), (false, &[12, 17, 10], &[12])]
    {
        let mut seen = snapshot(root.path(), processes.clone(), Vec::new());
        for one in seen.instances.iter_mut().filter(|one| one.role == Role::Orchestrator) {
            one.is_suspended = is_suspended;
        }
        let plan = |scope| StopPlan::new(&fleet, &seen, &scope, None);
        assert_eq!(pids(&plan(Scope::default())), all, "suspended: {is_suspended}");
        assert_eq!(pids(&plan(part())), of_part, "suspended: {is_suspended}");
        assert_eq!(plan(part()).told.len(), usize::from(!is_suspended));
        // Nothing is stopped beside it, so it is left alone.
        assert_eq!((pids(&plan(idle())), plan(idle()).told.len()), (vec![], 1));
        let reason = is_suspended.then_some(CannotBeTold::Suspended);
        assert_eq!(plan(idle()).told[0].cannot_be_told, reason);
    }
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
        assert!(!guards.iter().any(|one| plan.withheld.contains(one)), "it needs them: {scope:?}");
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

use std::path::Path;
use std::sync::Arc;

use qc_lock_core::{AccountUse, LockState, Terminal};

use super::*;
use crate::snapshot::tests::{fleet, lock, process};

fn brain(name: &str, place: Place) -> Instance {
    let root = Path::new("/elsewhere");
    let process = process(root, 10, 1, &format!("python {name}.py"));
    Instance {
        place,
        folder: Some(root.into()),
        ..Instance::new(name.into(), Role::Brain, vec![process])
    }
}

/// Returns why BRAIN_A, which trades account 1 at the terminal /mt5, may not start beside this.
fn why(instance: Instance) -> Option<String> {
    all_why(vec![instance])
}

/// The same beside all of these.
fn all_why(instances: Vec<Instance>) -> Option<String> {
    let root = tempfile::tempdir().unwrap();
    let mut fleet = fleet(root.path());
    for component in &mut fleet.components {
        Arc::make_mut(component).terminal = Some(Terminal::new("/mt5"));
    }
    let snapshot = Snapshot { instances, ..Snapshot::default() };
    let beside = Beside::new(&fleet, &snapshot, |_| false);
    match beside.may_start(fleet.component("BRAIN_A").unwrap()) {
        MayStart::Yes => None,
        MayStart::Adoptable { identity, .. } => Some(format!("adopt {}", identity.pid)),
        MayStart::No(obstacles) => Some(obstacles[0].text().to_owned()),
    }
}

#[test]
fn a_copy_here_is_adopted_under_its_lock_and_blocks_without_it() {
    let copy = brain("BRAIN_A", Place::Fleet);
    let text = "BRAIN_A runs (PID 10) without its lock";
    assert_eq!(why(copy.clone()).as_deref(), Some(text));
    let held = lock("BRAIN_A", 10, LockState::Held);
    let of = |account: &str| LockEntry { account: Some(account.into()), ..held.clone() };
    let locked = |account| Instance { lock: Some(of(account)), ..copy.clone() };
    assert_eq!(why(locked("1")).as_deref(), Some("adopt 10"));
    assert!(why(locked("2")).is_some_and(|text| text.contains("for another account")));
    assert_eq!(why(brain("BRAIN_B", Place::Fleet)), None);
}

#[test]
fn behind_wrappers_of_its_own_the_outermost_is_adopted_but_none_of_qc() {
    let root = Path::new("/elsewhere");
    let wrapped = |wrappers: &[&str], other_of: Option<u32>| {
        let program = u32::try_from(10 + wrappers.len()).unwrap();
        let wrapper = |(pid, line): (u32, &&str)| process(root, pid, pid - 1, line);
        let held = LockEntry { account: Some("1".into()), ..lock("BRAIN_A", 10, LockState::Held) };
        let mut brain = brain("BRAIN_A", Place::Fleet);
        brain.processes = vec![process(root, program, program - 1, "python BRAIN_A.py")];
        brain.wrappers = (10..).zip(wrappers).map(wrapper).collect();
        brain.lock = Some(held);
        let other = other_of.map(|parent| {
            let process = process(root, 20, parent, "python BRAIN_B.py");
            Instance::new("BRAIN_B".into(), Role::Brain, vec![process])
        });
        all_why([Some(brain), other].into_iter().flatten().collect()).unwrap()
    };
    let hold = "qc-launch hold BRAIN_A -- bash loop.sh";
    assert_eq!(wrapped(&["bash loop.sh"], None), "adopt 10");
    assert_eq!(wrapped(&["bash loop.sh", "timeout 9 python BRAIN_A.py"], None), "adopt 10");
    assert_eq!(wrapped(&[hold, "bash loop.sh"], None), "adopt 11");
    assert_eq!(wrapped(&[hold], None), "adopt 11", "the program itself");
    assert_eq!(wrapped(&["bash loop.sh", hold], None), "adopt 10");
    assert_eq!(wrapped(&["bash all.sh", "timeout 9 python BRAIN_A.py"], Some(10)), "adopt 11");
    assert_eq!(wrapped(&["bash all.sh"], Some(10)), "adopt 11", "the program itself");
}

#[test]
fn a_program_elsewhere_blocks_by_account_terminal_or_as_an_unknown_brain_of_that_name() {
    let foreign = |name: &str| brain(name, Place::Foreign);
    let account = |number: &str, one| Instance { account: Some(number.into()), ..one };
    let why = |one| why(one).unwrap_or_default();
    let same = why(account("1", foreign("BRAIN_X")));
    assert_eq!(same, "BRAIN_X runs (PID 10) in /elsewhere for the same account");
    let terminal = Some(Terminal::new("/MT5/terminal64.exe"));
    let same = why(Instance { terminal, ..account("9", foreign("BRAIN_X")) });
    assert!(same.ends_with("at the same terminal"), "{same}");
    assert!(why(foreign("brain_a")).contains("for an account that nothing shows"));

    assert_eq!(why(account("9", foreign("BRAIN_A"))), "", "another account");
    assert_eq!(why(foreign("BRAIN_X")), "", "another name, and no account is shown");
    let other = Instance { of_another_user: true, ..foreign("BRAIN_A") };
    assert_eq!(why(other), "", "another user's, and no account is shown");
    let watchdog = Instance { role: Role::Watchdog, ..account("1", foreign("WATCHDOG_A")) };
    assert_eq!(why(watchdog), "", "the other place at the account");
    let other =
        |used| Instance { role: Role::Other, account_use: used, ..account("1", foreign("TRADER")) };
    assert!(why(other(AccountUse::Trades)).ends_with("for the same account"));
    assert_eq!(why(other(AccountUse::Shares)), "", "it only reads");
    assert_eq!(why(other(AccountUse::Paper)), "", "on paper");
    let server = Instance { role: Role::Server, ..account("1", foreign("quantum_server")) };
    assert_eq!(why(server), "", "a server elsewhere is judged by its port");
}

#[test]
fn one_number_at_two_brokers_is_told_how_it_is_written() {
    let root = tempfile::tempdir().unwrap();
    let mut fleet = fleet(root.path());
    fleet.accounts[0].server = Some("ICMarkets-Live".into());
    let way_out = |server: &str| {
        let server = Some(server.to_owned());
        let one =
            Instance { account: Some("1".into()), server, ..brain("BRAIN_X", Place::Foreign) };
        let snapshot = Snapshot { instances: vec![one], ..Snapshot::default() };
        let beside = Beside::new(&fleet, &snapshot, |_| false);
        match beside.may_start(fleet.component("BRAIN_A").unwrap()) {
            MayStart::No(obstacles) => obstacles[0].way_out(),
            other => panic!("{other:?}"),
        }
    };
    assert!(way_out("Pepperstone-Live").contains(r#""account": "1@BROKER""#));
    assert!(!way_out("icmarkets-live ").contains("BROKER"));
}

#[test]
fn an_item_of_a_list_keeps_its_verb_where_another_follows() {
    let listed = |text: &str| {
        Obstacle { text: text.into(), ..lock_obstacle(&lock("A", 1, LockState::Held)) }.listed()
    };
    let others = "BRAIN_A runs (PID 7) and is not among what is to be started";
    assert_eq!(listed(others), others);
    assert_eq!(listed("BRAIN_A runs (PID 7) without its lock"), "BRAIN_A (PID 7) without its lock");
}

#[test]
fn a_lock_blocks_only_what_would_ask_for_it() {
    let root = tempfile::tempdir().unwrap();
    let fleet = fleet(root.path());
    let brain = fleet.component("BRAIN_A").unwrap();
    let judge = |entry: LockEntry| {
        let snapshot = Snapshot { locks: vec![entry], ..Snapshot::default() };
        Beside::new(&fleet, &snapshot, |_| false).may_start(brain)
    };
    let held = |name: &str| lock(name, 10, LockState::Held);
    assert!(matches!(judge(held("brain_a")), MayStart::No(_)));
    assert_eq!(judge(held("NIGHTLY_BACKUP")), MayStart::Yes);
    let account = LockEntry { resources: vec!["account/1/brain".into()], ..held("HELPER") };
    assert!(matches!(judge(account), MayStart::No(_)));
    let other = LockEntry { resources: vec!["account/2/brain".into()], ..held("HELPER") };
    assert_eq!(judge(other), MayStart::Yes);
}

#[test]
fn a_copy_here_blocks_its_component_alone_and_what_is_elsewhere_the_whole_start() {
    let root = tempfile::tempdir().unwrap();
    let fleet = fleet(root.path());
    let all: Vec<Arc<Component>> = fleet.components.clone();
    let survey =
        |instances: Vec<Instance>, locks: Vec<LockEntry>, components: &[Arc<Component>]| {
            let snapshot = Snapshot { instances, locks, ..Snapshot::default() };
            let survey = Beside::new(&fleet, &snapshot, |_| false).survey(components);
            let blocked = survey.blocked.into_iter().map(|one| one.name).collect::<Vec<String>>();
            (blocked, survey.obstacles.len())
        };
    let rogue = || brain("BRAIN_A", Place::Fleet);
    let blocked = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<String>>();
    assert_eq!(survey(vec![rogue()], vec![], &all), (blocked(&["BRAIN_A"]), 0), "a daemon");
    let twice = survey(vec![rogue(), rogue()], vec![], &all);
    assert_eq!(twice, (blocked(&["BRAIN_A"]), 0), "two copies");
    let held = |state| lock("BRAIN_A", 10, state);
    let by_lock = survey(vec![], vec![held(LockState::Held)], &all);
    assert_eq!(by_lock, (blocked(&["BRAIN_A"]), 0), "the holder of its lock");

    let foreign = Instance { account: Some("1".into()), ..brain("BRAIN_X", Place::Foreign) };
    assert_eq!(survey(vec![foreign.clone()], vec![], &all), (vec![], 1), "another folder's");
    assert_eq!(survey(vec![rogue(), foreign], vec![], &all), (vec![], 2), "one of them is");
    let unknown = brain("BRAIN_A", Place::Unknown);
    assert_eq!(survey(vec![unknown], vec![], &all), (vec![], 1), "it may be anywhere");
    let moved = Instance { is_moved: true, ..brain("BRAIN_A", Place::Foreign) };
    assert_eq!(survey(vec![moved], vec![], &all), (vec![], 1), "this folder's, moved");
    let afar = survey(vec![], vec![held(LockState::Foreign)], &all);
    assert_eq!(afar, (vec![], 1), "the holder on another machine can't be awaited");
    let process = process(root.path(), 11, 1, "qc-launch");
    let launcher = Instance::new("MASTER_LAUNCH".into(), Role::Orchestrator, vec![process]);
    assert_eq!(survey(vec![rogue(), launcher], vec![], &all), (vec![], 2), "a launcher");

    let alone: Vec<Arc<Component>> =
        all.iter().filter(|one| one.name.as_str() == "BRAIN_A").cloned().collect();
    assert_eq!(survey(vec![rogue()], vec![], &alone), (vec![], 1), "nothing else would start");
}

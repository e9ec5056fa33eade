use std::path::Path;

use qc_fleet::Fleet;

use super::*;

fn fleet(root: &Path, accounts: &str, section: &str) -> Fleet {
    let config = root.join("MASTER_CONFIG.json");
    let text = format!(r#"{{"ACCOUNTS": {{{accounts}}}, "PROCESS_MANAGER": {{{section}}}}}"#);
    std::fs::write(&config, text).unwrap();
    Fleet::load(&config).unwrap()
}

const TWO: &str = r#""A": {"account": 1, "enabled": true}, "B": {"account": 2, "enabled": true}"#;

#[test]
fn a_brain_knows_its_watchdog_and_stops_before_it() {
    let root = tempfile::tempdir().unwrap();
    let fleet = fleet(root.path(), TWO, "");
    let (roster, specs) = Roster::new(fleet.components, &fleet.timing);
    let brain = roster.id("brain_b").unwrap();
    let watchdog = roster.id("WATCHDOG_B").unwrap();
    let (brain, watchdog_spec) = (&specs[brain.0 as usize], &specs[watchdog.0 as usize]);
    assert_eq!(brain.guard, Some(watchdog));
    assert!(brain.stop_rank < watchdog_spec.stop_rank);
    assert_eq!(watchdog_spec.guard, None);
    assert_eq!(brain.pause, Duration::from_secs(3));
}

#[test]
fn what_keep_running_as_before_is_restarted_by_the_next_reload() {
    let root = tempfile::tempdir().unwrap();
    let with_port = |port: u16| {
        fleet(root.path(), TWO, &format!(r#""components": {{"BRAIN_A": {{"port": {port}}}}}"#))
    };
    let change = |roster: &mut Roster, fleet: Fleet| roster.change(fleet.components, &fleet.timing);
    let before = with_port(7001);
    let (mut roster, _) = Roster::new(before.components, &before.timing);
    let id = roster.id("BRAIN_A").unwrap();
    for _ in 0..2 {
        let mut changes = change(&mut roster, with_port(7002));
        assert_eq!(changes.restarted, ["BRAIN_A"]);
        assert!(!roster.is_outdated(id));
        roster.keep_running_as(id, changes.let_run(id, "BRAIN_A").unwrap());
        assert!(roster.is_outdated(id));
    }
    assert_eq!(change(&mut roster, with_port(7001)).changes, [], "it runs as it should");
    assert!(!roster.is_outdated(id));
    assert_eq!(change(&mut roster, with_port(7002)).restarted, ["BRAIN_A"]);
    roster.put(id, None);
    assert_eq!(change(&mut roster, with_port(7002)).changes, []);
}

#[test]
fn only_what_has_changed_is_restarted() {
    let root = tempfile::tempdir().unwrap();
    let before = fleet(root.path(), TWO, "");
    let (mut roster, _) = Roster::new(before.components, &before.timing);
    let same = fleet(root.path(), TWO, "");
    assert_eq!(roster.change(same.components, &same.timing).changes, []);

    let three = r#""A": {"account": 1, "enabled": true}, "B": {"account": 7, "enabled": true}, "C": {"account": 3, "enabled": true}"#;
    let after = fleet(root.path(), three, r#""watchdog_stagger_seconds": 2"#);
    let changes = roster.change(after.components, &after.timing);
    assert_eq!(changes.added, ["WATCHDOG_C", "BRAIN_C"]);
    assert_eq!(changes.restarted, ["WATCHDOG_B", "BRAIN_B"]);
    assert_eq!(changes.adjusted, ["WATCHDOG_A"]);
    assert_eq!(changes.gone, Vec::<String>::new());
    assert_eq!(roster.id("WATCHDOG_C"), Some(Id(5)));

    let one = r#""C": {"account": 3, "enabled": true}"#;
    let after = fleet(root.path(), one, r#""watchdog_stagger_seconds": 2"#);
    let changes = roster.change(after.components.clone(), &after.timing);
    assert_eq!(changes.gone, ["BRAIN_A", "BRAIN_B", "WATCHDOG_A", "WATCHDOG_B"]);
    assert_eq!((changes.added.len(), changes.restarted.len()), (0, 0));
    assert!(roster.leaving_among(&after.components).is_none());
    let back = fleet(root.path(), TWO, "");
    assert!(roster.leaving_among(&back.components).is_some());
}

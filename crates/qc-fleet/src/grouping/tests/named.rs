//! What the command of a component runs, beside what only carries its name.

use qc_process::ProcessInfo;

use crate::Place;
use crate::snapshot::tests::{Shown, process};

/// The instances of a fleet that starts BRAIN_A by `python runner.py`, as pids and the place of each.
fn of_runner(lines: &[(u32, u32, &str, &str)]) -> Vec<(Vec<u32>, Vec<u32>, Place)> {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join(crate::CONFIG_FILE);
    let text = r#"{"ACCOUNTS": {"A": {"account": 1, "enabled": true}, "B": {"account": 2, "enabled": true}},
            "PROCESS_MANAGER": {"components": {"BRAIN_A": {"command": ["python", "runner.py"]}}}}"#;
    std::fs::write(&config, text).unwrap();
    std::fs::write(root.path().join("runner.py"), "").unwrap();
    let fleet = crate::Fleet::load(&config).unwrap();
    let made = |&(pid, parent, folder, line): &(u32, u32, &str, &str)| {
        let mut made = process(root.path(), pid, parent, line);
        // Long after its parent.
        made.since += std::time::Duration::from_secs(3600) * pid;
        made.current_dir = Some(root.path().join(folder));
        made
    };
    let processes = lines.iter().map(made).collect();
    let listing = qc_process::Listing { processes, ..qc_process::Listing::default() };
    let probe = Shown { only_in: Some(root.path().into()), ..Shown::default() };
    let seen = crate::Snapshot::assemble_with(&fleet, listing, Vec::new(), &probe);
    let pids = |of: &[ProcessInfo]| of.iter().map(|one| one.identity.pid).collect();
    let shown = |one: &crate::Instance| (pids(&one.wrappers), one.pids(), one.place);
    seen.instances.iter().map(shown).collect()
}

#[test]
fn what_the_command_of_a_component_runs_under_its_name_is_the_same_instance() {
    let runner = (10, 1, "", "python runner.py");
    let one = |wrappers: &[u32]| vec![(wrappers.to_vec(), vec![12], Place::Fleet)];
    assert_eq!(of_runner(&[runner, (12, 10, "", "python BRAIN_A.py")]), one(&[10]));
    assert_eq!(of_runner(&[runner, (12, 10, "", "python -m BRAIN_A")]), one(&[10]));
    assert_eq!(of_runner(&[runner, (12, 10, "bots", "python BRAIN_A.py")]), one(&[10]));
    let shell = (11, 10, "", "sh -c BRAIN_A.py");
    assert_eq!(of_runner(&[runner, shell, (12, 11, "", "python BRAIN_A.py")]), one(&[10, 11]));
    let two =
        of_runner(&[runner, (12, 10, "", "python BRAIN_A.py"), (13, 10, "", "python BRAIN_A.py")]);
    assert_eq!(two.len(), 2, "a second copy stays one: {two:?}");
    let other = of_runner(&[runner, (12, 10, "", "python BRAIN_B.py")]);
    assert_eq!(other.len(), 2, "another component: {other:?}");
    let by_hand = of_runner(&[runner, (12, 1, "", "python BRAIN_A.py")]);
    assert_eq!(by_hand.len(), 2, "started by hand: {by_hand:?}");
    let loose = of_runner(&[(12, 1, "", "python BRAIN_A.py")]);
    assert_eq!(loose, one(&[]));
}

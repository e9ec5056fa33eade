use std::path::{Path, PathBuf};

use qc_process::{Listing, ProcessInfo};

use crate::snapshot::tests::{Shown, fleet, lock_of, process};
use crate::{Evidence, Place, Role, Snapshot, Untouchable};

/// Looks at one process that holds the lock `name`.
fn holder(root: &Path, name: &str, line: &str, probe: &Shown) -> Snapshot {
    looks_at(root, name, process(root, 10, 1, line), probe)
}

fn looks_at(root: &Path, name: &str, process: ProcessInfo, probe: &Shown) -> Snapshot {
    let locks = vec![lock_of(name, &process)];
    let listing = Listing { processes: vec![process], ..Listing::default() };
    Snapshot::assemble_with(&fleet(root), listing, locks, probe)
}

#[test]
fn the_holder_of_a_components_lock_is_that_component_whatever_it_looks_like() {
    let root = tempfile::tempdir().unwrap();
    let cases: [(&str, &str, Option<Role>, Option<&str>); 9] = [
        ("BRAIN_A", "python BRAIN_A.py", Some(Role::Brain), None),
        ("brain_a", "sleep 50", Some(Role::Brain), Some("sleep")),
        ("BRAIN_A", "python backup.py", Some(Role::Brain), Some("python backup.py")),
        ("BRAIN_A", "python /elsewhere/BRAIN_A.py", Some(Role::Brain), None),
        ("BRAIN_GONE", "./compiled", Some(Role::Brain), Some("compiled")),
        ("WATCHDOG_A", "node x", Some(Role::Watchdog), Some("node")),
        ("quantum_server", "uvicorn x", Some(Role::Server), Some("uvicorn")),
        ("MASTER_LAUNCH", "renamed --root reload", Some(Role::Orchestrator), None),
        ("BACKUP", "rsync", None, None),
    ];
    for (name, line, role, looks_like) in cases {
        let seen = holder(root.path(), name, line, &Shown::default());
        let found = seen.instances.first();
        assert_eq!(found.map(|one| one.role), role, "{name} {line}");
        let Some(found) = found else { continue };
        assert_eq!(found.looks_like.as_deref(), looks_like, "{name} {line}");
        assert_eq!(found.place, Place::Fleet, "{name} {line}");
        assert!(found.lock.is_some(), "{name} {line}");
        let may_adopt = looks_like.is_none() && found.role != Role::Orchestrator;
        assert_eq!(found.adoptable(), may_adopt, "{name} {line}");
        assert_eq!(seen.loose_locks().count(), 0, "{name} {line}");
    }
}

#[test]
fn a_python_that_has_changed_its_title_is_its_locks_component_and_may_be_adopted() {
    let root = tempfile::tempdir().unwrap();
    for (name, exe) in [("python3", None), ("x", Some(PathBuf::from("/usr/bin/python3.11")))] {
        let mut titled = process(root.path(), 10, 1, "brain");
        titled.args = vec!["brain ATLAS: 3 positions".into()];
        titled.current_dir = Some("/".into());
        (titled.name, titled.exe) = (name.into(), exe);
        let seen = looks_at(root.path(), "BRAIN_A", titled, &Shown::default());
        let brain = &seen.instances[0];
        assert_eq!((brain.evidence, brain.account.as_deref()), (Evidence::Lock, Some("1")));
        assert!(brain.adoptable());
    }
}

#[test]
fn a_runner_that_a_tool_of_qc_holds_the_lock_for_is_stopped_with_its_script() {
    let root = tempfile::tempdir().unwrap();
    let processes: Vec<ProcessInfo> = [
        (10, 1, "qc-lock run BRAIN_A -- python run.py BRAIN_A.py"),
        (11, 10, "python run.py BRAIN_A.py"),
        (12, 11, "python BRAIN_A.py"),
    ]
    .map(|(pid, parent, line)| process(root.path(), pid, parent, line))
    .into();
    let locks = vec![lock_of("BRAIN_A", &processes[1])];
    let listing = Listing { processes, ..Listing::default() };
    let seen = Snapshot::assemble_with(&fleet(root.path()), listing, locks, &Shown::default());
    assert_eq!(seen.instances.len(), 1);
    assert_eq!(seen.instances[0].untouchable, None);
}

#[test]
fn a_record_whose_guard_is_free_is_evidence_of_nothing() {
    let root = tempfile::tempdir().unwrap();
    let free = Shown { free: vec![10], ..Shown::default() };
    let seen = holder(root.path(), "BRAIN_A", "sleep 50", &free);
    assert!(seen.instances.is_empty());
    assert_eq!(seen.loose_locks().count(), 1, "it still refuses a start");
    // Its command line still counts.
    let seen = holder(root.path(), "BRAIN_A", "python BRAIN_A.py", &free);
    assert_eq!(seen.instances[0].evidence, Evidence::CommandLine);
}

#[test]
fn a_record_of_an_earlier_process_with_its_pid_names_nothing() {
    let root = tempfile::tempdir().unwrap();
    let process = process(root.path(), 10, 1, "sleep 50");
    let mut earlier = process.clone();
    earlier.identity.started -= 1;
    let locks = vec![lock_of("BRAIN_A", &earlier)];
    let listing = Listing { processes: vec![process], ..Listing::default() };
    let seen = Snapshot::assemble_with(&fleet(root.path()), listing, locks, &Shown::default());
    assert!(seen.instances.is_empty());
}

#[test]
fn a_python_with_the_title_of_a_terminal_or_a_tool_is_its_locks_component() {
    let root = tempfile::tempdir().unwrap();
    for line in [r"C:\MT5\terminal64.exe", "qc-lock", "qc-launch up"] {
        let titled = process(root.path(), 10, 1, line);
        let exe = |exe: &str| ProcessInfo { exe: Some(exe.into()), ..titled.clone() };
        let python =
            looks_at(root.path(), "BRAIN_A", exe("/usr/bin/python3.11"), &Shown::default());
        assert_eq!(python.instances[0].role, Role::Brain, "{line}");
        assert!(python.instances[0].adoptable(), "{line}");
        let wine = looks_at(root.path(), "BRAIN_A", exe("/usr/lib/wine/wine64"), &Shown::default());
        assert!(!wine.instances.is_empty() && !wine.instances[0].adoptable(), "{line}");
    }
}

#[test]
fn some_processes_are_named_and_never_stopped() {
    let root = tempfile::tempdir().unwrap();
    let own = process(root.path(), 10, 1, "sh").identity;
    let below = Shown { lineage: vec![own], ..Shown::default() };
    let none = Shown::default();
    let cases = [
        ("sh", &below, Untouchable::Ancestor),
        (r"C:\MT5\terminal64.exe", &none, Untouchable::Terminal),
        ("qc-lock run X -- y", &none, Untouchable::OwnTool),
        ("qc-launch.exe status", &none, Untouchable::OwnTool),
    ];
    for (line, probe, expected) in cases {
        let seen = holder(root.path(), "BRAIN_A", line, probe);
        assert_eq!(seen.instances[0].untouchable, Some(expected), "{line}");
        assert!(!seen.instances[0].adoptable(), "{line}");
    }
    let first = process(root.path(), 1, 0, "init");
    let seen = looks_at(root.path(), "BRAIN_A", first, &none);
    assert_eq!(seen.instances[0].untouchable, Some(Untouchable::FirstProcess));
    let seen = holder(root.path(), "MASTER_LAUNCH", "qc-launch", &none);
    assert_eq!(seen.instances[0].untouchable, None, "it is what the lock is for");
}

#[test]
fn a_lock_in_another_folder_says_whose_it_is() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let elsewhere = [(10, other.path().join(".locks"))].into();
    let probe = Shown { elsewhere, ..Shown::default() };
    let processes = vec![process(root.path(), 10, 1, "python BRAIN_A.py")];
    let listing = Listing { processes, ..Listing::default() };
    let seen = Snapshot::assemble_with(&fleet(root.path()), listing, Vec::new(), &probe);
    assert_eq!(seen.instances[0].place, Place::Foreign);
    assert_eq!(seen.instances[0].folder.as_deref(), Some(other.path()));
    let seen = holder(root.path(), "BRAIN_A", "python BRAIN_A.py", &probe);
    assert_eq!(seen.instances[0].place, Place::Fleet, "the lock of this fleet decides");
}

#[test]
fn a_relative_script_lies_in_the_folder_that_its_process_was_started_in() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seen = |line: &str, lies: &Path, probe: Shown| {
        let moved = process(Path::new("/"), 10, 1, line);
        let listing = Listing { processes: vec![moved], ..Listing::default() };
        let probe = Shown { only_in: Some(lies.into()), ..probe };
        let seen = Snapshot::assemble_with(&fleet(root.path()), listing, Vec::new(), &probe);
        (seen.instances.first().map(|one| (one.place, one.account.is_some())), seen.unreadable)
    };
    let started_in =
        |folder: &Path| Shown { first: [(10, folder.into())].into(), ..Shown::default() };
    let line = "python BRAIN_A.py";
    let ours = seen(line, root.path(), started_in(root.path()));
    assert_eq!(ours, (Some((Place::Fleet, true)), 0));
    let others = seen(line, other.path(), started_in(other.path()));
    assert_eq!(others, (Some((Place::Foreign, false)), 0));
    let unknown = seen(line, root.path(), Shown::default());
    assert_eq!(unknown, (Some((Place::Unknown, false)), 0), "it may be ours");
    let strange = seen("python BRAIN_GONE.py", root.path(), Shown::default());
    assert_eq!(strange, (Some((Place::Foreign, false)), 0), "the config knows none of that name");
    let hidden = Shown { others: vec![10], ..Shown::default() };
    assert_eq!(seen(line, root.path(), hidden), (None, 1), "another user's is counted");
    for others in [vec![10], vec![]] {
        let ended = Shown { others, ended: vec![10], ..Shown::default() };
        assert_eq!(seen(line, root.path(), ended), (None, 0), "it ended while it was looked at");
    }
    let elsewhere = [(10, other.path().join(".locks"))].into();
    let locked = Shown { elsewhere, ..Shown::default() };
    let locked = seen(line, root.path(), locked);
    assert_eq!(locked, (Some((Place::Foreign, false)), 0), "its lock says whose it is");
}

#[test]
fn a_script_whose_folder_cannot_be_told_is_of_the_fleet_that_its_environment_names() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(other.path().join("MASTER_CONFIG.json"), "{}").unwrap();
    let nowhere = tempfile::tempdir().unwrap();
    for (locks, place) in [
        (root.path().join(".locks"), Place::Fleet),
        (other.path().join(".locks"), Place::Foreign),
        (nowhere.path().join("locks"), Place::Unknown),
    ] {
        for line in ["python -m BRAIN_A", "python -c import@BRAIN_A", "python BRAIN_A.py"] {
            let mut moved = process(Path::new("/"), 10, 1, line);
            moved.args.iter_mut().for_each(|word| *word = word.replace('@', " "));
            let listing = Listing { processes: vec![moved], ..Listing::default() };
            let probe = Shown {
                only_in: Some(root.path().into()),
                origin: [(10, locks.clone())].into(),
                ..Shown::default()
            };
            let seen = Snapshot::assemble_with(&fleet(root.path()), listing, Vec::new(), &probe);
            let found: Vec<Place> = seen.instances.iter().map(|one| one.place).collect();
            assert_eq!(found, [place], "{line} {locks:?}");
        }
    }
}

#[test]
fn another_users_process_is_unclear_only_where_the_config_knows_its_component() {
    let root = tempfile::tempdir().unwrap();
    let hidden =
        |line: &str| ProcessInfo { current_dir: None, ..process(root.path(), 10, 1, line) };
    let seen = |line: &str, others: Vec<u32>| {
        let listing = Listing { processes: vec![hidden(line)], ..Listing::default() };
        let probe = Shown { others, ..Shown::default() };
        let seen = Snapshot::assemble_with(&fleet(root.path()), listing, Vec::new(), &probe);
        (seen.instances.len(), seen.unreadable)
    };
    assert_eq!(seen("python BRAIN_A.py", vec![10]), (0, 1));
    assert_eq!(seen("python BRAIN_A.py", Vec::new()), (1, 0), "the same user's");
    assert_eq!(seen("python BRAIN_GONE.py", vec![10]), (0, 0), "none of ours");
    assert_eq!(seen("python STOPLOSS_WATCHDOG.py --account X", vec![10]), (0, 0));
    assert_eq!(seen("qc-launch", vec![10]), (0, 0), "ours holds its lock");
    let elsewhere = format!("python {}", root.path().join("sub/BRAIN_A.py").display());
    assert_eq!(seen(&elsewhere, vec![10]), (1, 0), "its folder is seen");
}

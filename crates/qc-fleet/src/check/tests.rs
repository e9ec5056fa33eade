//! Facts in, findings out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_process::{Volume, VolumePlace};

use super::*;
use crate::Snapshot;

/// A fleet of these accounts and this section, in a folder that does not exist.
pub(super) fn fleet(accounts: &str, section: &str) -> Fleet {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("MASTER_CONFIG.json");
    let text = format!(r#"{{"ACCOUNTS": {{{accounts}}}, "PROCESS_MANAGER": {{{section}}}}}"#);
    std::fs::write(&path, text).unwrap();
    Fleet::load_for(Path::new("/fleet"), &path, &|_| None).unwrap()
}

pub(super) fn enabled(fleet: &Fleet) -> Vec<Arc<Component>> {
    fleet.components.iter().filter(|one| one.enabled).cloned().collect()
}

/// A machine on which everything is as it should be.
pub(super) fn facts() -> Facts {
    let volume = Volume { place: VolumePlace::Local, kind: String::new(), free_bytes: 1 << 40 };
    let folder = |name: &str| Folder {
        path: name.into(),
        volume: Some(volume.clone()),
        ..Folder::default()
    };
    Facts {
        snapshot: Snapshot::default(),
        missing: [].into(),
        near: [].into(),
        programs: ProgramFiles::new(),
        old_scripts: Vec::new(),
        ports: Vec::new(),
        has_old_module: false,
        reach: qc_process::MachineReach::Machine,
        unusable_guards: Vec::new(),
        lock_dir: folder("/fleet/.locks"),
        logs: folder("/fleet/orchestrator_logs"),
    }
}

/// Returns the findings that are not all right.
pub(super) fn found(fleet: &Fleet, facts: &Facts) -> Vec<(Verdict, Subject, String)> {
    let checks = check(fleet, &enabled(fleet), facts);
    assert!(checks.iter().all(|it| (it.verdict == Verdict::Ok) == it.advice.is_empty()));
    let bad = checks.into_iter().filter(|check| check.verdict != Verdict::Ok);
    bad.map(|check| (check.verdict, check.subject, check.text)).collect()
}

pub(super) const SECTION: &str = r#""interpreter": "py/python""#;
const TWO: &str = r#""A": {"account": 1, "enabled": true, "magic": 7}, "B": {"account": 2, "enabled": true, "magic": 8}"#;

#[test]
fn a_fleet_without_a_fault_has_every_line_ok() {
    let fleet = fleet(TWO, SECTION);
    let checks = check(&fleet, &enabled(&fleet), &facts());
    assert!(checks.len() >= 9, "{checks:#?}");
    assert_eq!(worst(&checks), Verdict::Ok, "{checks:#?}");
}

#[test]
fn what_is_missing_or_in_the_way_is_named() {
    type Change = fn(&mut Facts);
    fn lacking(facts: &mut Facts, path: &str) {
        facts.missing.insert(PathBuf::from(path));
    }
    fn lost(facts: &mut Facts, program: &str, file: ProgramFile) {
        facts.programs.insert((PathBuf::from(program), None), file);
    }
    fn place(facts: &mut Facts, place: VolumePlace, kind: &str) {
        facts.lock_dir.volume = Some(Volume { place, kind: kind.into(), free_bytes: 1 << 40 });
    }
    let one = r#""A": {"account": 1, "enabled": true, "terminal_path": "/mt5"}"#;
    type Expected = &'static [&'static str];
    let cases: [(&str, Change, Expected); 22] = [
        (
            "",
            |facts| lacking(facts, "/fleet/BRAIN_A.py"),
            &["Warning Scripts: BRAIN_A is skipped: its script /fleet/BRAIN_A.py does not exist"],
        ),
        (
            "",
            |facts| lacking(facts, "/fleet/STOPLOSS_WATCHDOG_V2.py"),
            &[
                "Error Scripts: WATCHDOG_A is skipped: its script /fleet/STOPLOSS_WATCHDOG_V2.py does not exist, and BRAIN_A would trade without it",
            ],
        ),
        (
            "",
            |facts| lost(facts, "/fleet/py/python", ProgramFile::Missing("there is none".into())),
            &["Error Programs: the Python /fleet/py/python does not exist"],
        ),
        (
            r#", "components": {"X": {"command": ["bridge"], "cwd": "sub"}}"#,
            |facts| {
                lost(facts, "bridge", ProgramFile::Missing("it is nowhere".into()));
                lacking(facts, "/fleet/sub");
            },
            &[
                "Error Programs: the program bridge of X is not on PATH",
                "Error Programs: the working folder /fleet/sub of X does not exist",
            ],
        ),
        (
            r#", "components": {"X": {"command": ["bridge"], "env": {"PATH": "/own"}}}"#,
            // Another component's PATH is not its own.
            |facts| lost(facts, "bridge", ProgramFile::Missing("it is nowhere".into())),
            &[],
        ),
        (
            "",
            |facts| {
                let file = PathBuf::from("C:/WindowsApps/python.exe");
                lost(facts, "/fleet/py/python", ProgramFile::Placeholder(file));
            },
            &[
                "Error Programs: the Python C:/WindowsApps/python.exe is the Microsoft Store's placeholder and runs nothing",
            ],
        ),
        (
            r#", "components": {"MT5": {"command": ["C:/MT5/terminal64.exe", "/portable"]}}"#,
            |_| (),
            &["Warning Programs: MT5 is a trading terminal, which no tool ever stops"],
        ),
        (
            r#", "notify": {"command": ["telegram-send"]}"#,
            |facts| lost(facts, "telegram-send", ProgramFile::Missing("it is nowhere".into())),
            &[
                "Warning Programs: the command telegram-send of `notify` cannot be run: it is nowhere",
            ],
        ),
        (
            "",
            |facts| facts.old_scripts = vec!["SAFE_SHUTDOWN.py"],
            &[
                "Warning Scripts: the old SAFE_SHUTDOWN.py is still here and works against these tools",
            ],
        ),
        (
            "",
            |facts| lacking(facts, "/mt5"),
            &["Warning Terminals: the terminal /mt5 of A does not exist"],
        ),
        (
            r#", "components": {"BRAIN_X": {"command": ["x"], "account": "A"}}"#,
            |_| (),
            &["Error Accounts: BRAIN_A and BRAIN_X ask for one lock, account/1/brain"],
        ),
        (
            r#", "components": {"BRAIN_X": {"command": ["x"]}}"#,
            |_| (),
            &[
                "Warning Accounts: BRAIN_X has no account, so nothing excludes a second trader of its account",
            ],
        ),
        (
            r#", "components": {"TRADER": {"command": ["x"], "account": "A"}}"#,
            |_| (),
            &["Error Accounts: BRAIN_A and TRADER ask for one lock, account/1/brain"],
        ),
        (
            r#", "components": {"NEWS": {"command": ["x"], "account": "A", "shared_account": true}}"#,
            |_| (),
            &[],
        ),
        (
            r#", "components": {"X": {"command": ["x"], "port": 8000}}"#,
            |_| (),
            &["Error Ports: quantum_server and X would listen at one port, 8000"],
        ),
        (
            "",
            |facts| {
                facts.ports =
                    vec![BusyPort { number: 8000, pid: Some(5), program: Some("nginx".into()) }]
            },
            &["Error Ports: port 8000 of quantum_server is taken by nginx (PID 5)"],
        ),
        (
            "",
            |facts| facts.has_old_module = true,
            &[
                "Warning LockModule: process_lock.py here is the old module, so the scripts take their locks themselves",
            ],
        ),
        (
            "",
            |facts| facts.reach = qc_process::MachineReach::Nowhere,
            &["Warning Accounts: FOLDER_ONLY"],
        ),
        (
            "",
            |facts| facts.unusable_guards = vec!["/dev/shm/qc2.account@1".into()],
            &[
                "Warning Accounts: /dev/shm/qc2.account@1 is not a file that this program can lock, so another \
                 network namespace does not see who holds what it stands for",
            ],
        ),
        (
            "",
            |facts| place(facts, VolumePlace::Network, "nfs"),
            &["Error LockDir: /fleet/.locks lies on a network (nfs), where locks can't be trusted"],
        ),
        (
            "",
            |facts| {
                place(facts, VolumePlace::Program, "fuse");
                facts.lock_dir.synced_by = Some("Dropbox".into());
            },
            &[
                "Warning LockDir: /fleet/.locks lies on fuse, where locks may not be kept",
                "Warning LockDir: /fleet/.locks is synchronised by Dropbox, which copies locks to other machines",
            ],
        ),
        (
            "",
            |facts| {
                facts.logs.unwritable = Some("no".into());
                facts.lock_dir.volume = Some(Volume {
                    place: VolumePlace::Local,
                    kind: String::new(),
                    free_bytes: 5 << 20,
                });
            },
            &[
                "Warning LockDir: the disk of /fleet/.locks has 5 MiB left",
                "Error Logs: /fleet/orchestrator_logs cannot be written to: no",
            ],
        ),
    ];
    for (section, change, expected) in cases {
        let fleet = fleet(one, &format!("{SECTION}{section}"));
        let mut facts = facts();
        change(&mut facts);
        let line = |(verdict, subject, text): (Verdict, Subject, String)| {
            // On Windows paths are joined with the other slash.
            let text = text.replace('\\', "/").replace("C:/fleet", "/fleet");
            let text = text.replace(qc_lock_core::FOLDER_ONLY, "FOLDER_ONLY");
            format!("{verdict:?} {subject:?}: {text}")
        };
        let found: Vec<String> = found(&fleet, &facts).into_iter().map(line).collect();
        assert_eq!(found, expected, "{section}");
    }
}

#[test]
fn nothing_to_start_is_an_error_and_no_account_a_warning() {
    let off = fleet(r#""A": {"account": 1, "enabled": false}"#, SECTION);
    assert!(matches!(found(&off, &facts())[..], [(Verdict::Warning, Subject::Config, _)]));
    let mut facts = facts();
    facts.missing.insert(Path::new("/fleet").join("quantum_server.py"));
    assert!(matches!(found(&off, &facts)[0], (Verdict::Error, Subject::Config, _)));
}

#[test]
fn a_latch_is_an_error_that_names_the_way_out() {
    let fleet = fleet(TWO, SECTION);
    let dir = tempfile::tempdir().unwrap();
    let locks = qc_lock_core::LockDir::new(dir.path());
    locks.set_latch("the broker is down").unwrap();
    let mut facts = facts();
    facts.snapshot.latch = locks.latch();
    let checks = check(&fleet, &enabled(&fleet), &facts);
    let latch = checks.iter().find(|one| one.subject == Subject::Latch).unwrap();
    assert_eq!(latch.verdict, Verdict::Error);
    assert!(latch.text.contains("the broker is down"), "{latch:?}");
    assert!(latch.advice.contains("qc-launch unlatch"), "{latch:?}");
}

#[test]
fn two_components_with_one_script_and_the_same_arguments_are_an_error() {
    let error = |section: &str| {
        let found = found(&fleet(r#""A": {"account": 1, "enabled": true}"#, section), &facts());
        found.into_iter().map(|(verdict, subject, _)| (verdict, subject)).collect::<Vec<_>>()
    };
    let shadow = |rest: &str| {
        format!(
            r#"{SECTION}, "components": {{"SHADOW": {{"command": ["py/python", "BRAIN_A.py"{rest}]}}}}"#
        )
    };
    assert_eq!(error(&shadow("")), [(Verdict::Error, Subject::Scripts)]);
    assert_eq!(error(&shadow(r#", "--paper""#)), []);
}

#[test]
fn a_brain_that_may_trade_without_its_watchdog_makes_a_missing_one_a_warning() {
    let section = format!(r#"{SECTION}, "brains": {{"stop": {{"without_watchdog": "keep"}}}}"#);
    let fleet = fleet(r#""A": {"account": 1, "enabled": true}"#, &section);
    let mut facts = facts();
    facts.missing.insert(fleet.root.join("STOPLOSS_WATCHDOG_V2.py"));
    let found = found(&fleet, &facts);
    let [(Verdict::Warning, Subject::Scripts, text)] = &found[..] else { panic!("{found:?}") };
    assert!(text.ends_with("and BRAIN_A trades without it"), "{text}");
}

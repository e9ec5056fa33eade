use std::path::Path;

use super::*;
use crate::Matcher;
use crate::Place;
use crate::snapshot::tests::Shown;
use crate::snapshot::tests::{fleet, process};

/// One process per line: `PID PARENT [STARTED] EXE: ARGUMENTS`, where `EXE` tells what it is:
/// a stub if it is `stub` or `py`, a copy of its parent if it is `fork`. Returns the instances as
/// `wrappers > chain + workers`.
fn groups(lines: &[&str]) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let fleet = fleet(root.path());
    let processes: Vec<ProcessInfo> = lines.iter().map(|line| parse(root.path(), line)).collect();
    let mut matcher = Matcher::new(&fleet);
    let mut found: Vec<Option<Match>> = processes.iter().map(|one| matcher.find(one)).collect();
    let pids = |of: &[usize]| {
        let pids = of.iter().map(|&one| processes[one].identity.pid.to_string());
        pids.collect::<Vec<_>>().join(" ")
    };
    let shown = |one: &ProcessGroup| {
        let (wrappers, workers) = (pids(&one.wrappers), pids(&one.workers));
        let wrappers = if wrappers.is_empty() { wrappers } else { wrappers + " > " };
        let workers = if workers.is_empty() { workers } else { format!(" + {workers}") };
        format!("{wrappers}{}{workers}", pids(&one.chain))
    };
    group_processes(&processes, &mut found, &HashMap::new(), &Shown::default())
        .iter()
        .map(shown)
        .collect()
}

fn parse(root: &Path, line: &str) -> ProcessInfo {
    let (head, args) = line.split_once(": ").unwrap();
    let head: Vec<&str> = head.split(' ').collect();
    let [pid, parent, started @ .., exe] = &head[..] else { panic!("{line}") };
    let number = |text: &str| text.parse::<u32>().unwrap();
    let mut info = process(root, number(pid), number(parent), args);
    if let [started] = started {
        info.identity.started = started.parse().unwrap();
    }
    info.exe = (*exe != "hidden").then(|| exe.into());
    info.is_stub = matches!(*exe, "stub" | "py");
    info.is_fork = *exe == "fork";
    info
}

#[test]
fn what_runs_one_program_is_one_instance() {
    let cases: [(&str, &[&str], &[&str]); 18] = [
        (
            "a server that runs itself again when its files change",
            &["10 1 base: python quantum_server.py", "11 10 base: python quantum_server.py"],
            &["10 11"],
        ),
        (
            "a program between a wrapper and what it runs",
            &[
                "10 1 uv: uv run BRAIN_A.py",
                "11 10 strace: strace -f x",
                "12 11 base: python BRAIN_A.py x",
            ],
            &["10 11 > 12"],
        ),
        (
            "a Python that was told to run the script",
            &[
                "10 1 uv: uv run BRAIN_A.py",
                "11 10 base: python run.py BRAIN_A.py",
                "12 11 base: python BRAIN_A.py",
            ],
            &["10 11 > 12"],
        ),
        (
            "a Python that was not",
            &[
                "10 1 uv: uv run BRAIN_A.py",
                "11 10 base: python run.py",
                "12 11 base: python BRAIN_A.py",
            ],
            &["10 + 11", "12"],
        ),
        (
            "a subshell, which is a fork of its shell",
            &[
                "10 1 sh: sh -c (python BRAIN_A.py | tee log)",
                "11 10 fork: sh -c (python BRAIN_A.py | tee log)",
                "12 11 base: python BRAIN_A.py",
                "13 11 tee: tee log",
            ],
            &["10 11 > 12"],
        ),
        (
            "subshells in a subshell",
            &[
                "10 1 sh: sh -c (cd . && (python BRAIN_A.py; true); true)",
                "11 10 fork: sh -c (cd . && (python BRAIN_A.py; true); true)",
                "12 11 fork: sh -c (cd . && (python BRAIN_A.py; true); true)",
                "13 12 base: python BRAIN_A.py",
            ],
            &["10 11 12 > 13"],
        ),
        ("alone", &["10 1 base: python BRAIN_A.py"], &["10"]),
        (
            "a venv's stub",
            &["10 1 stub: v/python BRAIN_A.py", "11 10 base: v/python BRAIN_A.py"],
            &["10 11"],
        ),
        (
            "py, which keeps its own options to itself",
            &["10 1 py: py -3.12 BRAIN_A.py", "11 10 base: C:\\P\\python.exe BRAIN_A.py"],
            &["10 11"],
        ),
        (
            "py, a stub, the interpreter",
            &[
                "10 1 py: py BRAIN_A.py x",
                "11 10 stub: v/python.exe BRAIN_A.py x",
                "12 11 base: v/python.exe BRAIN_A.py x",
            ],
            &["10 11 12"],
        ),
        (
            "started in the same tick",
            &["10 1 7 stub: python BRAIN_A.py", "11 10 7 base: python BRAIN_A.py"],
            &["10 11"],
        ),
        (
            "a pid lower than its parent's",
            &["20 1 7 stub: python BRAIN_A.py", "11 20 8 base: python BRAIN_A.py"],
            &["20 11"],
        ),
        (
            "uv and a stub",
            &[
                "10 1 uv: uv run BRAIN_A.py",
                "11 10 stub: python BRAIN_A.py",
                "12 11 base: python BRAIN_A.py",
            ],
            &["10 > 11 12"],
        ),
        (
            "cmd, qc-lock, a stub, the interpreter",
            &[
                "9 1 cmd: cmd /c qc-lock run BRAIN_A -- python BRAIN_A.py",
                "10 9 lock: qc-lock run BRAIN_A -- python BRAIN_A.py",
                "11 10 stub: python BRAIN_A.py",
                "12 11 base: python BRAIN_A.py",
            ],
            &["9 10 > 11 12"],
        ),
        (
            "a launcher's wrapper, but not the launcher",
            &[
                "9 1 launch: qc-launch",
                "10 9 launch: qc-launch hold BRAIN_A -- python BRAIN_A.py",
                "11 10 base: python BRAIN_A.py",
            ],
            &["9", "10 > 11"],
        ),
        (
            "a shell that waits for more than this",
            &[
                "9 1 bash: bash",
                "11 9 sh: timeout 9 python BRAIN_A.py",
                "12 11 base: python BRAIN_A.py",
            ],
            &["11 > 12"],
        ),
        (
            "two watchdogs of one shell",
            &[
                "9 1 sh: sh -c x&y",
                "10 9 stub: python STOPLOSS_WATCHDOG_V2.py --account A",
                "11 9 stub: python STOPLOSS_WATCHDOG_V2.py --account B",
                "12 10 base: python STOPLOSS_WATCHDOG_V2.py --account A",
                "13 11 base: python STOPLOSS_WATCHDOG_V2.py --account B",
            ],
            &["10 12", "11 13"],
        ),
        (
            "an editor between",
            &["10 1 code: code BRAIN_A.py", "11 10 base: python BRAIN_A.py"],
            &["11"],
        ),
    ];
    for (what, lines, expected) in cases {
        assert_eq!(groups(lines), expected, "{what}");
    }
}

#[test]
fn a_second_copy_is_never_folded() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        (
            "beside",
            &["10 1 base: python BRAIN_A.py", "11 1 base: python BRAIN_A.py"],
            &["10", "11"],
        ),
        (
            "started by the first itself",
            &["10 1 base: python BRAIN_A.py", "11 10 base: python BRAIN_A.py"],
            &["10", "11"],
        ),
        (
            "started by the first itself with another Python",
            &["10 1 base: python BRAIN_A.py", "11 10 other: python BRAIN_A.py"],
            &["10", "11"],
        ),
        (
            "started by the first itself through the venv's stub",
            &[
                "10 1 stub: python BRAIN_A.py",
                "11 10 base: python BRAIN_A.py",
                "12 11 stub: python BRAIN_A.py",
                "13 12 base: python BRAIN_A.py",
            ],
            &["10 11", "12 13"],
        ),
        (
            "started by the stub once more",
            &[
                "10 1 stub: python BRAIN_A.py",
                "11 10 base: python BRAIN_A.py",
                "12 10 base: python BRAIN_A.py",
            ],
            &["10 11", "12"],
        ),
        (
            "a parent's pid that was used again",
            &["20 1 9 stub: python BRAIN_A.py", "11 20 8 base: python BRAIN_A.py"],
            &["11", "20"],
        ),
        (
            "other arguments",
            &["10 1 stub: python BRAIN_A.py", "11 10 base: python BRAIN_A.py --account 2"],
            &["10", "11"],
        ),
        (
            "a program that can't be seen",
            &["10 1 stub: python BRAIN_A.py", "11 10 hidden: python BRAIN_A.py"],
            &["10", "11"],
        ),
        (
            "two of one shell",
            &[
                "9 1 sh: sh -c python BRAIN_A.py & python BRAIN_A.py",
                "10 9 base: python BRAIN_A.py",
                "11 9 base: python BRAIN_A.py",
            ],
            &["9 > 10", "11"],
        ),
    ];
    for (what, lines, expected) in cases {
        assert_eq!(groups(lines), expected, "{what}");
    }
}

#[test]
fn pythons_that_work_for_one_are_its_workers() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        (
            "started anew, and what they start",
            &[
                "10 1 stub: python BRAIN_A.py",
                "11 10 base: python BRAIN_A.py",
                "12 11 base: python -c x",
                "13 12 base: python -c y",
            ],
            &["10 11 + 12 13"],
        ),
        (
            "copies of it",
            &[
                "10 1 base: python BRAIN_A.py",
                "11 10 fork: python BRAIN_A.py",
                "12 11 fork: python BRAIN_A.py",
            ],
            &["10 + 11 12"],
        ),
        (
            "a copy whose parent has ended, which may be anything",
            &["10 1 base: python BRAIN_A.py", "11 1 fork: python BRAIN_A.py"],
            &["10", "11"],
        ),
        (
            "a copy of a shell, which runs the script",
            &["9 1 sh: sh", "10 9 fork: python BRAIN_A.py"],
            &["10"],
        ),
        (
            "another brain has its own",
            &[
                "10 1 base: python BRAIN_A.py",
                "11 10 base: python BRAIN_B.py",
                "12 11 base: python -c x",
            ],
            &["10", "11 + 12"],
        ),
        (
            "behind a shell or a terminal it is somebody else's",
            &[
                "10 1 base: python BRAIN_A.py",
                "11 10 sh: sh",
                "12 11 base: python -c x",
                r"13 10 terminal: C:\MT5\terminal64.exe",
                "14 13 base: python -c x",
            ],
            &["10"],
        ),
        (
            "what carries a terminal's name is none",
            &["10 1 base: python BRAIN_A.py", "11 10 terminal64.exe: python -c x"],
            &["10"],
        ),
        (
            "what a launcher starts is none",
            &["10 1 launch: qc-launch", "11 10 base: python -c x"],
            &["10"],
        ),
        (
            "a parent's pid that was used again",
            &["20 1 9 base: python BRAIN_A.py", "11 20 8 base: python -c x"],
            &["20"],
        ),
    ];
    for (what, lines, expected) in cases {
        assert_eq!(groups(lines), expected, "{what}");
    }
}

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

#[test]
fn processes_that_name_each_other_as_parents_end_the_search() {
    let lines = ["10 11 5 base: python BRAIN_A.py", "11 10 5 base: python BRAIN_B.py"];
    assert_eq!(groups(&lines), ["10", "11"]);
}

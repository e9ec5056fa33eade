mod named;
mod workers;

use std::path::Path;

use super::*;
use crate::Matcher;
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
fn processes_that_name_each_other_as_parents_end_the_search() {
    let lines = ["10 11 5 base: python BRAIN_A.py", "11 10 5 base: python BRAIN_B.py"];
    assert_eq!(groups(&lines), ["10", "11"]);
}

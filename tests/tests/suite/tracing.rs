//! Programs under strace, which can make any of their system calls the last one, or fail.

use std::collections::BTreeMap;
use std::process::Command;

use qc_tests::{cannot_test, run};

/// Returns `command` under strace, with `options`.
pub(crate) fn traced(options: &[&str], command: &Command) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq"]).args(options).arg("--");
    traced.arg(command.get_program()).args(command.get_args());
    // So that a Python makes the same calls each time.
    traced.env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1");
    traced
}

/// Tells whether strace can do what is asked of it here; says what can't be tested if not.
pub(crate) fn can_trace(what: &str) -> bool {
    let kill = ["-o", "/dev/null", "-e", "inject=exit_group:signal=SIGKILL:when=1"];
    let why = match traced(&kill, &Command::new("true")).output() {
        Ok(output) if output.status.code().is_none() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("no program `strace`: {error}"),
    };
    cannot_test(what, &why);
    false
}

/// Returns the names of the system calls that `command` makes, each with how many of them come
/// before the first that mentions the folder `from`: until then it only starts.
pub(crate) fn calls(command: &Command, from: &str) -> BTreeMap<String, usize> {
    let log = tempfile::NamedTempFile::new().expect("a file can be made");
    let path = log.path().to_str().expect("a path in Unicode");
    // Long enough that no path is cut.
    let finished = run(&mut traced(&["-s", "300", "-o", path], command), "");
    assert_eq!(finished.code, 0, "{finished:?}");
    let text = std::fs::read_to_string(path).expect("strace has written it");
    let mut found = BTreeMap::new();
    let mut is_there = false;
    for line in text.lines() {
        // `4711  openat(AT_FDCWD, ...`
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        let Some((name, words)) = call.split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        is_there = is_there || (name != "execve" && words.contains(from));
        let before = found.entry(name.to_owned()).or_insert(0);
        *before += usize::from(!is_there);
    }
    assert!(is_there, "nothing in there mentions {from}: {text}");
    found
}

//! Code for one system, which stands in `qc-process/src/imp` only; tests aside.

use std::fs;
use std::path::{Path, PathBuf};

/// The words by which code asks for the system that it is built for.
const ASKING: [&str; 6] =
    ["cfg(windows", "cfg(unix", "cfg!(windows", "cfg!(unix", "not(windows", "target_os"];

/// The drill states, row by row, what each of the two systems has to do.
const DRILL: &str = "crates/qc-drill/src/sandbox.rs";

/// Returns the Rust files below a folder that are not made of tests.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_tests = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == "tests");
    let mut found = Vec::new();
    for path in paths.filter(|path| !is_tests(path)) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// Whether code asks for its system, comments and the tests at its end aside.
fn asks(text: &str) -> bool {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.into_iter().any(|line| ASKING.iter().any(|asking| line.contains(asking)))
}

#[test]
fn code_for_one_system_stands_in_one_place() {
    let root = crate::workspace();
    let mut asking = Vec::new();
    for one in fs::read_dir(root.join("crates")).unwrap() {
        for path in sources(&one.unwrap().path().join("src")) {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
            if asks(&text) && !name.starts_with("crates/qc-process/src/imp") {
                asking.push(name);
            }
        }
    }
    assert_eq!(asking, [DRILL]);
}

#[test]
fn only_code_asks_for_its_system() {
    for (text, expected) in [
        ("let it = cfg!(windows);", true),
        ("#[cfg(unix)]", true),
        ("// On cfg!(windows) it is 4.", false),
        ("fn it() {}\n#[cfg(test)]\nmod tests {\n    #[cfg(unix)]\n}", false),
    ] {
        assert_eq!(asks(text), expected, "{text}");
    }
}

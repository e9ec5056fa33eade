//! Which tests are not run as Windows programs under Wine, read from their sources, so that the table
//! in `docs/WINDOWS.md` can be held to list each; and whether the tests that pages name exist.

use std::fs;
use std::path::Path;

use crate::errors::literal;

/// The calls that introduce a text about a thing that can't be tested.
const SAID: [&str; 3] = ["cannot_test(", "can_trace(", "eprintln!("];

/// The beginnings of such a text where it is written in full.
const FULL: [&str; 2] = ["NOT TESTED here: ", "NOT TESTED: "];

/// The attributes of an item that is built for Linux only.
const FOR_LINUX: [&str; 2] = ["#[cfg(unix)]", "#[cfg(target_os = \"linux\")]"];

/// A function in a source file.
struct Function<'a> {
    name: &'a str,
    is_test: bool,
    /// Whether it, or the module it is in, is built for Linux only.
    is_for_linux: bool,
    text: String,
}

/// Returns the functions in a source file, whose code is formatted as ours is.
fn functions(source: &str) -> Vec<Function<'_>> {
    let mut functions: Vec<Function<'_>> = Vec::new();
    let mut attributes: Vec<&str> = Vec::new();
    // The indents of open modules that are built for Linux only.
    let mut modules: Vec<usize> = Vec::new();
    for line in source.lines() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code.starts_with("#[") {
            attributes.push(code);
            continue;
        }
        if code == "}" && modules.last() == Some(&indent) {
            modules.pop();
        }
        let is_for_linux = attributes.iter().any(|one| FOR_LINUX.contains(one));
        let public = code.strip_prefix("pub(crate) ").or_else(|| code.strip_prefix("pub "));
        let item = public.unwrap_or(code);
        if item.starts_with("mod ") && item.ends_with('{') && is_for_linux {
            modules.push(indent);
        }
        if let Some(rest) = item.strip_prefix("fn ") {
            functions.push(Function {
                name: rest.split(['(', '<']).next().unwrap_or_default(),
                is_test: attributes.contains(&"#[test]"),
                is_for_linux: !modules.is_empty() || is_for_linux,
                text: String::new(),
            });
        }
        if let Some(function) = functions.last_mut() {
            function.text += line;
            function.text.push('\n');
        }
        if !code.starts_with("//") {
            attributes.clear();
        }
    }
    functions
}

/// Returns what a function says where something can't be tested, with `…` for each value.
fn said(function: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for start in SAID {
        for (position, _) in function.match_indices(start) {
            let argument = function[position + start.len()..].trim_start().trim_start_matches('&');
            let Some(text) = literal(argument) else { continue };
            match FULL.iter().find_map(|full| text.strip_prefix(full)) {
                Some(rest) => texts.push(rest.to_owned()),
                None if start != "eprintln!(" => texts.push(text),
                None => {}
            }
        }
    }
    texts
}

/// Returns all sources of ours, but for this file and what is Linux's own.
fn sources() -> Vec<String> {
    fn collect(dir: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !["target", "unix"].contains(&name) {
                    collect(&path, found);
                }
            } else if name.ends_with(".rs") && !["untested.rs", "unix.rs"].contains(&name) {
                found.push(fs::read_to_string(path).unwrap().replace("\r\n", "\n"));
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["crates", "tests", "xtask", "bench"] {
        collect(&crate::workspace().join(folder), &mut found);
    }
    found
}

/// Returns the cells of the rows in the table under a heading of a page.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(crate::workspace().join(page)).unwrap().replace("\r\n", "\n");
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).expect("there is the heading");
    let rest = rest.split("\n## ").next().unwrap();
    let rows = rest.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    // The first two are the header and the line below it.
    rows.skip(2).map(|row| row.split(" | ").map(str::to_owned).collect()).collect()
}

/// Returns what stands in `` ` `` in a cell.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Returns the last part of a test's path.
fn own_name(test: &str) -> &str {
    test.rsplit("::").next().unwrap_or(test)
}

#[test]
fn the_table_of_what_wine_cannot_test_is_complete() {
    let rows = table("docs/WINDOWS.md", "Tests that cannot run under Wine");
    let sources = sources();
    let functions: Vec<Function<'_>> =
        sources.iter().flat_map(|source| functions(source)).collect();
    let listed: Vec<&str> = rows.iter().flat_map(|row| quoted(&row[0])).map(own_name).collect();
    let texts: Vec<&str> = rows.iter().flat_map(|row| quoted(&row[1])).collect();
    assert!(listed.len() > 20, "{listed:?}");

    for name in &listed {
        let is_test = functions.iter().any(|one| one.is_test && one.name == *name);
        assert!(is_test, "the table lists `{name}`, which is no test");
    }
    for text in &texts {
        let is_said = functions.iter().any(|one| said(&one.text).iter().any(|said| said == text));
        assert!(is_said, "the table says that a test says `{text}`, but none does");
    }
    for function in &functions {
        if function.is_test && function.is_for_linux {
            let name = function.name;
            assert!(listed.contains(&name), "`{name}` is not built for Windows, nor in the table");
        }
        for text in said(&function.text).iter().filter(|_| !function.is_for_linux) {
            assert!(texts.contains(&&**text), "`{text}` is not in the table");
        }
    }
}

#[test]
fn the_tests_that_cover_hazards_exist() {
    let sources = sources();
    let functions: Vec<Function<'_>> =
        sources.iter().flat_map(|source| functions(source)).collect();
    let rows = table("docs/LOCK_PROTOCOL.md", "Hazards, and the test that covers each");
    assert!(rows.len() > 20, "{rows:?}");
    for row in rows {
        assert_ne!(quoted(&row[1]).count(), 0, "no test covers: {}", row[0]);
        for test in quoted(&row[1]) {
            let exists = functions.iter().any(|one| one.is_test && one.name == own_name(test));
            assert!(exists, "there is no test `{test}`");
        }
    }
}

#[test]
fn what_is_said_and_where_is_read_from_the_sources() {
    let source = r#"
        #[test]
        fn one() {
            return cannot_test(
                "a \
                 text", &why);
            eprintln!("NOT TESTED here: who listens at {address}, because");
            eprintln!("something else");
            if !can_trace(&format!("calls of {who:?}")) {}
        }

        /// Some words.
        #[cfg(unix)]
        #[test]
        fn two() {}

        #[cfg(unix)]
        mod inner {
            pub(crate) fn three() {}
        }

        fn four() {}
    "#;
    let functions = functions(source);
    let found: Vec<_> =
        functions.iter().map(|one| (one.name, one.is_test, one.is_for_linux)).collect();
    let expected =
        [("one", true, false), ("two", true, true), ("three", false, true), ("four", false, false)];
    assert_eq!(found, expected);
    let expected = ["a text", "calls of …", "who listens at …, because"];
    assert_eq!(said(&functions[0].text), expected);
}

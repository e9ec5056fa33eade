//! The pages of the repository: their links lead somewhere, the places that they name exist, and
//! their lines are short.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use qc_tests::{WIDTH, is_prose};

use crate::workspace;

/// Returns the pages that users and contributors read.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(workspace().join("docs")).unwrap();
    let mut pages: Vec<PathBuf> = docs.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|one| one == "md"));
    pages.extend(["README.md", "CONTRIBUTING.md"].map(|name| workspace().join(name)));
    pages
}

fn read(page: &Path) -> String {
    fs::read_to_string(page).unwrap().replace("\r\n", "\n")
}

/// Returns the lines of a page outside of code blocks.
fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    page.lines().enumerate().filter(move |(_, line)| {
        in_code ^= line.starts_with("```");
        !in_code
    })
}

/// Returns the targets of the links in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0))
}

/// Returns the anchors of a page: its headings as links name them.
fn anchors(page: &str) -> HashSet<String> {
    let headings = prose(page).filter(|(_, line)| line.starts_with('#'));
    let anchor = |line: &str| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(|(_, line)| anchor(line)).collect()
}

#[test]
fn each_link_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        for (number, line) in prose(&text) {
            for link in links(line).filter(|link| !link.contains("://")) {
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
                let place = format!("{}:{}: {link}", page.display(), number + 1);
                assert!(target.exists(), "{place}");
                assert!(anchor.is_empty() || anchors(&read(&target)).contains(anchor), "{place}");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "only {seen} links were found");
}

#[test]
fn each_place_that_the_architecture_names_exists() {
    let text = read(&workspace().join("docs/ARCHITECTURE.md"));
    let mut seen = 0;
    for (_, line) in prose(&text) {
        let quoted = line.split('`').skip(1).step_by(2);
        for place in quoted.filter(|one| one.starts_with("crates/") || one.starts_with("tests/")) {
            assert!(workspace().join(place).exists(), "docs/ARCHITECTURE.md names {place}");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} places were found");
}

/// Returns the command lines of the tools in the examples of a text: in `--help` indented, on pages
/// behind a prompt.
fn examples(text: &str) -> impl Iterator<Item = &str> {
    let starts = ["  qc-", "$ qc-"];
    let commands = text.lines().filter(move |line| starts.iter().any(|one| line.starts_with(one)));
    commands.map(|line| line[2..].split(" #").next().unwrap_or(line).trim())
}

/// Splits a command line at its spaces, apart from those in quotes.
fn words(line: &str) -> Vec<String> {
    let mut in_quotes = false;
    let words = line.split(|character| {
        in_quotes ^= character == '"';
        character == ' ' && !in_quotes
    });
    words.map(|word| word.replace('"', "")).collect()
}

#[test]
fn each_example_is_understood_by_its_tool() {
    let commands =
        [qc_lock::command(), qc_ps::command(), qc_shutdown::command(), qc_launch::command()];
    let mut texts: Vec<String> = pages().iter().map(|page| read(page)).collect();
    for command in &commands {
        let help = command.clone().render_long_help().to_string();
        assert!(help.starts_with("Examples:\n"), "{help}");
        assert_eq!(examples(&help).count(), 2, "{help}");
        texts.push(help);
    }
    let mut seen = 0;
    for example in texts.iter().flat_map(|text| examples(text)) {
        let words = words(example);
        let command = commands.iter().find(|command| command.get_name() == words[0]);
        let command = command.unwrap_or_else(|| panic!("{example}"));
        if let Err(error) = command.clone().try_get_matches_from(words) {
            panic!("{example}: {error}");
        }
        seen += 1;
    }
    assert!(seen > 20, "only {seen} examples were found");
}

#[test]
fn lines_of_prose_are_short() {
    let mut long = Vec::new();
    for page in pages() {
        let text = read(&page);
        for (number, line) in prose(&text) {
            let can_be_wrapped =
                is_prose(line) && line.trim_start_matches(['-', ' ']).contains(' ');
            if can_be_wrapped && line.chars().count() > WIDTH {
                long.push(format!("{}:{}", page.display(), number + 1));
            }
        }
    }
    assert!(long.is_empty(), "longer than {WIDTH} characters:\n{}", long.join("\n"));
}

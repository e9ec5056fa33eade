//! Comments, pages and scripts are written in plain words: a comment opens with a noun or a verb, and a
//! sentence names its actor.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;

/// The largest share of comment blocks with a headless opening, in thousandths.
const MOST_HEADLESS: usize = 3;

/// The largest number of comment lines, and of lines of pages and scripts, with a word of [`FACELESS`].
const MOST_FACELESS: usize = 9;

/// The words that make a clause the subject of an opening.
const HEADLESS: [&str; 8] =
    ["What", "Who", "Whoever", "Whom", "Whose", "Those", "Whatever", "Whichever"];

/// The words that stand for an actor without a name.
const FACELESS: [&str; 3] = ["nobody", "somebody", "anybody"];

/// Returns the files below `folder` with one of these extensions, without build results.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_wanted = |ending: &std::ffi::OsStr| extensions.iter().any(|one| ending == *one);
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            found.extend(files(&path, extensions));
        } else if path.extension().is_some_and(is_wanted) && !is_old(&path) {
            found.push(path);
        }
    }
    found
}

/// Whether a file is kept as it was under an earlier version of the protocol.
fn is_old(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "process_lock_v1.py")
}

/// Returns the text of a comment line, `None` for any other line.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(text.strip_prefix(['/', '!']).unwrap_or(text).trim_start())
}

fn is_faceless(text: &str) -> bool {
    let mut words = text.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| FACELESS.iter().any(|one| word.eq_ignore_ascii_case(one)))
}

fn is_headless(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|first| HEADLESS.contains(&first))
}

/// The counts over all comments: blocks, and the places of headless and faceless ones.
#[derive(Debug, Default)]
struct Comments {
    blocks: usize,
    headless: Vec<String>,
    faceless: Vec<String>,
}

impl Comments {
    fn add(&mut self, path: &Path, text: &str) {
        let mut is_inside = false;
        for (number, line) in text.lines().enumerate() {
            let Some(comment) = comment(line) else {
                is_inside = false;
                continue;
            };
            let place = || format!("{}:{}: {comment}", path.display(), number + 1);
            if !is_inside {
                self.blocks += 1;
                if is_headless(comment) {
                    self.headless.push(place());
                }
            }
            is_inside = true;
            if is_faceless(comment) {
                self.faceless.push(place());
            }
        }
    }
}

#[test]
fn comments_open_with_a_noun_or_a_verb_and_name_their_actor() {
    let mut comments = Comments::default();
    for folder in ["crates", "xtask", "tests", "fuzz", "bench"] {
        for path in files(&workspace().join(folder), &["rs"]) {
            comments.add(&path, &fs::read_to_string(&path).unwrap());
        }
    }
    let Comments { blocks, headless, faceless } = comments;
    println!("{blocks} comment blocks, {} headless, {} faceless", headless.len(), faceless.len());
    assert!(blocks > 5000, "{blocks}: these are not all");
    assert!(headless.len() * 1000 <= blocks * MOST_HEADLESS, "{headless:#?}");
    assert!(faceless.len() <= MOST_FACELESS, "{faceless:#?}");
}

#[test]
fn pages_and_scripts_name_their_actor() {
    let mut found = Vec::new();
    for folder in ["docs", "scripts"] {
        for path in files(&workspace().join(folder), &["md", "py", "ps1", "bat", "sh"]) {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().enumerate().filter(|(_, line)| is_faceless(line));
            found.extend(lines.map(|(at, line)| format!("{}:{}: {line}", path.display(), at + 1)));
        }
    }
    assert!(found.len() <= MOST_FACELESS, "{found:#?}");
}

#[test]
fn clauses_are_told_from_nouns() {
    assert!(is_headless("What is told.") && is_headless("Those that wait."));
    assert!(!is_headless("A notification.") && !is_headless("Whatsoever"));
    assert!(is_faceless("kept from nobody.") && !is_faceless("nobodys"));
    assert_eq!(comment("    /// A lock."), Some("A lock."));
    assert_eq!(comment("let x = 1; // one"), None);
}

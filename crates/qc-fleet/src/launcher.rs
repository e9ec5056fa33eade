//! The command line of `qc-launch`.

use std::path::{Path, PathBuf};

use qc_call::{option, program_stem};

/// The name of the launcher's program; a version may follow.
const PROGRAM: &str = "qc-launch";

/// The subcommand that runs a fleet. It is also what no subcommand means.
pub const UP: &str = "up";

/// Options before a subcommand that take a value as a word of its own.
pub const VALUE_OPTIONS: [&str; 5] =
    ["--root", "--config", "--lock-dir", "--log-format", "--metrics"];

/// The option that takes all words up to the next option.
pub const LIST_OPTION: &str = "--accounts";

/// Flags with which a launcher answers or hands over, and runs no fleet itself.
const BRIEF: [&str; 6] = ["--help", "-h", "--version", "-V", "--dry-run", "--detach"];

/// Whether a command line is that of a `qc-launch` that runs a fleet: not one of its wrappers, and
/// not one that asks a running one. A value may be any word, such as that of `--root reload`.
pub(crate) fn runs_fleet(args: &[String]) -> bool {
    let Some((program, words)) = args.split_first() else { return false };
    if !program_stem(program).starts_with(PROGRAM) {
        return false;
    }
    let own = own_words(words);
    !own.iter().any(|word| BRIEF.contains(word))
        && own.iter().find(|word| !word.starts_with('-')).is_none_or(|word| *word == UP)
}

/// Returns the words that are options, flags and subcommands, without the values of options.
fn own_words(words: &[String]) -> Vec<&str> {
    let mut own = Vec::new();
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        own.push(word);
        if VALUE_OPTIONS.contains(&word) {
            words.next();
        } else if word == LIST_OPTION {
            while words.next_if(|word| !word.starts_with('-')).is_some() {}
        }
    }
    own
}

/// Returns the folder of the fleet that a launcher with these arguments runs.
pub(crate) fn folder(args: &[String], current_dir: Option<&Path>) -> Option<PathBuf> {
    let root = option(args, "--root").map(PathBuf::from);
    let config =
        option(args, "--config").and_then(|config| Some(Path::new(&config).parent()?.into()));
    match root.or(config) {
        Some(named) if named.is_absolute() => Some(named),
        Some(named) => Some(current_dir?.join(named)),
        None => current_dir.map(|dir| crate::find_root(dir).unwrap_or(dir.to_path_buf())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_subcommand_tells_what_a_launcher_does() {
        let runs = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            runs_fleet(&words)
        };
        for line in [
            "qc-launch",
            r"C:\qc\qc-launch.exe",
            "qc-launch up",
            "qc-launch up --announce",
            "qc-launch --root reload",
            "qc-launch --root=status up",
            "qc-launch --root check up --accounts stop start",
            "qc-launch --accounts status logs --no-adopt",
            "qc-launch --metrics 127.0.0.1:1 --lock-dir stop",
        ] {
            assert!(runs(line), "{line}");
        }
        for line in [
            "qc-launch status",
            "qc-launch --root up reload",
            "qc-launch --root . hold BRAIN_A -- python BRAIN_A.py",
            "qc-launch up --detach",
            "qc-launch --dry-run --accounts up",
            "qc-launch --version",
            "qc-launch drill-part x",
            "qc-lock up",
            "qc-shutdown",
        ] {
            assert!(!runs(line), "{line}");
        }
    }
}

//! `docs/CONFIG.md`, from the types that read the config.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use qc_fleet::{Group, Key, Kind, reference};
use qc_tests::wrapped;

use crate::workspace;

/// Writes the page anew.
pub(crate) fn run() -> anyhow::Result<()> {
    let path = page();
    fs::write(&path, config())?;
    println!("wrote {}", path.display());
    Ok(())
}

fn page() -> PathBuf {
    workspace().join("docs").join("CONFIG.md")
}

/// Returns the page.
fn config() -> String {
    let mut page = String::from(
        "# MASTER_CONFIG.json\n\n\
         <!-- Written by `cargo xtask docs` from the types that read the config; change those. -->\n\n\
         This file decides everything that qc does. `qc-launch check` reports its mistakes, \
         `qc-launch init` writes a commented starter config, and `qc-launch schema` prints its JSON \
         Schema, with which editors complete keys and underline mistakes.\n\n\
         The more specific setting wins: the entry in `components`, then `server`, `watchdogs` or \
         `brains`, then `defaults`, then the keys with `_seconds`, then the defaults shown here. \
         `ready` is the exception: its five kinds of readiness are one choice.\n\n\
         An environment variable may be a secret. A command with `${VAR}` is shown as it is written, \
         and values in `env` and `webhook` are never shown. Paths of scripts, folders and files are \
         shown. Every user of the machine can see the arguments of a process, so put secrets into \
         `env`. A variable that is not set is an error of `qc-launch`; `qc-ps` and `qc-shutdown` work \
         without it.\n",
    );
    for group in reference() {
        section(&mut page, &group);
    }
    wrapped(&page)
}

fn section(page: &mut String, group: &Group) {
    let title = if group.name.is_empty() { "The file" } else { &group.name };
    let mut line = |text: String| writeln!(page, "{text}").expect("a String takes all");
    line(format!("\n## {title}\n\n{}\n", group.description));
    line("| key | takes | without it | |".into());
    line("| --- | --- | --- | --- |".into());
    for key in &group.keys {
        line(format!(
            "| `{}` | {} | {} | {} |",
            key.name,
            takes(key),
            without(key),
            cell(&key.description)
        ));
    }
}

fn takes(key: &Key) -> String {
    let link = |name: &str| format!("[{name}](#{})", name.to_lowercase());
    match &key.kind {
        Kind::Value(word) => cell(word),
        Kind::Group(name) | Kind::OptionalGroup(name) => link(name),
        Kind::Groups(name) => format!("object of {}", link(name)),
    }
}

fn without(key: &Key) -> String {
    match (&key.default, &key.example) {
        _ if key.is_required => "must be there".into(),
        (Some(default), _) => format!("`{default}`"),
        (None, Some(example)) => format!("(example: `{example}`)"),
        (None, None) => String::new(),
    }
}

/// Keeps a text from ending its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_the_config_is_current() {
        let path = page();
        let found = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        let hint = "run `cargo xtask docs`";
        assert!(found == config(), "{} is not what the types say: {hint}", path.display());
    }
}

//! Scripts that do not exist, where a file of nearly the same name does.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Check, Facts, Subject};
use crate::{Component, Fleet};

/// For more missing scripts than this, the folder is probably another one.
const MOST: usize = 32;

/// Finds the file that each missing script was probably meant to be. One that is the script of
/// another component is not.
pub(super) fn gather(
    fleet: &Fleet,
    components: &[Arc<Component>],
    missing: &HashSet<PathBuf>,
) -> HashMap<PathBuf, String> {
    let used: HashSet<&Path> =
        fleet.components.iter().filter_map(|one| one.script.as_deref()).collect();
    let scripts = components.iter().filter_map(|one| one.named_script());
    let mut near = HashMap::new();
    for script in scripts.filter(|script| missing.contains(*script)).take(MOST) {
        let Some(name) = script.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(entries) = script.parent().and_then(|folder| fs::read_dir(folder).ok()) else {
            continue;
        };
        let files = entries.flatten().filter(|entry| !used.contains(entry.path().as_path()));
        let names = files.filter_map(|entry| entry.file_name().into_string().ok());
        if let Some(found) = nearest(name, names) {
            near.insert(script.to_path_buf(), found);
        }
    }
    near
}

/// Returns the name that is at most a few edits away: two, or for long names one in six letters.
fn nearest(wanted: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let most = (wanted.chars().count() / 6).max(2);
    let wanted = wanted.to_lowercase();
    let edits = |name: &String| strsim::damerau_levenshtein(&wanted, &name.to_lowercase());
    names
        .map(|name| (edits(&name), name))
        .filter(|(edits, _)| *edits <= most)
        .min()
        .map(|(_, name)| name)
}

/// Names the file that a missing script was probably meant to be.
pub(super) fn misnamed_scripts(components: &[Arc<Component>], facts: &Facts) -> Vec<Check> {
    let mut seen = HashSet::new();
    let scripts = components.iter().filter_map(|one| one.named_script());
    scripts
        .filter(|script| seen.insert(script.to_path_buf()))
        .filter_map(|script| Some((script.file_name()?, facts.near.get(script)?)))
        .map(|(script, near)| {
            let script = script.to_string_lossy();
            let text = format!("there is no {script}; did you mean {near}?");
            let advice = "rename the file, or correct the script in the config";
            Check::warning(Subject::Scripts, text, advice)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_nearly_the_same_name_is_found() {
        let found = |wanted: &str, names: &[&str]| {
            nearest(wanted, names.iter().map(|name| (*name).to_owned()))
        };
        for (wanted, names, near) in [
            ("BRAIN_ATLAS.py", &["BRAIN_ATALS.py", "notes.txt"][..], Some("BRAIN_ATALS.py")),
            ("BRAIN_ATLAS.py", &["brain_atlas.PY"], Some("brain_atlas.PY")),
            ("BRAIN_ATLAS.py", &["BRAIN_ATLAS2.py", "BRAIN_ATLAS.pyw"], Some("BRAIN_ATLAS.pyw")),
            ("STOPLOSS_WATCHDOG_V2.py", &["STOPLOSS_WATCHDOG.py"], Some("STOPLOSS_WATCHDOG.py")),
            ("BRAIN_ATLAS.py", &["BRAIN_BOREAS.py", "config.py"], None),
            ("a.py", &[], None),
        ] {
            assert_eq!(found(wanted, names).as_deref(), near, "{wanted}");
        }
    }
}

//! The folder in which a process was started that has left it: its relative script is not where it
//! works now.

use std::path::{Path, PathBuf};

use qc_process::ProcessInfo;

use crate::evidence::ProcessProbe;

/// Where a relative script of a process lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Below its current folder.
    Current,
    /// Below this folder, in which it was started.
    First(PathBuf),
    /// Its current folder is not the one that it was started in, and nothing shows that one.
    Unknown,
}

/// Finds the folder of `script`, a relative path. `PWD` counts only if the script exists there, and so
/// does the current folder of the nearest process that `process` descends from.
pub(super) fn origin_of(
    process: &ProcessInfo,
    script: &Path,
    processes: &[ProcessInfo],
    probe: &dyn ProcessProbe,
) -> Origin {
    let has_script = |folder: &Path| {
        let script = folder.join(script);
        // `python -m NAME` runs a file or a folder.
        [script.with_extension(""), script].iter().any(|one| probe.sees_file(process, one))
    };
    let Some(current) = &process.current_dir else { return Origin::Current };
    if has_script(current) {
        return Origin::Current;
    }
    let parent = |one: &&ProcessInfo| processes.iter().find(|parent| parent.can_be_parent_of(one));
    let ancestors = std::iter::successors(Some(process), parent).skip(1).take(processes.len());
    let folders = ancestors.filter_map(|one| one.current_dir.clone());
    let mut candidates = probe.first_folder(process).into_iter().chain(folders);
    candidates.find(|folder| has_script(folder)).map_or(Origin::Unknown, Origin::First)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::{Shown, process};

    #[test]
    fn the_first_folder_is_taken_only_where_the_script_lies() {
        let script = Path::new("BRAIN_A.py");
        let in_folder = |pid: u32, parent: u32, folder: &str| {
            process(Path::new(folder), pid, parent, "python BRAIN_A.py")
        };
        let first = |folder: &str| Origin::First(folder.into());
        // Where the script lies; what PWD says; the folders of the shell and of what started it.
        let cases = [
            ("/now", None, "/x", "/x", Origin::Current),
            ("/now", Some("/fleet"), "/fleet", "/x", Origin::Current),
            ("/fleet", Some("/fleet"), "/x", "/x", first("/fleet")),
            ("/fleet", Some("/x"), "/fleet", "/x", first("/fleet")),
            ("/fleet", None, "/x", "/fleet", first("/fleet")),
            ("/fleet", Some("/x"), "/x", "/x", Origin::Unknown),
            ("/nowhere", None, "/x", "/x", Origin::Unknown),
        ];
        for (lies, pwd, shell, above, expected) in cases {
            let processes =
                [in_folder(8, 1, above), in_folder(9, 8, shell), in_folder(10, 9, "/now")];
            let probe = Shown {
                only_in: Some(lies.into()),
                first: pwd.map(|pwd| (10, pwd.into())).into_iter().collect(),
                ..Shown::default()
            };
            let found = origin_of(&processes[2], script, &processes, &probe);
            assert_eq!(found, expected, "{lies} {pwd:?} {shell} {above}");
        }
    }
}

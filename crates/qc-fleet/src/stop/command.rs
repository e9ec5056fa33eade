//! The command that stops a program of another folder.

use std::path::Path;

use crate::CONFIG_FILE;

/// Returns how to stop the program with these PIDs that runs in `folder`. Names only what works: a
/// folder that was moved or removed since, or that has no config, is no root.
pub fn way_to_stop_in(folder: Option<&Path>, pids: &str) -> String {
    match folder {
        Some(folder) if folder.is_absolute() && folder.join(CONFIG_FILE).is_file() => {
            format!("`{}` stops it there", stop_command(folder))
        }
        _ => format!("end PID {pids}; its folder is the root of no fleet now"),
    }
}

/// Returns the command that stops the fleet of `folder`.
pub(crate) fn stop_command(folder: &Path) -> String {
    format!("qc-shutdown --root \"{}\"", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_root_is_named_in_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        for other in [None, Some(folder.path()), Some(gone.as_path()), Some(Path::new("x"))] {
            let way = way_to_stop_in(other, "7, 8");
            assert!(way.starts_with("end PID 7, 8;") && !way.contains("qc-shutdown"), "{way}");
        }
        std::fs::write(folder.path().join(CONFIG_FILE), "{}").unwrap();
        let way = way_to_stop_in(Some(folder.path()), "7");
        let expected =
            format!("`qc-shutdown --root \"{}\"` stops it there", folder.path().display());
        assert_eq!(way, expected);
    }
}

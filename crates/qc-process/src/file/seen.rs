//! Facts about a file that need no opening.

use std::path::Path;

use crate::imp;

/// Returns the number of the user to whom the file at `path` belongs, a link itself; `None` if it
/// can't be seen, and on Windows, where the folder alone says who may write.
pub fn owner(path: &Path) -> Option<u32> {
    imp::owner(path)
}

/// Whether the process with `pid` has the file at `path` open, also where the file was deleted since;
/// `None` where the system does not show it: for processes of other users, and always on Windows.
pub fn is_open_in(pid: u32, path: &Path) -> Option<bool> {
    imp::is_open_in(pid, path)
}

/// Returns for each of `paths` the processes that have that file open with a lock on it, as far as the system shows: pid
/// and name. None on Windows.
pub fn openers(paths: &[&Path]) -> Vec<Vec<(u32, String)>> {
    imp::openers(paths)
}

#[cfg(all(test, unix))] // Windows shows neither.
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn an_open_file_is_seen_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard");
        let file = File::create(&path).unwrap();
        assert_eq!(openers(&[&path]), [vec![]], "it has no lock on it");
        file.lock().unwrap();
        let other = dir.path().join("other");
        fs::write(&other, "").unwrap();
        let own = std::process::id();
        assert_eq!(is_open_in(own, &path), Some(true));
        let seen = openers(&[&path, &other]);
        assert_eq!(seen[0].iter().map(|(pid, _)| *pid).collect::<Vec<_>>(), [own]);
        assert_eq!(seen[1], []);
        assert_eq!(is_open_in(own, &other), Some(false));
        fs::rename(&path, &other).unwrap();
        assert_eq!(is_open_in(own, &other), Some(true), "renamed");
        assert_eq!(is_open_in(own, &path), Some(false), "renamed");
        fs::remove_file(&other).unwrap();
        assert_eq!(is_open_in(own, &other), Some(true), "deleted");
        drop(file);
        assert_eq!(is_open_in(own, &other), Some(false));
    }

    #[test]
    fn the_files_of_a_process_that_is_not_there_are_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(is_open_in(u32::MAX - 3, &dir.path().join("guard")), None);
    }

    #[test]
    fn an_own_file_belongs_to_this_user() {
        let dir = tempfile::tempdir().unwrap();
        let own = owner(Path::new(&format!("/proc/{}", std::process::id()))).unwrap();
        assert_eq!(owner(dir.path()), Some(own));
        assert_eq!(owner(&dir.path().join("none")), None);
    }
}

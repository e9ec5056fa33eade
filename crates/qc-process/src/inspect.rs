//! A closer look at a single process, for the few whose command line does not settle what they are.
//!
//! The caller makes sure that the pid still belongs to the process it means.

use std::path::PathBuf;

use crate::imp;

/// Returns the files that the process has open in folders of this name. Empty where the system does
/// not show them.
pub fn open_in(pid: u32, folder: &str) -> Vec<PathBuf> {
    imp::open_in(pid, folder)
}

/// Returns the number of the user whose process it is, as in [`crate::file::owner`]; `None` on
/// Windows, and if there is no such process.
pub fn user_of(pid: u32) -> Option<u32> {
    imp::user_of(pid)
}

/// Whether the process has loaded a Python interpreter, which a launcher of Python has not; `None`
/// where the system does not show it.
pub fn loads_python(pid: u32) -> Option<bool> {
    imp::loads_python(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_loaded_no_python() {
        assert_eq!(loads_python(std::process::id()), Some(false));
        assert_eq!(loads_python(u32::MAX - 3), None);
    }

    /// Windows shows no open files.
    #[cfg(unix)]
    #[test]
    fn open_files_are_found_by_the_name_of_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let guards = folder.path().join("guards-of-this-test");
        std::fs::create_dir(&guards).unwrap();
        let path = guards.join("name@x");
        let file = std::fs::File::create(&path).unwrap();
        assert_eq!(open_in(std::process::id(), "guards-of-this-test"), [path]);
        drop(file);
        assert!(open_in(std::process::id(), "guards-of-this-test").is_empty());
    }

    /// Windows does not number its users.
    #[cfg(unix)]
    #[test]
    fn an_own_file_belongs_to_the_user_of_this_process() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(user_of(std::process::id()), crate::file::owner(file.path()));
        assert_eq!(user_of(u32::MAX - 3), None);
    }
}

//! Logs: cutting one that is written to, and a pointer to the newest.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use super::retry::opened;
use super::{regular, remove, replace};
use crate::imp;

/// Opens the regular file at `path`, which exists, for reading and for cutting; symbolic links are
/// not followed. Others may go on writing to it.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` if `path` is no regular file.
pub fn open_for_cutting(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    imp::prepare(&mut options, imp::Share::Everything);
    let file = opened(|| options.open(path))?;
    regular(&file)?;
    Ok(file)
}

/// Returns how many bytes [`cut_front`] may take off `file` as it is now: whole blocks, less than
/// all of it. Zero where the system can't do that.
///
/// # Errors
/// Whatever the system reports.
pub fn whole_blocks(file: &File) -> io::Result<u64> {
    imp::whole_blocks(file)
}

/// Takes `length` bytes off the front of `file`, in one step that no writer notices: what another
/// program appends at this moment is neither lost nor torn. `length` is at most what
/// [`whole_blocks`] said.
///
/// # Errors
/// Whatever the system reports; many file systems do not know this (ext4 and XFS do), and Windows
/// does not: the file is unchanged then.
///
/// Source: <https://man7.org/linux/man-pages/man2/fallocate.2.html> (`FALLOC_FL_COLLAPSE_RANGE`)
pub fn cut_front(file: &File, length: u64) -> io::Result<()> {
    imp::cut_front(file, length)
}

/// Makes `pointer` lead to the file `name` in the same folder, in place of where it led before.
///
/// A symbolic link on Unix. A second name of the same file (hard link) on Windows, where symbolic
/// links need a privilege: it stays with that file until it is made anew.
///
/// # Errors
/// Whatever the system reports; some file systems, such as FAT, know neither kind of link.
pub fn point_at(pointer: &Path, name: &OsStr) -> io::Result<()> {
    let mut fresh = pointer.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    remove(fresh)?;
    imp::link(&pointer.with_file_name(name), fresh)?;
    let replaced = replace(fresh, pointer);
    // Also where it was replaced: renaming one of two names of a file to the other does nothing.
    replaced.and(remove(fresh))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::file::open_for_append;

    #[test]
    fn a_pointer_leads_to_the_file_it_was_made_for_last() {
        let dir = tempfile::tempdir().unwrap();
        let pointer = dir.path().join("latest.log");
        for name in ["a.log", "b.log", "b.log", "a.log"] {
            fs::write(dir.path().join(name), name).unwrap();
            point_at(&pointer, OsStr::new(name)).unwrap();
            assert_eq!(fs::read_to_string(&pointer).unwrap(), name);
            let mut file = open_for_append(&dir.path().join(name)).unwrap();
            file.write_all(b" and more").unwrap();
            assert_eq!(fs::read_to_string(&pointer).unwrap(), format!("{name} and more"));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left behind");
    }

    #[test]
    fn what_is_appended_after_a_cut_follows_what_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut writer = open_for_append(&path).unwrap();
        writer.write_all(&b"0123456789abcde\n".repeat(4096)).unwrap();
        let file = open_for_cutting(&path).unwrap();
        let front = whole_blocks(&file).unwrap();
        assert!(front < 65_536, "{front}");
        match cut_front(&file, front) {
            Ok(()) => assert_eq!(fs::metadata(&path).unwrap().len(), 65_536 - front),
            // Not on this file system: the way that works everywhere.
            Err(_) => file.set_len(0).unwrap(),
        }
        writer.write_all(b"end").unwrap();
        assert!(fs::read(&path).unwrap().ends_with(b"end"));
        assert!(!fs::read(&path).unwrap().contains(&0), "there is no gap");
    }
}

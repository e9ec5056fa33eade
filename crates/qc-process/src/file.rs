mod explained;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use self::explained::{denied, explained, not_regular};
use crate::fault::point;
use crate::imp;

/// The pause between two tries of an operation that another program's open file blocks: virus
/// scanners and indexers open new files for up to some hundred milliseconds, and one may follow
/// the other.
const PAUSE: Duration = Duration::from_millis(10);

/// How often opening is tried while somebody has the file open without sharing it.
const OPEN_TRIES: u32 = 200;

/// How often opening is tried where access is denied: a file that is being deleted looks like this,
/// but mostly it is final.
const DENIED_TRIES: u32 = 40;

/// How often replacing and removing is tried: whoever does it has the right to, and many readers
/// may look at the file at once.
const CHANGE_TRIES: u32 = 300;

/// The room that a program finds for its output on a disk that counts as having any, in bytes.
const LEAST_ROOM: u64 = 64 * 1024;

/// A guard that is open, and which file it is.
#[derive(Debug)]
pub struct GuardFile {
    file: File,
    id: imp::FileId,
}

impl GuardFile {
    /// Opens the guard at `path`, creating it if it is missing.
    ///
    /// Symbolic links are not followed, nothing is truncated, and children do not inherit the file
    /// unless [`crate::Spawn::keep`] says so. On Windows it can't be deleted while it is open.
    ///
    /// # Errors
    /// Whatever the system reports; `InvalidInput` if `path` is no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = loop {
            match opened(|| open_guard(path)) {
                // Made or deleted by somebody else meanwhile.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => break opened.map_err(|error| explained(error, path))?,
            }
        };
        let id = imp::file_id(&regular(&file)?);
        Ok(Self { file, id })
    }

    /// Tells whether the open file still is what `path` names.
    ///
    /// Always true on Windows, where an open guard can't be deleted.
    ///
    /// # Errors
    /// Whatever the system reports, except that a missing `path` is `false`.
    pub fn is_at(&self, path: &Path) -> io::Result<bool> {
        point("compare guard");
        imp::is_at(&self.id, path)
    }

    /// Returns the open file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

fn open_guard(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    imp::prepare(&mut options, imp::Share::NoDelete);
    let read_only = options.clone();
    options.write(true);
    point("open guard");
    match options.open(path) {
        // Another user's guard, or one on a disk that has become read-only, can be locked without
        // being writable.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            read_only.open(path).map_err(|_| error)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            point("make guard");
            let file = options.create_new(true).open(path)?;
            imp::let_share(&file, path);
            Ok(file)
        }
        opened => opened,
    }
}

/// Makes the directory at `path` and those above it, unless it is there. Links are refused: who
/// can place one could move what is to be in there elsewhere.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` and `NotADirectory` if `path` is something else.
pub fn make_directory(path: &Path) -> io::Result<()> {
    point("look for directory");
    match fs::symlink_metadata(path) {
        Ok(found) => check_directory(&found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            point("make directory");
            match fs::create_dir_all(path) {
                // Somebody else was faster; whether it is a directory shows when it is used.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(denied(error, path)),
                Ok(()) => {
                    imp::let_share_directory(path);
                    Ok(())
                }
            }
        }
        Err(error) => Err(denied(error, path)),
    }
}

/// Lists the names in the directory at `path`; none if there is no such directory.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` and `NotADirectory` if `path` is something else.
pub fn list_directory(path: &Path) -> io::Result<Vec<OsString>> {
    point("look for directory");
    match fs::symlink_metadata(path) {
        Ok(found) => check_directory(&found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(denied(error, path)),
    }
    list_checked_directory(path)
}

/// Does the same where the directory has just been checked.
///
/// # Errors
/// Whatever the system reports.
pub fn list_checked_directory(path: &Path) -> io::Result<Vec<OsString>> {
    point("list directory");
    let entries = fs::read_dir(path).map_err(|error| denied(error, path))?;
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

fn check_directory(found: &fs::Metadata) -> io::Result<()> {
    if found.is_dir() {
        Ok(())
    } else if found.is_symlink() {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"))
    } else {
        Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory"))
    }
}

/// Reads at most `limit` bytes of the regular file at `path`, without following symbolic links.
/// One byte more is read than `limit` if there is one, so that a caller can see the excess.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` if `path` is no regular file.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_limited_from(path, 0, limit)
}

/// Does the same from the byte at `offset` on.
///
/// # Errors
/// As [`read_limited`].
pub fn read_limited_from(path: &Path, offset: u64, limit: u64) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true);
    imp::prepare(&mut options, imp::Share::Everything);
    point("open for reading");
    let mut file = opened(|| options.open(path)).map_err(|error| explained(error, path))?;
    regular(&file)?;
    point("read");
    if offset > 0 {
        file.seek(SeekFrom::Start(offset))?;
    }
    // Most are small, and then read in one piece, into room that the allocator has at hand.
    let mut bytes = Vec::with_capacity(1024);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Appends `bytes` to the regular file at `path` with one write, creating it if it is missing, and
/// returns how long it is then; symbolic links are not followed.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` if `path` is no regular file, or a hard link: what
/// else has that name, too, could be somebody else's.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<u64> {
    point("open for appending");
    let (mut file, before) = open_to_append(path)?;
    if imp::has_other_names(&file, &before)? {
        let text = "it is a hard link, so it may be another file; remove it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if before.len() == 0 {
        imp::let_share(&file, path);
    }
    point("append");
    file.write_all(bytes)?;
    Ok(before.len() + bytes.len() as u64)
}

/// Writes a file that must not exist yet. A leftover with the same name comes from a process that
/// had this pid before and is gone.
///
/// # Errors
/// Whatever the system reports.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path, bytes).map(drop)
}

/// Does the same, and returns when the bytes have reached the disk.
///
/// # Errors
/// Whatever the system reports.
pub fn write_new_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path, bytes)?.sync_all()
}

fn create(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).open(path);
    point("create");
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            point("remove left over");
            changed(|| fs::remove_file(path))?;
            point("create");
            create()?
        }
        created => created.map_err(|error| denied(error, path))?,
    };
    imp::let_share(&file, path);
    point("write");
    file.write_all(bytes)?;
    Ok(file)
}

/// Opens the regular file at `path` for appending, creating it if it is missing; symbolic links
/// are not followed.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` if `path` is no regular file.
pub fn open_for_append(path: &Path) -> io::Result<File> {
    open_to_append(path).map(|(file, _)| file)
}

fn open_to_append(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    imp::prepare(&mut options, imp::Share::Everything);
    let file = opened(|| options.open(path)).map_err(|error| explained(error, path))?;
    let found = regular(&file)?;
    Ok((file, found))
}

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

/// Opens the file at `path` for the output of a child, which is appended to it.
///
/// # Errors
/// Whatever the system reports; `StorageFull` if hardly anything more fits on the disk: most
/// programs end when their output can't be written.
pub fn open_output(path: &Path) -> io::Result<File> {
    let dir = path.parent().unwrap_or(path);
    // Where the room is not known, the file is written to until it can't be.
    if imp::volume(dir).is_ok_and(|volume| volume.free_bytes < LEAST_ROOM) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    open_for_append(path)
}

/// Opens a file that swallows what is written to it.
///
/// # Errors
/// Whatever the system reports.
pub fn open_nowhere() -> io::Result<File> {
    OpenOptions::new().append(true).open(imp::NOWHERE)
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

/// Renames `from` to `to`, replacing what is there.
///
/// # Errors
/// Whatever the system reports, after retries where another program holds one of the files.
pub fn replace(from: &Path, to: &Path) -> io::Result<()> {
    point("rename");
    changed(|| fs::rename(from, to)).map_err(|error| denied(error, to))
}

/// Removes the file at `path`; one that is already gone is fine.
///
/// # Errors
/// Whatever the system reports, after retries where another program holds the file.
pub fn remove(path: &Path) -> io::Result<()> {
    point("remove");
    match changed(|| fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|error| denied(error, path)),
    }
}

fn regular(file: &File) -> io::Result<fs::Metadata> {
    point("see what was opened");
    let found = file.metadata()?;
    if found.is_file() { Ok(found) } else { Err(not_regular(&found)) }
}

/// Opens a file that somebody else may have open for a moment.
fn opened<T>(operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    with_retries(|error| if is_denied(error) { DENIED_TRIES } else { OPEN_TRIES }, operation)
}

/// Replaces or removes a file that somebody else may have open for a moment.
fn changed<T>(operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    with_retries(|_| CHANGE_TRIES, operation)
}

fn with_retries<T>(
    tries: impl Fn(&io::Error) -> u32,
    mut operation: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let mut tried = 1;
    loop {
        match operation() {
            Err(error) if imp::is_transient(&error) && tried < tries(&error) => {
                thread::sleep(PAUSE);
                tried += 1;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

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

    #[test]
    fn nowhere_swallows_everything() {
        open_nowhere().unwrap().write_all(b"gone").unwrap();
    }
}

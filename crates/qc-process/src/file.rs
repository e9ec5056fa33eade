use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::imp;

/// The pause between two tries of an operation that another program's open file blocks: virus
/// scanners and indexers open new files for up to some hundred milliseconds.
const PAUSE: Duration = Duration::from_millis(10);

/// How often reading is tried.
const READ_TRIES: u32 = 40;

/// How often replacing and removing is tried: whoever does it has the right to, and many readers
/// may look at the file at once.
const WRITE_TRIES: u32 = 300;

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
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        imp::prepare(&mut options, imp::Share::NoDelete);
        let file = match options.open(path) {
            // Another user's guard can be locked without being writable.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let mut options = OpenOptions::new();
                options.read(true);
                imp::prepare(&mut options, imp::Share::NoDelete);
                options.open(path).map_err(|_| error)?
            }
            opened => opened?,
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
        imp::is_at(&self.id, path)
    }

    /// Returns the open file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Reads at most `limit` bytes of the regular file at `path`, without following symbolic links.
/// One byte more is read than `limit` if there is one, so that a caller can see the excess.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` if `path` is no regular file.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true);
    imp::prepare(&mut options, imp::Share::Everything);
    let file = with_retries(READ_TRIES, || options.open(path))?;
    regular(&file)?;
    // Most are small, and then read in one piece.
    let mut bytes = Vec::with_capacity(4096);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Appends `bytes` to the regular file at `path` with one write, creating it if it is missing, and
/// returns how long it is then; symbolic links are not followed.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` if `path` is no regular file.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<u64> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    imp::prepare(&mut options, imp::Share::Everything);
    let mut file = with_retries(READ_TRIES, || options.open(path))?;
    let before = regular(&file)?.len();
    file.write_all(bytes)?;
    Ok(before + bytes.len() as u64)
}

/// Writes a file that must not exist yet. A leftover with the same name comes from a process that
/// had this pid before and is gone.
///
/// # Errors
/// Whatever the system reports.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let create = || OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()?
        }
        created => created?,
    };
    file.write_all(bytes)
}

/// Renames `from` to `to`, replacing what is there.
///
/// # Errors
/// Whatever the system reports, after retries where another program holds one of the files.
pub fn replace(from: &Path, to: &Path) -> io::Result<()> {
    with_retries(WRITE_TRIES, || fs::rename(from, to))
}

/// Removes the file at `path`; one that is already gone is fine.
///
/// # Errors
/// Whatever the system reports, after retries where another program holds the file.
pub fn remove(path: &Path) -> io::Result<()> {
    match with_retries(WRITE_TRIES, || fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn regular(file: &File) -> io::Result<fs::Metadata> {
    let found = file.metadata()?;
    if found.is_file() {
        Ok(found)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

fn with_retries<T>(tries: u32, mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..tries {
        match operation() {
            Err(error) if imp::is_transient(&error) => thread::sleep(PAUSE),
            result => return result,
        }
    }
    operation()
}

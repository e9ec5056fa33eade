mod cut;
mod directory;
mod explained;
mod guard;
mod retry;
mod seen;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use self::explained::{denied, explained, not_regular};
use self::retry::{changed, opened};
use crate::fault::point;
use crate::imp;

pub use self::cut::{cut_front, open_for_cutting, point_at, whole_blocks};
pub use self::directory::{list_checked_directory, list_directory, make_directory};
pub use self::guard::GuardFile;
pub use self::seen::{is_open_in, openers, owner};

/// The room that a program finds for its output on a disk that counts as having any, in bytes.
const LEAST_ROOM: u64 = 64 * 1024;

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

/// Reads a file of the user's own in full, but not more than one byte beyond `limit`. Unlike for
/// records, links are followed; and Windows reads for us what it keeps elsewhere, in the cloud or
/// deduplicated, which a file opened as such a link is not.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` if it is no regular file.
pub fn read_limited_following(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true);
    imp::prepare_following(&mut options);
    let file = opened(|| options.open(path)).map_err(|error| explained(error, path))?;
    regular(&file)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Appends `bytes` to the regular file at `path` with one write, creating it if it is missing, and
/// returns how long it is then; symbolic links are not followed.
///
/// # Errors
/// Whatever the system reports; `InvalidInput` if `path` is no regular file, or a hard link: what
/// else has that name, too, could be another program's.
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn nowhere_swallows_everything() {
        open_nowhere().unwrap().write_all(b"gone").unwrap();
    }
}

//! Rotating a log that has grown too large, while its component goes on writing to it.
//!
//! The component keeps its handle, so its file can be neither replaced nor closed: what it has
//! written is copied to a segment, `<name>_<start>.<number>.log`, and then taken off the file's front.
//! Segments and rest, joined, are exactly what was written. How the front goes:
//!
//! - ext4, XFS: whole blocks in one step of the kernel's, under the same lock as each append.
//!   **Nothing is ever lost.** Less than a block stays behind, so a line may be split between segment
//!   and rest.
//! - elsewhere, and on Windows: when everything is copied and the file has not grown since, best not
//!   for a millisecond, it is emptied; both systems then append at the new end. **What the component
//!   writes between the last look at the size and the emptying is lost**: two system calls, some
//!   microseconds. One that writes without any pause would never let that moment come; after 250
//!   tries its file is emptied all the same, and how much was seen to be lost is returned.
//!
//! A launcher killed between the copy and the cut may leave lines twice. It loses none.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use qc_process::file;

use crate::folder::{COPYING, ROTATING};
use crate::{LogFolder, LogName};

/// How often a file is waited for to be quiet, and for how long.
const PATIENT_TRIES: u32 = 50;
const QUIET: Duration = Duration::from_millis(1);

/// How often after that it is enough that nothing was written since the copy.
const HASTY_TRIES: u32 = 200;

/// The segment that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Where it is now.
    pub segment: PathBuf,
    /// How much it is.
    pub bytes: u64,
    /// How much is known to be lost.
    pub lost: u64,
}

/// Moves what `name` holds to the next segment. A file with nothing to cut off is left alone.
///
/// # Errors
/// Whatever the system reports, such as a disk too full for the copy; the file is as it was then.
pub fn rotate(folder: &LogFolder, name: &LogName) -> io::Result<Option<Rotated>> {
    rotate_with(folder, name, Durability::Synced)
}

/// Whether a segment must be on the disk before it is taken off the file's front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The segment must survive a power failure.
    Synced,
    /// The file grows faster than a busy disk may write: to wait for that would fill it.
    Hasty,
}

/// Does the same.
///
/// # Errors
/// As [`rotate`].
pub(crate) fn rotate_with(
    folder: &LogFolder,
    name: &LogName,
    durability: Durability,
) -> io::Result<Option<Rotated>> {
    recover(folder)?;
    let rest = name.without_segment();
    let source = file::open_for_cutting(&folder.path().join(rest.file_name()))?;
    if source.metadata()?.len() == 0 {
        return Ok(None);
    }
    let segment = folder.path().join(rest.with_segment(next_segment(folder, &rest)?).file_name());
    let (copying, cutting) = (with_ending(&segment, COPYING), with_ending(&segment, ROTATING));
    let (bytes, lost) = take_front(source, &copying, &cutting, durability).inspect_err(|_| {
        // The file still has it all. What can't be removed now is seen to next time.
        let _ = file::remove(&copying).and_then(|()| file::remove(&cutting));
    })?;
    file::replace(&cutting, &segment)?;
    Ok(Some(Rotated { segment, bytes, lost }))
}

/// Finishes what a launcher that was killed has left half done: an unfinished copy goes, a finished
/// one becomes a segment, although its lines may still stand in the file, too.
///
/// # Errors
/// Whatever the system reports.
pub fn recover(folder: &LogFolder) -> io::Result<()> {
    for name in folder.file_names()? {
        let is_ours = |segment: &&str| LogName::parse(segment).is_some();
        let path = folder.path().join(&name);
        if name.strip_suffix(COPYING).as_ref().is_some_and(is_ours) {
            file::remove(&path)?;
        } else if let Some(segment) = name.strip_suffix(ROTATING).filter(is_ours) {
            file::replace(&path, &folder.path().join(segment))?;
        }
    }
    Ok(())
}

/// Copies and cuts; returns how many bytes the segment has, and how many are lost.
fn take_front(
    mut source: File,
    copying: &Path,
    cutting: &Path,
    durability: Durability,
) -> io::Result<(u64, u64)> {
    let blocks = file::whole_blocks(&source)?;
    let mut segment = File::create_new(copying)?;
    let most = if blocks > 0 { blocks } else { u64::MAX };
    let mut copied = copy(&mut source, 0, most, &mut segment)?;
    if durability == Durability::Synced {
        segment.sync_data()?;
    }
    drop(segment);
    file::replace(copying, cutting)?;
    if blocks > 0 && copied == blocks && file::cut_front(&source, blocks).is_ok() {
        return Ok((blocks, 0));
    }
    let mut segment = file::open_for_append(cutting)?;
    for round in 0..PATIENT_TRIES + HASTY_TRIES {
        copied += copy(&mut source, copied, u64::MAX, &mut segment)?;
        if round < PATIENT_TRIES {
            thread::sleep(QUIET);
        }
        if source.metadata()?.len() == copied {
            source.set_len(0)?;
            return Ok((copied, 0));
        }
    }
    copied += copy(&mut source, copied, u64::MAX, &mut segment)?;
    let lost = source.metadata()?.len().saturating_sub(copied);
    source.set_len(0)?;
    Ok((copied, lost))
}

/// Copies at most `most` bytes from `at` on; returns how many there were.
fn copy(source: &mut File, at: u64, most: u64, segment: &mut File) -> io::Result<u64> {
    // A component that writes faster than this copies must not keep it busy for ever.
    let grown = source.metadata()?.len().saturating_sub(at);
    source.seek(SeekFrom::Start(at))?;
    io::copy(&mut source.take(most.min(grown)), segment)
}

fn next_segment(folder: &LogFolder, rest: &LogName) -> io::Result<u32> {
    let mut last = 0;
    for name in folder.file_names()?.iter().filter_map(|name| LogName::parse(name)) {
        if name.without_segment() == *rest {
            last = last.max(name.segment().unwrap_or(0));
        }
    }
    last.checked_add(1).ok_or_else(|| io::Error::other("there are too many parts"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether this part of a log is being cut off at this moment, or a launcher was killed then.
///
/// Whoever reads the log looks here first, and at [`was_rotated`] then: if both say no, nothing had
/// been cut off before the first look. The other way round, a cut could end between the two.
pub(crate) fn is_being_rotated(folder: &LogFolder, rest: &LogName, segment: u32) -> bool {
    let segment = folder.path().join(rest.with_segment(segment).file_name());
    fs::exists(with_ending(&segment, ROTATING)).unwrap_or(false)
}

/// Whether this part of a log has been cut off.
pub(crate) fn was_rotated(folder: &LogFolder, rest: &LogName, segment: u32) -> bool {
    fs::exists(folder.path().join(rest.with_segment(segment).file_name())).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn log(dir: &tempfile::TempDir) -> (LogFolder, LogName, PathBuf) {
        let name = LogName::parse("BRAIN_A_20260101_000000.log").unwrap();
        (LogFolder::new(dir.path()), name.clone(), dir.path().join(name.file_name()))
    }

    /// Everything the log holds, parts first.
    fn joined(folder: &LogFolder) -> Vec<u8> {
        let files = folder.list().unwrap();
        files.iter().flat_map(|found| fs::read(&found.path).unwrap()).collect()
    }

    #[test]
    fn parts_and_rest_are_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, name, path) = log(&dir);
        assert!(rotate(&folder, &name).is_err(), "there is no such file");
        let mut writer = file::open_for_append(&path).unwrap();
        assert_eq!(rotate(&folder, &name).unwrap(), None, "it is empty");
        let mut written: Vec<u8> = Vec::new();
        for round in 1..=12 {
            let text = format!("round {round}\n").repeat(3000);
            written.extend(text.as_bytes());
            writer.write_all(text.as_bytes()).unwrap();
            let rotate = rotate(&folder, &name).unwrap().unwrap();
            assert_eq!(
                rotate.segment.file_name().unwrap().to_str(),
                Some(&*name.with_segment(round).file_name())
            );
            assert_eq!(rotate.lost, 0);
            assert!(fs::metadata(&path).unwrap().len() < 64 * 1024, "it is short again");
        }
        writer.write_all(b"the end").unwrap();
        written.extend(b"the end");
        assert!(joined(&folder) == written);
        assert_eq!(folder.file_names().unwrap().len(), 13, "nothing is left behind");
    }

    #[test]
    fn numbers_go_on_where_old_parts_were_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, name, path) = log(&dir);
        for number in [1, 2] {
            fs::write(&path, "text").unwrap();
            assert_eq!(
                rotate(&folder, &name).unwrap().unwrap().segment,
                dir.path().join(name.with_segment(number).file_name())
            );
        }
        fs::remove_file(dir.path().join(name.with_segment(1).file_name())).unwrap();
        fs::write(&path, "text").unwrap();
        assert_eq!(
            rotate(&folder, &name).unwrap().unwrap().segment,
            dir.path().join(name.with_segment(3).file_name())
        );
    }

    #[test]
    fn what_a_killed_launcher_left_half_done_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, name, path) = log(&dir);
        let segment = |number| dir.path().join(name.with_segment(number).file_name());
        fs::write(&path, "rest").unwrap();
        fs::write(with_ending(&segment(1), ROTATING), "front, ").unwrap();
        fs::write(with_ending(&segment(2), COPYING), "re").unwrap();
        fs::write(dir.path().join("mine.cutting"), "").unwrap();
        fs::write(dir.path().join("mine.copying"), "").unwrap();
        rotate(&folder, &name).unwrap().unwrap();
        assert_eq!(joined(&folder), b"front, rest");
        assert!(segment(2).exists());
        assert_eq!(folder.file_names().unwrap().len(), 5, "what is not ours is left alone");
    }
}

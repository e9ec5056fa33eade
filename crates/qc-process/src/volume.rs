//! On what a folder lies.

use std::io;
use std::path::Path;

use crate::imp;

/// The disk that a folder lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where it is.
    pub place: VolumePlace,
    /// The system's name for its kind, such as `nfs`; empty if unknown.
    pub kind: String,
    /// How many bytes this user can still write to it; `u64::MAX` if it has no size of its own.
    pub free_bytes: u64,
}

/// Where a disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumePlace {
    /// In this machine, as far as the system knows.
    Local,
    /// In another machine, or shared with one: its locks may not be what they seem.
    Network,
    /// Behind a program of its own (FUSE), which may take locks seriously or not.
    Program,
}

/// Returns the volume on which `path` lies, or where it does not exist yet, the nearest folder
/// above it that does.
///
/// # Errors
/// Whatever the system reports.
pub fn volume(path: &Path) -> io::Result<Volume> {
    let path = std::path::absolute(path)?;
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(&path);
    imp::volume(existing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_folder_is_here_and_has_room() {
        let dir = std::env::temp_dir();
        let found = volume(&dir.join("not").join("there")).unwrap();
        assert_ne!(found.place, VolumePlace::Network, "{found:?}");
        assert!(found.free_bytes > 0, "{found:?}");
        assert_eq!(found.place, volume(&dir).unwrap().place);
    }
}

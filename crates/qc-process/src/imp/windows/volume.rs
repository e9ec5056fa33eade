//! On what a folder lies.

use std::io;
use std::path::Path;
use std::ptr;

use windows_sys::Win32::Storage::FileSystem::{
    GetDiskFreeSpaceExW, GetDriveTypeW, GetVolumePathNameW,
};
use windows_sys::Win32::System::WindowsProgramming::DRIVE_REMOTE;

use super::command_line::to_wide_nul;
use super::sys::checked;
use crate::{Volume, VolumePlace};

pub(crate) fn volume(path: &Path) -> io::Result<Volume> {
    let root = volume_root(&to_wide_nul(path.as_os_str()))?;
    // SAFETY: `root` ends in zero.
    let is_remote = unsafe { GetDriveTypeW(root.as_ptr()) } == DRIVE_REMOTE;
    let (place, kind) = if is_remote {
        (VolumePlace::Network, "a network drive")
    } else {
        (VolumePlace::Local, "")
    };
    // A disk whose size is not known is still known to be a network's.
    let free_bytes = free_bytes(path).unwrap_or(u64::MAX);
    Ok(Volume { place, kind: kind.into(), free_bytes })
}

/// Returns where the volume of `path` is mounted: a drive, a folder, or a share of another machine.
///
/// # Errors
/// Whatever the system reports.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getvolumepathnamew>
fn volume_root(path: &[u16]) -> io::Result<Vec<u16>> {
    let mut buffer = vec![0; path.len() + 2];
    let length = u32::try_from(buffer.len()).map_err(io::Error::other)?;
    // SAFETY: `path` ends in zero, and `buffer` has room for `length` units.
    checked(unsafe { GetVolumePathNameW(path.as_ptr(), buffer.as_mut_ptr(), length) })?;
    Ok(buffer)
}

/// Returns how many bytes this user can still write to the disk of the folder `path`.
///
/// # Errors
/// Whatever the system reports.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getdiskfreespaceexw>
fn free_bytes(path: &Path) -> io::Result<u64> {
    let mut free = 0;
    // A share of another machine must end in a backslash.
    let path = to_wide_nul(path.join("").as_os_str());
    // SAFETY: `path` ends in zero, the first out-pointer is a live local, and the others may be null.
    checked(unsafe {
        GetDiskFreeSpaceExW(path.as_ptr(), &mut free, ptr::null_mut(), ptr::null_mut())
    })?;
    Ok(free)
}

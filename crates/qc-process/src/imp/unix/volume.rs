//! On what a folder lies.

use std::io;
use std::path::Path;

use crate::{Volume, VolumePlace};

/// File systems that other machines share, by the numbers of the kernel.
///
/// Source: <https://man7.org/linux/man-pages/man2/statfs.2.html>
const SHARED: [(u32, &str); 15] = [
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x00c3_6400, "ceph"),
    (0x564c, "ncp"),
    (0x7461_636f, "ocfs2"),
    (0x0116_1970, "gfs2"),
    (0x0bd0_0bd0, "lustre"),
    (0x786f_4256, "vboxsf"),
    (0xbacb_acbc, "vmhgfs"),
];

/// A file system that a program makes: sshfs, rclone, but also NTFS on a disk of this machine.
const FUSE: u32 = 0x6573_5546;

pub(crate) fn volume(path: &Path) -> io::Result<Volume> {
    let found = rustix::fs::statfs(path)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number has 32 bits"
    )]
    let number = found.f_type as u32;
    let (place, kind) = match SHARED.iter().find(|(shared, _)| *shared == number) {
        Some((_, name)) => (VolumePlace::Network, *name),
        None if number == FUSE => (VolumePlace::Program, "fuse"),
        None => (VolumePlace::Local, ""),
    };
    let block = u64::try_from(found.f_bsize).unwrap_or(0);
    // Some blocks are kept for the superuser. A file system without a size, such as a network's or
    // one in memory without limit, has no blocks at all.
    let free_blocks = match found.f_blocks {
        0 => u64::MAX,
        _ if rustix::process::geteuid().is_root() => found.f_bfree,
        _ => found.f_bavail,
    };
    let free_bytes = free_blocks.saturating_mul(block);
    Ok(Volume { place, kind: kind.into(), free_bytes })
}

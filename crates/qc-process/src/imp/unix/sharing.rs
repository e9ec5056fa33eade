//! Users: to whom a file belongs, and files that all who may write to a folder can use.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

pub(crate) fn user_name() -> String {
    name_of_user(rustix::process::getuid().as_raw())
}

fn name_of_user(uid: u32) -> String {
    let uid = uid.to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    name.unwrap_or(uid)
}

/// Whether the file has another name in some folder, too.
pub(crate) fn has_other_names(_file: &File, found: &fs::Metadata) -> io::Result<bool> {
    Ok(found.nlink() > 1)
}

/// Returns the number of the user to whom the file at `path` belongs.
pub(crate) fn owner(path: &Path) -> Option<u32> {
    Some(fs::symlink_metadata(path).ok()?.uid())
}

/// Returns to whom the file at `path` belongs, if not to this program's user.
pub(crate) fn other_owner(path: &Path) -> Option<String> {
    let owner = owner(path)?;
    (owner != rustix::process::geteuid().as_raw()).then(|| name_of_user(owner))
}

/// Lets those who may write to the folder of `path` use `file`, which has just been made there,
/// whatever the umask: otherwise the first of them would lock out the others. In a folder where
/// each keeps his own, such as `/tmp`, nothing is changed.
pub(crate) fn let_share(file: &File, path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(folder) = fs::metadata(folder.unwrap_or(Path::new("."))) else { return };
    let (group_and_others, sticky) = (0o022, 0o1000);
    let writers = folder.mode() & group_and_others;
    if writers == 0 || folder.mode() & sticky != 0 {
        return;
    }
    let Ok(made) = file.metadata() else { return };
    let enter = if made.is_dir() { writers >> 1 } else { 0 };
    let mode = made.mode() | writers | writers << 1 | enter;
    if mode != made.mode() {
        // Not every disk knows modes; what is denied to the others then is said to them.
        let _ = file.set_permissions(fs::Permissions::from_mode(mode & 0o7777));
    }
}

/// Opens a guard to those who may write to its folder, and to no one else: a process that can open it can lock
/// it. Only its owner and root can, and do so with old ones, too.
pub(crate) fn open_to_writers(file: &File, found: &fs::Metadata, path: &Path) {
    let Some(Ok(folder)) = path.parent().map(fs::metadata) else { return };
    let user = rustix::process::geteuid();
    let is_own = user.is_root() || user.as_raw() == found.uid();
    // A hard link may be another file, which was given this name to have it opened.
    if !is_own || found.nlink() > 1 {
        return;
    }
    let writers = folder.mode() & 0o022;
    let wanted = 0o600 | writers | writers << 1;
    let owner = (user.is_root() && folder.uid() != found.uid()).then(|| folder.uid());
    let group = (writers & 0o020 != 0 && folder.gid() != found.gid()).then(|| folder.gid());
    if owner.is_some() || group.is_some() {
        // Not everybody is in the folder's group; then the others are denied, which is said to them.
        let _ = std::os::unix::fs::fchown(file, owner, group);
    }
    if found.mode() & 0o7777 != wanted {
        // Not every disk knows modes.
        let _ = file.set_permissions(fs::Permissions::from_mode(wanted));
    }
}

/// Does the same for a folder.
pub(crate) fn let_share_directory(path: &Path) {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC);
    if let Ok(made) = options.open(path) {
        let_share(&made, path);
    }
}

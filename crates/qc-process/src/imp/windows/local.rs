//! The named pipe of a folder.

use std::fs;
use std::io;
use std::path::Path;

use interprocess::local_socket::{GenericNamespaced, ListenerOptions, Name, ToNsName};
use interprocess::os::windows::local_socket::ListenerOptionsExt;
use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use sha2::{Digest, Sha256};
use widestring::U16CString;

use super::sys;

pub(crate) struct LocalPlace(String);

impl LocalPlace {
    /// The same folder has the same name, however it is written.
    pub(crate) fn of(dir: &Path) -> io::Result<Self> {
        // Some disks, such as RAM disks, have no name that the system could resolve a path to.
        let path = fs::canonicalize(dir).or_else(|_| std::path::absolute(dir))?;
        let path = path.to_string_lossy().to_lowercase();
        let digest = Sha256::digest(path.as_bytes());
        let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(format!("qc-{digits}")))
    }

    pub(crate) fn name(&self) -> io::Result<Name<'_>> {
        self.0.as_str().to_ns_name::<GenericNamespaced>()
    }
}

/// A pipe goes with the program that made it.
pub(crate) fn clear_left_over(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// Full access for this user, and for no other user.
///
/// Source: <https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format>
pub(crate) fn for_this_user(options: ListenerOptions<'_>) -> io::Result<ListenerOptions<'_>> {
    let text = format!("D:P(A;;GA;;;{})", sys::user_sid()?);
    let text = U16CString::from_str(text).map_err(io::Error::other)?;
    Ok(options.security_descriptor(SecurityDescriptor::deserialize(&text)?))
}

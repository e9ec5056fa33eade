//! The named pipe of a folder.

use std::fs;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;

use hmac_sha256::Hash;
use interprocess::local_socket::{GenericNamespaced, ListenerOptions, Name, ToNsName};
use interprocess::os::windows::local_socket::ListenerOptionsExt;
use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use widestring::U16CString;
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::ConvertSidToStringSidW;
use windows_sys::Win32::Security::{GetTokenInformation, TOKEN_QUERY, TOKEN_USER, TokenUser};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::sys::checked;

pub(crate) struct LocalPlace(String);

impl LocalPlace {
    /// The same folder has the same name, however it is written.
    pub(crate) fn of(dir: &Path) -> io::Result<Self> {
        // Some disks, such as RAM disks, have no name that the system could resolve a path to.
        let path = fs::canonicalize(dir).or_else(|_| std::path::absolute(dir))?;
        let path = path.to_string_lossy().to_lowercase();
        let digest = Hash::hash(path.as_bytes());
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
    let text = format!("D:P(A;;GA;;;{})", user_sid()?);
    let text = U16CString::from_str(text).map_err(io::Error::other)?;
    Ok(options.security_descriptor(SecurityDescriptor::deserialize(&text)?))
}

/// Returns the security identifier of the user this process runs as, as text.
///
/// # Errors
/// Whatever the system reports.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/securitybaseapi/nf-securitybaseapi-gettokeninformation>
fn user_sid() -> io::Result<String> {
    let mut token = ptr::null_mut();
    // SAFETY: the call takes no pointers.
    let own = unsafe { GetCurrentProcess() };
    // SAFETY: the pseudo handle is always valid, and the out-pointer is a live local.
    checked(unsafe { OpenProcessToken(own, TOKEN_QUERY, &mut token) })?;
    // SAFETY: the handle was just opened and nothing else owns it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // In words, so that it is aligned; larger than any user with its identifier.
    let mut buffer = [0_u64; 64];
    let mut length = 0;
    // SAFETY: `buffer` has room for 512 bytes.
    checked(unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            buffer.as_mut_ptr().cast(),
            512,
            &mut length,
        )
    })?;
    // SAFETY: the call has filled `buffer` with a TOKEN_USER, whose pointers point into it.
    let user = unsafe { &*buffer.as_ptr().cast::<TOKEN_USER>() };
    let mut text = ptr::null_mut();
    // SAFETY: the identifier lives in `buffer`, and the out-pointer is a live local.
    checked(unsafe { ConvertSidToStringSidW(user.User.Sid, &mut text) })?;
    let length = (0..256)
        // SAFETY: the text ends in zero, and nothing behind that is looked at.
        .take_while(|&at| unsafe { *text.wrapping_add(at) } != 0)
        .count();
    // SAFETY: that many units were just read.
    let units = unsafe { std::slice::from_raw_parts(text, length) };
    let sid = String::from_utf16_lossy(units);
    // SAFETY: the system has allocated the text for us, and it is not used any more.
    unsafe { LocalFree(text.cast()) };
    Ok(sid)
}

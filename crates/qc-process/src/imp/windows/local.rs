//! The named pipe of a folder.

use std::fs::{self, OpenOptions};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{io, ptr, thread};

use hmac_sha256::Hash;
use interprocess::local_socket::{GenericNamespaced, ListenerOptions, Name, Stream, ToNsName};
use interprocess::os::windows::local_socket::ListenerOptionsExt;
use interprocess::os::windows::named_pipe::local_socket as named_pipe;
use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use widestring::U16CString;
use windows_sys::Win32::Foundation::{ERROR_OPERATION_ABORTED, ERROR_PIPE_BUSY, LocalFree};
use windows_sys::Win32::Security::Authorization::ConvertSidToStringSidW;
use windows_sys::Win32::Security::{GetTokenInformation, TOKEN_QUERY, TOKEN_USER, TokenUser};
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_OVERLAPPED, SECURITY_IDENTIFICATION};
use windows_sys::Win32::System::IO::CancelIoEx;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::sys::checked;

/// How long a program that serves others may keep a new one waiting.
const CONNECT: Duration = Duration::from_secs(30);

/// The pause between two tries to connect, and to end a call that takes too long.
const PAUSE: Duration = Duration::from_millis(20);

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

    /// Connects to the program that serves the pipe. It may see who asks, and may not act as that.
    ///
    /// Source: <https://learn.microsoft.com/windows/win32/ipc/impersonating-a-named-pipe-client>
    pub(crate) fn connect(&self) -> io::Result<Stream> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(FILE_FLAG_OVERLAPPED);
        options.security_qos_flags(SECURITY_IDENTIFICATION);
        let path = format!(r"\\.\pipe\{}", self.0);
        let begun = Instant::now();
        let is_busy =
            |error: &io::Error| error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed());
        let pipe = loop {
            match options.open(&path) {
                // The server makes the next instance as soon as one is taken.
                Err(error) if is_busy(&error) && begun.elapsed() < CONNECT => thread::sleep(PAUSE),
                opened => break opened?,
            }
        };
        let stream = named_pipe::Stream::try_from(OwnedHandle::from(pipe));
        let stream = stream.map(Stream::NamedPipe);
        stream.map_err(|error| error.cause.unwrap_or_else(|| io::ErrorKind::Other.into()))
    }
}

/// How long a call may take: pipes have no such limit of their own.
#[derive(Debug)]
pub(crate) struct CallLimit(Option<Duration>);

impl CallLimit {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn set(&mut self, _stream: &Stream, limit: Duration) -> io::Result<()> {
        self.0 = Some(limit);
        Ok(())
    }

    /// Makes a call that waits for the other end of `stream`, and ends it when it takes too long.
    pub(crate) fn keep<T>(
        &self,
        stream: &Stream,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(limit) = self.0 else { return call() };
        let Stream::NamedPipe(pipe) = stream;
        let pipe = pipe.as_handle();
        let (over, waiting) = mpsc::channel::<()>();
        // Joined before this returns, so that no later call is ended.
        thread::scope(|scope| {
            let wait = move || {
                let mut left = limit;
                while waiting.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                    // SAFETY: the handle is open as long as it is borrowed.
                    unsafe { CancelIoEx(pipe.as_raw_handle(), ptr::null()) };
                    left = PAUSE;
                }
            };
            // Without a thread it is waited for all the same.
            let _ = thread::Builder::new().name("limit".into()).spawn_scoped(scope, wait);
            let result = call();
            drop(over);
            result
        })
        .map_err(|error| match error.raw_os_error() {
            Some(code) if code == ERROR_OPERATION_ABORTED.cast_signed() => {
                io::ErrorKind::TimedOut.into()
            }
            _ => error,
        })
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

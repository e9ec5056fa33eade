//! Guards of the machine: named events in `Global\`, whose existence is the lock.

mod given;
mod objects;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::{mem, ptr};

use widestring::{U16CString, u16cstr};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_INVALID_HANDLE, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::CreateEventW;

pub(super) use self::given::{Given, hand_to, take_back};
pub(super) use self::objects::objects;
use super::sys;

/// The separator in an object's name, in which `\` means a folder.
pub(crate) const MACHINE_PART: char = '.';

/// How long the text of a name may be, in UTF-16: with `Global\` it stays below 260.
pub(crate) const MACHINE_TEXT: super::super::Measure =
    super::super::Measure { most: 236, length: |text| text.encode_utf16().count() };

const LEAD: &str = "qc2.";

/// Where Linux keeps files in memory, as Wine shows it.
const WINE_FOLDER: &str = "\\\\?\\unix\\dev\\shm\\";

/// The objects that carry a guard.
#[derive(Debug)]
pub(crate) struct MachineLegs {
    /// Closed before the others: the next holder finds no name of this one.
    names: Mutex<Vec<OwnedHandle>>,
    event: Option<OwnedHandle>,
    /// Under Wine the lock on a file that a Linux program on this machine sees, too.
    file: Option<File>,
}

impl MachineLegs {
    pub(crate) fn take(guard: &str) -> io::Result<Option<Self>> {
        let event = match create(&format!("{LEAD}{guard}"))? {
            Event::Made(event) => Some(event),
            Event::Exists => return Ok(None),
            Event::Forbidden => None,
        };
        let file = if is_wine() { lock_file(guard) } else { Ok(None) };
        let Ok(file) = file else { return Ok(None) };
        Ok(Some(Self { event, file, names: Mutex::default() }))
    }

    pub(crate) fn holds(&self) -> bool {
        self.event.is_some() || self.file.is_some()
    }

    pub(crate) fn name(&self, texts: &[String]) {
        let made = texts.iter().map(|text| create(&format!("{LEAD}{text}")));
        // Nothing depends on it. What is named already stays.
        self.names().extend(made.filter_map(|event| match event {
            Ok(Event::Made(event)) => Some(event),
            _ => None,
        }));
    }

    fn names(&self) -> MutexGuard<'_, Vec<OwnedHandle>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns handles of its own for those who share the guard.
    pub(super) fn shared(&self) -> io::Result<Vec<OwnedHandle>> {
        self.event.iter().chain(self.names().iter()).map(OwnedHandle::try_clone).collect()
    }
}

/// The result of creating an event.
enum Event {
    Made(OwnedHandle),
    Exists,
    /// Nothing may be made in `Global\`, as in an AppContainer.
    Forbidden,
}

fn create(name: &str) -> io::Result<Event> {
    match create_event(name) {
        Ok(Some(event)) => Ok(Event::Made(event)),
        Ok(None) => Ok(Event::Exists),
        Err(error) if is(&error, ERROR_INVALID_HANDLE) => Ok(Event::Exists),
        Err(error) if is(&error, ERROR_ACCESS_DENIED) => {
            static PROBES: AtomicU64 = AtomicU64::new(0);
            let count = PROBES.fetch_add(1, Ordering::Relaxed);
            let probe = format!("{LEAD}probe.{}.{count}", std::process::id());
            match create_event(&probe) {
                Ok(_) => Ok(Event::Exists),
                Err(error) if is(&error, ERROR_ACCESS_DENIED) => Ok(Event::Forbidden),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}

/// Creates a named event that no process may open, so that no other handle keeps it alive; `None` if it
/// is there already.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-createeventw>
fn create_event(name: &str) -> io::Result<Option<OwnedHandle>> {
    let name = U16CString::from_str(format!("Global\\{name}")).map_err(io::Error::other)?;
    let nobody = Nobody::new()?;
    let attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(mem::size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
        lpSecurityDescriptor: nobody.0,
        bInheritHandle: 0,
    };
    // SAFETY: the name ends in zero, and the attributes with their descriptor outlive the call.
    let handle = unsafe { CreateEventW(&attributes, 1, 0, name.as_ptr()) };
    // Asked for before anything else can change it.
    let error = io::Error::last_os_error();
    if handle.is_null() {
        return Err(error);
    }
    // SAFETY: the handle was just made and nothing else owns it.
    let event = unsafe { OwnedHandle::from_raw_handle(handle) };
    Ok((!is(&error, ERROR_ALREADY_EXISTS)).then_some(event))
}

/// The security descriptor that denies all access.
struct Nobody(PSECURITY_DESCRIPTOR);

impl Nobody {
    fn new() -> io::Result<Self> {
        let mut descriptor = ptr::null_mut();
        // SAFETY: the text ends in zero, and the out-pointer is a live local.
        let ok = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                u16cstr!("D:").as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                ptr::null_mut(),
            )
        };
        sys::checked(ok).map(|()| Self(descriptor))
    }
}

impl Drop for Nobody {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for us, and nothing uses it any more.
        unsafe { LocalFree(self.0) };
    }
}

/// Whether these Windows programs run on Wine.
fn is_wine() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| {
        // SAFETY: the name ends in zero; the library is part of every process.
        let library = unsafe { GetModuleHandleW(u16cstr!("ntdll.dll").as_ptr()) };
        // SAFETY: so does this one.
        unsafe { GetProcAddress(library, c"wine_get_version".as_ptr().cast()) }.is_some()
    })
}

/// Locks the file that Linux programs on this machine lock, where it can be reached. An error means
/// that another process has it.
fn lock_file(guard: &str) -> Result<Option<File>, Held> {
    let path = format!("{WINE_FOLDER}qc2.{guard}");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).share_mode(7);
    let Ok(file) = options.open(path) else { return Ok(None) };
    match sys::lock_first_byte(file.as_handle()) {
        Ok(true) => Ok(Some(file)),
        Ok(false) => Err(Held),
        Err(_) => Ok(None),
    }
}

/// Another process has it.
struct Held;

/// A guard has no file of its own here.
pub(crate) fn machine_locked() -> Vec<String> {
    Vec::new()
}

/// See [`machine_locked`].
pub(crate) fn machine_unusable() -> Vec<PathBuf> {
    Vec::new()
}

/// See [`machine_locked`].
pub(crate) fn socket_openers(guards: &[&str]) -> Vec<Vec<(u32, String)>> {
    vec![Vec::new(); guards.len()]
}

/// The names of events in `Global\\` are the same for all of the machine.
pub(crate) fn has_own_namespaces() -> bool {
    false
}

/// Returns the names of all guards of ours, without what they begin with.
pub(crate) fn machine_names() -> io::Result<Vec<String>> {
    objects(LEAD)
}

/// Returns a folder as names of objects have it, in which `\` means a folder of objects.
pub(crate) fn folder_text(folder: &Path) -> String {
    let text = folder.to_string_lossy().replace('\\', "/");
    text.strip_prefix("//?/").unwrap_or(&text).to_owned()
}

/// The one process that has a guard is named by its objects.
pub(crate) fn machine_file(_guard: &str) -> Option<PathBuf> {
    None
}

/// Removes what a guard has left behind that is not needed again.
pub(crate) fn forget_machine_guard(guard: &str) {
    if is_wine() {
        let _ = std::fs::remove_file(format!("{WINE_FOLDER}qc2.{guard}"));
    }
}

/// A container of Windows shares no objects with others, and does not say that it is one.
pub(crate) fn is_container() -> bool {
    false
}

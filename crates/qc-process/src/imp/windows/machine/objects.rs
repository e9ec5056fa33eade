//! The list of the named objects in `Global\`.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::{io, mem, ptr};

use widestring::{U16CStr, u16cstr};
use windows_sys::Win32::Foundation::{HANDLE, UNICODE_STRING};

/// The attributes that `NtOpenDirectoryObject` takes.
#[repr(C)]
struct ObjectAttributes {
    length: u32,
    root: HANDLE,
    name: *const UNICODE_STRING,
    attributes: u32,
    security: *const core::ffi::c_void,
    quality: *const core::ffi::c_void,
}

/// One object of a folder.
#[repr(C)]
struct DirectoryInformation {
    name: UNICODE_STRING,
    kind: UNICODE_STRING,
}

const DIRECTORY_QUERY: u32 = 1;

/// Source: <https://learn.microsoft.com/openspecs/windows_protocols/ms-erref>
const STATUS_NO_MORE_ENTRIES: i32 = 0x8000_001a_u32.cast_signed();
const STATUS_BUFFER_TOO_SMALL: i32 = 0xc000_0023_u32.cast_signed();

/// The largest buffer for one entry: a name has at most 64 KiB, and so has a kind.
const MOST_WORDS: usize = 1 << 15;

/// How often the objects are looked at again while two looks differ.
const MOST_LOOKS: u32 = 8;

// Source: <https://learn.microsoft.com/windows/win32/devnotes/ntopendirectoryobject>
#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtOpenDirectoryObject(
        handle: *mut HANDLE,
        access: u32,
        attributes: *const ObjectAttributes,
    ) -> i32;
    fn NtQueryDirectoryObject(
        handle: HANDLE,
        buffer: *mut core::ffi::c_void,
        length: u32,
        single: u8,
        restart: u8,
        context: *mut u32,
        returned: *mut u32,
    ) -> i32;
}

/// Returns the names in `Global\\` that begin with `lead`, without that.
pub(in super::super) fn objects(lead: &str) -> io::Result<Vec<String>> {
    let folder = open_objects()?;
    let mut names = names_in(&folder, lead)?;
    // An entry is skipped where one before it vanishes between two calls, so two looks have to agree.
    for _ in 0..MOST_LOOKS {
        let mut again = names_in(&folder, lead)?;
        again.sort_unstable();
        names.sort_unstable();
        if again == names {
            break;
        }
        names = again;
    }
    Ok(names)
}

fn names_in(folder: &OwnedHandle, lead: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut context = 0;
    // Aligned for what is written into it, and long enough for one name and one kind.
    let mut buffer = vec![0_u64; 512];
    loop {
        let length = u32::try_from(mem::size_of_val(&buffer[..])).unwrap_or(0);
        // SAFETY: the folder is open, the buffer has room for `length` bytes, and `context` is a live local.
        let status = unsafe {
            NtQueryDirectoryObject(
                folder.as_raw_handle(),
                buffer.as_mut_ptr().cast(),
                length,
                1,
                0,
                &mut context,
                ptr::null_mut(),
            )
        };
        match status {
            0 => {}
            STATUS_NO_MORE_ENTRIES => return Ok(names),
            STATUS_BUFFER_TOO_SMALL if buffer.len() < MOST_WORDS => {
                buffer.resize(buffer.len() * 2, 0);
                continue;
            }
            other => return Err(not_listed(other)),
        }
        // SAFETY: the call has written one such entry, and the buffer is aligned for it.
        let entry = unsafe { buffer.as_ptr().cast::<DirectoryInformation>().read() };
        // SAFETY: its texts lie in the buffer.
        let name = unsafe { text_of(&entry.name) };
        names.extend(name.strip_prefix(lead).map(str::to_owned));
    }
}

/// # Safety
/// `text` must point to as many units as it says.
unsafe fn text_of(text: &UNICODE_STRING) -> String {
    if text.Buffer.is_null() {
        return String::new();
    }
    // SAFETY: the caller promises it.
    let units = unsafe { std::slice::from_raw_parts(text.Buffer, usize::from(text.Length) / 2) };
    String::from_utf16_lossy(units)
}

fn open_objects() -> io::Result<OwnedHandle> {
    let path: &U16CStr = u16cstr!("\\BaseNamedObjects");
    let bytes = u16::try_from(path.len() * 2).unwrap_or(0);
    let name =
        UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: path.as_ptr().cast_mut() };
    let attributes = ObjectAttributes {
        length: u32::try_from(mem::size_of::<ObjectAttributes>()).unwrap_or(0),
        root: ptr::null_mut(),
        name: &raw const name,
        attributes: 0,
        security: ptr::null(),
        quality: ptr::null(),
    };
    let mut handle: HANDLE = ptr::null_mut();
    // SAFETY: all that the attributes point to outlives the call, and `handle` is a live local.
    let status = unsafe { NtOpenDirectoryObject(&mut handle, DIRECTORY_QUERY, &attributes) };
    if status < 0 {
        return Err(not_listed(status));
    }
    // SAFETY: the handle was just opened and nothing else owns it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn not_listed(status: i32) -> io::Error {
    io::Error::other(format!("the system's objects can't be listed ({status:#x})"))
}

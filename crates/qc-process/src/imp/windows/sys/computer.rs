//! What the system says of this computer and its user.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, RRF_RT_REG_SZ, RRF_SUBKEY_WOW6464KEY, RegGetValueW,
};
use windows_sys::Win32::System::SystemInformation::{
    ComputerNameDnsHostname, GetComputerNameExW, GetSystemDirectoryW,
};
use windows_sys::Win32::System::WindowsProgramming::GetUserNameW;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    SYSTEM_PARAMETERS_INFO_ACTION, SystemParametersInfoW,
};

use super::{checked, text, wide};

/// Returns one of the user's limits for programs that do not answer, or what Windows sets by default.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/winuser/nf-winuser-systemparametersinfow>
pub(in crate::imp::windows) fn timeout_setting(which: SYSTEM_PARAMETERS_INFO_ACTION) -> Duration {
    const DEFAULT: u32 = 5000;
    let mut millis = 0_u32;
    // SAFETY: for these two settings the call stores one number of 32 bits.
    let ok = unsafe { SystemParametersInfoW(which, 0, ptr::from_mut(&mut millis).cast(), 0) };
    let millis = if ok == 0 || millis == 0 { DEFAULT } else { millis };
    Duration::from_millis(millis.into())
}

/// Returns the folder of the system's own programs.
///
/// # Errors
/// Whatever the system reports.
pub(in crate::imp::windows) fn system_directory() -> io::Result<OsString> {
    let mut buffer = [0; 512];
    // SAFETY: `buffer` has room for 512 units.
    let length = unsafe { GetSystemDirectoryW(buffer.as_mut_ptr(), 512) };
    match buffer.get(..usize::try_from(length).unwrap_or(usize::MAX)) {
        Some(path) if length > 0 => Ok(OsString::from_wide(path)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns the machine's DNS host name, as Python's `socket.gethostname` does.
///
/// # Errors
/// Whatever the system reports.
pub(in crate::imp::windows) fn computer_name() -> io::Result<String> {
    let mut buffer = [0; 256];
    let mut length = 256;
    // SAFETY: `buffer` has room for `length` units.
    checked(unsafe {
        GetComputerNameExW(ComputerNameDnsHostname, buffer.as_mut_ptr(), &mut length)
    })?;
    Ok(text(&buffer, length))
}

/// Returns the name of the current user.
///
/// # Errors
/// Whatever the system reports.
pub(in crate::imp::windows) fn user_name() -> io::Result<String> {
    let mut buffer = [0; 257];
    let mut length = 257;
    // SAFETY: `buffer` has room for `length` units.
    checked(unsafe { GetUserNameW(buffer.as_mut_ptr(), &mut length) })?;
    // Here the length counts the terminating zero.
    Ok(text(&buffer, length.saturating_sub(1)))
}

/// Returns the GUID that Windows gave this machine when it was installed.
///
/// # Errors
/// Whatever the system reports.
pub(in crate::imp::windows) fn machine_guid() -> io::Result<String> {
    let key = wide(r"SOFTWARE\Microsoft\Cryptography");
    let value = wide("MachineGuid");
    let mut buffer = [0u16; 128];
    let mut bytes = 256;
    // SAFETY: both names end in zero, `buffer` has room for `bytes` bytes, and no type is asked for.
    let status = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            value.as_ptr(),
            RRF_RT_REG_SZ | RRF_SUBKEY_WOW6464KEY,
            ptr::null_mut(),
            buffer.as_mut_ptr().cast(),
            &mut bytes,
        )
    };
    if status != 0 {
        return Err(io::Error::from_raw_os_error(status.cast_signed()));
    }
    Ok(text(&buffer, (bytes / 2).saturating_sub(1)))
}

//! The process that listens at a port.

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, NO_ERROR};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetExtendedTcpTable, TCP_TABLE_OWNER_PID_LISTENER,
};
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6};

use crate::Listener;

/// How many words a row has, and which of them hold the local port and the owner's pid. All
/// fields are words, so nothing lies between them.
struct Layout {
    family: u16,
    words: usize,
    port: usize,
    pid: usize,
}

/// Source: <https://learn.microsoft.com/windows/win32/api/tcpmib/ns-tcpmib-mib_tcprow_owner_pid>
const IPV4: Layout = Layout { family: AF_INET, words: 6, port: 2, pid: 5 };

/// Source: <https://learn.microsoft.com/windows/win32/api/tcpmib/ns-tcpmib-mib_tcp6row_owner_pid>
const IPV6: Layout = Layout { family: AF_INET6, words: 14, port: 5, pid: 13 };

pub(crate) fn listener(port: u16) -> io::Result<Option<Listener>> {
    for layout in [IPV4, IPV6] {
        let table = match table(&layout) {
            Ok(table) => table,
            // A machine can do without IPv6.
            Err(_) if layout.family == AF_INET6 => continue,
            Err(error) => return Err(error),
        };
        let Some((&count, rows)) = table.split_first() else { continue };
        let rows = rows.chunks_exact(layout.words).take(usize::try_from(count).unwrap_or(0));
        let is_it = |row: &&[u32]| {
            // The port stands in network order in the two lower bytes.
            let [high, low, ..] = row[layout.port].to_le_bytes();
            u16::from_be_bytes([high, low]) == port
        };
        if let Some(row) = rows.into_iter().find(is_it) {
            return Ok(Some(Listener { pid: Some(row[layout.pid]).filter(|&pid| pid != 0) }));
        }
    }
    Ok(None)
}

/// Returns the count of rows and the rows of the table of listening sockets.
///
/// # Errors
/// Whatever the system reports.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/iphlpapi/nf-iphlpapi-getextendedtcptable>
fn table(layout: &Layout) -> io::Result<Vec<u32>> {
    let mut buffer: Vec<u32> = Vec::new();
    // Between two calls the table can grow.
    for _ in 0..8 {
        let mut bytes = u32::try_from(buffer.len() * 4).map_err(io::Error::other)?;
        let pointer = if buffer.is_empty() { ptr::null_mut() } else { buffer.as_mut_ptr().cast() };
        // SAFETY: `buffer` has room for `bytes` bytes, and none at all is asked for with null.
        let status = unsafe {
            GetExtendedTcpTable(
                pointer,
                &mut bytes,
                0,
                layout.family.into(),
                TCP_TABLE_OWNER_PID_LISTENER,
                0,
            )
        };
        match status {
            NO_ERROR => return Ok(buffer),
            ERROR_INSUFFICIENT_BUFFER => {
                let words = usize::try_from(bytes).map_err(io::Error::other)? / 4;
                buffer.resize(words + layout.words * 16, 0);
            }
            error => return Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }
    Err(io::Error::other("the table of sockets keeps growing"))
}

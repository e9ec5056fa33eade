//! Suspended processes: those whose threads all wait to be resumed.
//!
//! Source: <https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntquerysysteminformation>

use std::collections::HashSet;
use std::mem::{offset_of, size_of};

use windows_sys::Wdk::System::SystemInformation::{
    NtQuerySystemInformation, SystemProcessInformation,
};
use windows_sys::Win32::Foundation::{STATUS_INFO_LENGTH_MISMATCH, STATUS_SUCCESS};
use windows_sys::Win32::System::WindowsProgramming::{
    SYSTEM_PROCESS_INFORMATION, SYSTEM_THREAD_INFORMATION,
};

/// The state of a thread that waits.
const WAITING: u32 = 5;

/// The reasons to wait of a suspended thread: `Suspended` and `WrSuspended`.
const SUSPENDED: [u32; 2] = [5, 12];

/// The first size of the buffer, in units of 8 bytes; enough for some hundred processes.
const FIRST_SIZE: usize = 64 * 1024;

/// How often a larger buffer is tried.
const ATTEMPTS: u32 = 8;

/// Returns those of these processes that are suspended.
pub(crate) fn suspended(pids: &[u32]) -> HashSet<u32> {
    let wanted: HashSet<u32> = pids.iter().copied().collect();
    let found = system_processes().map(|bytes| suspended_in(&bytes)).unwrap_or_default();
    found.intersection(&wanted).copied().collect()
}

/// Returns how the user resumes a process.
pub(crate) fn resume_hint(pid: u32) -> String {
    format!("resume it in Resource Monitor (`resmon`, PID {pid})")
}

/// Returns the system's description of all processes and their threads; `None` if it gives none.
fn system_processes() -> Option<Vec<u8>> {
    let mut buffer: Vec<u64> = vec![0; FIRST_SIZE];
    for _ in 0..ATTEMPTS {
        let length = u32::try_from(buffer.len() * size_of::<u64>()).ok()?;
        let mut needed = 0;
        // SAFETY: the buffer is aligned for the structures, and has `length` bytes.
        let status = unsafe {
            NtQuerySystemInformation(
                SystemProcessInformation,
                buffer.as_mut_ptr().cast(),
                length,
                &mut needed,
            )
        };
        match status {
            STATUS_SUCCESS => {
                return Some(buffer.iter().flat_map(|one| one.to_ne_bytes()).collect());
            }
            STATUS_INFO_LENGTH_MISMATCH => buffer.resize(buffer.len() * 2, 0),
            _ => return None,
        }
    }
    None
}

/// Takes that description apart.
fn suspended_in(bytes: &[u8]) -> HashSet<u32> {
    let number = |at: usize| {
        let bytes = bytes.get(at..at + size_of::<u32>())?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let is_suspended = |thread: usize| {
        let state = number(thread + offset_of!(SYSTEM_THREAD_INFORMATION, ThreadState));
        let reason = number(thread + offset_of!(SYSTEM_THREAD_INFORMATION, WaitReason));
        state == Some(WAITING) && reason.is_some_and(|reason| SUSPENDED.contains(&reason))
    };
    let mut suspended = HashSet::new();
    let mut entry = 0;
    loop {
        let field = |offset: usize| number(entry + offset);
        let next = field(offset_of!(SYSTEM_PROCESS_INFORMATION, NextEntryOffset));
        let threads = field(offset_of!(SYSTEM_PROCESS_INFORMATION, NumberOfThreads));
        let pid = field(offset_of!(SYSTEM_PROCESS_INFORMATION, UniqueProcessId));
        let (Some(next), Some(threads), Some(pid)) = (next, threads, pid) else { return suspended };
        let first = entry + size_of::<SYSTEM_PROCESS_INFORMATION>();
        let thread = |one: usize| first + one * size_of::<SYSTEM_THREAD_INFORMATION>();
        if threads > 0 && (0..threads as usize).all(|one| is_suspended(thread(one))) {
            suspended.insert(pid);
        }
        if next == 0 {
            return suspended;
        }
        entry += next as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the description of one process with threads in these states.
    fn described(pid: u32, threads: &[(u32, u32)], is_last: bool) -> Vec<u8> {
        let head = size_of::<SYSTEM_PROCESS_INFORMATION>();
        let size = size_of::<SYSTEM_THREAD_INFORMATION>();
        let mut bytes = vec![0; head + threads.len() * size];
        let length = if is_last { 0 } else { bytes.len() };
        let mut put =
            |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        put(offset_of!(SYSTEM_PROCESS_INFORMATION, NextEntryOffset), length.try_into().unwrap());
        put(
            offset_of!(SYSTEM_PROCESS_INFORMATION, NumberOfThreads),
            threads.len().try_into().unwrap(),
        );
        put(offset_of!(SYSTEM_PROCESS_INFORMATION, UniqueProcessId), pid);
        for (position, (state, reason)) in threads.iter().enumerate() {
            let thread = head + position * size;
            put(thread + offset_of!(SYSTEM_THREAD_INFORMATION, ThreadState), *state);
            put(thread + offset_of!(SYSTEM_THREAD_INFORMATION, WaitReason), *reason);
        }
        bytes
    }

    #[test]
    fn a_process_is_suspended_once_all_its_threads_are() {
        let all = [
            described(4, &[], false),
            described(8, &[(5, 5), (5, 12)], false),
            described(12, &[(5, 5), (5, 6)], false),
            described(16, &[(2, 5)], false),
            described(20, &[(5, 5)], true),
        ];
        assert_eq!(suspended_in(&all.concat()), [8, 20].into());
        assert_eq!(suspended_in(&[]), HashSet::new());
    }

    #[test]
    fn this_process_is_not_suspended() {
        assert_eq!(suspended(&[std::process::id()]), HashSet::new());
    }
}

//! Processes that the system has suspended: they are alive, and do nothing until they are resumed.

use std::collections::HashSet;

use crate::imp;

/// Returns those of these processes that are suspended: stopped by a signal such as SIGSTOP, or, on
/// Windows, with all their threads suspended. What the system does not show is not suspended.
pub fn suspended(pids: &[u32]) -> HashSet<u32> {
    if pids.is_empty() { HashSet::new() } else { imp::suspended(pids) }
}

/// Whether one process is suspended.
pub fn is_suspended(pid: u32) -> bool {
    suspended(&[pid]).contains(&pid)
}

/// Returns how the user resumes a suspended process.
pub fn resume_hint(pid: u32) -> String {
    imp::resume_hint(pid)
}

//! Numbers that processes inherit whatever they do: through `fork`, `setsid` and another program, with
//! all files closed and the environment and the command line overwritten.
//!
//! A number is the soft limit of file locks. Linux has kept that limit since 2.4.25 without applying it,
//! and each process passes it on. It changes no process: the hard limit stays as it is.
//!
//! Source: <https://man7.org/linux/man-pages/man2/getrlimit.2.html>

use std::io;
use std::{mem, ptr};

use libc::{RLIMIT_LOCKS, pid_t, rlimit64};

use crate::{Identity, identity_of};

/// Whether what this process starts can get this number: no administrator's limit is below it.
pub(super) fn can_be_set(mark: u64) -> bool {
    limit_of(0).is_some_and(|limit| limit.rlim_max >= mark)
}

/// Marks this process and all that it starts from now on, where that can be. Makes system calls only.
pub(super) fn set(mark: u64) {
    let Some(limit) = limit_of(0) else { return };
    let marked = rlimit64 { rlim_cur: mark, ..limit };
    // SAFETY: `marked` is a live local, the old limit is not asked for, and 0 is this process.
    unsafe { libc::prlimit64(0, RLIMIT_LOCKS, &marked, ptr::null_mut()) };
}

/// Returns all processes with a number of their own; those that do not show it are left out, such as
/// those of other users.
pub(crate) fn with_marks() -> io::Result<Vec<(Identity, u64)>> {
    let mark = |pid: u32| {
        let limit = limit_of(pid_t::try_from(pid).ok().filter(|&pid| pid > 0)?)?;
        (limit.rlim_cur != libc::RLIM64_INFINITY).then_some(limit.rlim_cur)
    };
    let marked = |pid: u32| {
        mark(pid)?;
        // The number of a process may mean another one meanwhile.
        let before = identity_of(pid).ok()?;
        let mark = mark(pid)?;
        (identity_of(pid).ok()? == before).then_some((before, mark))
    };
    Ok(super::pids()?.into_iter().filter_map(marked).collect())
}

fn limit_of(pid: pid_t) -> Option<rlimit64> {
    // SAFETY: all zeroes is a valid limit, which the next call overwrites.
    let mut limit: rlimit64 = unsafe { mem::zeroed() };
    // SAFETY: no new limit is given, and `limit` is a live local.
    let result = unsafe { libc::prlimit64(pid, RLIMIT_LOCKS, ptr::null(), &mut limit) };
    (result == 0).then_some(limit)
}

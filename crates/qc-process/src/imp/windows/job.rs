//! Jobs: groups of processes that can end together.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::{mem, ptr};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, IsProcessInJob, JOB_OBJECT_LIMIT,
    JOB_OBJECT_LIMIT_BREAKAWAY_OK, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, QueryInformationJobObject, SetInformationJobObject,
    TerminateJobObject,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::sys;

/// A job that lets go of what its processes start.
#[derive(Debug)]
pub(super) struct Job(OwnedHandle);

impl Job {
    /// Makes a job that ends its processes when the last handle of it is closed.
    pub(super) fn ending_with_us() -> io::Result<Self> {
        // SAFETY: no attributes and no name are given.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just created and nothing else owns it.
        let job = Self(unsafe { OwnedHandle::from_raw_handle(job) });
        job.limit(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK)?;
        Ok(job)
    }

    /// Lets its processes go on when it is closed.
    pub(super) fn let_go(&self) -> io::Result<()> {
        self.limit(JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK)
    }

    fn limit(&self, flags: JOB_OBJECT_LIMIT) -> io::Result<()> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = flags;
        // SAFETY: `limits` is a live local of the type and size that the class names.
        sys::checked(unsafe {
            SetInformationJobObject(
                self.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                ptr::from_ref(&limits).cast(),
                size_of_limits(),
            )
        })
    }

    /// Takes a running process in.
    ///
    /// Source: <https://learn.microsoft.com/windows/win32/api/jobapi2/nf-jobapi2-assignprocesstojobobject>
    pub(super) fn add(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: both borrows keep their handles open.
        sys::checked(unsafe {
            AssignProcessToJobObject(self.0.as_raw_handle(), process.as_raw_handle())
        })
    }

    /// Ends all that is in it.
    pub(super) fn end(&self) -> io::Result<()> {
        // SAFETY: the borrow keeps the handle open.
        sys::checked(unsafe { TerminateJobObject(self.0.as_raw_handle(), 1) })
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Returns the handle, for the attributes of a new process.
    pub(super) fn as_raw_handle(&self) -> HANDLE {
        self.0.as_raw_handle()
    }
}

/// How the job of a program holds what the program starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// There is no job, it lets everything go by itself, or it ends nothing.
    None,
    /// It lets go of a child that asks to leave.
    LetsGoIfAsked,
    /// A child ends with the job.
    Holds,
}

/// Tells how the job that this program is in holds what it starts. Where that can't be seen, nothing
/// is held as far as is known.
///
/// Source: <https://learn.microsoft.com/windows/win32/procthread/job-objects>
pub(super) fn hold_of_this_program() -> Hold {
    let mut is_in_job = 0;
    // SAFETY: the call takes no pointers, and what it returns always means this process.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: no job means any, and the out-pointer is a live local.
    let ok = unsafe { IsProcessInJob(this, ptr::null_mut(), &mut is_in_job) };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    if ok == 0 || is_in_job == 0 {
        return Hold::None;
    }
    // SAFETY: no job means that of this program; `limits` has the type and size of the class.
    let ok = unsafe {
        QueryInformationJobObject(
            ptr::null_mut(),
            JobObjectExtendedLimitInformation,
            ptr::from_mut(&mut limits).cast(),
            size_of_limits(),
            ptr::null_mut(),
        )
    };
    if ok == 0 { Hold::None } else { hold(limits.BasicLimitInformation.LimitFlags) }
}

/// Decides by the limits of a job.
fn hold(flags: JOB_OBJECT_LIMIT) -> Hold {
    let has = |flag| flags & flag != 0;
    if !has(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE) || has(JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK) {
        Hold::None
    } else if has(JOB_OBJECT_LIMIT_BREAKAWAY_OK) {
        Hold::LetsGoIfAsked
    } else {
        Hold::Holds
    }
}

fn size_of_limits() -> u32 {
    u32::try_from(mem::size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_left_where_it_would_end_the_child_and_lets_go() {
        let kill = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        for (flags, expected) in [
            (0, Hold::None),
            (JOB_OBJECT_LIMIT_BREAKAWAY_OK, Hold::None),
            (kill, Hold::Holds),
            (kill | JOB_OBJECT_LIMIT_BREAKAWAY_OK, Hold::LetsGoIfAsked),
            (kill | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK, Hold::None),
        ] {
            assert_eq!(hold(flags), expected, "{flags:#x}");
        }
    }
}

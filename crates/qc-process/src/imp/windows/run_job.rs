//! The jobs by which what a run has started is found again: named, without any limit, one for each run.
//!
//! The job in which a child ends with its parent lets go of what the child starts; this one, around it,
//! does not. It never ends anything. A job's name lasts as long as a handle of it is open, so this
//! program keeps one until the last process of the run has ended, and gives one to each of them, which
//! keeps the name after a crash of this program. Only trading terminals get none.
//!
//! Source: <https://learn.microsoft.com/windows/win32/procthread/nested-jobs>

mod following;

use std::collections::HashMap;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{mem, ptr};

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, ERROR_MORE_DATA, HANDLE};
use windows_sys::Win32::System::JobObjects::{
    CreateJobObjectW, IsProcessInJob, JOBOBJECT_ASSOCIATE_COMPLETION_PORT,
    JOBOBJECT_BASIC_PROCESS_ID_LIST, JobObjectAssociateCompletionPortInformation,
    JobObjectBasicProcessIdList, OpenJobObjectW, QueryInformationJobObject,
    SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::PROCESS_QUERY_INFORMATION;

use self::following::port;
use super::machine::objects;
use super::sys;
use crate::{Identity, here};

/// The first part of each name, before the mark in hexadecimal.
const LEAD: &str = "qc2-run.";

/// The right to look at a job.
///
/// Source: <https://learn.microsoft.com/windows/win32/procthread/job-object-security-and-access-rights>
const JOB_OBJECT_QUERY: u32 = 4;

/// The jobs of the runs of this program that have processes, by their numbers.
static JOBS: Mutex<Option<HashMap<usize, OwnedHandle>>> = Mutex::new(None);

/// The job of one run that is about to start.
#[derive(Debug)]
pub(super) struct RunJob {
    job: OwnedHandle,
    number: usize,
}

impl RunJob {
    /// Makes a job of its own for a run with this mark.
    pub(super) fn new(mark: u64) -> io::Result<Self> {
        static NUMBERS: AtomicUsize = AtomicUsize::new(1);
        let port = port()?;
        loop {
            let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
            let name = format!("{LEAD}{mark:016x}.{}.{number}", std::process::id());
            let Some(job) = create(&name)? else { continue };
            jobs().get_or_insert_default().insert(number, open(&name)?);
            let run = Self { job, number };
            let associated = JOBOBJECT_ASSOCIATE_COMPLETION_PORT {
                CompletionKey: ptr::without_provenance_mut(number),
                CompletionPort: port.as_raw_handle(),
            };
            // SAFETY: `associated` is a live local of the type and size that the class names.
            let ok = unsafe {
                SetInformationJobObject(
                    run.job.as_raw_handle(),
                    JobObjectAssociateCompletionPortInformation,
                    ptr::from_ref(&associated).cast(),
                    size_of_u32::<JOBOBJECT_ASSOCIATE_COMPLETION_PORT>(),
                )
            };
            return match sys::checked(ok) {
                Ok(()) => Ok(run),
                Err(error) => {
                    run.forget();
                    Err(error)
                }
            };
        }
    }

    /// Returns the handle, for the attributes of a new process.
    pub(super) fn as_raw_handle(&self) -> HANDLE {
        self.job.as_raw_handle()
    }

    /// The run has not begun.
    pub(super) fn forget(self) {
        forget(self.number);
    }
}

/// Returns the processes in jobs of runs, each with the mark of the run. One that is in several, because a
/// run has started a launcher, belongs to the innermost.
pub(super) fn with_marks() -> io::Result<Vec<(Identity, u64)>> {
    let marked = objects(LEAD)?.into_iter().filter_map(|rest| {
        let mark = u64::from_str_radix(rest.split('.').next()?, 16).ok()?;
        // One whose last handle has just been closed has no processes.
        let job = open(&format!("{LEAD}{rest}")).ok()?;
        let members = members(&job).ok()?;
        Some((mark, members))
    });
    let mut marked: Vec<(u64, Vec<Identity>)> = marked.collect();
    // An inner job has fewer.
    marked.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let found = marked
        .into_iter()
        .flat_map(|(mark, members)| members.into_iter().map(move |process| (process, mark)));
    let found: HashMap<Identity, u64> = found.collect();
    Ok(found.into_iter().collect())
}

/// Returns the processes of a job. Those that can't be opened are left out.
fn members(job: &OwnedHandle) -> io::Result<Vec<Identity>> {
    let identity = |pid: u32| {
        let process = sys::open_process(pid, PROCESS_QUERY_INFORMATION).ok()?;
        // The number may mean another one meanwhile.
        if !is_in(&process, job) || sys::has_ended(process.as_handle()).ok()? {
            return None;
        }
        let started = sys::created_at(process.as_handle()).ok()?;
        Some(Identity { pid, started, boot_id: here().boot_id.clone() })
    };
    Ok(pids(job)?.into_iter().filter_map(identity).collect())
}

/// Source: <https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-jobobject_basic_process_id_list>
fn pids(job: &OwnedHandle) -> io::Result<Vec<u32>> {
    let mut most = 64;
    loop {
        // The counts are of 32 bits each, and stand in the first word.
        let mut list = vec![0_usize; 8_usize.div_ceil(size_of::<usize>()) + most];
        let bytes = u32::try_from(mem::size_of_val(&list[..])).map_err(io::Error::other)?;
        // SAFETY: the list is aligned for the type that the class names, and has room for `bytes` bytes.
        let ok = unsafe {
            QueryInformationJobObject(
                job.as_raw_handle(),
                JobObjectBasicProcessIdList,
                list.as_mut_ptr().cast(),
                bytes,
                ptr::null_mut(),
            )
        };
        let error = io::Error::last_os_error();
        let is_too_short = error.raw_os_error() == Some(ERROR_MORE_DATA.cast_signed());
        if ok == 0 && !is_too_short {
            return Err(error);
        }
        // SAFETY: the list is longer than the fixed part of this type, which the call has filled.
        let counts = unsafe { list.as_ptr().cast::<JOBOBJECT_BASIC_PROCESS_ID_LIST>().read() };
        if ok == 0 || counts.NumberOfAssignedProcesses > counts.NumberOfProcessIdsInList {
            most *= 2;
            continue;
        }
        let count = usize::try_from(counts.NumberOfProcessIdsInList).unwrap_or(0);
        let found = list.split_off(8_usize.div_ceil(size_of::<usize>()));
        return Ok(found.into_iter().take(count).filter_map(|it| it.try_into().ok()).collect());
    }
}

fn is_in(process: &OwnedHandle, job: &OwnedHandle) -> bool {
    let mut is = 0;
    // SAFETY: both handles are open, and the out-pointer is a live local.
    let ok = unsafe { IsProcessInJob(process.as_raw_handle(), job.as_raw_handle(), &mut is) };
    ok != 0 && is != 0
}

/// Makes a job; `None` if the name is taken.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/jobapi2/nf-jobapi2-createjobobjectw>
fn create(name: &str) -> io::Result<Option<OwnedHandle>> {
    let name = sys::wide(&format!("Global\\{name}"));
    // SAFETY: the name ends in zero, and no attributes are given.
    let job = unsafe { CreateJobObjectW(ptr::null(), name.as_ptr()) };
    // Asked for before anything else can change it.
    let error = io::Error::last_os_error();
    if job.is_null() {
        return Err(error);
    }
    // SAFETY: the handle was just made and nothing else owns it.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    let is_taken = error.raw_os_error() == Some(ERROR_ALREADY_EXISTS.cast_signed());
    Ok((!is_taken).then_some(job))
}

/// Opens a job to look at it only.
fn open(name: &str) -> io::Result<OwnedHandle> {
    let name = sys::wide(&format!("Global\\{name}"));
    // SAFETY: the name ends in zero.
    let job = unsafe { OpenJobObjectW(JOB_OBJECT_QUERY, 0, name.as_ptr()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just opened and nothing else owns it.
    Ok(unsafe { OwnedHandle::from_raw_handle(job) })
}

fn jobs() -> MutexGuard<'static, Option<HashMap<usize, OwnedHandle>>> {
    JOBS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn forget(number: usize) {
    if let Some(jobs) = jobs().as_mut() {
        jobs.remove(&number);
    }
}

fn size_of_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(0)
}

#[cfg(test)]
mod tests;

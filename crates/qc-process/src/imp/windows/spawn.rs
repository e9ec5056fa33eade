//! Starting a child suspended, so that it is in its job and known before it runs.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{mem, ptr, thread};

use windows_sys::Win32::Foundation::{
    ERROR_INTERNAL_ERROR, HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation,
};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
};
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NO_WINDOW, CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT,
    CreateProcessW, EXTENDED_STARTUPINFO_PRESENT, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
    PROC_THREAD_ATTRIBUTE_JOB_LIST, PROCESS_CREATION_FLAGS, PROCESS_INFORMATION, ResumeThread,
    STARTF_USESTDHANDLES, STARTUPINFOEXW,
};

use super::attributes::Attributes;
use super::chain::Links;
use super::command_line::{command_line, environment, is_batch, system_shell, to_wide_nul};
use super::job::{self, Hold, Job};
use super::machine::hand_to;
use super::run_job::RunJob;
use super::{console, sys};
use crate::fault::point;
use crate::program::{find, path_among};
use crate::{Console, Ended, Identity, Output, Spawn, here};

/// Held while handles can be inherited and a child is created that is to inherit them. A child that
/// another thread creates meanwhile would inherit them, too, and keep a log or a pipe open.
static INHERITING: Mutex<()> = Mutex::new(());

/// Starts a command of the standard library's, which inherits nothing that is meant for others.
pub(super) fn by_itself(command: &mut Command) -> io::Result<std::process::Child> {
    let _alone = INHERITING.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

#[derive(Debug)]
pub(crate) struct ChildHandle {
    process: OwnedHandle,
    /// Closed with this program, however it ends; the system then ends what is in it.
    job: Option<Job>,
    /// The links to the processes that it launches in its place, where they matter.
    links: Option<Links>,
    is_marked: bool,
}

impl ChildHandle {
    pub(crate) fn wait(&mut self) -> io::Result<Ended> {
        loop {
            if let Some(code) = sys::exit_code(self.process.as_handle())? {
                return Ok(Ended::Code(code.cast_signed()));
            }
            sys::wait_for_any(&[self.process.as_handle()], u32::MAX)?;
        }
    }

    /// Waits for the child and for what it has launched; the child's own exit counts.
    pub(super) fn wait_for_chain(&mut self, passed_on: impl FnMut(&Identity)) -> io::Result<Ended> {
        if let (Some(links), Some(job)) = (self.links.take(), &self.job) {
            links.wait(job, passed_on)?;
        }
        self.wait()
    }

    /// Whether it and what it starts are found by the mark that it was to get.
    pub(crate) fn is_marked(&self) -> bool {
        self.is_marked
    }

    pub(super) fn job(&self) -> Option<&Job> {
        self.job.as_ref()
    }
}

/// Returns what can be watched.
pub(crate) fn child_handle(child: &ChildHandle) -> BorrowedHandle<'_> {
    child.process.as_handle()
}

pub(crate) fn spawn(
    spawn: &Spawn<'_>,
    created: impl FnOnce(&Identity) -> io::Result<()> + Send,
) -> io::Result<(Identity, ChildHandle)> {
    spawn_with(spawn, 0, created)
}

/// Leaves the job of this program where that can be, and says whether the child is held by it.
pub(crate) fn spawn_detached(spawn: &Spawn<'_>) -> io::Result<((Identity, ChildHandle), bool)> {
    let hold = job::hold_of_this_program();
    if hold == Hold::LetsGoIfAsked {
        match spawn_with(spawn, CREATE_BREAKAWAY_FROM_JOB, |_| Ok(())) {
            // A job around that one does not let go.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            result => return result.map(|child| (child, false)),
        }
    }
    let is_held = matches!(hold, Hold::LetsGoIfAsked | Hold::Holds);
    Ok((spawn_with(spawn, 0, |_| Ok(()))?, is_held))
}

fn spawn_with(
    spawn: &Spawn<'_>,
    flags: PROCESS_CREATION_FLAGS,
    created: impl FnOnce(&Identity) -> io::Result<()> + Send,
) -> io::Result<(Identity, ChildHandle)> {
    console::hear_ctrl_c()?;
    let job = if spawn.end_with_parent { Some(Job::ending_with_us()?) } else { None };
    point("create process");
    let (process, thread, pid, is_marked) = create_marked(job.as_ref(), spawn, flags)?;
    point("look at process");
    let prepared = (|| {
        let started = sys::created_at(process.as_handle())?;
        let identity = Identity { pid, started, boot_id: here().boot_id.clone() };
        created(&identity)?;
        let mut shared = Vec::new();
        for guard in &spawn.machine_guards {
            shared.extend(guard.legs().shared()?);
        }
        for handle in &shared {
            hand_to(handle.as_handle(), process.as_handle())?;
        }
        let links = spawn.chain.map(|chain| {
            let (command, exe) = shown(spawn)?;
            Links::of(chain, &identity, &process, command, exe, shared)
        });
        let links = links.transpose()?;
        point("let process run");
        // SAFETY: the thread's handle is open and owned here.
        if unsafe { ResumeThread(thread.as_raw_handle()) } == u32::MAX {
            return Err(io::Error::last_os_error());
        }
        Ok((identity, links))
    })();
    match prepared {
        Ok((identity, links)) => Ok((identity, ChildHandle { process, job, links, is_marked })),
        Err(error) => {
            // It has not run yet. If even this fails there is nothing else that could end it.
            let _ = sys::terminate(process.as_handle());
            Err(error)
        }
    }
}

/// Returns the command line and the program of a child, as the process list will show them.
fn shown(spawn: &Spawn<'_>) -> io::Result<(Vec<String>, PathBuf)> {
    let program = find(&spawn.program, path_among(&spawn.env).as_deref())?;
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(spawn.args.iter().map(|word| word.to_string_lossy().into_owned()));
    if !is_batch(&program) {
        return Ok((words, program));
    }
    let shell = PathBuf::from(system_shell()?);
    words.splice(0..0, [shell.to_string_lossy().into_owned(), "/c".to_owned()]);
    Ok((words, shell))
}

/// Creates the child, in the job of its run if it has a mark and the system allows that; says whether it is.
fn create_marked(
    job: Option<&Job>,
    spawn: &Spawn<'_>,
    flags: PROCESS_CREATION_FLAGS,
) -> io::Result<(OwnedHandle, OwnedHandle, u32, bool)> {
    if let Some(run) = spawn.mark.and_then(|mark| RunJob::new(mark).ok()) {
        match create(&[Some(run.as_raw_handle()), job.map(Job::as_raw_handle)], spawn, flags) {
            Ok((process, thread, pid)) => return Ok((process, thread, pid, true)),
            // It may be the job.
            Err(_) => run.forget(),
        }
    }
    let (process, thread, pid) = create(&[job.map(Job::as_raw_handle)], spawn, flags)?;
    Ok((process, thread, pid, false))
}

/// Creates the child. Under load the system now and then fails with an internal error of its own;
/// nothing has run then, so it is tried again.
fn create(
    jobs: &[Option<HANDLE>],
    spawn: &Spawn<'_>,
    more_flags: PROCESS_CREATION_FLAGS,
) -> io::Result<(OwnedHandle, OwnedHandle, u32)> {
    const TRIES: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(50);
    let is_internal =
        |error: &io::Error| error.raw_os_error() == Some(ERROR_INTERNAL_ERROR.cast_signed());
    for _ in 1..TRIES {
        match create_suspended(jobs, spawn, more_flags) {
            Err(error) if is_internal(&error) => thread::sleep(PAUSE),
            result => return result,
        }
    }
    create_suspended(jobs, spawn, more_flags)
}

/// Creates the child, suspended. It is in its jobs, of which each is within the one before, from the beginning: if this program is killed
/// at any moment, nothing of the child is left.
fn create_suspended(
    jobs: &[Option<HANDLE>],
    spawn: &Spawn<'_>,
    more_flags: PROCESS_CREATION_FLAGS,
) -> io::Result<(OwnedHandle, OwnedHandle, u32)> {
    let program = find(&spawn.program, path_among(&spawn.env).as_deref())?;
    let mut line = command_line(&program, &spawn.args)?;
    let application = if is_batch(&program) { system_shell()? } else { program.into_os_string() };
    let application = to_wide_nul(&application);
    let environment = environment(&spawn.env);
    let current_dir = spawn.current_dir.as_deref().map(|dir| to_wide_nul(dir.as_os_str()));
    let current_dir = current_dir.as_ref().map_or(ptr::null(), |dir| dir.as_ptr());

    let mut flags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
    flags |= more_flags;
    if spawn.console == Console::Own {
        flags |= CREATE_NO_WINDOW;
    }
    // Until the copies that can be inherited are closed again, so they come after it.
    let _alone = INHERITING.lock().unwrap_or_else(PoisonError::into_inner);
    let redirected: Option<OwnedHandle> = match spawn.output {
        Output::Inherit => None,
        Output::File(file) => Some(file.try_clone()?.into()),
        Output::Pipe(pipe) => Some(pipe.try_clone()?.into()),
    };
    let mut attributes = Attributes::new()?;
    let jobs: Vec<HANDLE> = jobs.iter().copied().flatten().collect();
    if !jobs.is_empty() {
        attributes.add(PROC_THREAD_ATTRIBUTE_JOB_LIST, jobs)?;
    }
    let mut startup = STARTUPINFOEXW::default();
    startup.StartupInfo.cb = size_of_u32::<STARTUPINFOEXW>();
    startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    let null;
    if let Some(output) = &redirected {
        // The child of a supervisor gets its three handles and nothing else: another handle that
        // slips through would keep a log, a pipe or a lock open for as long as the child lives.
        null = OwnedHandle::from(std::fs::File::open("NUL")?);
        inheritable(&null)?;
        inheritable(output)?;
        startup.StartupInfo.hStdInput = null.as_raw_handle();
        startup.StartupInfo.hStdOutput = output.as_raw_handle();
        startup.StartupInfo.hStdError = output.as_raw_handle();
        let handles = vec![null.as_raw_handle(), output.as_raw_handle()];
        attributes.add(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles)?;
    } else {
        startup.StartupInfo.hStdInput = std_handle(STD_INPUT_HANDLE);
        startup.StartupInfo.hStdOutput = std_handle(STD_OUTPUT_HANDLE);
        startup.StartupInfo.hStdError = std_handle(STD_ERROR_HANDLE);
    }
    startup.lpAttributeList = attributes.as_ptr();
    let mut created = PROCESS_INFORMATION::default();
    // SAFETY: all strings end in zero and the environment in two, `line` is writable, and `startup`
    // with its handles and `attributes` with theirs stay alive across the call.
    let ok = unsafe {
        CreateProcessW(
            application.as_ptr(),
            line.as_mut_ptr(),
            ptr::null(),
            ptr::null(),
            1,
            flags,
            environment.as_ptr().cast(),
            current_dir,
            ptr::from_ref(&startup).cast(),
            &mut created,
        )
    };
    sys::checked(ok)?;
    // SAFETY: the process handle was just created for us.
    let process = unsafe { OwnedHandle::from_raw_handle(created.hProcess) };
    // SAFETY: so was the thread's.
    let thread = unsafe { OwnedHandle::from_raw_handle(created.hThread) };
    Ok((process, thread, created.dwProcessId))
}

/// Lets children inherit `handle`.
fn inheritable(handle: &OwnedHandle) -> io::Result<()> {
    // SAFETY: the borrow keeps the handle open.
    let ok = unsafe {
        SetHandleInformation(handle.as_raw_handle(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT)
    };
    sys::checked(ok)
}

fn std_handle(which: u32) -> HANDLE {
    // SAFETY: the call takes no pointers; a missing handle is passed on as missing.
    unsafe { GetStdHandle(which) }
}

fn size_of_u32<T>() -> u32 {
    u32::try_from(mem::size_of::<T>()).unwrap_or(0)
}

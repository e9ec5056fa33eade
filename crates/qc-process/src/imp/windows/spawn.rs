//! Starting a child suspended, so that it is in its job and known before it runs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, mem, ptr, thread};

use windows_sys::Win32::Foundation::{
    ERROR_INTERNAL_ERROR, HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation,
};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
};
use windows_sys::Win32::System::JobObjects::{
    CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NO_WINDOW, CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT, CreateProcessW,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, InitializeProcThreadAttributeList,
    LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
    PROC_THREAD_ATTRIBUTE_JOB_LIST, PROCESS_INFORMATION, ResumeThread, STARTF_USESTDHANDLES,
    STARTUPINFOEXW, UpdateProcThreadAttribute,
};

use super::{console, sys};
use crate::fault::point;
use crate::{Console, Ended, Identity, Output, Spawn, here};

#[derive(Debug)]
pub(crate) struct ChildHandle {
    process: OwnedHandle,
    /// Closed with this program, however it ends; the system then ends what is in it.
    _job: Option<OwnedHandle>,
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
}

/// Returns what can be watched.
pub(crate) fn child_handle(child: &ChildHandle) -> BorrowedHandle<'_> {
    child.process.as_handle()
}

pub(crate) fn spawn(
    spawn: &Spawn<'_>,
    created: impl FnOnce(&Identity) -> io::Result<()> + Send,
) -> io::Result<(Identity, ChildHandle)> {
    if spawn.console == Console::Own {
        console::hear_ctrl_c()?;
    }
    let job = if spawn.end_with_parent { Some(job()?) } else { None };
    point("create process");
    let (process, thread, pid) = create(job.as_ref(), spawn)?;
    point("look at process");
    let prepared = (|| {
        let started = sys::created_at(process.as_handle())?;
        let identity = Identity { pid, started, boot_id: here().boot_id.clone() };
        created(&identity)?;
        point("let process run");
        // SAFETY: the thread's handle is open and owned here.
        if unsafe { ResumeThread(thread.as_raw_handle()) } == u32::MAX {
            return Err(io::Error::last_os_error());
        }
        Ok(identity)
    })();
    match prepared {
        Ok(identity) => Ok((identity, ChildHandle { process, _job: job })),
        Err(error) => {
            // It has not run yet. If even this fails there is nothing else that could end it.
            let _ = sys::terminate(process.as_handle());
            Err(error)
        }
    }
}

/// Creates the child. Under load the system now and then fails with an internal error of its own;
/// nothing has run then, so it is tried again.
fn create(
    job: Option<&OwnedHandle>,
    spawn: &Spawn<'_>,
) -> io::Result<(OwnedHandle, OwnedHandle, u32)> {
    const TRIES: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(50);
    let is_internal =
        |error: &io::Error| error.raw_os_error() == Some(ERROR_INTERNAL_ERROR.cast_signed());
    for _ in 1..TRIES {
        match create_suspended(job, spawn) {
            Err(error) if is_internal(&error) => thread::sleep(PAUSE),
            result => return result,
        }
    }
    create_suspended(job, spawn)
}

/// A job that ends its processes when it is closed, but lets go of what they start themselves.
fn job() -> io::Result<OwnedHandle> {
    // SAFETY: no attributes and no name are given.
    let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just created and nobody else owns it.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
    // SAFETY: `limits` is a live local of the type and size that the class names.
    let ok = unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            ptr::from_ref(&limits).cast(),
            size_of_u32::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>(),
        )
    };
    sys::checked(ok)?;
    Ok(job)
}

/// Creates the child, suspended. It is in its job from the beginning: if this program is killed
/// at any moment, nothing of the child is left.
fn create_suspended(
    job: Option<&OwnedHandle>,
    spawn: &Spawn<'_>,
) -> io::Result<(OwnedHandle, OwnedHandle, u32)> {
    let program = resolve(&spawn.program)?;
    let mut line = command_line(&program, &spawn.args)?;
    let application = if is_batch(&program) { system_shell() } else { program.into_os_string() };
    let application = terminated(&application);
    let environment = environment(&spawn.env);
    let current_dir = spawn.current_dir.as_deref().map(|dir| terminated(dir.as_os_str()));
    let current_dir = current_dir.as_ref().map_or(ptr::null(), |dir| dir.as_ptr());

    let mut flags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
    if spawn.console == Console::Own {
        flags |= CREATE_NO_WINDOW;
    }
    let redirected: Option<OwnedHandle> = match spawn.output {
        Output::Inherit => None,
        Output::File(file) => Some(file.try_clone()?.into()),
        Output::Pipe(pipe) => Some(pipe.try_clone()?.into()),
    };
    let mut attributes = Attributes::new()?;
    if let Some(job) = job {
        attributes.add(PROC_THREAD_ATTRIBUTE_JOB_LIST, vec![job.as_raw_handle()])?;
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
            &startup.StartupInfo,
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

/// What a new process gets beyond its standard handles: lists of handles, of one kind each.
struct Attributes {
    /// Memory for the attribute list, in words so that it is aligned.
    memory: Vec<usize>,
    /// The attribute list only points to these.
    lists: Vec<Vec<HANDLE>>,
}

impl Attributes {
    /// How many there can be: the job, and the handles to inherit.
    const MOST: u32 = 2;

    fn new() -> io::Result<Self> {
        let mut bytes = 0;
        // SAFETY: without memory, the call only tells the size; it fails by design.
        unsafe { InitializeProcThreadAttributeList(ptr::null_mut(), Self::MOST, 0, &mut bytes) };
        let mut memory = vec![0; bytes.div_ceil(mem::size_of::<usize>())];
        // SAFETY: the memory has the size that was asked for.
        sys::checked(unsafe {
            InitializeProcThreadAttributeList(memory.as_mut_ptr().cast(), Self::MOST, 0, &mut bytes)
        })?;
        Ok(Self { memory, lists: Vec::new() })
    }

    /// Adds handles, which must stay open until the process is created.
    ///
    /// Source: <https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-updateprocthreadattribute>
    fn add(&mut self, attribute: u32, handles: Vec<HANDLE>) -> io::Result<()> {
        let list = self.as_ptr();
        // SAFETY: the list is initialised, and `handles` is kept below for as long as it lives.
        let ok = unsafe {
            UpdateProcThreadAttribute(
                list,
                0,
                attribute as usize,
                handles.as_ptr().cast(),
                mem::size_of_val(handles.as_slice()),
                ptr::null_mut(),
                ptr::null(),
            )
        };
        self.lists.push(handles);
        sys::checked(ok)
    }

    fn as_ptr(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.memory.as_mut_ptr().cast()
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        let list = self.as_ptr();
        // SAFETY: `new` returned a list only after it was initialised.
        unsafe { DeleteProcThreadAttributeList(list) };
    }
}

fn std_handle(which: u32) -> HANDLE {
    // SAFETY: the call takes no pointers; a missing handle is passed on as missing.
    unsafe { GetStdHandle(which) }
}

fn size_of_u32<T>() -> u32 {
    u32::try_from(mem::size_of::<T>()).unwrap_or(0)
}

/// Finds the program: a path as it is, a bare name on PATH, with the usual endings added.
fn resolve(program: &OsStr) -> io::Result<PathBuf> {
    let path = Path::new(program);
    let endings: Vec<OsString> = if path.extension().is_some() {
        vec![OsString::new()]
    } else {
        [".com", ".exe", ".bat", ".cmd"].map(OsString::from).into()
    };
    let dirs: Vec<PathBuf> = if path.components().count() > 1 || path.has_root() {
        vec![PathBuf::new()]
    } else {
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect()
    };
    for dir in dirs {
        for ending in &endings {
            let mut candidate = dir.join(path).into_os_string();
            candidate.push(ending);
            let candidate = PathBuf::from(candidate);
            if candidate.is_file() {
                return Ok(candidate);
            }
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn is_batch(program: &Path) -> bool {
    program.extension().is_some_and(|ending| {
        ending.eq_ignore_ascii_case("bat") || ending.eq_ignore_ascii_case("cmd")
    })
}

fn system_shell() -> OsString {
    let root = env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    Path::new(&root).join(r"System32\cmd.exe").into_os_string()
}

/// Joins program and arguments so that the child's C runtime, or the shell, takes them apart again.
///
/// # Errors
/// `InvalidInput` for what can't be passed: a zero anywhere, and to a batch file also `"`, `%` and
/// line ends, which the shell would act upon.
fn command_line(program: &Path, args: &[OsString]) -> io::Result<Vec<u16>> {
    let words = std::iter::once(program.as_os_str()).chain(args.iter().map(OsString::as_os_str));
    let batch = is_batch(program);
    let mut line: Vec<u16> = Vec::new();
    if batch {
        line.extend("cmd.exe /e:on /v:off /d /c \"".encode_utf16());
    }
    for (position, word) in words.enumerate() {
        let word: Vec<u16> = word.encode_wide().collect();
        let refused: &[u16] =
            if batch { &[0, b'"' as u16, b'%' as u16, b'\r' as u16, b'\n' as u16] } else { &[0] };
        if word.iter().any(|unit| refused.contains(unit)) {
            let text = "an argument holds a character that can't be passed safely";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if position > 0 {
            line.push(b' '.into());
        }
        quote(&word, &mut line);
    }
    if batch {
        line.push(b'"'.into());
    }
    line.push(0);
    Ok(line)
}

/// Quotes one word by the rules of the C runtime: backslashes count only before a quote.
///
/// Source: <https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments>
fn quote(word: &[u16], line: &mut Vec<u16>) {
    const QUOTE: u16 = b'"' as u16;
    const BACKSLASH: u16 = b'\\' as u16;
    line.push(QUOTE);
    let mut backslashes = 0;
    for &unit in word {
        if unit == QUOTE {
            line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
        }
        backslashes = if unit == BACKSLASH { backslashes + 1 } else { 0 };
        line.push(unit);
    }
    line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
    line.push(QUOTE);
}

/// This program's environment with the changes, in the form that CreateProcessW takes.
fn environment(changes: &[(OsString, Option<OsString>)]) -> Vec<u16> {
    let changed = |name: &OsStr| changes.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let kept = env::vars_os().filter(|(name, _)| !changed(name));
    let set = changes.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    let mut block = Vec::new();
    for (name, value) in kept.chain(set) {
        block.extend(name.encode_wide());
        block.push(b'='.into());
        block.extend(terminated(&value));
    }
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    block
}

fn terminated(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_command_line() {
        let cases = [
            ("plain", r#""plain""#),
            ("two words", r#""two words""#),
            ("", r#""""#),
            (r#"a"b"#, r#""a\"b""#),
            (r"dir\", r#""dir\\""#),
            (r#"a\"b"#, r#""a\\\"b""#),
            (r"a\b", r#""a\b""#),
        ];
        for (word, expected) in cases {
            let mut line = Vec::new();
            quote(&word.encode_utf16().collect::<Vec<u16>>(), &mut line);
            assert_eq!(String::from_utf16_lossy(&line), expected, "{word}");
        }
    }

    #[test]
    fn a_batch_file_gets_no_argument_that_the_shell_would_act_upon() {
        for argument in ["%PATH%", "a\"b", "a\nb"] {
            let line = command_line(Path::new("x.bat"), &[argument.into()]);
            assert_eq!(line.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{argument}");
        }
    }
}

//! Starting a child that waits, before it runs its program, until it may.
//!
//! The child shares this program's memory until it runs its own (as after `posix_spawn`, and
//! unlike after `fork`, no page table is copied), so starting one costs the same however large
//! this program is.

mod blocked_signals;

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{mem, ptr};

use libc::{c_int, c_void};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};

use self::blocked_signals::BlockedSignals;
use super::command::Prepared;
use super::signals;
use crate::{Console, Ended, Identity, Output, Spawn, identity_of};

/// Room for the few calls that the child makes before it runs its program.
const STACK: usize = 16 * 1024;

/// Held while a child is made and its pair of sockets with it. So a waiting child has the sockets of
/// those before it, never of those after it; otherwise two could keep each other waiting for leave
/// for ever, should this program be killed meanwhile.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[derive(Debug)]
pub(crate) struct ChildHandle {
    pidfd: OwnedFd,
    /// The file name of the program that it was started with.
    program: Box<str>,
    ended: Option<Ended>,
    is_marked: bool,
}

impl ChildHandle {
    pub(crate) fn wait(&mut self) -> io::Result<Ended> {
        loop {
            if let Some(ended) = self.reap(WaitIdOptions::EXITED)? {
                return Ok(ended);
            }
        }
    }

    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Returns what [`Spawn::program`] names.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Whether it was waited for: its number may be another process's.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether it has got the mark that it was to get.
    pub(crate) fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// Returns how it ended, once it has.
    fn reap(&mut self, options: WaitIdOptions) -> io::Result<Option<Ended>> {
        if self.ended.is_none() {
            self.ended = match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                Ok(status) => status.map(|status| ended(&status)),
                Err(rustix::io::Errno::INTR) => None,
                Err(error) => return Err(error.into()),
            };
        }
        Ok(self.ended)
    }
}

/// Returns what can be watched.
pub(crate) fn child_handle(child: &ChildHandle) -> &OwnedFd {
    &child.pidfd
}

fn ended(status: &WaitIdStatus) -> Ended {
    match status.exit_status() {
        Some(code) => Ended::Code(code),
        None => Ended::Signal(status.terminating_signal().unwrap_or(0)),
    }
}

pub(crate) fn spawn(
    spawn: &Spawn<'_>,
    created: impl FnOnce(&Identity) -> io::Result<()>,
) -> io::Result<(Identity, ChildHandle)> {
    let _blocked = BlockedSignals::new()?;
    let program = Prepared::new(spawn)?;
    let output: Option<OwnedFd> = match spawn.output {
        Output::Inherit => None,
        Output::File(file) => Some(file.try_clone()?.into()),
        Output::Pipe(pipe) => Some(pipe.try_clone()?.into()),
    };
    let nothing = output.as_ref().map(|_| File::open("/dev/null")).transpose()?;
    let one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut ours, theirs) = UnixStream::pair()?;
    let before = BeforeExec {
        program: &program,
        current_dir: spawn
            .current_dir
            .as_ref()
            .map(|dir| CString::new(dir.as_os_str().as_encoded_bytes()))
            .transpose()?,
        input: nothing.as_ref().map(AsRawFd::as_raw_fd),
        output: output.as_ref().map(AsRawFd::as_raw_fd),
        kept: {
            let files = spawn.keep.iter().map(|file| file.as_raw_fd());
            files
                .chain(spawn.machine_guards.iter().flat_map(|guard| guard.legs().descriptors()))
                .collect()
        },
        own_session: spawn.console == Console::Own,
        mark: spawn.mark,
        to_default: signals::to_default(spawn.console == Console::Own),
        mask: signals::empty_set(),
        ours: ours.as_raw_fd(),
        theirs: theirs.as_raw_fd(),
    };
    let waiting = Waiting::start(&before)?;
    drop(theirs);
    drop(one_at_a_time);
    let identity = identity_of(waiting.pid.as_raw_nonzero().get().cast_unsigned())?;
    created(&identity)?;
    ours.write_all(b"!")?;
    // Its end is closed when the program runs; what comes before that is why it can't.
    let mut reason = [0; 4];
    match ours.read_exact(&mut reason) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let pidfd = waiting.let_go();
            let program = Path::new(&spawn.program).file_name().unwrap_or_default();
            let program = program.to_string_lossy().into();
            let is_marked = spawn.mark.is_some_and(super::mark::can_be_set);
            Ok((identity, ChildHandle { pidfd, program, ended: None, is_marked }))
        }
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(reason))),
    }
}

/// A session of its own is all that it takes.
pub(crate) fn spawn_detached(request: &Spawn<'_>) -> io::Result<((Identity, ChildHandle), bool)> {
    Ok((spawn(request, |_| Ok(()))?, false))
}

/// A child that has not run its program yet and uses memory of this one. Dropped, it is killed and
/// awaited, so that the memory can be given back.
struct Waiting<'a> {
    pid: Pid,
    /// Empty once the program runs.
    pidfd: Option<OwnedFd>,
    _stack: Vec<u128>,
    _before: &'a BeforeExec<'a>,
}

impl<'a> Waiting<'a> {
    fn start(before: &'a BeforeExec<'_>) -> io::Result<Self> {
        let mut stack: Vec<u128> = Vec::with_capacity(STACK / mem::size_of::<u128>());
        let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
        let mut pidfd: c_int = -1;
        let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
        // SAFETY: the child runs `BeforeExec::start` on a stack of its own; that stack and
        // `before`, which it only reads, live until it runs its program or `drop` has seen its
        // end. `pidfd` is where CLONE_PIDFD stores the descriptor.
        let pid = unsafe {
            libc::clone(
                BeforeExec::start,
                top.cast(),
                flags,
                ptr::from_ref(before).cast_mut().cast(),
                &mut pidfd,
            )
        };
        let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
            return Err(io::Error::last_os_error());
        };
        // SAFETY: the kernel has just opened it for this process, and nothing else owns it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        Ok(Self { pid, pidfd: Some(pidfd), _stack: stack, _before: before })
    }

    /// It runs its program, and uses memory of its own.
    fn let_go(mut self) -> OwnedFd {
        self.pidfd.take().expect("nothing else takes it")
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            // It has not been awaited, so it is there, and can be killed.
            let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
            let _ = ChildHandle { pidfd, program: Box::default(), ended: None, is_marked: false }
                .wait();
        }
    }
}

/// The child's steps before it runs its program. It only makes system calls, and none that can fail
/// before it has leave to go: until then the other thread that shares its memory may be using
/// `errno`, and from then on that one only waits.
struct BeforeExec<'a> {
    program: &'a Prepared,
    current_dir: Option<CString>,
    input: Option<RawFd>,
    output: Option<RawFd>,
    kept: Vec<RawFd>,
    own_session: bool,
    mark: Option<u64>,
    to_default: Vec<c_int>,
    mask: libc::sigset_t,
    ours: RawFd,
    theirs: RawFd,
}

impl BeforeExec<'_> {
    extern "C" fn start(this: *mut c_void) -> c_int {
        // SAFETY: `Waiting::start` passes a pointer to a value that lives as long as the child may
        // use it, and that does not change.
        let this = unsafe { &*this.cast::<BeforeExec<'_>>() };
        if this.has_leave() {
            let reason = this.run().to_ne_bytes();
            // SAFETY: the descriptor is the child's end, and the bytes are a live local. Where it
            // fails there can't be reported.
            unsafe { libc::write(this.theirs, reason.as_ptr().cast(), reason.len()) };
        }
        127
    }

    /// Waits for leave; `false` if the other end has gone away without giving it.
    fn has_leave(&self) -> bool {
        // SAFETY: this copy of the descriptor is the child's own; while it is open, the read below
        // could not see the other end go away.
        unsafe { libc::close(self.ours) };
        let mut leave = 0_u8;
        // SAFETY: `leave` is a live local of one byte.
        let count = unsafe { libc::read(self.theirs, ptr::from_mut(&mut leave).cast(), 1) };
        count == 1
    }

    /// Runs the program; returns why it could not.
    fn run(&self) -> c_int {
        self.prepare().err().unwrap_or_else(|| self.program.exec())
    }

    fn prepare(&self) -> Result<(), c_int> {
        for &signal in &self.to_default {
            // SAFETY: SIG_DFL is a valid disposition, and this table of them is the child's own.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        if self.own_session {
            // SAFETY: takes nothing.
            checked(unsafe { libc::setsid() })?;
        }
        if let Some(mark) = self.mark {
            super::mark::set(mark);
        }
        let targets = [(self.input, 0), (self.output, 1), (self.output, 2)];
        for (from, to) in targets {
            if let Some(from) = from {
                // SAFETY: the descriptors are open in the parent, and so in the child.
                checked(unsafe { libc::dup2(from, to) })?;
            }
        }
        for &fd in &self.kept {
            // SAFETY: as above; the call clears the flag that would close it.
            checked(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
        }
        if let Some(dir) = &self.current_dir {
            // SAFETY: the path is a C string that lives as long as the child may use it.
            checked(unsafe { libc::chdir(dir.as_ptr()) })?;
        }
        // SAFETY: the set is a live value, and the old one is not asked for.
        checked(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.mask, ptr::null_mut()) })
    }
}

fn checked(result: c_int) -> Result<(), c_int> {
    if result == -1 { Err(super::command::errno()) } else { Ok(()) }
}

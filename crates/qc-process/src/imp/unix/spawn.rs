//! Starting a child that waits, between fork and exec, until it may run.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::thread;

use crate::{Console, Ended, Identity, Output, Spawn, identity_of};

#[derive(Debug)]
pub(crate) struct ChildHandle(std::process::Child);

impl ChildHandle {
    pub(crate) fn wait(&mut self) -> io::Result<Ended> {
        let status = self.0.wait()?;
        Ok(status.code().map_or_else(|| Ended::Signal(status.signal().unwrap_or(0)), Ended::Code))
    }
}

/// `Command::spawn` returns only after exec, so it runs on a thread of its own, while the child
/// sends its pid through one pipe and waits for leave to exec at another.
pub(crate) fn spawn(
    spawn: &Spawn<'_>,
    created: impl FnOnce(&Identity) -> io::Result<()> + Send,
) -> io::Result<(Identity, ChildHandle)> {
    let (mut pid_reader, pid_writer) = io::pipe()?;
    let (leave_reader, mut leave_writer) = io::pipe()?;
    let mut command = command(spawn)?;
    let before_exec = BeforeExec {
        kept: spawn.keep.iter().map(|file| file.as_raw_fd()).collect(),
        own_session: spawn.console == Console::Own,
        pid_writer: pid_writer.as_raw_fd(),
        leave_reader: leave_reader.as_raw_fd(),
        leave_writer: leave_writer.as_raw_fd(),
    };
    // SAFETY: `run` only makes async-signal-safe system calls and neither allocates nor locks;
    // the descriptors it uses stay open in this function until `spawn` below has returned.
    unsafe { command.pre_exec(move || before_exec.run()) };

    thread::scope(|scope| {
        let spawning = scope.spawn(move || {
            let spawned = command.spawn();
            // Open until here for the child; closed here so that a failed fork ends the read below.
            drop(pid_writer);
            spawned
        });
        let mut pid = [0; 4];
        let told = match pid_reader.read_exact(&mut pid) {
            // There is no child; what `spawn` returned says why.
            Err(_) => Ok(None),
            Ok(()) => identity_of(u32::from_ne_bytes(pid)).and_then(|identity| {
                created(&identity)?;
                leave_writer.write_all(b"!")?;
                Ok(Some(identity))
            }),
        };
        // Without leave the child reads the end of the pipe, and gives up.
        drop(leave_writer);
        let spawned = spawning
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the starting thread panicked")));
        drop(leave_reader);
        match (told, spawned) {
            (Ok(Some(identity)), Ok(child)) => Ok((identity, ChildHandle(child))),
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(None), Ok(_)) => {
                Err(io::Error::other("the child ran without having said who it is"))
            }
        }
    })
}

fn command(spawn: &Spawn<'_>) -> io::Result<Command> {
    let mut command = Command::new(&spawn.program);
    command.args(&spawn.args);
    if let Some(dir) = &spawn.current_dir {
        command.current_dir(dir);
    }
    for (name, value) in &spawn.env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    match spawn.output {
        Output::Inherit => {}
        Output::File(file) => {
            command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file.try_clone()?);
        }
        Output::Pipe(pipe) => {
            command.stdin(Stdio::null()).stdout(pipe.try_clone()?).stderr(pipe.try_clone()?);
        }
    }
    Ok(command)
}

/// What the child does after fork and before exec.
struct BeforeExec {
    kept: Vec<RawFd>,
    own_session: bool,
    pid_writer: RawFd,
    leave_reader: RawFd,
    leave_writer: RawFd,
}

impl BeforeExec {
    fn run(&self) -> io::Result<()> {
        for &fd in &self.kept {
            rustix::io::fcntl_setfd(borrow(fd), rustix::io::FdFlags::empty())?;
        }
        if self.own_session {
            rustix::process::setsid()?;
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
                // SAFETY: signal(2) is async-signal-safe, and SIG_DFL is a valid disposition.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
        }
        let pid = std::process::id().to_ne_bytes();
        rustix::io::write(borrow(self.pid_writer), &pid)?;
        // SAFETY: this copy of the descriptor belongs to the child alone, which uses it nowhere
        // else; while it is open, the read below could not see the parent's end.
        unsafe { libc::close(self.leave_writer) };
        let mut leave = [0; 1];
        match rustix::io::read(borrow(self.leave_reader), &mut leave)? {
            1 => Ok(()),
            _ => Err(io::ErrorKind::Interrupted.into()),
        }
    }
}

fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: called in the child only, with descriptors that the parent holds open in `spawn`
    // across fork, and that nothing in the child closes before exec.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

//! Waiting for a child and for signals at once, without another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use super::{process_handle, signals};
use crate::{Child, Ended, Identity, Process};

#[derive(Debug)]
pub(crate) struct Relay(SignalDelivery<UnixStream, SignalOnly>);

impl Relay {
    pub(crate) fn start() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let signals = signals::stop_signals();
        Ok(Self(SignalDelivery::with_pipe(reader, writer, SignalOnly, signals)?))
    }

    /// A child's children inherit the lock, so there is nothing to pass on.
    pub(crate) fn wait(
        &mut self,
        child: &mut Child,
        _passed_on: impl FnMut(&Identity),
    ) -> io::Result<Ended> {
        self.until(child.handle.pidfd().as_fd(), child.identity())?;
        child.wait()
    }

    pub(crate) fn wait_for(&mut self, process: &Process) -> io::Result<()> {
        self.until(process_handle(&process.handle).as_fd(), process.identity())
    }

    /// Waits until the process of `pidfd` has ended; passes requests on to it.
    fn until(&mut self, pidfd: BorrowedFd<'_>, identity: &Identity) -> io::Result<()> {
        loop {
            let mut fds =
                [PollFd::new(&pidfd, PollFlags::IN), PollFd::new(self.0.get_read(), PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !fds[0].revents().is_empty() {
                return Ok(());
            }
            for signal in self.0.pending() {
                // One that can't be opened has just ended, or must not be touched.
                if let Ok(Some(process)) = Process::open(identity) {
                    process.pass_on(signals::interrupt(signal));
                }
            }
        }
    }
}

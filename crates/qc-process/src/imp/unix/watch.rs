//! Watching pidfds with one epoll descriptor.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

/// The token of calls from other threads.
const CALL: u64 = u64::MAX;

/// How many ends are taken at once.
const ROOM: usize = 256;

#[derive(Debug)]
pub(crate) struct Watcher {
    epoll: OwnedFd,
    calls: Arc<OwnedFd>,
}

#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Watcher {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let calls = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &*calls, epoll::EventData::new_u64(CALL), epoll::EventFlags::IN)?;
        Ok(Self { epoll, calls })
    }

    /// Told once; a pidfd that is closed leaves by itself.
    pub(crate) fn watch(&mut self, pidfd: &OwnedFd, token: u64) -> io::Result<()> {
        let once = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        epoll::add(&self.epoll, pidfd, epoll::EventData::new_u64(token), once)?;
        Ok(())
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.calls))
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<u64>> {
        // The system counts whole milliseconds: what is due a moment later must not be asked for
        // again and again.
        let timeout = timeout.map(|timeout| {
            let millis = timeout.as_nanos().div_ceil(1_000_000);
            let timeout = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
            // The longest that the call takes, some 24 days; the caller then waits again.
            let longest = Duration::from_millis(i32::MAX as u64);
            Timespec::try_from(timeout.min(longest)).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 })
        });
        let mut events = Vec::with_capacity(ROOM);
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            timeout.as_ref(),
        ) {
            Ok(_) => {}
            // A signal was handled; that is a reason to look.
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let tokens = events.iter().map(|event| event.data.u64());
        let (calls, ended): (Vec<u64>, Vec<u64>) = tokens.partition(|&token| token == CALL);
        if !calls.is_empty() {
            // Only so that the next wait waits; it can't fail to, having been readable.
            let _ = rustix::io::read(&*self.calls, &mut [0; 8]);
        }
        Ok(ended)
    }
}

impl Waker {
    pub(crate) fn wake(&self) {
        // It fails only when so many calls are waiting that one more makes no difference.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

//! Waiting for whatever happens next: processes that end, and calls from other threads.

use std::io;
use std::time::Duration;

use crate::{Child, Identity, Process, imp, own_identity};

/// Watches any number of processes at once, without a thread for each and without looking again
/// and again.
#[derive(Debug)]
pub struct Watcher(imp::Watcher);

/// Ends a [`Watcher::wait`], from any thread.
#[derive(Debug, Clone)]
pub struct Waker(imp::Waker);

/// A process whose end is awaited, and to which nothing else can be done: a trading terminal may be one.
#[derive(Debug)]
pub struct Awaited {
    identity: Identity,
    handle: imp::ProcessHandle,
}

impl Awaited {
    /// Opens the process that `identity` names; `None` if it has ended.
    ///
    /// # Errors
    /// Whatever the system reports; `InvalidInput` for this program itself and the first process of the
    /// system, whose ends this program does not see.
    pub fn open(identity: &Identity) -> io::Result<Option<Self>> {
        if identity.pid <= 1 || identity.pid == own_identity().pid {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let handle = imp::open_process(identity)?;
        Ok(handle.map(|handle| Self { identity: identity.clone(), handle }))
    }

    /// Returns who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl Watcher {
    /// Makes one that watches nothing yet.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn new() -> io::Result<Self> {
        imp::Watcher::new().map(Self)
    }

    /// Watches a child: its end is told once, with `token`. It has to live until then.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn watch_child(&mut self, child: &Child, token: u64) -> io::Result<()> {
        self.0.watch(imp::child_handle(&child.handle), token)
    }

    /// Watches a process that is no child: its end is reported once, with `token`. It has to live until
    /// then.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn watch(&mut self, process: &Process, token: u64) -> io::Result<()> {
        self.0.watch(imp::process_handle(&process.handle), token)
    }

    /// Awaits the end of a process, which is told once, with `token`. It has to live until then.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn watch_end(&mut self, process: &Awaited, token: u64) -> io::Result<()> {
        self.0.watch(imp::process_handle(&process.handle), token)
    }

    /// Returns a way to end the wait from another thread.
    pub fn waker(&self) -> Waker {
        Waker(self.0.waker())
    }

    /// Waits until a process ends, the waker is used, or `timeout` is over; returns the tokens of
    /// those that have ended.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<u64>> {
        self.0.wait(timeout)
    }
}

impl Waker {
    /// Ends the wait that goes on now, or the next one.
    pub fn wake(&self) {
        self.0.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{Console, Output, Spawn};

    fn sleeper(seconds: &str) -> Child {
        let (program, args) = match cfg!(windows) {
            true => ("ping", vec!["-n".into(), seconds.into(), "127.0.0.1".into()]),
            false => ("sleep", vec![seconds.into()]),
        };
        let (_, output) = io::pipe().unwrap();
        let spawn = Spawn {
            output: Output::Pipe(&output),
            console: Console::Own,
            ..Spawn::new(program, args)
        };
        spawn.start(|_| Ok(())).unwrap()
    }

    #[test]
    fn the_end_of_a_child_is_told_once() {
        let mut watcher = Watcher::new().unwrap();
        let children: Vec<Child> = (0..66).map(|_| sleeper("30")).collect();
        for (token, child) in (0..).zip(&children) {
            watcher.watch_child(child, token).unwrap();
        }
        assert_eq!(watcher.wait(Some(Duration::ZERO)).unwrap(), []);
        for (token, child) in (0_u64..).zip(&children) {
            Process::open(child.identity()).unwrap().expect("it runs").kill().unwrap();
            assert_eq!(watcher.wait(None).unwrap(), [token]);
        }
        assert_eq!(watcher.wait(Some(Duration::ZERO)).unwrap(), []);
        for mut child in children {
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_call_ends_the_wait() {
        let mut watcher = Watcher::new().unwrap();
        let waker = watcher.waker();
        let caller = std::thread::spawn(move || waker.wake());
        assert_eq!(watcher.wait(None).unwrap(), []);
        caller.join().unwrap();
    }

    #[test]
    fn the_wait_is_over_in_time_and_not_before() {
        let mut watcher = Watcher::new().unwrap();
        let began = Instant::now();
        let timeout = Duration::from_micros(20_500);
        assert_eq!(watcher.wait(Some(timeout)).unwrap(), []);
        assert!(began.elapsed() >= timeout);
    }
}

//! Waiting for a child while the system calls a handler for console events.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::{Child, Ended, Identity, Interrupt, Process, close_limit, wait_any};

use super::job::Job;

/// The time that is waited at once; it has no meaning but that a wait needs some.
const A_WHILE: Duration = Duration::from_secs(3600);

/// The child, once it runs, and a request to stop that came before.
#[derive(Debug, Default)]
struct Running {
    process: Option<Process>,
    /// It and what it has launched.
    job: Option<Job>,
    pending: Option<Interrupt>,
}

#[derive(Debug)]
pub(crate) struct Relay(Arc<Mutex<Running>>);

impl Relay {
    pub(crate) fn start() -> io::Result<Self> {
        let running = Arc::new(Mutex::new(Running::default()));
        let for_handler = Arc::clone(&running);
        super::on_interrupt(Box::new(move |interrupt| {
            if interrupt == Interrupt::Close {
                end_in_time(Arc::clone(&for_handler));
            }
            let mut running = for_handler.lock().unwrap_or_else(PoisonError::into_inner);
            match &running.process {
                Some(process) => process.pass_on(interrupt),
                None => running.pending = Some(interrupt),
            }
        }))?;
        Ok(Self(running))
    }

    pub(crate) fn wait(
        &mut self,
        child: &mut Child,
        passed_on: impl FnMut(&Identity),
    ) -> io::Result<Ended> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A child that can't be opened has ended already.
        running.process = Process::open(child.identity()).ok().flatten();
        running.job = child.handle.job().and_then(|job| job.try_clone().ok());
        if let (Some(process), Some(interrupt)) = (&running.process, running.pending) {
            process.pass_on(interrupt);
        }
        drop(running);
        child.handle.wait_for_chain(passed_on)
    }

    pub(crate) fn wait_for(&mut self, process: &Process) -> io::Result<()> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.process = Process::open(process.identity()).ok().flatten();
        drop(running);
        while wait_any(&[process], A_WHILE)?.is_empty() {}
        Ok(())
    }
}

/// Kills a child, and what it has launched, that takes longer than the system gives this program, so that there is time left to
/// release what is held for it.
fn end_in_time(running: Arc<Mutex<Running>>) {
    let Some(limit) = close_limit() else { return };
    let wait = move || {
        thread::sleep(limit);
        let running = running.lock().unwrap_or_else(PoisonError::into_inner);
        // One that has ended is fine, and for any other there is nothing left to try.
        let _ = running.process.as_ref().map(Process::kill);
        let _ = running.job.as_ref().map(Job::end);
    };
    // Without a thread, the system ends both.
    let _ = thread::Builder::new().name("close".into()).spawn(wait);
}

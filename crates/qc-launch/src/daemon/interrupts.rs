//! Requests to stop that come before the supervisor can take them: while a start is being refused,
//! or prepared. The launcher's own lock is given back then, and nothing is left of it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qc_cli::{Exit, warn};
use qc_lock_core::Lock;
use qc_process::{Interrupt, end_program, on_interrupt};

/// The reason in the history for a lock that was given back before anything was started.
const UNSTARTED: &str = "asked to stop before anything was started";

/// Takes them from the first moment on.
#[derive(Clone)]
pub(crate) struct Interrupts(Arc<Mutex<Stage>>);

/// Takes a request to stop.
type Taker = Box<dyn Fn(Interrupt) + Send>;

/// How far the start has come.
enum Stage {
    /// Nothing runs that would have to be stopped: the program ends at once, and gives back this
    /// lock.
    Refusable(Option<Box<Lock>>),
    /// Components may run, and the supervisor is not there yet: it is told when it is.
    Preparing(Option<Interrupt>),
    /// The supervisor takes it.
    Supervised(Taker),
}

impl Interrupts {
    /// Begins to take them.
    ///
    /// # Errors
    /// If the system refuses the handler.
    pub(crate) fn watch() -> io::Result<Self> {
        let this = Self(Arc::new(Mutex::new(Stage::Refusable(None))));
        let taker = this.clone();
        on_interrupt(move |interrupt| taker.take(interrupt))?;
        Ok(this)
    }

    /// Keeps the launcher's own lock as long as a start may be refused.
    pub(crate) fn keep(&self, lock: Lock) {
        *self.stage() = Stage::Refusable(Some(Box::new(lock)));
    }

    /// Returns the lock: from now on the fleet is started, or the start is refused.
    pub(crate) fn give_back(&self) -> Option<Lock> {
        match std::mem::replace(&mut *self.stage(), Stage::Preparing(None)) {
            Stage::Refusable(lock) => lock.map(|lock| *lock),
            Stage::Preparing(_) | Stage::Supervised(_) => None,
        }
    }

    /// Lets the supervisor take them, and first the one that has come already.
    pub(crate) fn pass_to(&self, take: impl Fn(Interrupt) + Send + 'static) {
        let mut stage = self.stage();
        if let Stage::Preparing(Some(interrupt)) = *stage {
            take(interrupt);
        }
        *stage = Stage::Supervised(Box::new(take));
    }

    fn take(&self, interrupt: Interrupt) {
        let mut stage = self.stage();
        match &mut *stage {
            Stage::Refusable(lock) => {
                if let Some(Err(error)) = lock.take().map(|lock| lock.refuse(UNSTARTED)) {
                    warn(&error);
                }
                end_program(Exit::Interrupted.code());
            }
            Stage::Preparing(pending) => *pending = Some(interrupt),
            Stage::Supervised(take) => take(interrupt),
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

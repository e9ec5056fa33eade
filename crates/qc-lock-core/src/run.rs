//! Running a command under a lock, to its end.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use qc_process::{Ended, Identity, Interrupt, Process, Spawn, on_interrupt};

use crate::Lock;

/// The command, once it runs, and a request to stop that came before.
#[derive(Default)]
struct Running {
    process: Option<Process>,
    pending: Option<Interrupt>,
}

/// Starts the command that `lock` is held for, tells `started` who it is, waits for its end, and
/// gives the lock back. A request to stop this program is passed on to the command, which decides
/// when it ends.
///
/// Meant for programs that do nothing else: it takes over Ctrl-C and its like.
///
/// # Errors
/// If the command can't be started; the lock is given back then, too.
pub fn run_held(
    mut lock: Lock,
    spawn: Spawn<'_>,
    started: impl FnOnce(&Identity),
) -> io::Result<Ended> {
    let running = Arc::new(Mutex::new(Running::default()));
    let for_handler = Arc::clone(&running);
    on_interrupt(move |interrupt| {
        let mut running = for_handler.lock().unwrap_or_else(PoisonError::into_inner);
        match &running.process {
            Some(process) => process.pass_on(interrupt),
            None => running.pending = Some(interrupt),
        }
    })?;
    let mut child = lock.start(spawn)?;
    {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        // A child that can't be opened has ended already.
        running.process = Process::open(child.identity()).ok().flatten();
        if let (Some(process), Some(interrupt)) = (&running.process, running.pending) {
            process.pass_on(interrupt);
        }
    }
    started(child.identity());
    let ended = child.wait()?;
    // The command's end is what the caller must learn; a record left behind heals.
    let _ = lock.release();
    Ok(ended)
}

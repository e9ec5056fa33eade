//! Running a command under a lock, to its end.

use std::io;

use qc_process::{Ended, Relay, Spawn};

use crate::{Lock, LockForChild, StartError};

/// Starts the command that `lock` is held for, tells `started`, waits for its end, and
/// gives the lock back. On Windows the end of what the command launches in its place is waited for, too,
/// see [`Spawn::chain`]; on every system that of a program which has claimed the lock and has not
/// inherited it. A request to stop this program is passed on to the command, which decides
/// when it ends.
///
/// Meant for programs that do nothing else: it takes over Ctrl-C and its like.
///
/// # Errors
/// If the command can't be started; the lock is given back then, too.
pub fn run_held(
    lock: LockForChild,
    spawn: Spawn<'_>,
    started: impl FnOnce(&Lock),
) -> Result<Ended, StartError> {
    let mut relay = Relay::start()?;
    let (mut lock, mut child) = lock.start(spawn)?;
    started(&lock);
    let ended = relay.wait(&mut child, |holder| lock.pass_on(holder))?;
    while let Some(claimant) = lock.claimed_by_another(child.identity()) {
        relay.wait_for(&claimant)?;
    }
    qc_process::fault::point("command has ended");
    // The command's end is what the caller must learn; a record left behind heals.
    let _ = lock.release();
    Ok(ended)
}

/// Does the same for a command whose lock another process holds.
///
/// # Errors
/// If the command can't be started, or waited for.
pub fn run_unlocked(spawn: Spawn<'_>) -> io::Result<Ended> {
    let mut relay = Relay::start()?;
    let mut child = spawn.start(|_| Ok(()))?;
    relay.wait(&mut child, |_| ())
}

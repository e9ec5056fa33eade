//! A lock that is held for a child: the child is named in the record before it runs.

use std::io;

use qc_process::fault::point;
use qc_process::{Child, Spawn, random_bytes};

use crate::guard::Guard;
use crate::{Lock, LockError, TOKEN_VARIABLE};

/// A lock that is held for a child that is still to be started. Its guards keep everybody else
/// out; the record will name the child. Dropped, it is free again.
#[derive(Debug)]
pub struct LockForChild(Lock);

impl LockForChild {
    pub(crate) fn new(lock: Lock) -> Self {
        Self(lock)
    }

    /// Starts the child: the record names it before it runs, and where the system allows it the
    /// child holds the guards, too (see [`qc_process::LOCKS_ARE_INHERITED`]).
    ///
    /// # Errors
    /// A [`StartError`]; nothing runs then, and the lock is free again.
    pub fn start(self, mut spawn: Spawn<'_>) -> Result<(Lock, Child), StartError> {
        let Self(mut lock) = self;
        let token = format!("{}/{}", lock.record.name, random_token()?);
        spawn.env.push((TOKEN_VARIABLE.into(), Some(token.clone().into())));
        lock.record.token = Some(token);
        // The guards may have been taken long before.
        lock.record.timestamp = crate::time::now();
        lock.record.wrapper_pid = Some(std::process::id());
        let guards = std::mem::take(&mut lock.guards);
        let keep = guards.iter().map(Guard::file).collect();
        let mut refused = None;
        let machine_guards = guards.iter().filter_map(Guard::machine).collect();
        point("start command");
        let started = Spawn { keep, machine_guards, ..spawn }.start(|identity| {
            let refusal = match lock.record_and_check(identity, &guards) {
                Ok(true) => {
                    point("give leave to run");
                    return Ok(());
                }
                Ok(false) => StartError::GuardDeleted,
                Err(error) => StartError::Lock(error),
            };
            refused = Some(refusal);
            Err(io::ErrorKind::Interrupted.into())
        });
        lock.guards = guards;
        match started {
            Ok(child) => {
                point("command runs");
                lock.record_acquired();
                Ok((lock, child))
            }
            Err(error) => {
                if lock.is_recorded {
                    // Nothing ran under it. Should it stay, it is stale, and heals.
                    let _ = lock.remove_record();
                }
                Err(refused.unwrap_or(StartError::Spawn(error)))
            }
        }
    }
}

/// Why a child could not be started under its lock.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The lock could not be completed.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A guard of the lock was deleted while it was being taken.
    #[error("a guard of the lock was deleted while the lock was being taken")]
    GuardDeleted,
    /// The child could not be started, or waited for.
    #[error(transparent)]
    Spawn(#[from] io::Error),
}

fn random_token() -> io::Result<String> {
    let bytes = random_bytes::<16>()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

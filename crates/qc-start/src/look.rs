//! The look at what runs: one serves the checks before a start, an adoption, and the first starts.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use qc_fleet::{Fleet, Snapshot};
use qc_lock_core::LockDir;
use qc_process::pids;

/// The result of one look.
pub struct Look {
    at: Instant,
    /// All processes that there were before it: what is not among them was born since.
    pub known: HashSet<u32>,
    /// The processes that run, without this program.
    pub snapshot: Snapshot,
}

impl Look {
    /// Looks at this machine.
    ///
    /// # Errors
    /// If the processes or the locks cannot be listed.
    pub fn take(fleet: &Fleet, locks: &LockDir) -> io::Result<Self> {
        let at = Instant::now();
        let known = pids()?.into_iter().collect();
        // The locks before the processes: one that is gone by then holds none.
        let entries = locks.list().map_err(io::Error::other)?;
        let snapshot = Snapshot::take(fleet, entries)?.without_process(std::process::id());
        Ok(Self { at, known, snapshot: snapshot.with_latches(locks) })
    }

    /// How long ago it was taken.
    pub fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

//! Files that others have open, delete, or give unusual names.

use std::fs;
use std::time::Instant;

use qc_lock_core::{Request, Resource};
use qc_process::Ended;

use crate::outcome::{Outcome, failed};
use crate::sandbox::{ON_WINDOWS, Sandbox, free, lock_name, locks_in, refused};

/// A record can be replaced while another process reads it.
pub(crate) fn replaced_while_read(sandbox: &Sandbox) -> Outcome {
    const READING: u64 = 300;
    let (locks, name) = (sandbox.locks("replaced")?, lock_name("BRAIN_DRILL")?);
    // A dead holder's record is replaced by the next one's.
    sandbox.holder(&locks, &name)?.kill()?;
    let record = locks.path().join("BRAIN_DRILL.lock");
    let mut reader = sandbox.part(["read".into(), record.into(), READING.to_string().into()])?;
    let began = Instant::now();
    let lock = locks.acquire(&Request::new(name.clone()))?;
    let took = began.elapsed().as_millis();
    if locks.record(&name).is_none_or(|record| record.pid != std::process::id()) {
        return failed("the record does not name the new holder");
    }
    lock.release()?;
    match reader.end()? {
        Ended::Code(0) => Ok(format!(
            "replaced after {took} ms while another process had it open for {READING} ms, who read all of it"
        )),
        ended => failed(format!("who read it meanwhile did not read all of it ({ended})")),
    }
}

/// No process gets a lock by deleting what describes it or what carries it.
pub(crate) fn deleted_from_outside(sandbox: &Sandbox) -> Outcome {
    let locks = sandbox.locks("deleted")?;
    let (one, other) = (lock_name("BRAIN_DRILL")?, lock_name("BRAIN_OTHER")?);
    let _holders = [sandbox.holder(&locks, &one)?, sandbox.holder(&locks, &other)?];
    fs::remove_file(locks.path().join("BRAIN_DRILL.lock"))?;
    refused(&locks, &one)?;

    let guard = locks.path().join(".guards").join(Resource::name(&other).guard_file());
    let deleted = fs::remove_file(&guard);
    refused(&locks, &other)?;
    match deleted {
        Ok(()) if ON_WINDOWS => failed("a guard that is held could be deleted"),
        Ok(()) => Ok("a record and a guard were deleted, a second holder refused".into()),
        Err(error) => {
            Ok(format!("a record was deleted, a guard can't be ({error}), a second holder refused"))
        }
    }
}

/// The folder may be anywhere.
pub(crate) fn names_and_long_paths(sandbox: &Sandbox) -> Outcome {
    /// The longest path that old programs for Windows know.
    const LONG: usize = 260;
    let mut root = sandbox.path().to_path_buf();
    while root.to_string_lossy().chars().count() <= LONG {
        root.push("a folder of Zoë's, für 帳簿 & 100 % Ωmega");
    }
    fs::create_dir_all(&root)?;
    let (locks, name) = (locks_in(&root), lock_name("BRAIN_DRILL")?);
    let mut holder = sandbox.holder(&locks, &name)?;
    let listed = locks.status(&name)?.and_then(|entry| entry.pid);
    if listed != Some(holder.identity().pid) {
        return failed(format!("the holder is listed as {listed:?}"));
    }
    refused(&locks, &name)?;
    let ended = holder.dismiss()?;
    if ended != Ended::Code(0) {
        return failed(format!("the holder ended with {ended}"));
    }
    free(&locks, &name)?;
    let length = root.to_string_lossy().chars().count();
    Ok(format!("held, listed, refused and released in a path of {length} characters"))
}

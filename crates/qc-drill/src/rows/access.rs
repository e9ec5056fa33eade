//! An object that this program may not open never counts as free, dead or its own.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use qc_cli::chain;
use qc_lock_core::{LockDir, LockError, LockName, LockState, Request, Resource};
use qc_process::{Identity, Liveness, here, identity_of, liveness};

use crate::child::run;
use crate::outcome::{Miss, Outcome, failed, skipped};
use crate::sandbox::{ON_WINDOWS, Sandbox, free, lock_name, locks_in, refused};

/// A guard that can't be opened is an error.
pub(crate) fn lists(sandbox: &Sandbox) -> Outcome {
    let (locks, name) = (sandbox.locks("access")?, lock_name("BRAIN_DRILL")?);
    let guard = |name| locks.path().join(".guards").join(Resource::name(name).guard_file());
    let other = lock_name("BRAIN_OTHER")?;
    free(&locks, &other)?;
    fs::remove_file(guard(&other))?;
    fs::create_dir(guard(&other))?;
    unusable(&locks, &other)?;

    free(&locks, &name)?;
    let denied = guard(&name);
    set_access(&denied, false)?;
    let opened = File::open(&denied).is_ok();
    let outcome = if opened { Ok(String::new()) } else { unusable(&locks, &name) };
    set_access(&denied, true)?;
    let error = outcome?;
    match opened {
        true if ON_WINDOWS => failed("a guard that is denied to everyone can be opened"),
        true => skipped(
            "a folder in a guard's place is an error, but this user may open what is denied to everyone",
        ),
        false => Ok(format!("no lock, but an error: {error}")),
    }
}

/// Sees that the lock can't be taken, as its guard can't be.
fn unusable(locks: &LockDir, name: &LockName) -> Result<String, Miss> {
    match locks.acquire(&Request::new(name.clone())) {
        Err(error @ LockError::Guard { .. }) => {
            Ok(std::error::Error::source(&error).map_or_else(String::new, chain))
        }
        Err(error) => Err(error.into()),
        Ok(_) => failed("a lock was given although its guard can't be opened"),
    }
}

/// Denies reading and writing a file to everyone, or takes that back.
fn set_access(file: &Path, allowed: bool) -> Result<(), Miss> {
    let file = file.to_string_lossy();
    // The group's number, as its name differs between languages.
    const EVERYONE: &str = "*S-1-1-0";
    let deny = format!("{EVERYONE}:(RD,WD,AD)");
    let (program, args) = match (ON_WINDOWS, allowed) {
        (true, false) => ("icacls", vec![&*file, "/deny", &deny]),
        (true, true) => ("icacls", vec![&*file, "/remove:d", EVERYONE]),
        (false, false) => ("chmod", vec!["000", &*file]),
        (false, true) => ("chmod", vec!["600", &*file]),
    };
    let dir = std::env::temp_dir();
    let (ended, lines) = run(program, &args, &dir)?;
    if ended.success() {
        Ok(())
    } else {
        failed(format!("{program} ended with {ended}: {}", lines.join(" ")))
    }
}

/// The system's own process can't be opened, or is shown as what it is; never as dead.
pub(crate) fn protected(sandbox: &Sandbox) -> Outcome {
    let pid = if ON_WINDOWS { 4 } else { 1 };
    let found = identity_of(pid);
    let identity = match &found {
        Ok(identity) => identity.clone(),
        // Started at any time: that can't be seen.
        Err(_) => Identity { pid, started: 1, boot_id: here().boot_id.clone() },
    };
    let generations = liveness(&identity);
    match &found {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !ON_WINDOWS => {
            return skipped("process 1 is hidden here");
        }
        Err(error) if generations == Liveness::Dead => {
            return failed(format!("process {pid} counts as dead: {error}"));
        }
        _ => {}
    }

    // A lock that names it is held.
    let (locks, name) = (sandbox.locks("protected")?, lock_name("BRAIN_DRILL")?);
    let lock = locks.acquire(&Request::new(name.clone()))?;
    let mut record = lock.record().clone();
    lock.release()?;
    (record.pid, record.started, record.boot_id) = (pid, identity.started, identity.boot_id);
    let bytes = serde_json::to_vec(&record).map_err(io::Error::from)?;
    fs::write(locks.path().join("BRAIN_DRILL.lock"), bytes)?;
    let state = locks.status(&name)?.map(|entry| entry.state);
    if state != Some(LockState::Held) {
        return failed(format!("a lock of process {pid} is listed as {state:?}"));
    }
    refused(&locks, &name)?;
    let seen = match found {
        Ok(_) => "is alive".to_owned(),
        Err(error) => format!("can't be opened ({error}), so it may be alive"),
    };
    Ok(format!("process {pid} {seen}; a lock that names it is held"))
}

/// A link in the place of the locks leads nowhere.
pub(crate) fn links(sandbox: &Sandbox) -> Outcome {
    let root = sandbox.folder("links")?;
    fs::create_dir(root.join("elsewhere"))?;
    let (ended, lines) = if ON_WINDOWS {
        // A junction, as it needs no privilege.
        let script = root.join("link.cmd");
        fs::write(&script, "@mklink /J .locks elsewhere\r\n")?;
        run(script, &[], &root)?
    } else {
        run("ln", &["-s", "elsewhere", ".locks"], &root)?
    };
    if fs::symlink_metadata(root.join(".locks")).is_err() {
        return skipped(format!("no link could be made ({ended}): {}", lines.join(" ")));
    }
    match locks_in(&root).acquire(&Request::new(lock_name("BRAIN_DRILL")?)) {
        Err(error @ LockError::Directory { .. }) => {
            let reason = std::error::Error::source(&error).map_or_else(String::new, chain);
            Ok(format!("a link in place of the folder of locks is refused: {reason}"))
        }
        Err(error) => Err(error.into()),
        Ok(_) => failed("a lock was taken through a link"),
    }
}

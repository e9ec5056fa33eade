//! Locks that other processes hold, and that they leave by dying.

use std::fs;
use std::time::Instant;

use qc_lock_core::{LockError, LockState, ParsedRecord, Request};
use qc_process::{LOCKS_ARE_INHERITED, Process, forget_machine_guard, own_identity, wait_any};

use crate::child::TIMEOUT;
use crate::outcome::{Outcome, failed};
use crate::sandbox::{ON_WINDOWS, Sandbox, free, lock_name, refused};

/// A lock's record can be read while it is held, and no second holder gets in.
pub(crate) fn mandatory(sandbox: &Sandbox) -> Outcome {
    let (locks, name) = (sandbox.locks("mandatory")?, lock_name("BRAIN_DRILL")?);
    let holder = sandbox.holder(&locks, &name)?;
    let pid = holder.identity().pid;
    let Some(entry) = locks.status(&name)? else { return failed("the holder is not listed") };
    if entry.state != LockState::Held || entry.pid != Some(pid) {
        return failed(format!(
            "the holder is listed as {} by {:?}",
            entry.state.as_str(),
            entry.pid
        ));
    }
    let bytes = fs::read(locks.path().join("BRAIN_DRILL.lock"))?;
    if !matches!(ParsedRecord::from_bytes(&bytes), ParsedRecord::Record(record) if record.pid == pid)
    {
        return failed("the record does not name the holder");
    }
    refused(&locks, &name)?;

    // The error that a reader would get if a record were locked.
    let file = sandbox.path().join("locked bytes");
    fs::write(&file, "bytes")?;
    let _locked = sandbox.part(["lock".into(), file.clone().into()])?;
    let readable = match fs::read(&file) {
        Ok(_) if ON_WINDOWS => return failed("locked bytes can be read, which Windows denies"),
        Ok(_) => "locked bytes can be read here".to_owned(),
        Err(error) => format!("locked bytes can't be read ({error})"),
    };
    Ok(format!("listed, its record read, a second one refused; {readable}"))
}

/// A lock is free as soon as its holder has been killed.
pub(crate) fn late_release(sandbox: &Sandbox) -> Outcome {
    let (locks, name) = (sandbox.locks("late")?, lock_name("BRAIN_DRILL")?);
    let mut longest = 0;
    for _ in 0..3 {
        let mut holder = sandbox.holder(&locks, &name)?;
        holder.kill()?;
        let began = Instant::now();
        let lock = locks.acquire(&Request::new(name.clone()))?;
        longest = longest.max(began.elapsed().as_millis());
        if lock.reclaimed().first().and_then(|one| one.holder.pid) != Some(holder.identity().pid) {
            return failed("the lock was not taken over from the one who was killed");
        }
        lock.release()?;
    }
    Ok(format!("taken at most {longest} ms after its holder was killed, three times"))
}

/// A holder of an account in one folder is refused and named in another folder, also without a file
/// of its lock, until it ends.
pub(crate) fn machine(sandbox: &Sandbox) -> Outcome {
    let (here, there) = (sandbox.locks("machine")?, sandbox.locks("another folder")?);
    let (name, other) = (lock_name("BRAIN_DRILL")?, lock_name("BRAIN_OTHER")?);
    // An account of its own: it is one for the whole machine.
    let account = format!("T-drill-{}-{}", std::process::id(), own_identity().started);
    let Ok(number) = account.parse() else { return failed(format!("{account} is not an account")) };
    let request = Request::new(other).account(number);
    let hold = ["hold".into(), here.path().into(), name.as_str().into(), account.into()];
    let mut holder = sandbox.part(hold)?;
    // Windows deletes no guard that is held, but what is beside it.
    let _ = fs::remove_dir_all(here.path());
    let refusal = match there.acquire(&request) {
        Err(refusal @ LockError::Held { .. }) => refusal.to_string(),
        Err(error) => return Err(error.into()),
        Ok(_) => return failed("a second one got the account in another folder"),
    };
    if !refusal.contains(&format!("PID {} (BRAIN_DRILL in ", holder.identity().pid)) {
        return failed(format!("the holder is not named: {refusal}"));
    }
    holder.kill()?;
    there.acquire(&request)?.release()?;
    request.resources().iter().for_each(|one| forget_machine_guard(&one.guard_file()));
    Ok("refused and named in another folder, free once the holder was killed".into())
}

/// A killed wrapper takes its child along on Windows, and leaves it the lock on Unix.
pub(crate) fn killed_wrapper(sandbox: &Sandbox) -> Outcome {
    let (locks, name) = (sandbox.locks("wrapper")?, lock_name("BRAIN_DRILL")?);
    let before = [
        "hold".into(),
        "--lock-dir".into(),
        locks.path().into(),
        name.as_str().into(),
        "--".into(),
        sandbox.program.clone().into(),
    ];
    let mut wrapper = sandbox.part_of(&sandbox.program, &before, ["sleep".into()])?;
    let pid = wrapper.player.pid;
    if pid == wrapper.identity().pid {
        return failed("the wrapper has no child");
    }
    refused(&locks, &name)?;
    let Some(child) = Process::open(&wrapper.player)? else {
        return failed("the child has ended before its wrapper");
    };
    wrapper.kill()?;
    if LOCKS_ARE_INHERITED {
        let kept = refused(&locks, &name).and_then(|()| Ok(locks.status(&name)?));
        child.kill()?;
        if kept?.and_then(|entry| entry.pid) != Some(pid) {
            return failed("the lock is not the child's");
        }
    }
    if wait_any(&[&child], TIMEOUT)?.is_empty() {
        // By its identity; nothing of the drill may stay.
        child.kill()?;
        return failed("the child of the killed wrapper lives on");
    }
    free(&locks, &name)?;
    Ok(match LOCKS_ARE_INHERITED {
        true => "the child lived on and kept the lock; free after its end",
        false => "the child ended with its wrapper, and the lock was free",
    }
    .into())
}

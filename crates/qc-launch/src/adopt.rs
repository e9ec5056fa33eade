//! Taking over what an earlier launcher has left running: each component that holds its own lock.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::{Exit, Failure};
use qc_fleet::{Component, Fleet, Snapshot};
use qc_lock_core::{LockDir, LockEntry, LockState};
use qc_process::{Identity, Listing, Process, list};

use crate::preflight::refuse_beside;

/// How long what is just starting or ending may take to be one or the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// A component that runs.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) name: String,
    pub(crate) process: Process,
}

/// Finds what may be taken over; refuses, with the full list, if anything else is alive.
pub(crate) fn adopt(
    fleet: &Fleet,
    components: &[Arc<Component>],
    locks: &LockDir,
    wanted: bool,
) -> Result<Vec<Adopted>, Failure> {
    let began = Instant::now();
    loop {
        let listing = list()?;
        let entries = locks.list()?;
        let is_moving = wanted && is_anything_starting(&listing, &entries, locks);
        let snapshot = Snapshot::assemble(fleet, listing, entries);
        let snapshot = snapshot.without_process(std::process::id());
        let (found, rest) = match wanted {
            true => sort(snapshot, components),
            false => (Vec::new(), snapshot),
        };
        let refusal = refuse_beside(&rest);
        if (is_moving || refusal.is_err() && wanted) && began.elapsed() < PATIENCE {
            thread::sleep(PAUSE);
            continue;
        }
        refusal?;
        return open(found);
    }
}

/// Separates the holders of components' locks from the rest. What holds a component's lock is that
/// component, whatever it looks like; and only one can.
fn sort(
    mut snapshot: Snapshot,
    components: &[Arc<Component>],
) -> (Vec<(String, Identity)>, Snapshot) {
    let mut found = Vec::new();
    let is_held =
        |lock: &&LockEntry| lock.state == LockState::Held || lock.state == LockState::Legacy;
    let held: Vec<LockEntry> = snapshot.locks.iter().filter(is_held).cloned().collect();
    for lock in held {
        let component = components.iter().find(|one| {
            one.name.as_str().eq_ignore_ascii_case(&lock.name)
                && one.account.as_ref().map(|account| account.as_str()) == lock.account.as_deref()
        });
        let (Some(component), Some(pid)) = (component, lock.pid) else { continue };
        let instance = snapshot.instances.iter().find(|one| one.includes(pid));
        let instance = instance.filter(|one| {
            one.adoptable() && one.component.eq_ignore_ascii_case(component.name.as_str())
        });
        // Behind a virtual environment's stub, the stub is the one that was started.
        let Some(process) = instance.and_then(|one| one.processes.first()) else { continue };
        let identity = process.identity.clone();
        found.push((component.name.to_string(), identity));
        snapshot = snapshot.without_process(pid);
    }
    (found, snapshot)
}

/// Whether a wrapper holds, or is about to hold, a lock whose record does not name its child yet.
fn is_anything_starting(listing: &Listing, entries: &[LockEntry], locks: &LockDir) -> bool {
    listing.processes.iter().any(|process| {
        let words = &process.args;
        let Some(end) = words.iter().position(|word| word == "--") else { return false };
        let is_wrapper = words.get(1).is_some_and(|word| word == "hold")
            && words[..end].iter().any(|word| std::path::Path::new(word) == locks.path());
        let is_held = |name: &String| {
            entries
                .iter()
                .any(|lock| lock.name.eq_ignore_ascii_case(name) && lock.state == LockState::Held)
        };
        is_wrapper && words[..end].last().is_some_and(|name| !is_held(name))
    })
}

fn open(found: Vec<(String, Identity)>) -> Result<Vec<Adopted>, Failure> {
    let mut adopted = Vec::new();
    for (name, identity) in found {
        match Process::open(&identity) {
            Ok(Some(process)) => adopted.push(Adopted { name, process }),
            // It has ended just now, and is started again.
            Ok(None) => {}
            Err(error) => {
                let message = format!("{name} runs and cannot be taken over: {error}");
                return Err(Failure::new(Exit::Held, message, error.hint()));
            }
        }
    }
    Ok(adopted)
}

//! Taking over what an earlier launcher has left running: each component that holds its own lock.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::{Exit, Failure, SHUTDOWN_HINT};
use qc_fleet::{Beside, Component, Fleet, Obstacle, Snapshot};
use qc_lock_core::{LockDir, LockEntry, LockState};
use qc_process::{Identity, Listing, Process, list};

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

/// Finds what may be taken over; refuses, with the full list, if anything else is in the way.
pub(crate) fn adopt(
    fleet: &Fleet,
    components: &[Arc<Component>],
    locks: &LockDir,
    wanted: bool,
) -> Result<Vec<Adopted>, Failure> {
    let began = Instant::now();
    loop {
        // The locks first: a process that is gone by the time of the list holds none.
        let entries = locks.list()?;
        let is_moving = wanted && is_anything_starting(&list()?, &entries, locks);
        let snapshot = Snapshot::take(fleet, entries)?.without_process(std::process::id());
        let (found, obstacles) = sort(fleet, components, &snapshot, wanted);
        if (is_moving || !obstacles.is_empty() && wanted) && began.elapsed() < PATIENCE {
            thread::sleep(PAUSE);
            continue;
        }
        return match &obstacles[..] {
            [] => open(found),
            obstacles => Err(refusal(obstacles)),
        };
    }
}

/// Separates what can be adopted from what is in the way.
fn sort(
    fleet: &Fleet,
    components: &[Arc<Component>],
    snapshot: &Snapshot,
    wanted: bool,
) -> (Vec<(String, Identity)>, Vec<String>) {
    let survey = Beside::new(fleet, snapshot, |_| false).survey(components);
    let (mut found, mut obstacles) = (Vec::new(), Vec::new());
    for (identity, copy) in survey.adoptable {
        match wanted {
            true => found.push((copy.name, identity)),
            false => obstacles.push(copy.listed()),
        }
    }
    obstacles.extend(survey.obstacles.iter().map(Obstacle::listed));
    (found, obstacles)
}

fn refusal(obstacles: &[String]) -> Failure {
    let lines: String = obstacles.iter().map(|one| format!("\n  {one}")).collect();
    let message = format!("the fleet is running already, nothing was started:{lines}");
    Failure::new(Exit::Held, message, SHUTDOWN_HINT)
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

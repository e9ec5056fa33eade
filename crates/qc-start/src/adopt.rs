//! Taking over what an earlier launcher has left running: each component that holds its own lock.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::{Exit, Failure, SHUTDOWN_HINT, print_waiting};
use qc_fleet::{Beside, Blocked, Component, Fleet, Obstacle, Snapshot};
use qc_lock_core::{LockDir, LockState};
use qc_process::{Identity, Process};

use crate::look::Look;

/// How long what is just starting or ending may take to be one or the other.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long that may take without a word.
const SILENT: Duration = Duration::from_millis(500);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// A component that runs.
#[derive(Debug)]
pub struct Adopted {
    /// Its name.
    pub name: String,
    /// The process that holds its lock.
    pub process: Process,
    /// Whether this process is a wrapper, such as a shell, of the program that does the work.
    pub is_wrapper: bool,
}

/// The result of the look before a start.
pub struct Beginning {
    /// The components that are taken over.
    pub adopted: Vec<Adopted>,
    /// The components that wait until other copies of them have ended, while the others start.
    pub blocked: Vec<Blocked>,
    /// The last look.
    pub look: Look,
}

/// A component that may be taken over, and its process.
struct Found {
    name: String,
    identity: Identity,
    is_wrapper: bool,
}

/// Finds what may be taken over in what `look` has shown, and what blocks single components; refuses,
/// with the full list, if anything is in the way of the whole start. Looks again only while something
/// is just starting or in the way.
///
/// # Errors
/// A refusal that lists what is in the way.
pub fn adopt(
    fleet: &Fleet,
    components: &[Arc<Component>],
    locks: &LockDir,
    mut look: Look,
    wanted: bool,
) -> Result<Beginning, Failure> {
    let began = Instant::now();
    let mut is_told = false;
    loop {
        let (found, blocked, obstacles) = sort(fleet, components, &look.snapshot, wanted);
        let in_the_way = || blocked.iter().flat_map(|one| &one.obstacles).chain(&obstacles);
        // What is just starting has not taken its lock yet.
        let is_unsettled =
            in_the_way().next().is_some() || is_anything_starting(&look.snapshot, locks);
        if wanted && is_unsettled && began.elapsed() < TIMEOUT {
            if !is_told && began.elapsed() >= SILENT {
                is_told = true;
                let first = in_the_way().next().map(Obstacle::listed);
                print_waiting(TIMEOUT, first.as_deref().unwrap_or("something is just starting"));
            }
            thread::sleep(PAUSE);
            look = Look::take(fleet, locks)?;
            continue;
        }
        return match &obstacles[..] {
            [] => Ok(Beginning { adopted: open(found)?, blocked, look }),
            obstacles => Err(refusal(obstacles)),
        };
    }
}

/// Separates what can be adopted from what is in the way of one component or of all.
fn sort(
    fleet: &Fleet,
    components: &[Arc<Component>],
    snapshot: &Snapshot,
    wanted: bool,
) -> (Vec<Found>, Vec<Blocked>, Vec<Obstacle>) {
    let mut survey = Beside::new(fleet, snapshot, |_| false).survey(components);
    let (mut found, mut obstacles) = (Vec::new(), Vec::new());
    for (identity, copy) in survey.adoptable {
        match wanted {
            true => {
                let is_wrapper = !copy.processes.contains(&identity);
                found.push(Found { name: copy.name, identity, is_wrapper });
            }
            false => obstacles.push(copy),
        }
    }
    // A start that adopts nothing starts beside nothing, either.
    if !wanted {
        let blocked = survey.blocked.drain(..);
        obstacles.extend(blocked.flat_map(|one| one.obstacles));
    }
    obstacles.extend(survey.obstacles);
    (found, survey.blocked, obstacles)
}

fn refusal(obstacles: &[Obstacle]) -> Failure {
    let lines = obstacles.iter().map(|one| format!("\n  {}", one.listed())).collect::<String>();
    match obstacles.iter().find(|one| one.is_elsewhere) {
        None => {
            let message = format!("the fleet is running already, nothing was started:{lines}");
            Failure::new(Exit::Held, message, SHUTDOWN_HINT)
        }
        Some(elsewhere) => {
            let message = format!("this is in the way, nothing was started:{lines}");
            Failure::new(Exit::Held, message, elsewhere.way_out())
        }
    }
}

/// Whether a wrapper holds, or is about to hold, a lock whose record does not name its child yet.
fn is_anything_starting(snapshot: &Snapshot, locks: &LockDir) -> bool {
    snapshot.holding.iter().any(|words| {
        let Some(end) = words.iter().position(|word| word == "--") else { return false };
        let is_wrapper = words.get(1).is_some_and(|word| word == "hold")
            && words[..end].iter().any(|word| Path::new(word) == locks.path());
        let is_held = |name: &String| {
            let mut held = snapshot.locks.iter().filter(|lock| lock.state == LockState::Held);
            held.any(|lock| lock.name.eq_ignore_ascii_case(name))
        };
        is_wrapper && words[..end].last().is_some_and(|name| !is_held(name))
    })
}

fn open(found: Vec<Found>) -> Result<Vec<Adopted>, Failure> {
    let mut adopted = Vec::new();
    for Found { name, identity, is_wrapper } in found {
        match Process::open(&identity) {
            Ok(Some(process)) => adopted.push(Adopted { name, process, is_wrapper }),
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

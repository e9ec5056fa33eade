//! What is written down: a line of history for each process, and no record of the dead.

use std::time::{Duration, Instant};

use qc_cli::{Failure, warn};
use qc_fleet::{Fleet, Outcome, Snapshot, Stopped};
use qc_lock_core::{Entry, Event, LockDir};
use qc_process::{Process, wait_any};

/// How long the wrappers of stopped processes may take to give back their locks.
const WRAPPERS: Duration = Duration::from_secs(3);

/// What the orchestrators of these pids have written of what they stopped since `began`: one that
/// they killed counts as killed.
pub(crate) fn learn(
    locks: &LockDir,
    orchestrators: &[u32],
    began: chrono::DateTime<chrono::Local>,
    results: &mut [Stopped],
) -> Vec<u32> {
    // Nothing is lost without it but how they ended.
    let Ok(history) = locks.history() else { return Vec::new() };
    let is_theirs = |entry: &&Entry| {
        entry.by_pid.is_some_and(|pid| orchestrators.contains(&pid))
            && entry.at().is_some_and(|at| at >= began)
    };
    let mut told = Vec::new();
    for entry in
        history.entries.iter().rev().take_while(|entry| entry.at().is_none_or(|at| at >= began))
    {
        if !is_theirs(&entry) {
            continue;
        }
        let Some(one) = results.iter_mut().find(|one| {
            Some(one.target.identity.pid) == entry.pid
                && one.target.component.eq_ignore_ascii_case(&entry.name)
        }) else {
            continue;
        };
        match entry.event {
            Event::Killed if one.outcome == Outcome::Stopped => one.outcome = Outcome::Killed,
            Event::Killed | Event::Stopped | Event::Exited => {}
            _ => continue,
        }
        told.push(one.target.identity.pid);
    }
    told
}

/// One line of history for each process that nobody has told of. Where that fails it fails for
/// all, and is said once.
pub(crate) fn tell(locks: &LockDir, results: &[Stopped], told: &[u32]) {
    let entries: Vec<Entry> = results
        .iter()
        .filter(|one| !told.contains(&one.target.identity.pid))
        .filter_map(|Stopped { target, outcome, took }| {
            let seconds = took.as_secs_f64();
            let (event, detail) = match outcome {
                Outcome::AlreadyGone => return None,
                Outcome::ByItself => (Event::Exited, "ended before it was asked to stop".into()),
                Outcome::Stopped => {
                    (Event::Stopped, format!("ended {seconds:.1} s after it was asked"))
                }
                Outcome::Killed => (Event::Killed, format!("did not end within {seconds:.1} s")),
                Outcome::Denied(reason) | Outcome::Survived(reason) | Outcome::Left(reason) => {
                    (Event::Survived, reason.clone())
                }
            };
            let entry = locks.entry(event, &target.component).pid(Some(target.identity.pid));
            Some(entry.account(target.account.clone()).detail(detail))
        })
        .collect();
    if let Err(error) = locks.append_all(&entries) {
        warn(&error);
    }
}

/// Clears the records of the fleet's locks whose holders have ended; a wrapper that is just ending
/// clears its own, and is waited for.
pub(crate) fn clear(
    fleet: &Fleet,
    locks: &LockDir,
    snapshots: &[Snapshot],
    results: &[Stopped],
) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> =
        fleet.components.iter().map(|component| component.name.to_string()).collect();
    names.push(fleet.orchestrator.to_string());
    names.extend(results.iter().map(|one| one.target.component.clone()));
    let mut wrappers = wrappers(snapshots);
    let deadline = Instant::now() + WRAPPERS;
    let mut cleared = Vec::new();
    let mut history_error = None;
    loop {
        let result = locks.clear_dead(&names)?;
        cleared.extend(result.cleared.into_iter().map(|entry| entry.name));
        history_error = history_error.or(result.history_error);
        let is_left = result.kept.iter().any(|entry| !entry.state.is_live());
        let left = deadline.saturating_duration_since(Instant::now());
        let waiting: Vec<&Process> = wrappers.iter().collect();
        let ended = match is_left && !waiting.is_empty() {
            true => wait_any(&waiting, left).unwrap_or_default(),
            false => Vec::new(),
        };
        if ended.is_empty() {
            for error in result.failed.iter().chain(&history_error) {
                warn(error);
            }
            return Ok(cleared);
        }
        for position in ended.into_iter().rev() {
            wrappers.remove(position);
        }
    }
}

/// The programs that wait for what was seen. One that can't be opened has ended, or is not ours.
fn wrappers(snapshots: &[Snapshot]) -> Vec<Process> {
    let instances = snapshots.iter().flat_map(|snapshot| &snapshot.instances);
    let wrappers = instances.flat_map(|instance| &instance.wrappers);
    wrappers.filter_map(|one| Process::open(&one.identity).ok().flatten()).collect()
}

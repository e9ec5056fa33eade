//! Writes a line of history for each process, and clears the records of dead ones.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local};
use qc_cli::{Failure, warn};
use qc_fleet::{Fleet, Outcome, Past, Role, Snapshot, StopPlan, Stopped, Target};
use qc_lock_core::{Entry, Event, HistoryTail, LockDir};
use qc_process::{Process, wait_any};

/// How long the wrappers of stopped processes may take to give back their locks.
const WRAPPERS: Duration = Duration::from_secs(3);

/// The history of each folder whose orchestrators are told to stop something: they write down how
/// each process has ended.
pub(crate) struct Witness(RefCell<Seen>);

struct Seen {
    began: DateTime<Local>,
    sources: Vec<Source>,
    /// Whether a history can't be read.
    is_blind: bool,
}

/// How the processes of each component have ended. An orchestrator writes one line for each start of
/// a component, with the PID of the program that it has started: a wrapper, perhaps.
#[derive(Default)]
struct Ends(HashMap<String, Vec<(u32, Outcome)>>);

/// The history of one folder.
struct Source {
    /// The folder, if it is not this fleet's.
    elsewhere: Option<PathBuf>,
    ends: Ends,
    tail: HistoryTail,
    orchestrators: Vec<u32>,
}

impl Witness {
    pub(crate) fn new(locks: &LockDir, plan: &StopPlan) -> Self {
        let mut by_folder: HashMap<Option<&PathBuf>, Vec<u32>> = HashMap::new();
        let ends = plan.targets().filter(|one| one.role == Role::Orchestrator);
        for one in ends.chain(&plan.told) {
            by_folder.entry(one.elsewhere.as_ref()).or_default().push(one.identity.pid);
        }
        let source = |(folder, orchestrators): (Option<&PathBuf>, Vec<u32>)| Source {
            elsewhere: folder.cloned(),
            ends: Ends::default(),
            tail: match folder {
                Some(root) => LockDir::new(root.join(".locks")).history_tail(),
                None => locks.history_tail(),
            },
            orchestrators,
        };
        let sources = by_folder.into_iter().map(source).collect();
        Self(RefCell::new(Seen { began: Local::now(), sources, is_blind: false }))
    }

    /// Returns how `target` has ended, once its orchestrator has written that down. `is_last` says that
    /// it is not waited for any longer.
    pub(crate) fn outcome(&self, target: &Target, is_last: bool) -> Option<Outcome> {
        let mut seen = self.0.borrow_mut();
        if seen.ends_of(target)?.outcome(target, false).is_none() {
            seen.read_on();
        }
        let outcome = seen.ends_of(target)?.outcome(target, is_last);
        // An orchestrator whose history is unreadable can't report an outcome.
        outcome.or(seen.is_blind.then_some(Outcome::Stopped))
    }

    /// Whether an orchestrator has written down how `target` ended.
    pub(crate) fn knows(&self, target: &Target) -> bool {
        let mut seen = self.0.borrow_mut();
        seen.read_on();
        seen.ends_of(target).is_some_and(|ends| ends.written(target).is_some())
    }
}

impl Ends {
    fn insert(&mut self, component: &str, pid: u32, outcome: Outcome) {
        self.0.entry(component.to_ascii_lowercase()).or_default().push((pid, outcome));
    }

    fn of(&self, component: &str) -> &[(u32, Outcome)] {
        self.0.get(&component.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// Returns what is written of `target`, or of a program that has started it and waits for it.
    fn written(&self, target: &Target) -> Option<&Outcome> {
        let ends = self.of(&target.component);
        let of_pid = |wanted: &u32| ends.iter().rev().find(|(pid, _)| pid == wanted);
        let mut pids = [&target.identity.pid].into_iter().chain(&target.wrappers);
        pids.find_map(of_pid).map(|(_, outcome)| outcome)
    }

    /// Returns how `target` ended. If nothing more is awaited, a kill of its component was one of each of
    /// its processes.
    fn outcome(&self, target: &Target, is_last: bool) -> Option<Outcome> {
        let last = || self.of(&target.component).last().map(|(_, outcome)| outcome);
        let kill = || last().filter(|&outcome| is_last && *outcome == Outcome::Killed);
        self.written(target).or_else(kill).cloned()
    }
}

impl Seen {
    fn ends_of(&self, target: &Target) -> Option<&Ends> {
        let source = self.sources.iter().find(|one| one.elsewhere == target.elsewhere);
        source.map(|source| &source.ends)
    }

    fn read_on(&mut self) {
        for Source { ends, tail, orchestrators, .. } in &mut self.sources {
            // Without it nothing is lost but how they ended.
            let Ok(history) = tail.read() else {
                self.is_blind = true;
                continue;
            };
            for entry in history.entries {
                let is_theirs = entry.by_pid.is_some_and(|pid| orchestrators.contains(&pid));
                let is_new = entry.at().is_some_and(|at| at >= self.began);
                let outcome = match entry.event {
                    Event::Killed => Outcome::Killed,
                    Event::Stopped => Outcome::Stopped,
                    Event::Exited => Outcome::ByItself,
                    _ => continue,
                };
                if let Some(pid) = entry.pid.filter(|_| is_theirs && is_new) {
                    ends.insert(&entry.name, pid, outcome);
                }
            }
        }
    }
}

/// Writes one line of history for each process of which no orchestrator has written one. A failure
/// concerns all of them and is reported once.
pub(crate) fn record(locks: &LockDir, results: &[Stopped], witness: &Witness) {
    let entries: Vec<Entry> = results
        .iter()
        .filter(|one| !witness.knows(&one.target))
        .filter_map(|Stopped { target, outcome, took, .. }| {
            let seconds = took.as_secs_f64();
            let (event, detail) = match outcome {
                Outcome::AlreadyGone => return None,
                Outcome::ByItself => {
                    (Event::Exited, "ended by itself, before it was asked to stop".into())
                }
                Outcome::Stopped => {
                    (Event::Stopped, format!("ended {seconds:.1} s after it was asked"))
                }
                Outcome::Killed => (Event::Killed, format!("did not end within {seconds:.1} s")),
                Outcome::Denied(reason)
                | Outcome::Survived(reason)
                | Outcome::Left(reason)
                | Outcome::Kept(reason) => (Event::Survived, reason.clone()),
            };
            let entry = locks.entry(event, &target.component).pid(Some(target.identity.pid));
            let entry = entry.account(target.account.clone()).helper(target.helper.clone());
            Some(entry.detail(detail))
        })
        .collect();
    if let Err(error) = locks.append_all(&entries) {
        warn(&error);
    }
}

/// Records a shutdown after a launcher that crashed and whose record another start has removed since.
/// Where that record is still there, the history says the same once it is cleared.
pub(crate) fn settle_crash(fleet: &Fleet, locks: &LockDir) -> Result<(), Failure> {
    let name = &fleet.orchestrator;
    if locks.status(name)?.is_none() && Past::read(locks, name).has_crashed() {
        let entry = locks.entry(Event::Cleared, name.as_str());
        if let Err(error) = locks.append(&entry.detail("the fleet was shut down after a crash")) {
            warn(&error);
        }
    }
    Ok(())
}

/// Clears the records of the fleet's locks whose holders have ended; a wrapper that is just ending
/// clears its own, and is waited for. While a part of the fleet runs on, the record of a launcher that
/// crashed stays: it shows that what runs is supervised by none.
pub(crate) fn clear(
    fleet: &Fleet,
    locks: &LockDir,
    snapshots: &[Snapshot],
    results: &[Stopped],
    is_all: bool,
) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> =
        fleet.components.iter().map(|component| component.name.to_string()).collect();
    names.extend(results.iter().map(|one| one.target.component.clone()));
    names.retain(|name| !name.eq_ignore_ascii_case(fleet.orchestrator.as_str()));
    if is_all {
        names.push(fleet.orchestrator.to_string());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn target(pid: u32, wrappers: &[u32]) -> Target {
        Target {
            wrappers: wrappers.to_vec(),
            ..crate::testing::target("BRAIN_A", Role::Brain, pid)
        }
    }

    #[test]
    fn what_is_written_of_a_wrapper_holds_for_what_it_runs_and_a_kill_for_the_component() {
        let mut ends = Ends::default();
        assert_eq!(ends.outcome(&target(2, &[1]), true), None);
        ends.insert("BRAIN_A", 4, Outcome::ByItself);
        assert_eq!(ends.outcome(&target(5, &[]), true), None, "another run of it");
        ends.insert("brain_a", 1, Outcome::Killed);
        for (pid, wrappers, at_once, at_last) in [
            (1, &[][..], Some(Outcome::Killed), Some(Outcome::Killed)),
            (2, &[1], Some(Outcome::Killed), Some(Outcome::Killed)),
            (4, &[1], Some(Outcome::ByItself), Some(Outcome::ByItself)),
            // A worker, or what a shim that is gone has started; or the next run, which ends later.
            (5, &[], None, Some(Outcome::Killed)),
        ] {
            let target = target(pid, wrappers);
            assert_eq!(ends.written(&target), at_once.as_ref(), "{pid}");
            assert_eq!(ends.outcome(&target, false), at_once, "{pid}");
            assert_eq!(ends.outcome(&target, true), at_last, "{pid}");
        }
    }
}

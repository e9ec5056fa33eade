//! The plan for everything that runs now: components, and the programs that their runs have left.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qc_lock_core::{LockDir, LockEntry};
use qc_process::inspect;

use crate::{
    Fate, Fleet, LeftOver, Scope, Snapshot, StopPlan, judge_left_over, left_over, same_folder,
};

/// The folder of the guards in a lock directory.
const GUARD_FOLDER: &str = ".guards";

/// Looks at what runs, and plans to stop what `scope` means of it. `entries` are the locks in `locks`;
/// `timeout` replaces the timeouts of the config.
///
/// # Errors
/// If the system's process list can't be read.
pub fn plan_now(
    fleet: &Fleet,
    locks: &LockDir,
    entries: Vec<LockEntry>,
    scope: &Scope,
    timeout: Option<Duration>,
) -> io::Result<(Snapshot, StopPlan)> {
    let mut snapshot = Snapshot::take(fleet, entries.clone())?;
    let mut left = left_seen(fleet, locks, entries.clone(), &snapshot, scope)?;
    // A program that runs a component's script is that component: this one was started since the look.
    let is_new = |one: &LeftOver| matches!(&one.fate, Fate::Copy(of) if *of == one.component);
    if left.iter().any(is_new) {
        snapshot = Snapshot::take(fleet, entries.clone())?;
        left = left_seen(fleet, locks, entries, &snapshot, scope)?;
    }
    let plan = StopPlan::new(fleet, &snapshot, scope, timeout);
    let plan = plan.with_left_over(fleet, &left, timeout);
    Ok((snapshot, plan))
}

/// Plans the same from a snapshot.
///
/// # Errors
/// If the system's process list can't be read.
pub fn plan_seen(
    fleet: &Fleet,
    locks: &LockDir,
    entries: Vec<LockEntry>,
    snapshot: &Snapshot,
    scope: &Scope,
    timeout: Option<Duration>,
) -> io::Result<StopPlan> {
    let left = left_seen(fleet, locks, entries, snapshot, scope)?;
    Ok(StopPlan::new(fleet, snapshot, scope, timeout).with_left_over(fleet, &left, timeout))
}

/// Returns what components that `scope` means have left behind of which `snapshot` shows nothing.
fn left_seen(
    fleet: &Fleet,
    locks: &LockDir,
    entries: Vec<LockEntry>,
    snapshot: &Snapshot,
    scope: &Scope,
) -> io::Result<Vec<LeftOver>> {
    let is_meant = |name: &str| scope.means_left_over(fleet, snapshot, name);
    let mut left = left_over(fleet, locks.path(), is_meant, &HashMap::new(), &[], &scope.spared)?;
    let keepers = keepers(locks, entries, snapshot, is_meant, &left);
    left.extend(judge_left_over(fleet, &keepers, &scope.spared, &snapshot.locks)?);
    left.retain(LeftOver::ends_with_fleet);
    Ok(left)
}

/// Returns the processes that keep the lock of a component open whose holder has ended, with the name
/// of the component: those that show no variables by which [`left_over`] could find them.
fn keepers(
    locks: &LockDir,
    entries: Vec<LockEntry>,
    snapshot: &Snapshot,
    is_meant: impl Fn(&str) -> bool,
    left: &[LeftOver],
) -> HashMap<u32, String> {
    let entries = locks.with_openers(entries);
    let unrecorded = locks.openers_without_record(&entries);
    let recorded = entries.into_iter().map(|entry| (entry.name, entry.open_in));
    let all = recorded.chain(unrecorded).filter(|(name, _)| is_meant(name));
    let all = all.flat_map(|(name, openers)| {
        openers.into_iter().map(move |opener| (opener.pid, name.clone()))
    });
    let is_known = |pid: u32| {
        snapshot.instances.iter().any(|one| one.includes(pid))
            || left.iter().any(|one| one.process.identity.pid == pid)
    };
    all.filter(|&(pid, _)| !is_known(pid) && !is_of_another_folder(pid, locks.path())).collect()
}

/// Whether a process has guards open in other lock directories alone: it keeps an account of the machine
/// that this folder trades, too, and is for the other folder to stop.
fn is_of_another_folder(pid: u32, locks: &Path) -> bool {
    let guards = inspect::open_in(pid, GUARD_FOLDER);
    let is_here = |guard: &PathBuf| {
        guard.parent().and_then(Path::parent).is_some_and(|folder| same_folder(folder, locks))
    };
    !guards.is_empty() && !guards.iter().any(is_here)
}

//! Which process is which component. The evidence, in this order: a lock that it holds, its command
//! line. The lock of another fleet's folder says that it is not this one's.

use std::collections::HashSet;
use std::path::Path;

use qc_process::ProcessInfo;

use super::holders::Holders;
use super::origin::{Origin, origin_of};
use crate::evidence::ProcessProbe;
use crate::matching::{Match, Matcher, Place};
use crate::{CONFIG_FILE, Fleet, Role};

/// Which component each process is.
pub(super) struct Identified {
    pub(super) found: Vec<Option<Match>>,
    /// The ones that only their locks identify.
    pub(super) by_lock: HashSet<usize>,
    /// How many look like components of this fleet and may be another user's.
    pub(super) unclear: usize,
}

/// Decides which process is which component: by its lock, else by its command line.
pub(super) fn identify(
    fleet: &Fleet,
    processes: &[ProcessInfo],
    holders: &Holders<'_>,
    probe: &dyn ProcessProbe,
) -> Identified {
    let mut matcher = Matcher::new(fleet);
    let mut identified = Identified { found: Vec::new(), by_lock: HashSet::new(), unclear: 0 };
    for (position, process) in processes.iter().enumerate() {
        let by_words = by_words(&mut matcher, fleet, process, processes, holders, probe);
        let found = match holders.component_of(process, by_words.as_ref(), fleet, probe) {
            Some(by_lock) => {
                let is_it = |found: &&Match| found.component == by_lock.component;
                let folder = by_words.as_ref().filter(is_it).map(|found| found.folder.clone());
                // A copy of its script elsewhere is still the component that the config means.
                if folder.is_none() {
                    identified.by_lock.insert(position);
                }
                Some(Match { folder: folder.flatten(), ..by_lock })
            }
            None => by_words.and_then(|found| {
                let has_lock = holders.has_guard_of(process, &found.component, probe);
                match has_lock || found.place == Place::Foreign {
                    true => Some(found),
                    false => without_lock(fleet, process, found, probe, &mut identified.unclear),
                }
            }),
        };
        identified.found.push(found);
    }
    identified
}

/// Decides by its command line which component a process is. Where it works by now shows the folder
/// of a relative script only if the script is there.
fn by_words(
    matcher: &mut Matcher<'_>,
    fleet: &Fleet,
    process: &ProcessInfo,
    processes: &[ProcessInfo],
    holders: &Holders<'_>,
    probe: &dyn ProcessProbe,
) -> Option<Match> {
    let found = matcher.find(process)?;
    if found.place == Place::Fleet {
        return Some(found);
    }
    let Some(script) = matcher.relative_script(process) else { return Some(found) };
    match origin_of(process, &script, processes, probe) {
        Origin::Current => Some(found),
        Origin::First(folder) => {
            let process = ProcessInfo { current_dir: Some(folder), ..process.clone() };
            matcher.find(&process)
        }
        Origin::Unknown => {
            let unknown = Match { place: Place::Unknown, folder: None, ..found };
            // A component that starts itself again keeps its environment.
            Some(match probe.locks_of_origin(process) {
                Some(locks) if holders.is_of_fleet(&locks, &fleet.root) => {
                    Match { place: Place::Fleet, ..unknown }
                }
                Some(locks) => {
                    let folder = locks.parent().filter(|folder| is_fleet(folder));
                    let place = folder.map_or(Place::Unknown, |_| Place::Foreign);
                    Match { place, folder: folder.map(Path::to_path_buf), ..unknown }
                }
                None => unknown,
            })
        }
    }
}

/// Whether a folder is that of a fleet.
fn is_fleet(folder: &Path) -> bool {
    folder.join(CONFIG_FILE).exists()
}

/// Looks whose a process is that looks like a component of this fleet and does not hold its lock.
fn without_lock(
    fleet: &Fleet,
    process: &ProcessInfo,
    found: Match,
    probe: &dyn ProcessProbe,
    unclear: &mut usize,
) -> Option<Match> {
    if let Some(locks) = probe.locks_elsewhere(process, &fleet.root) {
        let folder = locks.parent().map(Path::to_path_buf);
        return Some(Match { place: Place::Foreign, folder, ..found });
    }
    if found.folder.is_some() {
        return Some(found);
    }
    // One that has ended meanwhile has no folder that could be told.
    if probe.has_ended(process) {
        return None;
    }
    let is_known = fleet.component(&found.component).is_some();
    if found.place == Place::Unknown && !is_known {
        return Some(Match { place: Place::Foreign, ..found });
    }
    // A launcher of this fleet holds its lock.
    if found.role == Role::Orchestrator {
        return None;
    }
    if !probe.is_of_another_user(process) {
        return Some(found);
    }
    *unclear += usize::from(is_known);
    None
}

#[cfg(test)]
mod tests;

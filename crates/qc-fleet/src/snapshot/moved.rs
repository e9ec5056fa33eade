//! The fleet of this folder that runs in another one: the folder was moved or copied while it ran, and
//! what stands here is the copy.

use std::path::Path;

use qc_process::ProcessInfo;

use super::Snapshot;
use super::holders::Holders;
use crate::evidence::{ProcessProbe, identity_in};
use crate::stop::stop_command;
use crate::{Fleet, Instance, Place};

/// The fleet of this folder, as far as it runs in one other folder.
#[derive(Debug, Clone)]
pub struct MovedFleet<'a> {
    /// The folder that it runs in.
    pub folder: &'a Path,
    /// Its running instances.
    pub instances: Vec<&'a Instance>,
}

impl MovedFleet<'_> {
    /// Returns where it runs, and what of it.
    pub fn text(&self) -> String {
        let names: Vec<String> = self.instances.iter().map(|one| name_and_pids(one)).collect();
        format!(
            "the fleet of this folder runs in {}: {}; the folder was moved or copied while it ran",
            qc_process::shown(self.folder),
            names.join(", ")
        )
    }

    /// Returns the command that stops it there.
    pub fn stop_command(&self) -> String {
        stop_command(self.folder)
    }
}

/// Groups the instances among these that run in a folder that was moved, by that folder.
pub fn moved_fleets<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> Vec<MovedFleet<'a>> {
    let mut fleets: Vec<MovedFleet<'a>> = Vec::new();
    for instance in instances.into_iter().filter(|one| one.is_moved) {
        let Some(folder) = instance.other_root.as_deref() else { continue };
        match fleets.iter_mut().find(|fleet| fleet.folder == folder) {
            Some(fleet) => fleet.instances.push(instance),
            None => fleets.push(MovedFleet { folder, instances: vec![instance] }),
        }
    }
    fleets
}

impl Snapshot {
    /// Returns the instance of a moved fleet that the process with this PID belongs to.
    pub fn moved_with(&self, pid: u32) -> Option<&Instance> {
        self.instances.iter().find(|one| one.is_moved && one.includes(pid))
    }
}

/// Marks the instances of the fleet of this folder that run in another one. The evidence: a record
/// here names one of its processes, which holds no guard here; or its environment names the path of
/// these locks, and stands for another folder. What runs in the same folder belongs to it.
pub(super) fn mark_moved(
    instances: &mut [Instance],
    fleet: &Fleet,
    holders: &Holders<'_>,
    probe: &dyn ProcessProbe,
) {
    let is_moved = |instance: &Instance| {
        instance.place == Place::Foreign
            && instance.other_root.is_some()
            && processes_of(instance).any(|process| {
                let named = holders.of_pid(process.identity.pid);
                let mut named =
                    named.filter(|lock| identity_in(lock) == Some(&process.identity)).peekable();
                match named.peek() {
                    Some(_) => named.all(|lock| !probe.holds(lock)),
                    None => probe
                        .moved_locks(process, &instance.component)
                        .is_some_and(|locks| holders.is_of_fleet(&locks, &fleet.root)),
                }
            })
    };
    let roots = instances.iter().filter(|one| is_moved(one)).map(|one| one.other_root.clone());
    let roots: Vec<_> = roots.collect();
    for instance in instances.iter_mut().filter(|one| one.place == Place::Foreign) {
        instance.is_moved = roots.contains(&instance.other_root);
    }
}

fn processes_of(instance: &Instance) -> impl Iterator<Item = &ProcessInfo> {
    instance.wrappers.iter().chain(&instance.processes).chain(&instance.workers)
}

fn name_and_pids(instance: &Instance) -> String {
    let pids: Vec<String> = instance.pids().iter().map(ToString::to_string).collect();
    format!("{} (PID {})", instance.component, pids.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use qc_process::Listing;

    use super::moved_fleets;
    use crate::snapshot::tests::{Shown, fleet, lock_of, process};
    use crate::{FindingKind, Snapshot};

    #[test]
    fn a_fleet_whose_folder_was_moved_is_named_with_its_launcher_and_its_new_folder() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("MASTER_CONFIG.json"), "{}").unwrap();
        let launcher = process(other.path(), 10, 1, "qc-launch");
        let brain = process(other.path(), 11, 10, "python BRAIN_A.py");
        let look = |root: &Path, locks: Vec<_>, probe: Shown| {
            let processes = vec![launcher.clone(), brain.clone()];
            let listing = Listing { processes, ..Listing::default() };
            Snapshot::assemble_with(&fleet(root), listing, locks, &probe)
        };
        let free = || Shown { free: vec![10, 11], ..Shown::default() };
        let by_environment = Shown { moved: [(11, root.path().join(".locks"))].into(), ..free() };
        for (what, locks, probe, expected) in [
            ("its records were copied", vec![lock_of("BRAIN_A", &brain)], free(), true),
            ("only its environment tells", Vec::new(), by_environment, true),
            ("another fleet", Vec::new(), free(), false),
        ] {
            let seen = look(root.path(), locks, probe);
            let fleets = moved_fleets(&seen.instances);
            assert_eq!(fleets.len(), usize::from(expected), "{what}");
            let findings = seen.findings(&fleet(root.path()), false);
            let is_found = findings.iter().any(|one| one.kind == FindingKind::Moved);
            assert_eq!(is_found, expected, "{what}: {findings:?}");
            let Some(moved) = fleets.first() else { continue };
            assert_eq!(moved.folder, other.path(), "{what}");
            let text = moved.text();
            assert!(text.contains("MASTER_LAUNCH (PID 10), BRAIN_A (PID 11)"), "{what}: {text}");
        }
    }
}

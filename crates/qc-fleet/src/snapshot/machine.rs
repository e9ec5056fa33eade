//! The processes on this machine that hold an account or a terminal for another folder than the
//! fleet's.

use std::collections::HashSet;
use std::path::Path;

use qc_process::{MachineHolder, machine_holders};

use super::Snapshot;
use crate::{Fleet, Place};

/// Returns the holders of the machine's guards. Where the system does not show them, none: the guards
/// themselves refuse a start all the same.
pub(super) fn look() -> Vec<MachineHolder> {
    machine_holders().unwrap_or_default()
}

/// Keeps those of `holders` that belong to another folder: neither what the fleet's own locks name, nor
/// what runs in its folder.
pub(super) fn elsewhere(
    holders: Vec<MachineHolder>,
    snapshot: &Snapshot,
    fleet: &Fleet,
) -> Vec<MachineHolder> {
    if holders.is_empty() {
        return holders;
    }
    let instances = snapshot.instances.iter().filter(|one| one.place == Place::Fleet);
    let own = instances.flat_map(|one| one.wrappers.iter().chain(&one.processes));
    let own: HashSet<u32> = own.map(|one| one.identity.pid).collect();
    let named: HashSet<u32> = snapshot.locks.iter().filter_map(|lock| lock.pid).collect();
    let is_own = |one: &MachineHolder| {
        own.contains(&one.pid) || named.contains(&one.pid) || is_of(one, &fleet.root)
    };
    holders.into_iter().filter(|one| !is_own(one)).collect()
}

/// From this length on the text of a folder may lack its beginning.
const LONG: usize = 50;

/// Whether the folder that a holder names is `root`.
pub(crate) fn is_of(holder: &MachineHolder, root: &Path) -> bool {
    let plain = |text: &str| text.replace('\\', "/");
    let root = plain(&root.to_string_lossy());
    let root = root.strip_prefix("//?/").unwrap_or(&root);
    let folder = holder.folder.as_deref().map(plain);
    folder.is_some_and(|folder| root == folder || folder.len() >= LONG && root.ends_with(&folder))
}

/// Whether a holder's lock is called `name`; its end may be missing.
pub(crate) fn is_named(holder: &MachineHolder, name: &str) -> bool {
    let start = name.get(..holder.name.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(&holder.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_folder_is_known_by_its_end() {
        let holder = |folder: Option<&str>| MachineHolder {
            guard: String::new(),
            pid: 1,
            started: 1,
            name: String::new(),
            folder: folder.map(str::to_owned),
        };
        let root = Path::new("/home/trader/fleet");
        assert!(is_of(&holder(Some("/home/trader/fleet")), root));
        let long = format!("/home/trader/{}/fleet", "x".repeat(LONG));
        assert!(is_of(&holder(Some(&long[9..])), Path::new(&long)));
        let strangers = ["", "/fleet", "/home/trader", "/srv/home/trader/fleet"].map(Some);
        for other in strangers.into_iter().chain([None]) {
            assert!(!is_of(&holder(other), root), "{other:?}");
        }
    }
}

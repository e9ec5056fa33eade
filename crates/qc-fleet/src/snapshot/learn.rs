//! Facts that the process list and the locks do not show: what is suspended, and what copies of other
//! fleets trade.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use qc_lock_core::{CONFIG_FILE, LOCK_FOLDER, LockDir, LockEntry, find_root};
use qc_process::inspect::user_of;

use crate::evidence::identity_in;
use crate::matching::Place;
use crate::{Fleet, Snapshot};

impl Snapshot {
    /// Learns which instances the system has suspended.
    pub(super) fn learn_suspended(&mut self) {
        let mains = self.instances.iter().filter_map(|one| Some(one.main()?.identity.pid));
        let suspended = qc_process::suspended(&mains.collect::<Vec<u32>>());
        for instance in &mut self.instances {
            let main = instance.main().map(|main| main.identity.pid);
            instance.is_suspended = main.is_some_and(|pid| suspended.contains(&pid));
        }
    }

    /// Learns which accounts the instances of other fleets trade, from the configs and the
    /// locks there.
    pub(super) fn learn_foreign_accounts(&mut self) {
        let mut fleets: HashMap<PathBuf, Option<Fleet>> = HashMap::new();
        let mut locks: HashMap<PathBuf, Vec<LockEntry>> = HashMap::new();
        for instance in self.instances.iter_mut().filter(|one| one.place == Place::Foreign) {
            let user = instance.main().and_then(|one| user_of(one.identity.pid));
            // Where the system shows no users, all are taken for one.
            instance.of_another_user = user != user_of(std::process::id());
            let Some(folder) = instance.folder.clone() else { continue };
            let fleet = fleets.entry(folder).or_insert_with_key(|folder| foreign_fleet(folder));
            if let Some(fleet) = fleet {
                instance.know_component(fleet);
            }
            let Some(root) = instance.other_root.clone() else { continue };
            let locks = locks.entry(root).or_insert_with_key(|root| locks_in(root));
            let is_its = |lock: &&LockEntry| {
                let holder = identity_in(lock).filter(|_| lock.state.is_live());
                let mut processes = instance.processes.iter();
                holder.is_some_and(|holder| processes.any(|one| one.identity == *holder))
            };
            if let Some(lock) = locks.iter().find(is_its).cloned() {
                instance.know_foreign_lock(&lock);
            }
        }
    }
}

/// Returns the locks of another fleet. Those that can't be listed tell nothing.
fn locks_in(root: &Path) -> Vec<LockEntry> {
    LockDir::new(root.join(LOCK_FOLDER)).list().unwrap_or_default()
}

/// Reads the config that a script in `folder` belongs to. One that can't be read tells nothing.
fn foreign_fleet(folder: &Path) -> Option<Fleet> {
    Fleet::load(&find_root(folder)?.join(CONFIG_FILE)).ok()
}

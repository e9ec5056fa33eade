//! Facts that the process list and the locks do not show: what is suspended, and what copies of other
//! fleets trade.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use qc_lock_core::{CONFIG_FILE, LOCK_FOLDER, LockDir, LockEntry, find_root};
use qc_process::inspect::user_of;
use qc_process::{Identity, Liveness, liveness};

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
        self.forget_ended_foreign(&|process| liveness(process) == Liveness::Dead);
    }

    /// Forgets copies in other folders of which no account is known and that have ended meanwhile: with
    /// its fleet, a folder may have gone before its config was read.
    fn forget_ended_foreign(&mut self, has_ended: &dyn Fn(&Identity) -> bool) {
        self.instances.retain(|one| {
            let is_unknown = one.place == Place::Foreign && one.account.is_none();
            !is_unknown || !one.processes.iter().all(|process| has_ended(&process.identity))
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::process;
    use crate::{Instance, Role};

    #[test]
    fn a_copy_elsewhere_that_has_ended_before_its_account_was_known_is_forgotten() {
        let root = Path::new("/elsewhere");
        let brain = |pid, place, account: Option<&str>| Instance {
            place,
            account: account.map(str::to_owned),
            ..Instance::new(
                "BRAIN_A".into(),
                Role::Brain,
                vec![process(root, pid, 1, "python BRAIN_A.py")],
            )
        };
        let mut snapshot = Snapshot {
            instances: vec![
                brain(10, Place::Foreign, None),
                brain(11, Place::Foreign, None),
                brain(12, Place::Foreign, Some("1")),
                brain(13, Place::Fleet, None),
            ],
            ..Snapshot::default()
        };
        snapshot.forget_ended_foreign(&|process| process.pid != 11);
        let left: Vec<u32> = snapshot.instances.iter().flat_map(Instance::pids).collect();
        assert_eq!(left, [11, 12, 13]);
    }
}

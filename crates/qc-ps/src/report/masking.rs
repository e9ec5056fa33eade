//! What `--mask` hides of account numbers.

use qc_fleet::{ComponentView, Fleet, Mask, Snapshot};
use qc_lock_core::LockEntry;

/// All account numbers that are known.
pub(super) fn accounts(
    snapshot: &Snapshot,
    fleet: &Fleet,
    components: &[ComponentView],
) -> Vec<String> {
    let configured = fleet.components.iter().filter_map(|one| one.account.as_ref());
    let running = snapshot.instances.iter().filter_map(|one| one.account.clone());
    let locked = snapshot.locks.iter().filter_map(|lock| lock.account.clone());
    let supervised = components.iter().filter_map(|one| one.account.clone());
    let configured = configured.map(ToString::to_string);
    configured.chain(running).chain(locked).chain(supervised).collect()
}

/// Masks the account numbers of a lock.
pub(super) fn mask_lock(lock: &mut LockEntry, mask: &Mask) {
    lock.name = mask.text(&lock.name);
    lock.account = lock.account.as_deref().map(|account| mask.account(account));
    lock.program = lock.program.as_deref().map(|program| mask.command(program));
    lock.resources.iter_mut().for_each(|one| *one = mask.command(one));
}

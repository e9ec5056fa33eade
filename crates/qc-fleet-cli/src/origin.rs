//! The processes that this command was started from.

use std::io;
use std::path::Path;

use qc_fleet::{COMPONENT_LOCKS_ID_VARIABLE, COMPONENT_LOCKS_VARIABLE, COMPONENT_VARIABLE, Fleet};
use qc_lock_core::LockDir;
use qc_process::{Identity, Liveness, inspect, lineage, liveness, own_identity};

/// Returns this process and those that it was started from: its ancestors, and where a process between
/// has ended, such as the shell of `nohup qc-shutdown --yes &`, the component and the launcher of
/// `fleet` that its environment names.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn origin(fleet: &Fleet, locks: &LockDir) -> io::Result<Vec<Identity>> {
    let mut origin = lineage()?;
    let Some(component) = own_component(locks.path()) else { return Ok(origin) };
    for name in [component.as_str(), fleet.orchestrator.as_str()] {
        let lock = name.parse().ok().and_then(|name| locks.status(&name).ok().flatten());
        let holder = lock.and_then(|lock| lock.evidence.holder);
        // One that was started again since has not started this process.
        let is_older = |one: &Identity| one.started <= own_identity().started;
        let is_alive = |one: &Identity| liveness(one) == Liveness::Alive;
        origin.extend(holder.filter(|one| is_older(one) && is_alive(one) && !origin.contains(one)));
    }
    Ok(origin)
}

/// Returns the component, of whatever fleet, that this process belongs to, by its environment.
pub fn asking_component() -> Option<String> {
    std::env::var(COMPONENT_VARIABLE).ok()
}

/// Returns the component of the fleet with these locks that this process belongs to, by its environment.
fn own_component(locks: &Path) -> Option<String> {
    let component = std::env::var(COMPONENT_VARIABLE).ok()?;
    let id = std::env::var(COMPONENT_LOCKS_ID_VARIABLE).ok().filter(|id| !id.is_empty());
    let is_same = match (id, inspect::folder_id(locks)) {
        (Some(its), Some(id)) => its == id,
        _ => {
            let folder = std::env::var_os(COMPONENT_LOCKS_VARIABLE)?;
            std::fs::canonicalize(folder).ok()? == std::fs::canonicalize(locks).ok()?
        }
    };
    is_same.then_some(component)
}

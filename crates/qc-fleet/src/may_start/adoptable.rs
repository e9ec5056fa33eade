//! May a running copy be supervised from now on?

use std::collections::HashSet;

use qc_call::is_wrapper_of_qc;
use qc_process::{Identity, ProcessInfo};

use crate::{Component, Instance};

/// Returns whom to supervise if this copy of `component` can be taken over, or what speaks against it.
pub(super) fn adoptable(
    instance: &Instance,
    component: &Component,
    starters: &HashSet<u32>,
) -> Result<Identity, &'static str> {
    let Some(lock) = &instance.lock else { return Err(" without its lock") };
    if !lock.name.eq_ignore_ascii_case(component.name.as_str()) {
        return Err(" under another lock");
    }
    if !instance.adoptable() {
        return Err(" under its lock, and looks like another program");
    }
    // A record that the script keeps itself names no account.
    let is_its_own = component.own_record;
    if !is_its_own
        && component.account.as_ref().map(|account| account.as_str()) != lock.account.as_deref()
    {
        return Err(" under its lock, for another account than the config's");
    }
    // Behind a virtual environment's stub, the stub is the one that was started.
    let first = outermost_wrapper(instance, starters).or(instance.processes.first());
    let identity = first.map(|process| process.identity.clone());
    identity.ok_or(" under its lock, and cannot be seen")
}

/// Returns the wrapper with which the component ends: a loop in it starts the program again. What
/// holds a lock for a program ends with that, and a shell that has started others does not.
fn outermost_wrapper<'a>(
    instance: &'a Instance,
    starters: &HashSet<u32>,
) -> Option<&'a ProcessInfo> {
    let outwards = instance.wrappers.iter().rev();
    let its_own = outwards.take_while(|one| !starters.contains(&one.identity.pid));
    its_own.filter(|one| !is_wrapper_of_qc(&one.args)).last()
}

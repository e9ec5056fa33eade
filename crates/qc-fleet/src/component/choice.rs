//! Components as one start wants them: with shared terminals, without those that have no script.

use std::sync::Arc;

use super::Component;

/// Lets accounts share a terminal, as the user has asked for: a terminal that two components of one
/// role have is locked by neither, for only one of them would get it. Their accounts and names are
/// locked as ever, so still nothing runs twice; that nothing outside this fleet uses the terminal
/// is then for the user to see to.
pub fn share_terminals(components: &mut [Arc<Component>]) {
    let shared = |one: &Component, other: &Component| {
        one.name != other.name
            && one.enabled
            && other.enabled
            && one.terminal.is_some()
            && one.terminal == other.terminal
            && one.places().any(|place| other.places().any(|it| it == place))
    };
    let of_several: Vec<bool> =
        components.iter().map(|one| components.iter().any(|other| shared(one, other))).collect();
    for (component, _) in components.iter_mut().zip(of_several).filter(|(_, is_shared)| *is_shared)
    {
        Arc::make_mut(component).terminal = None;
    }
}

/// Leaves out those whose script does not exist. What depends on one of them waits for what that one
/// would have waited for, so a brain that may run without its watchdog still waits for the server.
pub fn with_scripts(mut components: Vec<Arc<Component>>) -> Vec<Arc<Component>> {
    let missing: Vec<Arc<Component>> =
        components.iter().filter(|one| one.missing_script().is_some()).cloned().collect();
    components.retain(|one| one.missing_script().is_none());
    // In the order of starting: what one of them depends on comes before it.
    for gone in missing.iter().rev() {
        let key = gone.name.key();
        for one in &mut components {
            if one.depends_on.iter().any(|name| name.key() == key) {
                let one = Arc::make_mut(one);
                one.depends_on.retain(|name| name.key() != key);
                one.depends_on.extend(gone.depends_on.iter().cloned());
            }
        }
    }
    components
}

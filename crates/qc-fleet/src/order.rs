//! The order of starting.

use std::collections::HashSet;
use std::sync::Arc;

use crate::Component;

/// Puts each component behind those that it depends on, and otherwise leaves their order.
///
/// # Errors
/// The names of components that wait for one another.
pub(crate) fn order(mut waiting: Vec<Component>) -> Result<Vec<Arc<Component>>, Vec<String>> {
    let mut ordered = Vec::with_capacity(waiting.len());
    let mut done = HashSet::new();
    while !waiting.is_empty() {
        let before = ordered.len();
        let mut left = Vec::new();
        for one in waiting {
            if one.depends_on.iter().all(|name| done.contains(name)) {
                done.insert(one.name.clone());
                ordered.push(Arc::new(one));
            } else {
                left.push(one);
            }
        }
        if ordered.len() == before {
            return Err(cycle(&left));
        }
        waiting = left;
    }
    Ok(ordered)
}

/// Follows dependencies among components that all wait until one comes again.
fn cycle(waiting: &[Component]) -> Vec<String> {
    let mut path: Vec<&Component> = Vec::new();
    let mut next = waiting.first();
    while let Some(one) = next {
        if let Some(start) = path.iter().position(|before| before.name == one.name) {
            path.drain(..start);
            break;
        }
        path.push(one);
        next =
            one.depends_on.iter().find_map(|name| waiting.iter().find(|other| other.name == *name));
    }
    path.iter().map(|one| one.name.to_string()).collect()
}

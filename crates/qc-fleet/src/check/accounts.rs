//! What no two accounts may share.

use qc_lock_core::Resource;

use super::{Check, Facts, Subject};
use crate::{AccountEntry, Component, Fleet, Role};

/// The accounts that `components` work for.
pub(super) fn traded<'a>(
    fleet: &'a Fleet,
    components: &[Component],
) -> impl Iterator<Item = &'a AccountEntry> {
    fleet.accounts.iter().filter(|entry| {
        components.iter().any(|one| one.account_key.as_deref() == Some(entry.key.as_str()))
    })
}

pub(super) fn nothing_to_start(
    fleet: &Fleet,
    components: &[Component],
    facts: &Facts,
) -> Vec<Check> {
    let can_start = |one: &Component| one.script.as_ref().is_none_or(|path| !facts.lacks(path));
    if !components.iter().any(can_start) {
        let root = fleet.root.display();
        let text = format!("nothing to start: {root} has no script of an enabled account");
        let advice = "see whether --root names the folder with the scripts";
        return vec![Check::error(Subject::Config, text, advice)];
    }
    if traded(fleet, components).next().is_none() {
        let advice = "set `enabled` to true for those that are to be traded";
        return vec![Check::warning(Subject::Config, "no account is enabled", advice)];
    }
    Vec::new()
}

pub(super) fn same_number(fleet: &Fleet, components: &[Component]) -> Vec<Check> {
    let accounts: Vec<_> =
        traded(fleet, components).map(|one| (one, one.account.as_str())).collect();
    groups(&accounts)
        .into_iter()
        .map(|(keys, number)| {
            let text = format!("{keys} have one account number, {number}");
            let advice = "every trade would be placed twice: correct the number, or disable one";
            Check::error(Subject::Accounts, text, advice)
        })
        .collect()
}

pub(super) fn same_magic(fleet: &Fleet, components: &[Component]) -> Vec<Check> {
    let accounts: Vec<_> =
        traded(fleet, components).filter_map(|one| Some((one, one.magic.as_deref()?))).collect();
    groups(&accounts)
        .into_iter()
        .map(|(keys, magic)| {
            let text = format!("{keys} have one magic number, {magic}");
            let advice =
                "give each its own, so that no brain takes the orders of another for its own";
            Check::warning(Subject::Magic, text, advice)
        })
        .collect()
}

/// Compares the terminals as they are locked: after case, separators, links and short names.
pub(super) fn same_terminal(fleet: &Fleet, components: &[Component]) -> Vec<Check> {
    let terminal_of = |entry: &AccountEntry| {
        components.iter().find_map(|one| {
            let is_its = one.account_key.as_deref() == Some(entry.key.as_str());
            is_its.then_some(one.terminal.as_ref()).flatten()
        })
    };
    let accounts: Vec<_> = traded(fleet, components)
        .filter_map(|one| Some((one, terminal_of(one)?.as_str())))
        .collect();
    groups(&accounts)
        .into_iter()
        .map(|(keys, terminal)| {
            let text = format!("{keys} have one terminal, {terminal}");
            let advice = "a terminal is logged in to one account: give each its own, or start with \
                          --allow-shared-terminal";
            Check::error(Subject::Terminals, text, advice)
        })
        .collect()
}

/// Finds what would ask for the same lock besides accounts: a component of its own beside a brain.
pub(super) fn same_resource(components: &[Component]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (position, one) in components.iter().enumerate() {
        for other in &components[..position] {
            let is_told = one.role == other.role && one.role != Role::Other;
            let shared = one
                .request()
                .resources()
                .into_iter()
                .find(|it: &Resource| other.request().resources().contains(it));
            if let Some(resource) = shared.filter(|_| !is_told) {
                let text = format!("{} and {} ask for one lock, {resource}", other.name, one.name);
                let advice =
                    "rename one of them: its name's prefix BRAIN_ or WATCHDOG_ is its role";
                checks.push(Check::error(Subject::Accounts, text, advice));
            }
        }
    }
    checks
}

/// Returns the keys of accounts that have one value, as words, with the value.
fn groups<'a>(accounts: &[(&AccountEntry, &'a str)]) -> Vec<(String, &'a str)> {
    let mut groups: Vec<(Vec<&str>, &'a str)> = Vec::new();
    for (entry, value) in accounts {
        match groups.iter_mut().find(|(_, other)| other == value) {
            Some((keys, _)) => keys.push(&entry.key),
            None => groups.push((vec![&entry.key], value)),
        }
    }
    let shared = groups.into_iter().filter(|(keys, _)| keys.len() > 1);
    shared.map(|(keys, value)| (listed(&keys), value)).collect()
}

/// Lists words as a sentence does.
pub(super) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

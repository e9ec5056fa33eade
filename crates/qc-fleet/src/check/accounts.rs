//! The things that no two accounts may share.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use qc_lock_core::Resource;

use super::{Check, Facts, Subject};
use crate::{AccountEntry, Component, Fleet, Role};

const ADD: &str = "add accounts to `ACCOUNTS`, or programs to `PROCESS_MANAGER.components`";

const ENABLE: &str = "set `\"enabled\": true` for each account to trade";

/// The accounts that `components` work for.
pub(super) fn traded<'a>(
    fleet: &'a Fleet,
    components: &[Arc<Component>],
) -> impl Iterator<Item = &'a AccountEntry> {
    let keys: HashSet<&str> =
        components.iter().filter_map(|one| one.account_key.as_deref()).collect();
    let is_traded = |entry: &&AccountEntry| keys.contains(entry.key.as_str());
    fleet.accounts.iter().filter(is_traded).collect::<Vec<_>>().into_iter()
}

pub(super) fn nothing_to_start(
    fleet: &Fleet,
    components: &[Arc<Component>],
    facts: &Facts,
) -> Vec<Check> {
    if components.is_empty() && !fleet.has_accounts() {
        let text = "nothing to start: the config has neither an account nor an enabled component";
        return vec![Check::error(Subject::Config, text, ADD)];
    }
    if components.is_empty() && fleet.accounts.iter().all(|entry| !entry.enabled) {
        let text = "nothing to start: no account is enabled";
        return vec![Check::error(Subject::Config, text, ENABLE)];
    }
    let can_start = |one: &Component| one.script.as_ref().is_none_or(|path| !facts.lacks(path));
    if !components.iter().any(|one| can_start(one)) {
        let root = fleet.root.display();
        let whose = if fleet.has_accounts() { "account" } else { "component" };
        let text = format!("nothing to start: {root} has no script of an enabled {whose}");
        let advice = "see whether --root names the folder with the scripts";
        return vec![Check::error(Subject::Config, text, advice)];
    }
    if fleet.has_accounts() && traded(fleet, components).next().is_none() {
        return vec![Check::warning(Subject::Config, "no account is enabled", ENABLE)];
    }
    Vec::new()
}

/// Returns the warnings about the config itself, such as an account without `enabled`.
pub(super) fn of_config(fleet: &Fleet) -> Vec<Check> {
    let warnings = fleet.warnings.iter();
    warnings.map(|it| Check::warning(Subject::Config, &it.text, &it.advice)).collect()
}

pub(super) fn same_number(fleet: &Fleet, components: &[Arc<Component>]) -> Vec<Check> {
    let accounts: Vec<_> = traded(fleet, components)
        .filter_map(|one| Some((one, one.account.as_ref()?.key())))
        .collect();
    let accounts: Vec<_> = accounts.iter().map(|(one, number)| (*one, number.as_str())).collect();
    groups(&accounts)
        .into_iter()
        .map(|(keys, number)| {
            let text = format!("{keys} have one account number, {number}");
            let advice = "every trade would be placed twice: correct the number, or disable one";
            Check::error(Subject::Accounts, text, advice)
        })
        .collect()
}

pub(super) fn same_magic(fleet: &Fleet, components: &[Arc<Component>]) -> Vec<Check> {
    let accounts: Vec<_> =
        traded(fleet, components).filter_map(|one| Some((one, one.magic.as_deref()?))).collect();
    groups(&accounts)
        .into_iter()
        .map(|(keys, magic)| {
            let text = format!("{keys} have one magic number, {magic}");
            let advice =
                "give each its own, so that no brain takes the orders of another for its own";
            Check::error(Subject::Magic, text, advice)
        })
        .collect()
}

/// Compares the terminals as they are locked: after case, separators, links and short names.
pub(super) fn same_terminal(fleet: &Fleet, components: &[Arc<Component>]) -> Vec<Check> {
    let terminals: HashMap<&str, &str> = components
        .iter()
        .filter_map(|one| Some((one.account_key.as_deref()?, one.terminal.as_ref()?.as_str())))
        .collect();
    let accounts: Vec<_> = traded(fleet, components)
        .filter_map(|one| Some((one, *terminals.get(one.key.as_str())?)))
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

/// Finds the brains of which the config says no account: only their names are locked.
pub(super) fn without_account(components: &[Arc<Component>]) -> Vec<Check> {
    let is_brain =
        |one: &Component| one.role == Role::Brain || one.name.key().starts_with("brain_");
    let brains = components.iter().filter(|one| is_brain(one) && one.account.is_none());
    let check = |one: &Arc<Component>| {
        let name = &one.name;
        let text =
            format!("{name} has no account, so nothing excludes a second trader of its account");
        let advice = format!("set `account` in PROCESS_MANAGER.components.{name}");
        Check::warning(Subject::Accounts, &text, &advice)
    };
    brains.map(check).collect()
}

/// Finds what would ask for the same lock besides accounts: a component of its own beside a brain.
pub(super) fn same_resource(components: &[Arc<Component>]) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut first: HashMap<Resource, &Component> = HashMap::new();
    for one in components {
        let mut told = false;
        for resource in one.request().resources() {
            let Some(other) = first.get(&resource) else {
                first.insert(resource, one);
                continue;
            };
            // Of two brains or watchdogs, their accounts tell.
            told |= one.role == other.role && one.role != Role::Other;
            if !told {
                let text = format!("{} and {} ask for one lock, {resource}", other.name, one.name);
                checks.push(Check::error(Subject::Accounts, text, sharing(one, other)));
                told = true;
            }
        }
    }
    checks
}

/// Says what to do about two components that take one place.
fn sharing(one: &Component, other: &Component) -> String {
    let own = [one, other].into_iter().filter(|one| one.role == Role::Other);
    let own: Vec<&str> = own.map(|one| one.name.as_str()).collect();
    if own.is_empty() {
        return "rename one of them: its name's prefix BRAIN_ or WATCHDOG_ is its role".into();
    }
    format!(
        "only one program may trade an account; if {} only reads, write `\"shared_account\": true` \
         beside its `account`",
        own.join(" or ")
    )
}

/// Names the accounts that are something else than their number says.
pub(super) fn special(fleet: &Fleet, components: &[Arc<Component>]) -> Vec<Check> {
    let accounts: Vec<&AccountEntry> = traded(fleet, components).collect();
    let paper = accounts.iter().filter(|one| one.paper).map(|one| {
        format!("{} is traded on paper, also beside another folder that trades its number", one.key)
    });
    let at_broker = accounts.iter().filter_map(|one| {
        let (number, broker) = one.account.as_ref()?.as_str().split_once('@')?;
        Some(format!("{} is number {number} at {broker}, another account than {number}", one.key))
    });
    paper.chain(at_broker).map(|text| Check::ok(Subject::Accounts, text)).collect()
}

/// Returns the keys of accounts that have one value, as words, with the value. What is traded on paper
/// has nothing in common with what is traded.
fn groups<'a>(accounts: &[(&AccountEntry, &'a str)]) -> Vec<(String, &'a str)> {
    let mut groups: Vec<(Vec<&str>, &'a str)> = Vec::new();
    let mut places: HashMap<(bool, &str), usize> = HashMap::new();
    for (entry, value) in accounts {
        let place = *places.entry((entry.paper, value)).or_insert_with(|| {
            groups.push((Vec::new(), value));
            groups.len() - 1
        });
        groups[place].0.push(&entry.key);
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

#[cfg(test)]
mod tests;

//! Second copies: what must not run side by side.

use std::collections::HashMap;

use qc_lock_core::same_account;

use super::{Finding, FindingKind, join};
use crate::{Instance, Place, Role, Snapshot};

/// Instances that must not run side by side.
pub(super) struct Duplicates {
    /// Positions in the snapshot.
    pub(super) members: Vec<usize>,
    /// The shared resource.
    shared: Shared,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Shared {
    Component(String),
    /// The place, and the account.
    Account(String, String),
    /// The place, and the terminal.
    Terminal(String, String),
}

/// Groups the instances that share a component, or a place at an account or a terminal.
pub(super) fn duplicates(snapshot: &Snapshot) -> Vec<Duplicates> {
    let mut groups: HashMap<Shared, Vec<usize>> = HashMap::new();
    for (position, one) in snapshot.instances.iter().enumerate() {
        if one.place != Place::Fleet {
            continue;
        }
        let held = held_places(one);
        let account = match &held {
            Some(_) => one.lock.as_ref().and_then(|lock| lock.account.as_ref()),
            None => one.account.as_ref(),
        };
        let places = held.unwrap_or_else(|| one.places()).into_iter().filter_map(|place| {
            let terminal = one.terminal.as_ref();
            match place.starts_with("account/") {
                true => Some(Shared::Account(place, account?.to_lowercase())),
                false => Some(Shared::Terminal(place, terminal?.as_str().to_owned())),
            }
        });
        for shared in places.chain([Shared::Component(one.component.to_lowercase())]) {
            groups.entry(shared).or_default().push(position);
        }
    }
    let mut groups: Vec<(Shared, Vec<usize>)> =
        groups.into_iter().filter(|(_, members)| members.len() > 1).collect();
    // The same instances are told once, by the first thing that they share.
    groups.sort_by(|one, other| (&one.1, &one.0).cmp(&(&other.1, &other.0)));
    groups.dedup_by(|later, first| later.1 == first.1);
    groups.into_iter().map(|(shared, members)| Duplicates { members, shared }).collect()
}

/// Returns the places that its living lock holds, if that names an account other than the config's:
/// the config was changed since it was started, and what really runs is under its lock.
fn held_places(instance: &Instance) -> Option<Vec<String>> {
    let lock = instance.lock.as_ref().filter(|lock| lock.state.is_live())?;
    let (held, configured) = (lock.account.as_deref()?, instance.account.as_deref()?);
    let is_place = |one: &&String| one.starts_with("account/") || one.starts_with("terminal/");
    let places: Vec<String> = lock.resources.iter().filter(is_place).cloned().collect();
    (!same_account(held, configured) && !places.is_empty()).then_some(places)
}

impl Duplicates {
    /// Tells of them.
    pub(super) fn finding(&self, snapshot: &Snapshot) -> Finding {
        let members: Vec<&Instance> =
            self.members.iter().map(|&one| &snapshot.instances[one]).collect();
        let main = |one: &&Instance| one.main().map(|main| main.identity.pid);
        let pids: Vec<u32> = members.iter().filter_map(main).collect();
        let count = members.len();
        let mut names: Vec<&str> = members.iter().map(|one| one.component.as_str()).collect();
        names.dedup();
        let components = names.iter().map(|&name| name.to_owned()).collect();
        let names = names.join(" and ");
        let listed = join(&pids);
        let text = match &self.shared {
            Shared::Component(_) => {
                let account = members.first().and_then(|one| one.account.as_ref());
                let account =
                    account.map(|account| format!(" (account {account})")).unwrap_or_default();
                format!("{names} runs {count} times{account}: PIDs {listed}")
            }
            Shared::Account(_, account) => {
                format!("account {account} has {count} {}, {names}: PIDs {listed}", role(&members))
            }
            Shared::Terminal(_, terminal) => {
                let role = role(&members);
                format!("terminal {terminal} has {count} {role}, {names}: PIDs {listed}")
            }
        };
        Finding { kind: FindingKind::Duplicate, text, components, pids }
    }
}

/// Says what they are to the account that they share.
fn role(members: &[&Instance]) -> &'static str {
    let are = |role| members.iter().all(|one| one.role == role);
    match (are(Role::Brain), are(Role::Watchdog)) {
        (true, _) => "brains",
        (_, true) => "watchdogs",
        _ => "that trade",
    }
}

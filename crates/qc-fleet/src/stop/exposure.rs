//! The accounts that a stop leaves without protection.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{Instance, Role};

/// The protection of the accounts of what runs; positions can't be seen here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// Accounts whose watchdog is stopped, so that nothing guards what is open there.
    pub lose_watchdog: Vec<String>,
    /// Accounts whose brain runs on without a watchdog.
    pub trade_unguarded: Vec<String>,
    /// Accounts whose watchdog runs on.
    pub stay_guarded: Vec<String>,
}

impl Exposure {
    pub(super) fn after(instances: &[&Instance], chosen: &[bool]) -> Self {
        let accounts = |role: Role, goes: bool| -> BTreeSet<String> {
            let those = instances.iter().zip(chosen);
            let those = those.filter(|(one, chosen)| one.role == role && **chosen == goes);
            those.map(|(one, _)| account_of(one)).collect()
        };
        let guarded = accounts(Role::Watchdog, false);
        let without = |all: BTreeSet<String>| all.difference(&guarded).cloned().collect();
        Self {
            lose_watchdog: without(accounts(Role::Watchdog, true)),
            trade_unguarded: without(accounts(Role::Brain, false)),
            stay_guarded: guarded.iter().cloned().collect(),
        }
    }
}

/// How people call its account.
fn account_of(instance: &Instance) -> String {
    let account = instance.account_key.as_ref().or(instance.account.as_ref());
    account.unwrap_or(&instance.component).clone()
}

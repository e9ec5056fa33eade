//! Protection that stays: a watchdog is not stopped while a brain of its account trades on.

use qc_lock_core::Account;

use super::Target;
use crate::{Component, Role};

/// Returns the brain of `brains`, none of which can be stopped, that `target` protects. The server
/// of a folder stays with its watchdogs, which may need it. A brain of no known account may trade
/// any account of its folder.
pub(crate) fn protects<'a>(target: &Target, brains: &[&'a Target]) -> Option<&'a Target> {
    let is_one = |brain: &&&Target| match target.role {
        Role::Watchdog => trades_account_of(brain, target),
        Role::Server => brain.elsewhere == target.elsewhere,
        Role::Orchestrator | Role::Brain | Role::Other => false,
    };
    brains.iter().find(is_one).copied()
}

/// Whether a component of this folder, which does not run, is to protect one of these brains.
pub(crate) fn is_to_protect(component: &Component, brains: &[&Target]) -> bool {
    let key = component.account_key.as_deref();
    let number = component.account.as_ref().map(Account::as_str);
    let mut here = brains.iter().filter(|brain| brain.elsewhere.is_none());
    here.any(|brain| match component.role {
        Role::Watchdog => {
            is_one(&brain.account, number)
                || is_one(&brain.account_key, key)
                || (brain.account.is_none() && brain.account_key.is_none())
        }
        Role::Server => true,
        Role::Orchestrator | Role::Brain | Role::Other => false,
    })
}

/// Returns why one that protects `brain` runs on.
pub(crate) fn reason(brain: &Target) -> String {
    format!("it protects {} (PID {}), which runs on", brain.component, brain.identity.pid)
}

/// Accounts are the same everywhere, their keys only in one folder.
fn trades_account_of(brain: &Target, watchdog: &Target) -> bool {
    let same = |one, other: &Option<String>| is_one(one, other.as_deref());
    let is_here = brain.elsewhere == watchdog.elsewhere;
    let is_unknown = brain.account.is_none() && brain.account_key.is_none();
    same(&brain.account, &watchdog.account)
        || (is_here && (is_unknown || same(&brain.account_key, &watchdog.account_key)))
}

fn is_one(one: &Option<String>, other: Option<&str>) -> bool {
    one.as_deref().zip(other).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use qc_process::own_identity;

    use super::*;

    pub(in crate::stop) fn target(
        role: Role,
        key: Option<&str>,
        account: Option<&str>,
        folder: Option<&str>,
    ) -> Target {
        Target {
            component: "X".into(),
            role,
            account_key: key.map(Into::into),
            account: account.map(Into::into),
            elsewhere: folder.map(Into::into),
            wrappers: Vec::new(),
            is_unmanaged: false,
            is_worker: false,
            helper: None,
            cannot_be_told: None,
            signal: None,
            identity: own_identity().clone(),
            timeout: Duration::ZERO,
        }
    }

    #[test]
    fn what_protects_a_brain_that_runs_on_stays() {
        let (a, one) = (Some("A"), Some("1"));
        let cases = [
            ("its account", (Role::Watchdog, a, one, None), true),
            (
                "its account, guarded from elsewhere",
                (Role::Watchdog, Some("Z"), one, Some("x")),
                true,
            ),
            ("its key in another folder", (Role::Watchdog, a, Some("2"), Some("x")), false),
            ("another account", (Role::Watchdog, Some("B"), Some("2"), None), false),
            ("the server that watchdogs need", (Role::Server, None, None, None), true),
            ("the server of another folder", (Role::Server, None, None, Some("x")), false),
            ("another brain", (Role::Brain, a, one, None), false),
        ];
        let brain = target(Role::Brain, a, one, None);
        for (what, (role, key, account, folder), expected) in cases {
            let other = target(role, key, account, folder);
            assert_eq!(protects(&other, &[&brain]).is_some(), expected, "{what}");
            assert_eq!(protects(&other, &[]), None, "{what}");
        }
        let unknown = target(Role::Brain, None, None, None);
        let guard = target(Role::Watchdog, Some("B"), Some("2"), None);
        assert!(protects(&guard, &[&unknown]).is_some(), "it may trade any account");
    }
}

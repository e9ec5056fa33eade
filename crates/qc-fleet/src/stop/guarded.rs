//! Protection that stays: a watchdog is not stopped while a brain of its account trades on.

use super::Target;
use crate::Role;

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

/// Returns why one that protects `brain` runs on.
pub(crate) fn reason(brain: &Target) -> String {
    format!("it protects {} (PID {}), which runs on", brain.component, brain.identity.pid)
}

/// Accounts are the same everywhere, their keys only in one folder.
fn trades_account_of(brain: &Target, watchdog: &Target) -> bool {
    let same = |one: &Option<String>, other: &Option<String>| match (one, other) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    };
    let is_here = brain.elsewhere == watchdog.elsewhere;
    let is_unknown = brain.account.is_none() && brain.account_key.is_none();
    same(&brain.account, &watchdog.account)
        || (is_here && (is_unknown || same(&brain.account_key, &watchdog.account_key)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use qc_process::own_identity;

    use super::*;

    fn target(
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
            is_stray: false,
            is_worker: false,
            is_scripted: false,
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

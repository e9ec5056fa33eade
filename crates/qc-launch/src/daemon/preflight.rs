//! Before the first start: what is to be started, and whether anything is in the way.

use std::mem;
use std::sync::Arc;

use qc_cli::{Exit, Failure};
use qc_fleet::check::{BusyPort, Check, Facts, Verdict, busy_ports, check};
use qc_fleet::{Component, Fleet, Snapshot, share_terminals, with_scripts};
use qc_lock_core::LockDir;
use qc_start::Look;

use crate::daemon::up::Options;

/// The input of a start.
pub(crate) struct Selected {
    /// The components that are wanted and can be started.
    pub(crate) components: Vec<Arc<Component>>,
    /// Warnings to print first.
    pub(crate) warnings: Vec<String>,
    /// The processes that run.
    pub(crate) look: Look,
}

/// Selects what is to be started; refuses where that can't go well.
pub(crate) fn selected(
    fleet: &Fleet,
    args: &Options,
    locks: &LockDir,
) -> Result<Selected, Failure> {
    let mut wanted = wanted(fleet, &args.accounts)?;
    if args.allow_shared_terminal {
        share_terminals(&mut wanted);
    }
    let (warnings, look) = before_start(fleet, &wanted, locks)?;
    Ok(Selected { components: with_scripts(wanted), warnings, look })
}

/// Returns the enabled components of the wanted accounts, with or without a script; no accounts are
/// all accounts.
pub(crate) fn wanted(fleet: &Fleet, accounts: &[String]) -> Result<Vec<Arc<Component>>, Failure> {
    for key in accounts {
        match fleet.accounts.iter().find(|entry| entry.key == *key) {
            None => {
                let mut known: Vec<&str> =
                    fleet.accounts.iter().map(|entry| entry.key.as_str()).collect();
                known.sort_unstable();
                let hint = format!("the accounts are {}", known.join(", "));
                return Err(Failure::new(
                    Exit::Usage,
                    format!("there is no account `{key}` in the config"),
                    hint,
                ));
            }
            Some(entry) if !entry.enabled => {
                let hint = "set `enabled` to true there, or leave the account out";
                return Err(Failure::new(
                    Exit::Usage,
                    format!("account `{key}` is disabled in the config"),
                    hint,
                ));
            }
            Some(_) => {}
        }
    }
    let is_wanted = |component: &&Arc<Component>| match &component.account_key {
        Some(key) => component.enabled && (accounts.is_empty() || accounts.contains(key)),
        None => component.enabled,
    };
    Ok(fleet.components.iter().filter(is_wanted).cloned().collect())
}

/// Refuses a start of `components` that can't go well, whatever runs; returns what to warn of, and
/// the look at what runs.
fn before_start(
    fleet: &Fleet,
    components: &[Arc<Component>],
    locks: &LockDir,
) -> Result<(Vec<String>, Look), Failure> {
    let ports = busy_ports(components);
    let mut look = Look::take(fleet, locks)?;
    let facts = gather(fleet, components, ports, mem::take(&mut look.snapshot), locks);
    let checks = check(fleet, components, &facts);
    look.snapshot = facts.snapshot;
    let errors: Vec<&Check> = checks.iter().filter(|check| check.refuses_start()).collect();
    match &errors[..] {
        [] => {
            let warnings = checks.iter().filter(|check| check.verdict != Verdict::Ok);
            let warnings = warnings.map(|it| format!("{}; {}", it.text, it.advice)).collect();
            Ok((warnings, look))
        }
        [one] => Err(Failure::new(Exit::Usage, &one.text, &one.advice)),
        several => {
            let lines: String = several.iter().map(|one| format!("\n  {}", one.text)).collect();
            let message = format!("{} things are in the way of a start:{lines}", several.len());
            Err(Failure::new(Exit::Usage, message, "`qc-launch check` says what to do about each"))
        }
    }
}

/// Refuses a dry run while every start is forbidden, as the lock refuses the start.
pub(crate) fn refuse_latched(locks: &LockDir) -> Result<(), Failure> {
    match locks.latch() {
        None => Ok(()),
        Some(latch) => {
            let hint = "run `qc-launch unlatch` when starts are to be allowed again";
            Err(Failure::new(Exit::Held, format!("every start is forbidden: {latch}"), hint))
        }
    }
}

pub(crate) fn gather(
    fleet: &Fleet,
    components: &[Arc<Component>],
    ports: Vec<BusyPort>,
    snapshot: Snapshot,
    locks: &LockDir,
) -> Facts {
    let variables = |name: &str| std::env::var_os(name);
    Facts::gather(fleet, components, ports, snapshot, locks.path(), &variables)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn fleet(root: &Path) -> Fleet {
        let config = root.join("MASTER_CONFIG.json");
        let text = r#"{"ACCOUNTS": {"A": {"account": 1, "enabled": true}, "B": {"account": 2, "enabled": true}, "C": {"account": 3, "enabled": false}}}"#;
        fs::write(&config, text).unwrap();
        Fleet::load(&config).unwrap()
    }

    fn names(components: &[Arc<Component>]) -> Vec<&str> {
        components.iter().map(|component| component.name.as_str()).collect()
    }

    #[test]
    fn enabled_accounts_are_wanted() {
        let root = tempfile::tempdir().unwrap();
        let fleet = fleet(root.path());
        assert_eq!(
            names(&wanted(&fleet, &[]).unwrap()),
            ["quantum_server", "WATCHDOG_A", "WATCHDOG_B", "BRAIN_A", "BRAIN_B"]
        );
        assert_eq!(
            names(&wanted(&fleet, &["A".into()]).unwrap()),
            ["quantum_server", "WATCHDOG_A", "BRAIN_A"]
        );
    }

    #[test]
    fn accounts_that_are_unknown_or_disabled_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let fleet = fleet(root.path());
        assert!(wanted(&fleet, &["X".into()]).unwrap_err().message().contains("no account `X`"));
        assert!(wanted(&fleet, &["C".into()]).unwrap_err().message().contains("disabled"));
    }
}

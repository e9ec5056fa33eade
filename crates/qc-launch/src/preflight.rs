//! Before the first start: what is to be started, and whether anything runs beside it.

use std::sync::Arc;

use qc_cli::{Exit, Failure, SHUTDOWN_HINT};
use qc_fleet::{Component, Fleet, Instance, Snapshot};
use qc_lock_core::LockEntry;

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

/// Refuses if anything of the fleet is alive, with the full list.
pub(crate) fn refuse_beside(snapshot: &Snapshot) -> Result<(), Failure> {
    let running: Vec<&Instance> = snapshot.own().collect();
    let live: Vec<&LockEntry> =
        snapshot.loose_locks().filter(|lock| lock.state.is_live()).collect();
    if running.is_empty() && live.is_empty() {
        return Ok(());
    }
    let mut message = String::from("the fleet is running already, nothing was started:");
    for instance in running {
        let pids: Vec<String> = instance.pids().iter().map(ToString::to_string).collect();
        let account = instance
            .account
            .as_ref()
            .map(|account| format!(", account {account}"))
            .unwrap_or_default();
        message.push_str(&format!("\n  {} (PID {}{account})", instance.component, pids.join(", ")));
    }
    for lock in live {
        let pid = lock.pid.map(|pid| format!("PID {pid}")).unwrap_or_default();
        let host = lock.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        message.push_str(&format!("\n  lock {} ({}, {pid}{host})", lock.name, lock.state.word()));
    }
    Err(Failure::new(Exit::Held, message, SHUTDOWN_HINT))
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

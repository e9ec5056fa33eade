//! Before the first start: what is to be started.

use std::sync::Arc;

use qc_cli::{Exit, Failure};
use qc_fleet::{Component, Fleet};

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

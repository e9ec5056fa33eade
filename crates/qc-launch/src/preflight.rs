//! Before the first start: what is to be started, and whether anything is in the way.

use std::fs;
use std::path::Path;

use qc_cli::{Exit, Failure};
use qc_fleet::{Component, Fleet, Instance, Snapshot};
use qc_lock_core::LockEntry;

/// What to start, and what to tell the user first.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) components: Vec<Component>,
    pub(crate) warnings: Vec<String>,
}

/// Chooses the enabled components of the wanted accounts; no wanted accounts are all accounts.
pub(crate) fn select(fleet: &Fleet, wanted: &[String]) -> Result<Selection, Failure> {
    for key in wanted {
        let is_key = |component: &&Component| component.account_key.as_ref() == Some(key);
        match fleet.components.iter().find(is_key) {
            None => {
                let mut known: Vec<&str> = fleet
                    .components
                    .iter()
                    .filter_map(|component| component.account_key.as_deref())
                    .collect();
                known.sort_unstable();
                known.dedup();
                let hint = format!("the accounts are {}", known.join(", "));
                return Err(Failure::new(
                    Exit::Usage,
                    format!("there is no account `{key}` in the config"),
                    hint,
                ));
            }
            Some(component) if !component.enabled => {
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
    let is_wanted = |component: &&Component| match &component.account_key {
        Some(key) => component.enabled && (wanted.is_empty() || wanted.contains(key)),
        None => component.enabled,
    };
    let (components, missing): (Vec<&Component>, Vec<&Component>) = fleet
        .components
        .iter()
        .filter(is_wanted)
        .partition(|component| component.missing_script().is_none());
    let mut warnings: Vec<String> = fleet.interpreter_note.iter().cloned().collect();
    warnings.extend(missing.iter().filter_map(|component| {
        let script = component.missing_script()?.display();
        Some(format!("skipping {}: its script {script} does not exist", component.name))
    }));
    if components.is_empty() {
        let message = format!(
            "nothing to start: {} has no script of an enabled account",
            fleet.root.display()
        );
        return Err(Failure::new(
            Exit::Usage,
            message,
            "see whether --root names the folder with the scripts",
        ));
    }
    if fleet.interpreter.path().is_absolute() && !fleet.interpreter.path().exists() {
        let message = format!("the Python {} does not exist", fleet.interpreter);
        return Err(Failure::new(
            Exit::Usage,
            message,
            "correct PROCESS_MANAGER.interpreter in the config",
        ));
    }
    Ok(Selection { components: components.into_iter().cloned().collect(), warnings })
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
    Err(Failure::new(
        Exit::Held,
        message,
        "Run SAFE_SHUTDOWN.bat (qc-shutdown) to stop all processes safely.",
    ))
}

/// Whether the scripts of this fleet lock with the old module, which takes a lock held for its
/// script for one held by somebody else.
pub(crate) fn has_old_module(root: &Path) -> bool {
    fs::read(root.join("process_lock.py"))
        .is_ok_and(|text| !String::from_utf8_lossy(&text).contains(qc_lock_core::TOKEN_VARIABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(root: &Path, scripts: &[&str]) -> Fleet {
        let config = root.join("MASTER_CONFIG.json");
        let text = r#"{"ACCOUNTS": {"A": {"account": 1}, "B": {"account": 2}, "C": {"account": 3, "enabled": false}}}"#;
        fs::write(&config, text).unwrap();
        for script in scripts {
            fs::write(root.join(script), "").unwrap();
        }
        Fleet::load(&config).unwrap()
    }

    fn names(selection: &Selection) -> Vec<&str> {
        selection.components.iter().map(|component| component.name.as_str()).collect()
    }

    #[test]
    fn enabled_accounts_with_scripts_are_started() {
        let root = tempfile::tempdir().unwrap();
        let scripts = ["quantum_server.py", "STOPLOSS_WATCHDOG_V2.py", "BRAIN_A.py", "BRAIN_C.py"];
        let fleet = fleet(root.path(), &scripts);
        let all = select(&fleet, &[]).unwrap();
        assert_eq!(names(&all), ["quantum_server", "WATCHDOG_A", "WATCHDOG_B", "BRAIN_A"]);
        assert!(
            all.warnings.iter().any(|warning| warning.starts_with("skipping BRAIN_B")),
            "{:?}",
            all.warnings
        );
        assert_eq!(
            names(&select(&fleet, &["A".into()]).unwrap()),
            ["quantum_server", "WATCHDOG_A", "BRAIN_A"]
        );
    }

    #[test]
    fn accounts_that_are_unknown_or_disabled_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let fleet = fleet(root.path(), &["BRAIN_A.py"]);
        assert!(select(&fleet, &["X".into()]).unwrap_err().message().contains("no account `X`"));
        assert!(select(&fleet, &["C".into()]).unwrap_err().message().contains("disabled"));
    }

    #[test]
    fn the_old_module_is_known_by_its_silence_about_tokens() {
        let root = tempfile::tempdir().unwrap();
        assert!(!has_old_module(root.path()));
        fs::write(root.path().join("process_lock.py"), "class ProcessLock: pass").unwrap();
        assert!(has_old_module(root.path()));
        fs::write(root.path().join("process_lock.py"), "TOKEN = 'QC_LOCK_TOKEN'").unwrap();
        assert!(!has_old_module(root.path()));
    }
}

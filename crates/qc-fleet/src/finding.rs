//! What is wrong with what runs.

use serde::Serialize;

use crate::{Instance, Snapshot};

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// More than one copy runs.
    Duplicate,
    /// It runs without its lock, so nothing keeps a second copy from starting.
    Unlocked,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// What, in words.
    pub text: String,
    /// The processes it is about.
    pub pids: Vec<u32>,
}

/// Looks for duplicates and for components that run without their lock.
pub fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let own: Vec<&Instance> = snapshot.own().collect();
    let mut findings = Vec::new();
    for (position, first) in own.iter().enumerate() {
        let same: Vec<&&Instance> = own.iter().filter(|other| collide(first, other)).collect();
        let is_first = !own[..position].iter().any(|earlier| collide(first, earlier));
        if same.len() > 1 && is_first {
            let pids: Vec<u32> =
                same.iter().filter_map(|one| one.main()).map(|main| main.identity.pid).collect();
            let account = first
                .account
                .as_ref()
                .map(|account| format!(" (account {account})"))
                .unwrap_or_default();
            let text = format!(
                "{} runs {} times{account}: PIDs {}",
                first.component,
                same.len(),
                join(&pids)
            );
            findings.push(Finding { kind: FindingKind::Duplicate, text, pids });
        }
    }
    for instance in own.iter().filter(|instance| instance.lock.is_none()) {
        let pids = instance.pids();
        let text = format!("{} runs without its lock: PID {}", instance.component, join(&pids));
        findings.push(Finding { kind: FindingKind::Unlocked, text, pids });
    }
    findings
}

/// Two instances that must not run side by side: the same component, or the same account in the
/// same role.
fn collide(one: &Instance, other: &Instance) -> bool {
    let same_account =
        one.account.is_some() && one.account == other.account && one.role == other.role;
    one.component.eq_ignore_ascii_case(&other.component) || same_account
}

fn join(pids: &[u32]) -> String {
    pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use qc_lock_core::LockState;

    use super::*;
    use crate::snapshot::tests::{lock, process, snapshot};

    #[test]
    fn duplicates_and_unlocked_components_are_found() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let processes = vec![
            process(root.path(), 10, 1, "python BRAIN_A.py"),
            process(root.path(), 11, 1, "python BRAIN_A.py"),
            process(root.path(), 12, 1, "python BRAIN_B.py"),
            process(elsewhere.path(), 13, 1, "python BRAIN_B.py"),
        ];
        let locks =
            vec![lock("BRAIN_A", 10, LockState::Held), lock("BRAIN_B", 12, LockState::Held)];
        let found = findings(&snapshot(root.path(), processes, locks));
        let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "BRAIN_A runs 2 times (account 1): PIDs 10, 11",
                "BRAIN_A runs without its lock: PID 11"
            ]
        );
    }

    #[test]
    fn a_healthy_fleet_has_no_findings() {
        let root = tempfile::tempdir().unwrap();
        let processes = vec![process(root.path(), 10, 1, "python BRAIN_A.py")];
        let locks = vec![lock("BRAIN_A", 10, LockState::Held)];
        assert_eq!(findings(&snapshot(root.path(), processes, locks)), []);
    }
}

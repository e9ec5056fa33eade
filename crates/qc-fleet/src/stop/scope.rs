//! What is to be stopped: everything, or what the user names.

use qc_process::Identity;

use crate::{Instance, Place, Role};

/// Which of the running instances are meant. What is named in several ways has to fulfil all of
/// them; without any name, everything is meant.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Keys or numbers of accounts.
    pub accounts: Vec<String>,
    /// Roles.
    pub roles: Vec<Role>,
    /// Names of components.
    pub names: Vec<String>,
    /// Whether watchdogs, and the server that they may need, run on.
    pub keep_watchdogs: bool,
    /// Whether copies in other folders are meant, too.
    pub all_roots: bool,
    /// Processes that are never meant: the one that asks, and those it descends from.
    pub spared: Vec<Identity>,
}

impl Scope {
    /// Whether all that runs in a folder is meant, the orchestrator with it.
    pub fn is_whole(&self) -> bool {
        self.accounts.is_empty()
            && self.roles.is_empty()
            && self.names.is_empty()
            && !self.keep_watchdogs
    }

    /// Whether `instance` is meant. An orchestrator is only meant with its whole fleet.
    pub(crate) fn means(&self, instance: &Instance) -> bool {
        let any = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|one| one.eq_ignore_ascii_case(name))
        };
        let account = |account: &Option<String>| {
            account.as_ref().is_some_and(|account| any(&self.accounts, account))
        };
        let kept = self.keep_watchdogs && matches!(instance.role, Role::Watchdog | Role::Server);
        self.reaches(instance)
            && (instance.role != Role::Orchestrator || self.is_whole())
            && (self.roles.is_empty() || self.roles.contains(&instance.role))
            && any(&self.names, &instance.component)
            && (self.accounts.is_empty()
                || account(&instance.account_key)
                || account(&instance.account))
            && !kept
    }

    /// Whether `instance` lies where this scope looks at all.
    pub(crate) fn reaches(&self, instance: &Instance) -> bool {
        self.all_roots || instance.place == Place::Fleet
    }

    pub(crate) fn spares(&self, instance: &Instance) -> bool {
        instance.processes.iter().any(|process| self.spared.contains(&process.identity))
    }
}

//! The scope of a stop: everything, or what the user names.

use qc_lock_core::Account;
use qc_process::Identity;

use crate::finding::FOLDER_UNKNOWN;
use crate::named::{is_account, is_named};
use crate::{
    Component, Fleet, Instance, MovedFleet, Place, Role, Snapshot, find_root, moved_fleets,
};

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

    /// Whether `instance`, which this scope reaches, is meant. An orchestrator is only meant with its whole fleet.
    pub(crate) fn means(&self, instance: &Instance) -> bool {
        (instance.role != Role::Orchestrator || self.is_whole())
            && self.names_one(
                instance.role,
                &instance.component,
                [instance.account_key.as_deref(), instance.account.as_deref()],
            )
    }

    /// Whether a component of this fleet is meant, running or not.
    pub(crate) fn means_component(&self, component: &Component) -> bool {
        let number = component.account.as_ref().map(Account::as_str);
        let accounts = [component.account_key.as_deref(), number];
        self.names_one(component.role, component.name.as_str(), accounts)
    }

    /// Whether what a component of this name has left behind is meant: that does not run any more, and the
    /// config may not know it any more.
    pub fn means_left_over(&self, fleet: &Fleet, snapshot: &Snapshot, name: &str) -> bool {
        let mut own = snapshot.own();
        let runs = own.any(|one| one.component.eq_ignore_ascii_case(name));
        let is_meant = || match fleet.component(name) {
            Some(component) => self.means_component(component),
            None => self.names_one(Role::Other, name, [None, None]),
        };
        !runs && is_meant()
    }

    /// `key` and `number` are its account's.
    fn names_one(&self, role: Role, name: &str, [key, number]: [Option<&str>; 2]) -> bool {
        let is_kept = self.keep_watchdogs && matches!(role, Role::Watchdog | Role::Server);
        (self.roles.is_empty() || self.roles.contains(&role))
            && (self.names.is_empty() || self.names.iter().any(|one| is_named(one, name)))
            && (self.accounts.is_empty()
                || self.accounts.iter().any(|one| is_account(one, key, number)))
            && !is_kept
    }

    /// Whether `instance` lies where this scope looks at all. Elsewhere that is a folder with a config,
    /// or a copy of one of this fleet's components: `brain_mri.py` of a stranger is neither.
    pub(crate) fn reaches(&self, fleet: &Fleet, instance: &Instance) -> bool {
        let is_of_a_fleet = || {
            fleet.component(&instance.component).is_some()
                || instance.folder.as_deref().is_some_and(|folder| find_root(folder).is_some())
        };
        instance.place != Place::Foreign || (self.all_roots && is_of_a_fleet())
    }

    /// Returns what this scope means of the fleet of this folder that runs in another one: it is for that
    /// folder to stop, unless all are reached.
    pub fn moved<'a>(&self, snapshot: &'a Snapshot) -> Vec<MovedFleet<'a>> {
        let is_meant = |one: &&Instance| !self.all_roots && self.means(one);
        moved_fleets(snapshot.instances.iter().filter(is_meant))
    }

    /// Returns why an instance that is meant is never stopped.
    pub(crate) fn forbids(&self, instance: &Instance) -> Option<String> {
        let untouchable = instance.untouchable;
        // With all folders meant, it does not matter which one it is of.
        let may_be_another = instance.place == Place::Unknown && !self.all_roots;
        untouchable.map(|why| format!("it is {}, which is never stopped", why.as_str())).or_else(
            || {
                may_be_another.then(|| {
                    format!(
                        "{FOLDER_UNKNOWN}, it may be another fleet's (`qc-shutdown --all-roots` stops it, too)"
                    )
                })
            },
        )
    }

    pub(crate) fn spares(&self, instance: &Instance) -> bool {
        instance.processes.iter().any(|process| self.spared.contains(&process.identity))
    }
}

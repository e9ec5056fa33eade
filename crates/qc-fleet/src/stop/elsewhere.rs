//! Brains that trade an account or a terminal of this fleet and that a stop does not reach: they run in
//! another folder. The watchdogs that protect them stay, and so does the server that these may need.

use qc_lock_core::same_account;
use qc_process::MachineHolder;

use crate::{Instance, Role, Snapshot};

/// The watchdogs that stay because of what runs out of reach.
pub(super) struct Elsewhere<'a> {
    /// Each with why it stays.
    watchdogs: Vec<(&'a Instance, String)>,
}

impl<'a> Elsewhere<'a> {
    /// `reached` is what the stop reaches, `chosen` tells which of these are to be stopped.
    pub(super) fn new(snapshot: &'a Snapshot, reached: &[&'a Instance], chosen: &[bool]) -> Self {
        let beyond = Beyond::new(snapshot, reached);
        let watchdogs = reached.iter().zip(chosen);
        let watchdogs = watchdogs.filter(|(one, chosen)| **chosen && one.role == Role::Watchdog);
        let watchdogs = watchdogs.filter_map(|(one, _)| Some((*one, beyond.protected_by(one)?)));
        Self { watchdogs: watchdogs.collect() }
    }

    /// Whether any stays.
    pub(super) fn keeps_any(&self) -> bool {
        !self.watchdogs.is_empty()
    }

    /// Returns why an instance that is to be stopped stays.
    pub(super) fn reason(&self, instance: &Instance) -> Option<String> {
        let serves = |watchdog: &Instance| {
            instance.role == Role::Server && instance.other_root == watchdog.other_root
        };
        self.watchdogs.iter().find_map(|(watchdog, reason)| {
            if std::ptr::eq(*watchdog, instance) {
                return Some(reason.clone());
            }
            serves(watchdog).then(|| format!("{}, which runs on, may need it", watchdog.component))
        })
    }
}

/// The programs that run where a stop does not reach.
struct Beyond<'a> {
    instances: Vec<&'a Instance>,
    /// The holders that look like no component: whatever holds the account trades it.
    holders: Vec<&'a MachineHolder>,
}

impl<'a> Beyond<'a> {
    fn new(snapshot: &'a Snapshot, reached: &[&Instance]) -> Self {
        let is_reached = |pid: u32| reached.iter().any(|one| one.includes(pid));
        let is_beyond = |one: &&Instance| !one.pids().into_iter().any(is_reached);
        let instances: Vec<&Instance> = snapshot.instances.iter().filter(is_beyond).collect();
        let is_unknown = |one: &&MachineHolder| {
            !is_reached(one.pid) && !instances.iter().any(|known| known.includes(one.pid))
        };
        let holders = snapshot.elsewhere.iter().filter(is_unknown).collect();
        Self { instances, holders }
    }

    /// Returns why `watchdog` stays, if it protects one of these. A watchdog protects what uses its
    /// account as it does: one of real trades no brain on paper, and the other way round.
    fn protected_by(&self, watchdog: &Instance) -> Option<String> {
        let is_guarded = |one: &&&Instance| {
            let same_terminal = one.terminal.is_some() && one.terminal == watchdog.terminal;
            let accounts = one.account.as_deref().zip(watchdog.account.as_deref());
            one.role == Role::Brain
                && one.account_use == watchdog.account_use
                && (same_terminal || accounts.is_some_and(|(one, other)| same_account(one, other)))
        };
        let brain = self.instances.iter().find(is_guarded).map(|brain| {
            let pids: Vec<String> = brain.pids().iter().map(ToString::to_string).collect();
            let folder = brain.other_root.as_ref().or(brain.folder.as_ref());
            let folder = folder.map(|folder| folder.display().to_string());
            reason(&brain.component, &pids.join(", "), folder.as_deref())
        });
        let places = watchdog.guarded_places();
        let holds_one =
            |one: &&&MachineHolder| places.iter().any(|place| place.guard_file() == one.guard);
        let holder = || {
            let holder = self.holders.iter().find(holds_one)?;
            Some(reason(&holder.name, &holder.pid.to_string(), holder.folder.as_deref()))
        };
        brain.or_else(holder)
    }
}

fn reason(name: &str, pids: &str, folder: Option<&str>) -> String {
    let folder = folder.map(|folder| format!(" in {folder}")).unwrap_or_default();
    format!("it protects {name} (PID {pids}), which runs on{folder}; stop that first")
}

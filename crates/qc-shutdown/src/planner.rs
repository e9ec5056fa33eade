//! The one place from which dry run, prompt and real run get their plan.

use std::thread;
use std::time::Duration;

use qc_cli::{Exit, Failure, Location};
use qc_fleet::{
    Fleet, Scope, Snapshot, StopPlan, Target, connect_to_launcher, is_account, is_named, plan_now,
};
use qc_fleet_cli::{ReadFleet, origin};
use qc_lock_core::LockDir;
use qc_process::{Liveness, liveness};

use crate::cli::Cli;

/// How long a launcher that starts may take to its lock.
const MOMENT: Duration = Duration::from_millis(500);

pub(crate) struct Planner<'a> {
    pub(crate) fleet: Fleet,
    /// Why the config can't be read; what runs is then known by its locks and its usual names.
    pub(crate) trouble: Option<Failure>,
    locks: &'a LockDir,
    pub(crate) scope: Scope,
    /// The launcher of this folder that runs on without its lock, so that nothing can be told to it. Latches
    /// keep it from starting again what is stopped.
    pub(crate) deaf: Option<Target>,
    cli: &'a Cli,
}

/// Tells whether a component, the key of its account and its account are what the user means.
type IsMeant<'a> = dyn Fn(&str, Option<&str>, Option<&str>) -> bool + 'a;

impl<'a> Planner<'a> {
    pub(crate) fn new(
        location: &Location,
        locks: &'a LockDir,
        cli: &'a Cli,
    ) -> Result<Self, Failure> {
        let (fleet, trouble) = match location.fleet() {
            Ok(fleet) => (fleet, None),
            Err(trouble) => {
                let root = location.root().or_else(|| locks.path().parent());
                match root.map(Fleet::without_config) {
                    Some(Ok(fleet)) => (fleet, Some(trouble)),
                    Some(Err(_)) | None => return Err(trouble),
                }
            }
        };
        let args = &cli.scope;
        let scope = Scope {
            accounts: args.account.clone(),
            roles: args.role.clone(),
            names: args.name.clone(),
            keep_watchdogs: args.keep_watchdogs,
            all_roots: args.all_roots,
            spared: origin(&fleet, locks)?,
        };
        Ok(Self { fleet, trouble, locks, scope, deaf: None, cli })
    }

    /// Looks at what runs, and plans.
    pub(crate) fn plan_now(&self) -> Result<(Snapshot, StopPlan), Failure> {
        let entries = self.locks.list()?;
        let (snapshot, mut plan) =
            plan_now(&self.fleet, self.locks, entries, &self.scope, self.cli.timeout)?;
        if let Some(deaf) = &self.deaf {
            plan.told.retain(|one| one.identity != deaf.identity);
        }
        Ok((snapshot, plan))
    }

    /// Finds out whether the launcher that the plan tells runs without its lock, and leaves it out of
    /// the plan then.
    pub(crate) fn without_deaf(&mut self, plan: &mut StopPlan) -> Result<(), Failure> {
        let told =
            plan.told.iter().find(|one| one.elsewhere.is_none() && one.cannot_be_told.is_none());
        let Some(told) = told.filter(|one| !plan.spares(one)).cloned() else { return Ok(()) };
        let is_locked = || {
            let lock = self.locks.status(&self.fleet.orchestrator)?;
            Ok::<_, Failure>(lock.is_some_and(|lock| lock.state.is_live()))
        };
        if is_locked()? {
            return Ok(());
        }
        // One that is just starting takes its lock in a moment.
        thread::sleep(MOMENT);
        let name = self.fleet.orchestrator.as_str();
        let can_be_told = connect_to_launcher(self.locks, name).is_ok();
        if !is_locked()? && !can_be_told && liveness(&told.identity) != Liveness::Dead {
            plan.told.retain(|one| one.identity != told.identity);
            self.deaf = Some(told);
        }
        Ok(())
    }

    /// Refuses what names nothing at all: a misspelt brain must not pass for one that is stopped.
    pub(crate) fn check(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        if let Some(name) =
            self.scope.names.iter().find(|name| same(name, self.fleet.orchestrator.as_str()))
        {
            let message = format!("`{name}` stops its whole fleet when it ends");
            let hint = "leave --name out to stop everything, or use `qc-launch stop`";
            return Err(Failure::new(Exit::Usage, message, hint));
        }
        let known = |wanted: &str, of: &IsMeant<'_>| {
            let configured = self.fleet.components.iter().any(|one| {
                let account = one.account.as_ref().map(qc_lock_core::Account::as_str);
                of(one.name.as_str(), one.account_key.as_deref(), account)
            });
            let running = snapshot
                .instances
                .iter()
                .any(|one| of(&one.component, one.account_key.as_deref(), one.account.as_deref()));
            configured || running || wanted.is_empty()
        };
        for name in &self.scope.names {
            if !known(name, &|component, _, _| is_named(name, component)) {
                let message = format!("there is no component `{name}`, and none runs");
                let hint = "`qc-launch --dry-run` lists the fleet's, and `qc-ps` those that run";
                return Err(Failure::new(Exit::Usage, message, hint));
            }
        }
        for account in &self.scope.accounts {
            if !known(account, &|_, key, number| is_account(account, key, number)) {
                let keys: Vec<&str> =
                    self.fleet.accounts.iter().map(|account| account.key.as_str()).collect();
                let message = format!("there is no account `{account}`, and none runs");
                let hint = format!("the accounts are {}", keys.join(", "));
                return Err(Failure::new(Exit::Usage, message, hint));
            }
        }
        Ok(())
    }
}

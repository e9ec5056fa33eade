//! The one place from which dry run, prompt and real run get their plan.

use std::collections::HashMap;

use qc_cli::{Exit, Failure, Place, origin};
use qc_fleet::{Fleet, LeftOver, Scope, Snapshot, StopPlan, judge_left_over, left_over};
use qc_lock_core::{LockDir, same_account};

use crate::cli::Cli;

pub(crate) struct Planner<'a> {
    pub(crate) fleet: Fleet,
    /// Why the config can't be read; what runs is then known by its locks and its usual names.
    pub(crate) trouble: Option<Failure>,
    locks: &'a LockDir,
    pub(crate) scope: Scope,
    cli: &'a Cli,
}

/// Tells whether a component, the key of its account and its account are what the user means.
type IsMeant<'a> = dyn Fn(&str, Option<&str>, Option<&str>) -> bool + 'a;

impl<'a> Planner<'a> {
    pub(crate) fn new(place: &Place, locks: &'a LockDir, cli: &'a Cli) -> Result<Self, Failure> {
        let (fleet, trouble) = match place.fleet() {
            Ok(fleet) => (fleet, None),
            Err(trouble) => {
                let root = place.root().or_else(|| locks.path().parent());
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
        Ok(Self { fleet, trouble, locks, scope, cli })
    }

    /// Looks at what runs, and plans.
    pub(crate) fn plan_now(&self) -> Result<(Snapshot, StopPlan), Failure> {
        let snapshot = Snapshot::take(&self.fleet, self.locks.list()?)?;
        let plan = StopPlan::new(&self.fleet, &snapshot, &self.scope, self.cli.timeout);
        let is_meant = |name: &str| self.scope.means_left_over(&self.fleet, &snapshot, name);
        let spared = &self.scope.spared;
        let mut left = left_over(&self.fleet, self.locks.path(), is_meant, spared)?;
        let keepers = self.keepers(&snapshot, is_meant, &left)?;
        left.extend(judge_left_over(&self.fleet, &keepers, spared)?);
        left.retain(LeftOver::ends_with_fleet);
        let plan = plan.with_left_over(&self.fleet, &left, self.cli.timeout);
        Ok((snapshot, plan))
    }

    /// Returns who keeps the lock of a component open whose holder has ended, by pid, besides what is known:
    /// it has no variables by which it could be known, or shows none.
    fn keepers(
        &self,
        snapshot: &Snapshot,
        is_meant: impl Fn(&str) -> bool,
        left: &[LeftOver],
    ) -> Result<HashMap<u32, String>, Failure> {
        let entries = self.locks.with_openers(self.locks.list()?);
        let unrecorded = self.locks.openers_without_record(&entries);
        let recorded = entries.into_iter().map(|entry| (entry.name, entry.open_in));
        let all = recorded.chain(unrecorded).filter(|(name, _)| is_meant(name));
        let all = all.flat_map(|(name, openers)| {
            openers.into_iter().map(move |opener| (opener.pid, name.clone()))
        });
        let is_known = |pid: u32| {
            snapshot.instances.iter().any(|one| one.includes(pid))
                || left.iter().any(|one| one.process.identity.pid == pid)
        };
        Ok(all.filter(|&(pid, _)| !is_known(pid)).collect())
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
            if !known(name, &|component, _, _| same(component, name)) {
                let message = format!("there is no component `{name}`, and none runs");
                let hint = "`qc-launch --dry-run` lists the fleet's, and `qc-ps` those that run";
                return Err(Failure::new(Exit::Usage, message, hint));
            }
        }
        for account in &self.scope.accounts {
            let is_it = |text: Option<&str>| text.is_some_and(|text| same(text, account));
            let is_number = |number: &str| same_account(number, account);
            if !known(account, &|_, key, number| is_it(key) || number.is_some_and(is_number)) {
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

//! Which rows are wanted.

use qc_cli::{Exit, Failure};
use qc_fleet::{Component, Fleet, Row, State, is_account, is_named};
use qc_lock_core::{Account, LockState};

use crate::cli::FilterArgs;

impl FilterArgs {
    /// Refuses what names nothing at all: it must not pass for "nothing is wrong".
    pub(crate) fn check(&self, rows: &[&Row], fleet: &Fleet) -> Result<(), Failure> {
        for account in &self.account {
            let is_it = |one: &Component| {
                let number = one.account.as_ref().map(Account::as_str);
                is_account(account, one.account_key.as_deref(), number)
            };
            if !fleet.components.iter().any(|one| is_it(one))
                && !rows.iter().any(|row| has_account(row, account))
            {
                let mut keys: Vec<&str> =
                    fleet.components.iter().filter_map(|one| one.account_key.as_deref()).collect();
                keys.sort_unstable();
                keys.dedup();
                let message = format!("there is no account `{account}`");
                let hint = format!("the accounts are {}", keys.join(", "));
                return Err(Failure::new(Exit::Usage, message, hint));
            }
        }
        let names = fleet.components.iter().map(|one| one.name.as_str());
        let names = names.chain([fleet.orchestrator.as_str()]);
        let names = names.chain(rows.iter().map(|row| row.component.as_str()));
        match self.name.iter().find(|name| !names.clone().any(|one| is_named(name, one))) {
            Some(name) => Err(Failure::new(
                Exit::Usage,
                format!("there is no component `{name}`"),
                "`qc-launch --dry-run` lists the fleet's, and `qc-ps` those that run",
            )),
            None => Ok(()),
        }
    }

    /// Whether a row is wanted.
    pub(crate) fn wants(&self, row: &Row) -> bool {
        let any = |wanted: &[String], is_it: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|one| is_it(one))
        };
        any(&self.account, &|one| has_account(row, one))
            && any(&self.name, &|one| is_named(one, &row.component))
            && (self.role.is_empty() || self.role.contains(&row.role))
            && (self.state.is_empty() || self.state.iter().any(|&state| has_state(row, state)))
    }
}

/// A component that does not run and has left its lock behind is `stale` as well.
fn has_state(row: &Row, wanted: State) -> bool {
    let left =
        |lock: &qc_fleet::RowLock| matches!(lock.state, LockState::Stale | LockState::Corrupt);
    row.state == wanted || (wanted == State::Stale && row.lock.as_ref().is_some_and(left))
}

fn has_account(row: &Row, wanted: &str) -> bool {
    is_account(wanted, row.account_key.as_deref(), row.account.as_deref())
}

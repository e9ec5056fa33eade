//! A request to a lock directory.

use std::collections::HashSet;
use std::time::Duration;

use crate::{Account, AccountUse, LockName, Record, Resource, Terminal};

/// A request for a lock.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) name: LockName,
    pub(crate) account: Option<Account>,
    pub(crate) terminal: Option<Terminal>,
    pub(crate) account_use: AccountUse,
    pub(crate) program: Option<String>,
    pub(crate) wait: Duration,
    pub(crate) at_once: bool,
    pub(crate) without_record: bool,
    /// The record of the lock that a wrapper holds for this very process already.
    pub(crate) handed_down: Option<Box<Record>>,
}

impl Request {
    /// Asks for the lock `name`, alone and without waiting.
    pub fn new(name: LockName) -> Self {
        Self {
            name,
            account: None,
            terminal: None,
            account_use: AccountUse::Trades,
            program: None,
            wait: Duration::ZERO,
            at_once: false,
            without_record: false,
            handed_down: None,
        }
    }

    /// Asks also for the account, at the place that the name and its use take there.
    pub fn account(self, account: Account) -> Self {
        Self { account: Some(account), ..self }
    }

    /// Asks also for the terminal, at the place that the name and its use take there.
    pub fn terminal(self, terminal: Terminal) -> Self {
        Self { terminal: Some(terminal), ..self }
    }

    /// Sets what is done with the account and the terminal. Without it, whatever is not a watchdog
    /// trades.
    pub fn account_use(self, account_use: AccountUse) -> Self {
        Self { account_use, ..self }
    }

    /// Sets the file name of the program that will do the work, for the record. Without it, the
    /// record names this program.
    pub fn program(self, program: impl Into<String>) -> Self {
        Self { program: Some(program.into()), ..self }
    }

    /// Waits up to `wait` for a lock that is held.
    pub fn wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Looks once and never waits, not even where that would show who holds the lock: then it is
    /// refused with a holder without a pid, and the history is not told. For programs that have
    /// other things to do meanwhile, and ask again.
    pub fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }

    /// Writes no record: the program keeps one of its own under this name.
    pub fn without_record(self) -> Self {
        Self { without_record: true, ..self }
    }

    /// Counts what the lock of `record` protects as held: it is held for this very process, see
    /// [`crate::LockDir::handed_down`].
    pub fn handed_down(self, record: Record) -> Self {
        Self { handed_down: Some(Box::new(record)), ..self }
    }

    /// Returns what has still to be taken, in the order in which guards are.
    pub fn to_take(&self) -> Vec<Resource> {
        let mut resources = self.resources();
        let granted = self.handed_down.iter().flat_map(|record| &record.resources);
        let granted: HashSet<&str> = granted.map(String::as_str).collect();
        resources.retain(|one| !granted.contains(one.as_str()));
        resources
    }

    /// Returns what is to be protected, in the order in which guards are taken.
    pub fn resources(&self) -> Vec<Resource> {
        let places = self.account_use.places(&self.name);
        let account = self.account.iter();
        let account =
            account.flat_map(|it| places.iter().map(|place| Resource::account(it, place)));
        let terminal = self.terminal.iter();
        let terminal =
            terminal.flat_map(|it| places.iter().map(|place| Resource::terminal(it, place)));
        let name = Resource::name(&self.name);
        let mut resources: Vec<Resource> = account.chain(terminal).chain([name]).collect();
        resources.sort();
        resources
    }
}

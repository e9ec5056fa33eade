//! Before a start: whether anything in the config, on the disk or among what runs is in the way.
//! Facts in, findings out; gathering the facts is a thin layer of its own.

mod accounts;
mod executables;
mod facts;
mod folders;
mod near_file;
mod programs;
mod running;
mod sync;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use qc_lock_core::{Latch, Request};
use serde::Serialize;

use crate::{Component, Fleet};

pub use executables::{ProgramFile, ProgramFiles};
pub use facts::{BusyPort, Facts, Folder, busy_ports};
pub use running::running;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All right.
    Ok,
    /// To be looked at; no reason not to start.
    Warning,
    /// Wrong. Most of what is wrong refuses a start, see [`Check::refuses_start`].
    Error,
}

impl Verdict {
    /// Returns the word that tables and JSON use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The subject of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The config as a whole.
    Config,
    /// Processes and locks that live.
    Running,
    /// The latches.
    Latch,
    /// Account numbers.
    Accounts,
    /// Magic numbers.
    Magic,
    /// Trading terminals.
    Terminals,
    /// Scripts of components.
    Scripts,
    /// Programs and working folders.
    Programs,
    /// Ports that components listen at.
    Ports,
    /// `process_lock.py` in the fleet's folder.
    LockModule,
    /// The folder of the locks.
    LockDir,
    /// The folder of the logs.
    Logs,
}

impl Subject {
    /// Returns the word that tables and JSON use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Running => "running",
            Self::Latch => "latch",
            Self::Accounts => "accounts",
            Self::Magic => "magic",
            Self::Terminals => "terminals",
            Self::Scripts => "scripts",
            Self::Programs => "programs",
            Self::Ports => "ports",
            Self::LockModule => "lock_module",
            Self::LockDir => "lock_dir",
            Self::Logs => "logs",
        }
    }
}

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// How bad it is.
    pub verdict: Verdict,
    /// Its subject.
    pub subject: Subject,
    /// The description.
    pub text: String,
    /// The next step; empty if there is none.
    pub advice: String,
}

impl Check {
    /// Whether a start is refused for it with exit code 2. Not for two accounts with one magic number:
    /// each broker account has its own orders, and a fleet that has run like that is not left standing.
    /// Nor for a latch, which refuses the first lock, and that with exit code 75.
    pub fn refuses_start(&self) -> bool {
        self.verdict == Verdict::Error && !matches!(self.subject, Subject::Magic | Subject::Latch)
    }

    fn ok(subject: Subject, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, subject, text: text.into(), advice: String::new() }
    }

    fn warning(subject: Subject, text: impl Into<String>, advice: impl Into<String>) -> Self {
        let (text, advice) = (text.into(), advice.into());
        Self { verdict: Verdict::Warning, subject, text, advice }
    }

    fn error(subject: Subject, text: impl Into<String>, advice: impl Into<String>) -> Self {
        let (text, advice) = (text.into(), advice.into());
        Self { verdict: Verdict::Error, subject, text, advice }
    }
}

/// Checks everything but what runs, see [`running`]: for a start of these enabled `components` of
/// the fleet, those without a script included.
pub fn check(fleet: &Fleet, components: &[Arc<Component>], facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut about = |subject: Subject, found: Vec<Check>, fine: &str| {
        checks.extend(if found.is_empty() && !fine.is_empty() {
            vec![Check::ok(subject, fine)]
        } else {
            found
        });
    };
    let mut config = accounts::nothing_to_start(fleet, components, facts);
    config.extend(accounts::of_config(fleet));
    about(Subject::Config, config, "it is well-formed");
    let mut latches: Vec<Check> = latch(facts).into_iter().collect();
    latches.extend(latched(components, facts));
    about(Subject::Latch, latches, "starts are allowed");
    about(Subject::Accounts, accounts::same_number(fleet, components), "each number stands once");
    about(Subject::Magic, accounts::same_magic(fleet, components), "each magic number stands once");
    let mut terminals = accounts::same_terminal(fleet, components);
    terminals.extend(programs::missing_terminals(fleet, components, facts));
    about(Subject::Terminals, terminals, "each account has its own");
    about(Subject::Accounts, accounts::same_resource(components), "");
    about(Subject::Accounts, accounts::without_account(components), "");
    about(Subject::Accounts, accounts::special(fleet, components), "");
    about(Subject::Accounts, folders::machine_guards(components, facts), "");
    let mut scripts = programs::missing_scripts(components, facts);
    scripts.extend(programs::same_script(components));
    about(Subject::Scripts, scripts, "all are there");
    about(
        Subject::Programs,
        executables::missing_programs(fleet, components, facts),
        "all are there",
    );
    let mut ports = programs::same_port(components);
    ports.extend(programs::taken_ports(components, facts));
    about(Subject::Ports, ports, "all are free");
    about(Subject::LockModule, folders::lock_module(facts), "no old process_lock.py is here");
    about(Subject::Scripts, near_file::misnamed_scripts(components, facts), "");
    about(Subject::Scripts, folders::old_scripts(facts), "");
    about(Subject::LockDir, folders::lock_dir(facts), "it is on a disk of this machine");
    about(Subject::Logs, folders::logs(facts), "they can be written");
    checks
}

/// Finds what forbids every start.
pub fn latch(facts: &Facts) -> Option<Check> {
    let latch = facts.snapshot.latch.as_ref()?;
    let advice = "run `qc-launch unlatch` when starts are to be allowed again";
    Some(Check::error(Subject::Latch, format!("every start is forbidden: {latch}"), advice))
}

/// Finds what is not started, because its starts are forbidden.
fn latched(components: &[Arc<Component>], facts: &Facts) -> Vec<Check> {
    let latches = &facts.snapshot.latches;
    let requests: Vec<Request> = match latches.is_empty() {
        true => Vec::new(),
        false => components.iter().map(|one| one.request()).collect(),
    };
    let stopped = components.iter().filter_map(|one| {
        let latch = facts.snapshot.latch_of(one)?;
        let text = format!("{} stays stopped: {latch}", one.name);
        Some(Check::warning(Subject::Latch, text, latch.way_out()))
    });
    let is_idle = |latch: &&Latch| !requests.iter().any(|request| latch.is_of(request));
    let idle = latches.iter().filter(is_idle).map(|latch| {
        let advice = "nothing enabled needs it; `qc-launch unlatch` allows all starts again";
        Check::warning(Subject::Latch, latch.sentence(), advice)
    });
    stopped.chain(idle).collect()
}

/// Returns the worst of `checks`.
pub fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
}

//! One line of the list, in the shape of the JSON that `--json` prints.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local, SecondsFormat};
use qc_fleet::{Fleet, Instance, Mask, Role, State};
use qc_lock_core::{LockEntry, LockState, Terminal};
use qc_process::ProcessInfo;
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) component: String,
    pub(crate) role: Role,
    pub(crate) account_key: Option<String>,
    pub(crate) account: Option<String>,
    /// Its own processes; the last one does the work.
    pub(crate) pids: Vec<u32>,
    /// The programs that started it and wait for it, the outermost first.
    pub(crate) wrapper_pids: Vec<u32>,
    /// The Pythons that it started to work for it.
    pub(crate) worker_pids: Vec<u32>,
    pub(crate) lock: Option<Lock>,
    pub(crate) state: State,
    /// Whether a living orchestrator looks after it; null where that can't be told.
    pub(crate) supervised: Option<bool>,
    pub(crate) since: Option<String>,
    #[serde(skip)]
    pub(crate) started: Option<SystemTime>,
    pub(crate) uptime_seconds: Option<u64>,
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) terminal: Option<String>,
    pub(crate) folder: Option<String>,
    pub(crate) command: String,
    /// What was folded into it, with `--tree`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tree: Option<Vec<Part>>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lock {
    pub(crate) name: String,
    pub(crate) state: LockState,
}

/// One process of an instance.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) since: String,
    pub(crate) uptime_seconds: u64,
    pub(crate) cpu_percent: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) command: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Started the program and waits for it.
    Wrapper,
    /// Started the interpreter and waits for it.
    Stub,
    /// Does the work.
    Program,
    /// Was started by the program to work for it.
    Worker,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Wrapper => "wrapper",
            Self::Stub => "stub",
            Self::Program => "program",
            Self::Worker => "worker",
        }
    }
}

impl Row {
    pub(crate) fn of_instance(instance: &Instance, state: State, with_tree: bool) -> Self {
        let now = SystemTime::now();
        let started = instance.processes.iter().map(|process| process.since).min();
        let cpu_time: Duration = instance.processes.iter().map(|process| process.cpu_time).sum();
        let lock = instance.lock.as_ref();
        Self {
            component: instance.component.clone(),
            role: instance.role,
            account_key: instance.account_key.clone(),
            account: instance.account.clone(),
            pids: instance.pids(),
            wrapper_pids: instance.wrappers.iter().map(|one| one.identity.pid).collect(),
            worker_pids: instance.workers.iter().map(|one| one.identity.pid).collect(),
            lock: lock.map(|lock| Lock { name: lock.name.clone(), state: lock.state }),
            state,
            supervised: instance.supervised,
            since: started.map(rfc3339),
            started,
            uptime_seconds: started.map(|started| age(started, now).as_secs()),
            cpu_percent: started.map(|started| percent(cpu_time, age(started, now))),
            memory_bytes: Some(instance.processes.iter().map(|one| one.memory_bytes).sum()),
            terminal: instance.terminal.as_ref().map(|terminal| terminal.as_str().to_owned()),
            folder: instance.folder.as_ref().map(|folder| folder.display().to_string()),
            command: instance.command.clone(),
            tree: with_tree.then(|| parts(instance, now)),
        }
    }

    /// A lock that no instance holds. What it locks is known by its name.
    pub(crate) fn of_lock(lock: &LockEntry, fleet: &Fleet) -> Self {
        let component = fleet.component(&lock.name);
        let is_orchestrator = lock.name.eq_ignore_ascii_case(fleet.orchestrator.as_str());
        let upper = lock.name.to_uppercase();
        let role = match component {
            Some(component) => component.role,
            None if is_orchestrator => Role::Orchestrator,
            None if upper.starts_with("BRAIN") => Role::Brain,
            None if upper.starts_with("WATCHDOG") => Role::Watchdog,
            None => Role::Other,
        };
        let account = component.and_then(|one| one.account.as_ref()).map(ToString::to_string);
        let terminal = component.and_then(|one| one.terminal.as_ref());
        Self {
            component: lock.name.clone(),
            role,
            account_key: component.and_then(|one| one.account_key.clone()),
            account: lock.account.clone().or(account),
            pids: lock.pid.into_iter().collect(),
            wrapper_pids: Vec::new(),
            worker_pids: Vec::new(),
            lock: Some(Lock { name: lock.name.clone(), state: lock.state }),
            state: State::of_lock(lock),
            supervised: None,
            since: lock.since.clone(),
            started: None,
            uptime_seconds: None,
            cpu_percent: None,
            memory_bytes: None,
            terminal: terminal.map(Terminal::as_str).map(str::to_owned),
            folder: None,
            command: lock.program.clone().unwrap_or_default(),
            tree: None,
        }
    }

    /// Masks account numbers, wherever they stand.
    pub(crate) fn mask(&mut self, mask: &Mask) {
        let text = |text: &mut String| *text = mask.text(text);
        text(&mut self.component);
        self.account_key.as_mut().map(text);
        if let Some(account) = &mut self.account {
            *account = mask.account(account);
        }
        if let Some(lock) = &mut self.lock {
            lock.name = mask.text(&lock.name);
        }
        let paths = self.terminal.iter_mut().chain(&mut self.folder);
        let parts = self.tree.iter_mut().flatten().map(|part| &mut part.command);
        for command in paths.chain([&mut self.command]).chain(parts) {
            *command = mask.command(command);
        }
    }
}

fn parts(instance: &Instance, now: SystemTime) -> Vec<Part> {
    let part = |(at, process): (usize, &ProcessInfo)| {
        let age = age(process.since, now);
        let own = at.checked_sub(instance.wrappers.len());
        Part {
            kind: match own {
                None => Kind::Wrapper,
                Some(at) if at + 1 < instance.processes.len() => Kind::Stub,
                Some(at) if at < instance.processes.len() => Kind::Program,
                Some(_) => Kind::Worker,
            },
            name: process.name.clone(),
            pid: process.identity.pid,
            since: rfc3339(process.since),
            uptime_seconds: age.as_secs(),
            cpu_percent: percent(process.cpu_time, age),
            memory_bytes: process.memory_bytes,
            command: instance.commands.get(at).cloned().unwrap_or_default(),
        }
    };
    let all = instance.wrappers.iter().chain(&instance.processes).chain(&instance.workers);
    all.enumerate().map(part).collect()
}

fn age(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}

/// The average over a process's life: exact, and needs no second look.
fn percent(cpu_time: Duration, age: Duration) -> f64 {
    let percent = 100.0 * cpu_time.as_secs_f64() / age.as_secs_f64().max(1.0);
    (percent * 10.0).round() / 10.0
}

pub(crate) fn rfc3339(time: SystemTime) -> String {
    DateTime::<Local>::from(time).to_rfc3339_opts(SecondsFormat::Secs, false)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(component: &str, pid: u32, memory_bytes: u64) -> Row {
        Row {
            component: component.into(),
            role: Role::Brain,
            account_key: None,
            account: None,
            pids: vec![pid],
            wrapper_pids: Vec::new(),
            worker_pids: Vec::new(),
            lock: None,
            state: State::Running,
            supervised: None,
            since: None,
            started: None,
            uptime_seconds: None,
            cpu_percent: None,
            memory_bytes: Some(memory_bytes),
            terminal: None,
            folder: None,
            command: String::new(),
            tree: None,
        }
    }

    #[test]
    fn a_masked_row_shows_no_account() {
        let number = "1234567";
        let mut masked = Row {
            account: Some(number.into()),
            account_key: Some(number.into()),
            lock: Some(Lock { name: format!("WATCHDOG_{number}"), state: LockState::Held }),
            folder: Some(format!("/home/{number}/x")),
            command: format!("python a.py --account {number} --login 7654321"),
            ..row(&format!("WATCHDOG_{number}"), 1, 1)
        };
        masked.mask(&Mask::new([number.to_owned()]));
        let json = serde_json::to_string(&masked).unwrap();
        assert!(!json.contains(number) && !json.contains("7654321"), "{json}");
        assert_eq!(masked.account.as_deref(), Some("****567"));
        assert_eq!(masked.command, "python a.py --account ****567 --login ****321");
    }
}

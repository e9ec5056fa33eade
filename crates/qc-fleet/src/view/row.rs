//! One line of the list, in the shape of the JSON that `qc-ps --json` prints.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local, SecondsFormat};
use qc_lock_core::{LockEntry, LockState, Terminal};
use serde::Serialize;

use super::ComponentView;
use super::tree_part::{TreePart, parts};
use crate::finding::FOLDER_UNKNOWN;
use crate::{Component, Fleet, Instance, Mask, Place, Role, State};

/// One line of the list.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The name of its component.
    pub component: String,
    /// Its role.
    pub role: Role,
    /// The key of its account.
    pub account_key: Option<String>,
    /// Its account.
    pub account: Option<String>,
    /// Its own processes; the last one does the work.
    pub pids: Vec<u32>,
    /// The programs that started it and wait for it, the outermost first.
    pub wrapper_pids: Vec<u32>,
    /// The Pythons that it started to work for it.
    pub worker_pids: Vec<u32>,
    /// Its lock.
    pub lock: Option<RowLock>,
    /// Its state.
    pub state: State,
    /// Whether the system has suspended it.
    pub suspended: bool,
    /// Whether a living orchestrator looks after it; null where that can't be told.
    pub supervised: Option<bool>,
    /// Since when it runs, or its lock is held, RFC 3339.
    pub since: Option<String>,
    /// The same, to sort by.
    #[serde(skip)]
    pub started: Option<SystemTime>,
    /// How long it has been running.
    pub uptime_seconds: Option<u64>,
    /// The processor time it uses, as the average over its life.
    pub cpu_percent: Option<f64>,
    /// The memory it has in use.
    pub memory_bytes: Option<u64>,
    /// Its terminal.
    pub terminal: Option<String>,
    /// The folder of its script.
    pub folder: Option<String>,
    /// Its command line, without secrets.
    pub command: String,
    /// More about its state, in words.
    pub detail: Option<String>,
    /// How often the running launcher has started it again by itself; null where none says so.
    pub restarts: Option<u32>,
    /// When it will be started again, RFC 3339.
    pub until: Option<String>,
    /// The kind of the row.
    #[serde(skip)]
    pub kind: RowKind,
    /// The processes that were folded into it, with `--tree`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Vec<TreePart>>,
}

/// Returns what else there is to say about an instance.
fn detail_of(instance: &Instance) -> Option<String> {
    let program = instance.looks_like.as_ref();
    let is_unknown = instance.place == Place::Unknown;
    program
        .map(|program| format!("looks like `{program}`"))
        .or_else(|| instance.resume_hint())
        .or_else(|| is_unknown.then(|| FOLDER_UNKNOWN.into()))
}

/// The kind of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A program that runs.
    Instance,
    /// A component that should run, or whose account is not traded, and that does not run.
    Component,
    /// A lock that neither has.
    Lock,
}

/// The lock of a row.
#[derive(Debug, Clone, Serialize)]
pub struct RowLock {
    /// The name of the lock.
    pub name: String,
    /// Whether it is held.
    pub state: LockState,
}

impl RowLock {
    /// Returns the lock of `entry`.
    pub(super) fn of(entry: &LockEntry) -> Self {
        Self { name: entry.name.clone(), state: entry.state }
    }
}

impl Row {
    /// A row of which nothing else is known.
    pub fn new(component: &str, role: Role, state: State, kind: RowKind) -> Self {
        Self {
            component: component.to_owned(),
            role,
            account_key: None,
            account: None,
            pids: Vec::new(),
            wrapper_pids: Vec::new(),
            worker_pids: Vec::new(),
            lock: None,
            state,
            suspended: false,
            supervised: None,
            since: None,
            started: None,
            uptime_seconds: None,
            cpu_percent: None,
            memory_bytes: None,
            terminal: None,
            folder: None,
            command: String::new(),
            detail: None,
            restarts: None,
            until: None,
            kind,
            tree: None,
        }
    }

    /// The row of something that runs.
    pub fn of_instance(instance: &Instance, state: State, with_tree: bool) -> Self {
        let now = SystemTime::now();
        let started = instance.processes.iter().map(|process| process.since).min();
        let cpu_time: Duration = instance.processes.iter().map(|process| process.cpu_time).sum();
        let lock = instance.lock.as_ref();
        Self {
            account_key: instance.account_key.clone(),
            account: instance.account.clone(),
            pids: instance.pids(),
            wrapper_pids: instance.wrappers.iter().map(|one| one.identity.pid).collect(),
            worker_pids: instance.workers.iter().map(|one| one.identity.pid).collect(),
            lock: lock.map(RowLock::of),
            suspended: instance.is_suspended,
            supervised: instance.supervised,
            since: started.map(rfc3339),
            started,
            uptime_seconds: started.map(|started| age(started, now).as_secs()),
            cpu_percent: started.map(|started| percent(cpu_time, age(started, now))),
            memory_bytes: Some(instance.processes.iter().map(|one| one.memory_bytes).sum()),
            terminal: instance.terminal.as_ref().map(|terminal| terminal.as_str().to_owned()),
            folder: instance.folder.as_ref().map(|folder| folder.display().to_string()),
            command: instance.command.clone(),
            detail: detail_of(instance),
            tree: with_tree.then(|| parts(instance, now)),
            ..Self::new(&instance.component, instance.role, state, RowKind::Instance)
        }
    }

    /// A lock that no instance holds. What it locks is known by its name.
    pub fn of_lock(lock: &LockEntry, fleet: &Fleet) -> Self {
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
            account_key: component.and_then(|one| one.account_key.clone()),
            account: lock.account.clone().or(account),
            pids: lock.pid.into_iter().collect(),
            lock: Some(RowLock::of(lock)),
            since: lock.since.clone(),
            terminal: terminal.map(Terminal::as_str).map(str::to_owned),
            command: lock.program.clone().unwrap_or_default(),
            ..Self::new(&lock.name, role, State::of_lock(lock), RowKind::Lock)
        }
    }

    /// The row of a component that no instance shows, with the lock that its last run left.
    pub(super) fn of_component(
        component: &ComponentView,
        lock: Option<&LockEntry>,
        fleet: &Fleet,
    ) -> Self {
        let configured = fleet.component(&component.name);
        let terminal = configured.and_then(|one| one.terminal.as_ref());
        Self {
            account_key: component.account_key.clone(),
            account: component.account.clone(),
            pids: component.pid.into_iter().collect(),
            lock: lock.map(RowLock::of),
            suspended: component.suspended,
            supervised: component.is_supervised.then_some(true),
            since: component.since.clone(),
            terminal: terminal.map(Terminal::as_str).map(str::to_owned),
            command: configured.map(Component::shown_command).unwrap_or_default(),
            ..Self::new(&component.name, component.role, component.state, RowKind::Component)
        }
        .with_supervision(component)
    }

    /// Adds what the launcher says.
    pub(super) fn with_supervision(self, component: &ComponentView) -> Self {
        Self {
            detail: component.shown_detail(),
            restarts: component.is_supervised.then_some(component.restarts),
            until: component.until.clone(),
            ..self
        }
    }

    /// Masks account numbers, wherever they stand.
    pub fn mask(&mut self, mask: &Mask) {
        let text = |text: &mut String| *text = mask.text(text);
        text(&mut self.component);
        self.detail.as_mut().map(text);
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

pub(super) fn age(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}

/// The average over a process's life: exact, and needs no second look.
pub(super) fn percent(cpu_time: Duration, age: Duration) -> f64 {
    let percent = 100.0 * cpu_time.as_secs_f64() / age.as_secs_f64().max(1.0);
    (percent * 10.0).round() / 10.0
}

/// Returns a time as JSON shows it.
pub fn rfc3339(time: SystemTime) -> String {
    DateTime::<Local>::from(time).to_rfc3339_opts(SecondsFormat::Secs, false)
}

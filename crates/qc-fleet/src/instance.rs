//! One running copy of a component, and what is known of it.

use std::path::PathBuf;

use qc_lock_core::{Account, AccountUse, LockEntry, LockName, Request, Resource, Terminal};
use qc_process::{ProcessInfo, resume_hint};

use crate::evidence::{Evidence, Untouchable};
use crate::matching::Place;
use crate::{Component, Fleet, Role, shown_command};

/// One running copy of a component: usually one process, with a virtual environment's stub two.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The component's name.
    pub component: String,
    /// Its role.
    pub role: Role,
    /// The key of its account.
    pub account_key: Option<String>,
    /// Its account, by the config of the fleet whose script it is, or by its lock.
    pub account: Option<String>,
    /// Its terminal, by the config or by its lock.
    pub terminal: Option<Terminal>,
    /// Its use of both.
    pub account_use: AccountUse,
    /// The broker's server of its account, by the config of the fleet that it belongs to.
    pub server: Option<String>,
    /// Where its script lies.
    pub place: Place,
    /// The folder of its script; `None` if the process does not let us see it.
    pub folder: Option<PathBuf>,
    /// The folder of the other fleet that it belongs to, spelt the same for all that do; `None` for
    /// this fleet.
    pub other_root: Option<PathBuf>,
    /// Whether it is of the fleet of this folder and runs in another one, see [`crate::MovedFleet`].
    pub is_moved: bool,
    /// Whether it belongs to a user other than the one who looks, as far as the system shows that.
    pub of_another_user: bool,
    /// Whether the system has suspended the process that does the work.
    pub is_suspended: bool,
    /// The programs that started it and wait for it, such as a shell or `qc-lock run`, the
    /// outermost first. They are not the program itself: they are neither counted nor stopped.
    pub wrappers: Vec<ProcessInfo>,
    /// Its processes; the last one does the work.
    pub processes: Vec<ProcessInfo>,
    /// Pythons that it started to work for it, such as those of `multiprocessing`.
    pub workers: Vec<ProcessInfo>,
    /// The lock that one of its processes holds, or that one of its wrappers holds for it.
    pub lock: Option<LockEntry>,
    /// The command of the process that does the work, as it may be shown.
    pub command: String,
    /// The commands of its wrappers, processes and workers, as they may be shown.
    pub commands: Vec<String>,
    /// Whether a living orchestrator of its fleet supervises it; `None` where that can't be told.
    pub supervised: Option<bool>,
    /// Why it is taken for its component.
    pub evidence: Evidence,
    /// The program that it really is, where that is not the component's: `sleep` under a brain's lock.
    pub looks_like: Option<String>,
    /// Why it is never stopped; `None` for whatever may be.
    pub untouchable: Option<Untouchable>,
}

impl Instance {
    /// Makes one of which nothing but its processes is known.
    pub(crate) fn new(component: String, role: Role, processes: Vec<ProcessInfo>) -> Self {
        Self {
            component,
            role,
            account_key: None,
            account: None,
            terminal: None,
            account_use: AccountUse::Trades,
            server: None,
            place: Place::Fleet,
            folder: None,
            other_root: None,
            is_moved: false,
            of_another_user: false,
            is_suspended: false,
            wrappers: Vec::new(),
            processes,
            workers: Vec::new(),
            lock: None,
            command: String::new(),
            commands: Vec::new(),
            supervised: None,
            evidence: Evidence::CommandLine,
            looks_like: None,
            untouchable: None,
        }
    }

    /// Returns the process that does the work.
    pub fn main(&self) -> Option<&ProcessInfo> {
        self.processes.last()
    }

    /// Returns how to resume it, if it is suspended.
    pub fn resume_hint(&self) -> Option<String> {
        let pid = self.main()?.identity.pid;
        self.is_suspended.then(|| resume_hint(pid))
    }

    /// Returns the pids of its own processes.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.identity.pid).collect()
    }

    /// Whether `pid` is one of its processes, wrappers or workers.
    pub fn includes(&self, pid: u32) -> bool {
        let mut all = self.wrappers.iter().chain(&self.processes).chain(&self.workers);
        all.any(|one| one.identity.pid == pid)
    }

    /// Whether a launcher may take it over: it is the component of its lock, and its program does not
    /// contradict that. Whatever else lives is for the user to stop.
    pub fn adoptable(&self) -> bool {
        let own = self.lock.as_ref().is_some_and(|lock| {
            lock.state.is_live() && lock.name.eq_ignore_ascii_case(&self.component)
        });
        own && self.place == Place::Fleet
            && self.role != Role::Orchestrator
            && self.looks_like.is_none()
            && self.untouchable.is_none()
    }

    /// Returns the places at accounts and terminals that it holds, as its lock names them, and that it
    /// has by what is known of its account and its terminal.
    pub fn places(&self) -> Vec<String> {
        let is_place = |one: &&String| one.starts_with("account/") || one.starts_with("terminal/");
        let locked = self.lock.iter().flat_map(|lock| &lock.resources).filter(is_place).cloned();
        let mut places: Vec<String> = locked.collect();
        // The first version of the watchdog has another name.
        let name = if self.role == Role::Watchdog { "WATCHDOG" } else { &self.component };
        let request = self.request(name, self.account_use);
        let asked = request.map(|request| request.resources()).unwrap_or_default();
        let asked = asked.iter().filter(|one| one.is_machine_wide());
        places.extend(asked.map(|one| one.as_str().to_owned()));
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Returns the places of a brain that uses its account and its terminal as it does itself.
    pub(crate) fn guarded_places(&self) -> Vec<Resource> {
        let request = self.request("BRAIN", self.account_use);
        let mut places = request.map(|request| request.resources()).unwrap_or_default();
        places.retain(Resource::is_machine_wide);
        places
    }

    /// Returns what a lock called `name` would ask for that used its account and its terminal in this way.
    fn request(&self, name: &str, account_use: AccountUse) -> Option<Request> {
        let name: LockName = name.parse().ok()?;
        let mut request = Request::new(name).account_use(account_use);
        let account = self.account.as_deref().and_then(|text| Account::parse(text).ok().flatten());
        if let Some(account) = account {
            request = request.account(account);
        }
        if let Some(terminal) = &self.terminal {
            request = request.terminal(terminal.clone());
        }
        Some(request)
    }

    /// Returns the process that its lock's record names, which may be a wrapper of its program.
    pub fn holder(&self) -> Option<&ProcessInfo> {
        let pid = self.lock.as_ref()?.pid?;
        let mut all = self.wrappers.iter().chain(&self.processes).chain(&self.workers);
        all.find(|one| one.identity.pid == pid)
    }

    /// Puts in what the fleet and its lock tell of it.
    pub(crate) fn know(&mut self, fleet: &Fleet) {
        let component = fleet.component(&self.component);
        let wrappers = self.wrappers.iter().map(|one| shown_wrapper(component, &one.args));
        let own = self.processes.iter().map(|one| shown_process(component, &one.args));
        self.commands = wrappers.chain(own).collect();
        self.command = self.commands.last().cloned().unwrap_or_default();
        let workers = self.workers.iter().map(|one| shown_wrapper(component, &one.args));
        self.commands.extend(workers);
        if self.place == Place::Fleet {
            self.know_component(fleet);
        }
        let Some(lock) = &self.lock else { return };
        if self.account.is_none() && self.terminal.is_none() {
            self.account_use = lock.account_use();
        }
        self.account = self.account.take().or_else(|| lock.account.clone());
        self.terminal = self.terminal.take().or_else(|| terminal_of(lock));
    }

    /// Puts in what its lock in the folder of another fleet tells of it: that was true when it was
    /// started, whatever the config says by now.
    pub(crate) fn know_foreign_lock(&mut self, lock: &LockEntry) {
        if lock.account.is_some() {
            self.account_use = lock.account_use();
        }
        self.account = lock.account.clone().or(self.account.take());
        self.terminal = terminal_of(lock).or(self.terminal.take());
        self.lock = Some(lock.clone());
    }

    /// Puts in what the fleet that it belongs to tells of it.
    pub(crate) fn know_component(&mut self, fleet: &Fleet) {
        if let Some(component) = fleet.component(&self.component) {
            self.account = component.account.as_ref().map(ToString::to_string);
            self.terminal = component.terminal.clone();
            self.account_use = component.account_use;
            self.server = fleet.server_of(component).map(str::to_owned);
        }
    }
}

/// Returns the terminal that a lock protects.
fn terminal_of(lock: &LockEntry) -> Option<Terminal> {
    let terminal = |resource: &String| {
        let (path, _place) = resource.strip_prefix("terminal/")?.rsplit_once('/')?;
        Some(Terminal::new(path))
    };
    lock.resources.iter().find_map(terminal)
}

fn shown_process(component: Option<&Component>, args: &[String]) -> String {
    component.map_or_else(|| shown_command(args), |component| component.shown_command_of(args))
}

/// A wrapper's or worker's command ends in that of the component. Where it does not, a shell has all of it in
/// one word, and the values of variables in it can't be told from the rest.
fn shown_wrapper(component: Option<&Component>, args: &[String]) -> String {
    match component {
        Some(component) if component.has_variables() && !component.ends(args) => {
            format!("{} ***", args.first().map(String::as_str).unwrap_or_default())
        }
        _ => shown_process(component, args),
    }
}

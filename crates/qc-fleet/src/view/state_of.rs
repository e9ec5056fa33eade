//! The state of each component that the config or the launcher names.

use qc_control::{ComponentStatus, Status};
use qc_lock_core::{AccountUse, LockEntry};
use qc_supervise::RestartWhen;

use super::past::Last;
use super::{ComponentView, LastEnd, Past, RowLock, is_of_account, rfc3339, supervised};
use crate::{AccountEntry, Component, Fleet, Instance, Place, Role, Snapshot, State};

/// Where a state comes from.
struct Judged {
    state: State,
    detail: Option<String>,
}

impl Judged {
    fn new(state: State, detail: impl Into<Option<String>>) -> Self {
        Self { state, detail: detail.into() }
    }
}

/// Judges every component of the config, in the order of starting, and then those that only the
/// launcher has. Leaves out what the config has disabled, except the accounts that are not traded.
pub(super) fn entries(
    fleet: &Fleet,
    snapshot: &Snapshot,
    states: &[State],
    status: Option<&Status>,
    past: &Past,
) -> Vec<ComponentView> {
    let facts = Facts { fleet, snapshot, states, status, past };
    let configured = fleet.components.iter().filter_map(|one| facts.of_component(one));
    let mut entries: Vec<ComponentView> = configured.collect();
    let others = status.into_iter().flat_map(|status| &status.components);
    let others = others.filter(|one| fleet.component(&one.name).is_none());
    entries.extend(others.map(|one| facts.of_status(one)));
    entries
}

/// The remark about a component whose account is traded on paper.
const ON_PAPER: &str = "on paper";

struct Facts<'a> {
    fleet: &'a Fleet,
    snapshot: &'a Snapshot,
    states: &'a [State],
    status: Option<&'a Status>,
    past: &'a Past,
}

impl Facts<'_> {
    fn of_component(&self, component: &Component) -> Option<ComponentView> {
        let name = component.name.as_str();
        let status = supervised(self.status, name);
        let is_expected = status.is_some() || self.is_expected(component);
        let seen = self.instance(name);
        if !is_expected && seen.is_none() && !is_of_account(component.role) {
            return None;
        }
        let mut entry = self.entry(name, component.role, status);
        entry.is_wanted = is_expected;
        entry.account_key = component.account_key.clone();
        entry.account = component.account.as_ref().map(ToString::to_string);
        if entry.needs_row && status.is_none() {
            let judged = match is_expected {
                true => self.not_supervised(component),
                false if self.is_traded(component) => return None,
                false => Judged::new(State::NotTraded, self.why_not_traded(component)),
            };
            let holder = self.lock(name).filter(|_| judged.state == State::Elsewhere);
            entry.pid = holder.and_then(|lock| lock.pid);
            entry.state = judged.state;
            entry.detail = judged.detail;
        }
        if entry.state == State::Stopped && entry.detail.is_none() {
            entry.detail = self.snapshot.latch_of(component).map(ToString::to_string);
        }
        if component.account_use == AccountUse::Paper {
            let detail = entry.detail.take();
            entry.detail = Some(detail.map_or(ON_PAPER.into(), |it| format!("{ON_PAPER}; {it}")));
        }
        Some(entry)
    }

    /// A component that only the launcher has: the config has changed, or can't be read.
    fn of_status(&self, status: &ComponentStatus) -> ComponentView {
        let role = Role::from_word(&status.role).unwrap_or(Role::Other);
        let mut entry = self.entry(&status.name, role, Some(status));
        entry.account = status.account.clone();
        entry.is_wanted = true;
        entry
    }

    /// Fills in what the launcher and the process list say. The launcher's word counts, unless an
    /// instance that it supervises looks worse.
    fn entry(&self, name: &str, role: Role, status: Option<&ComponentStatus>) -> ComponentView {
        let seen = self.instance(name);
        let is_its_own = |one: &Instance| match status {
            Some(status) => status.pid.is_some_and(|pid| one.includes(pid)),
            None => one.looks_like.is_none(),
        };
        let own = seen.filter(|(_, instance)| is_its_own(instance));
        let lock = self.lock(name).map(RowLock::of);
        let mut entry = ComponentView {
            name: name.to_owned(),
            role,
            account_key: None,
            account: None,
            state: State::Missing,
            detail: None,
            until: None,
            pid: None,
            since: None,
            restarts: 0,
            adopted: false,
            generation: 0,
            log: None,
            stayed_up: false,
            suspended: false,
            lock,
            is_supervised: status.is_some(),
            is_wanted: false,
            needs_row: own.is_none(),
        };
        if let Some(status) = status {
            entry.state = State::of_supervised(status.state);
            entry.detail = status.detail.clone();
            entry.until = status.until.clone();
            entry.pid = status.pid;
            entry.since = Some(status.since.clone());
            entry.restarts = status.restarts;
            entry.adopted = status.adopted;
            entry.generation = status.generation;
            entry.log = status.log.clone();
            entry.stayed_up = status.stayed_up;
        }
        if let Some((position, instance)) = own {
            let is_judged_worse = status.is_none() || !self.states[position].is_of_launcher();
            if is_judged_worse {
                entry.state = self.states[position];
            }
            let main = instance.main();
            entry.pid = entry.pid.or_else(|| Some(main?.identity.pid));
            entry.since = entry.since.or_else(|| Some(rfc3339(main?.since)));
            entry.suspended = instance.is_suspended;
            if let Some(hint) = instance.resume_hint() {
                entry.detail = Some(hint);
            }
        }
        entry
    }

    /// A component that should run, has no process, and no launcher speaks for it.
    fn not_supervised(&self, component: &Component) -> Judged {
        let stranger = self.instance(component.name.as_str());
        let stranger = stranger.and_then(|(_, one)| Some((one.looks_like.as_ref()?, one.main()?)));
        if let Some((program, process)) = stranger {
            let pid = process.identity.pid;
            let why = format!("its lock is held by `{program}` (PID {pid})");
            return Judged::new(State::Missing, why);
        }
        let lock = self.lock(component.name.as_str());
        let moved = lock.and_then(|lock| self.snapshot.moved_with(lock.pid?)?.other_root.as_ref());
        if let Some(folder) = moved {
            let why = format!("it runs in {}", qc_process::shown(folder));
            return Judged::new(State::Elsewhere, why);
        }
        if let Some(lock) = lock.filter(|lock| lock.state.is_live()) {
            let host = lock.host.as_ref().map(|host| format!("its lock is held on {host}"));
            return Judged::new(State::Elsewhere, host);
        }
        if self.status.is_some() {
            return match component.missing_script() {
                Some(script) => {
                    let script = qc_process::shown(script);
                    Judged::new(State::Missing, format!("its script {script} does not exist"))
                }
                None => {
                    let why = "the running launcher was not asked to start it";
                    Judged::new(State::Stopped, why.to_owned())
                }
            };
        }
        let text = |text: &str| Some(text.to_owned());
        if let Some(latch) = self.snapshot.latch_of(component) {
            return Judged::new(State::Stopped, latch.to_string());
        }
        match (self.past.of(component.name.as_str()), self.past.launcher) {
            (Last::GaveUp(why), _) => Judged::new(State::GaveUp, why.clone()),
            (Last::Stopped, _) => Judged::new(State::Stopped, text("as asked")),
            (Last::Succeeded, LastEnd::Crashed) if may_finish(component) => {
                Judged::new(State::Finished, text("with exit code 0"))
            }
            (Last::Other | Last::Succeeded, LastEnd::Never) => {
                Judged::new(State::Stopped, text("the fleet was never started"))
            }
            (Last::Other | Last::Succeeded, LastEnd::Clean) => {
                Judged::new(State::Stopped, text("the launcher was stopped"))
            }
            (Last::Other | Last::Succeeded, LastEnd::Crashed) if self.is_launcher_alive() => {
                Judged::new(State::Missing, text("the launcher can't be asked"))
            }
            (Last::Other | Last::Succeeded, LastEnd::Crashed) => {
                Judged::new(State::Missing, text("the launcher crashed"))
            }
        }
    }

    /// Whether the config wants `component` to run. A server is for the others: alone it trades
    /// nothing.
    fn is_expected(&self, component: &Component) -> bool {
        let is_served = |one: &Component| one.enabled && one.role != Role::Server;
        component.enabled
            && (component.role != Role::Server
                || self.fleet.components.iter().any(|one| is_served(one)))
    }

    /// Whether the account of `component` is traded.
    fn is_traded(&self, component: &Component) -> bool {
        self.account(component).is_none_or(|account| account.enabled)
    }

    fn why_not_traded(&self, component: &Component) -> Option<String> {
        let lacks_it = self.account(component).is_some_and(|account| account.lacks_enabled);
        lacks_it.then(|| "the config has no `enabled` for it".to_owned())
    }

    fn account(&self, component: &Component) -> Option<&AccountEntry> {
        let key = component.account_key.as_deref();
        self.fleet.accounts.iter().find(|one| Some(one.key.as_str()) == key)
    }

    fn is_launcher_alive(&self) -> bool {
        self.lock(self.fleet.orchestrator.as_str()).is_some_and(|lock| {
            let is_moved = || lock.pid.is_some_and(|pid| self.snapshot.moved_with(pid).is_some());
            lock.state.is_live() && !is_moved()
        })
    }

    /// Returns the instance that shows the component `name`: the supervised one of several.
    fn instance(&self, name: &str) -> Option<(usize, &Instance)> {
        let all = self.snapshot.instances.iter().enumerate();
        let named = all.filter(|(_, one)| {
            one.place == Place::Fleet && one.component.eq_ignore_ascii_case(name)
        });
        named.min_by_key(|(_, one)| one.supervised != Some(true))
    }

    fn lock(&self, name: &str) -> Option<&LockEntry> {
        self.snapshot.locks.iter().find(|lock| lock.name.eq_ignore_ascii_case(name))
    }
}

/// Whether `component` has finished once it has reported success.
fn may_finish(component: &Component) -> bool {
    component.settings.restart.when != RestartWhen::Always
}

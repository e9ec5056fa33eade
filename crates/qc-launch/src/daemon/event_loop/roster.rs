//! The components, by the ids that the supervisor knows them by: the settings and the live state of
//! each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use qc_fleet::{Component, Role, Timing};
use qc_supervise::{Change, Id, Probe, Spec};

use super::live::{Live, Running};

/// The components, by their ids.
#[derive(Default)]
pub(super) struct Roster {
    entries: Vec<Option<Entry>>,
    /// By the key of the name.
    ids: HashMap<String, Id>,
}

/// One component.
pub(super) struct Entry {
    pub(super) component: Arc<Component>,
    pub(super) live: Live,
    spec: Spec,
    /// It is not in the config any more, and is being stopped.
    is_leaving: bool,
    /// The settings that its process still runs with, where a reload could not restart it.
    runs_as: Option<Arc<Component>>,
}

impl Roster {
    /// Takes up the components of a fleet that starts.
    pub(super) fn new(components: Vec<Arc<Component>>, timing: &Timing) -> (Self, Vec<Spec>) {
        let mut roster = Self::default();
        let Changes { changes, .. } = roster.change(components, timing);
        let specs = changes.into_iter().filter_map(|change| match change {
            Change::Add(spec) => Some(spec),
            Change::Replace { .. } | Change::Remove(_) => None,
        });
        let specs = specs.collect();
        (roster, specs)
    }

    pub(super) fn get(&self, id: Id) -> Option<&Component> {
        Some(&self.entry(id)?.component)
    }

    pub(super) fn entry(&self, id: Id) -> Option<&Entry> {
        self.entries.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn entry_mut(&mut self, id: Id) -> Option<&mut Entry> {
        self.entries.get_mut(id.0 as usize)?.as_mut()
    }

    /// Records that another run of a component has begun, or that its run has ended.
    pub(super) fn put(&mut self, id: Id, running: Option<Running>) {
        if let Some(entry) = self.entry_mut(id) {
            entry.live.running = running;
            entry.runs_as = None;
        }
    }

    /// Returns the runs of all components.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Running> {
        self.entries.iter().flatten().filter_map(|entry| entry.live.running.as_ref())
    }

    /// Whether its process was started with other settings than the ones it is started with next.
    pub(super) fn is_outdated(&self, id: Id) -> bool {
        self.entry(id).is_some_and(|entry| entry.runs_as.is_some())
    }

    /// Records the settings that its process still runs with.
    pub(super) fn keep_running_as(&mut self, id: Id, before: Arc<Component>) {
        if let Some(entry) = self.entry_mut(id) {
            entry.runs_as = Some(before);
        }
    }

    /// Returns the watchdog of a brain.
    pub(super) fn guard(&self, id: Id) -> Option<Id> {
        self.entry(id)?.spec.guard
    }

    /// Returns how a component is called.
    pub(super) fn name(&self, id: Id) -> String {
        self.get(id).map_or_else(|| "a former component".into(), |it| it.name.to_string())
    }

    /// Returns the component of this name, whatever its case.
    pub(super) fn id(&self, name: &str) -> Option<Id> {
        self.ids.get(&name.to_ascii_lowercase()).copied()
    }

    /// Returns all, in the order of starting.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &Component)> {
        (0..)
            .map(Id)
            .zip(&self.entries)
            .filter_map(|(id, entry)| Some((id, &*entry.as_ref()?.component)))
    }

    /// Returns one that is still being stopped although the config names it again.
    pub(super) fn leaving_among(&self, components: &[Arc<Component>]) -> Option<&Component> {
        let leaving = self.entries.iter().flatten().filter(|entry| entry.is_leaving);
        leaving
            .map(|entry| &*entry.component)
            .find(|leaving| components.iter().any(|other| other.name.key() == leaving.name.key()))
    }

    /// A component that was taken out of the config has ended.
    pub(super) fn forget(&mut self, id: Id) {
        if let Some(entry) = self.entries.get_mut(id.0 as usize) {
            *entry = None;
        }
    }

    /// Compares with what the config says now, and takes that over.
    pub(super) fn change(&mut self, components: Vec<Arc<Component>>, timing: &Timing) -> Changes {
        let mut ids = HashMap::new();
        let mut next = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        for component in &components {
            let key = component.name.key();
            let id = self.ids.get(&key).copied().unwrap_or_else(|| {
                next += 1;
                Id(next - 1)
            });
            ids.insert(key, id);
        }
        let mut result = Changes::default();
        for &id in self.ids.iter().filter(|(key, _)| !ids.contains_key(*key)).map(|(_, id)| id) {
            if let Some(entry) = self.entries.get_mut(id.0 as usize).and_then(Option::as_mut) {
                entry.is_leaving = true;
                result.gone.push(entry.component.name.to_string());
                result.changes.push(Change::Remove(id));
            }
        }
        result.gone.sort();
        let specs: Vec<Spec> =
            components.iter().map(|one| spec(one, &components, &ids, timing)).collect();
        self.ids = ids;
        for (component, spec) in components.into_iter().zip(specs) {
            let id = self.ids[&component.name.key()];
            let name = component.name.to_string();
            match self.entries.get_mut(id.0 as usize).and_then(Option::as_mut) {
                None => {
                    result.added.push(name);
                    result.changes.push(Change::Add(spec.clone()));
                    let live = Live::default();
                    let entry = Entry { component, live, spec, is_leaving: false, runs_as: None };
                    self.entries.push(Some(entry));
                }
                Some(entry) => {
                    let runs_as = entry.runs_as.take();
                    let runs_as = runs_as.unwrap_or_else(|| Arc::clone(&entry.component));
                    let restart = !runs_alike(&runs_as, &component);
                    if restart {
                        result.runs_as.insert(id, runs_as);
                        result.restarted.push(name);
                    } else if entry.spec != spec {
                        result.adjusted.push(name);
                    }
                    if restart || entry.spec != spec {
                        let spec = spec.clone();
                        result.changes.push(Change::Replace { id, spec, restart });
                    }
                    (entry.component, entry.spec, entry.is_leaving) = (component, spec, false);
                }
            }
        }
        result
    }
}

/// The effect of a changed config.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// For the machine. Additions come in the order of their ids.
    pub(super) changes: Vec<Change>,
    pub(super) added: Vec<String>,
    pub(super) gone: Vec<String>,
    /// Their command, folder, environment, account or lock has changed.
    pub(super) restarted: Vec<String>,
    /// Only how they are supervised has changed.
    pub(super) adjusted: Vec<String>,
    /// The settings that the processes of `restarted` run with.
    runs_as: HashMap<Id, Arc<Component>>,
}

impl Changes {
    /// Takes a restart out; returns the settings that its process runs with, if there was one. The
    /// rest of the change stays.
    pub(super) fn let_run(&mut self, component: Id, name: &str) -> Option<Arc<Component>> {
        let restart_of = |change: &mut Change| match change {
            Change::Replace { id, restart, .. } if *id == component => {
                std::mem::replace(restart, false)
            }
            Change::Replace { .. } | Change::Add(_) | Change::Remove(_) => false,
        };
        self.restarted.retain(|one| one != name);
        self.changes.iter_mut().any(restart_of).then(|| self.runs_as.remove(&component)).flatten()
    }
}

/// Whether what runs for one is what the other wants.
pub(super) fn runs_alike(one: &Component, other: &Component) -> bool {
    one.name == other.name
        && one.account == other.account
        && one.terminal == other.terminal
        && one.command == other.command
        && one.cwd == other.cwd
        && one.env == other.env
        && one.ports == other.ports
}

fn spec(
    component: &Component,
    all: &[Arc<Component>],
    ids: &HashMap<String, Id>,
    timing: &Timing,
) -> Spec {
    let id = |name: &qc_lock_core::LockName| ids.get(&name.key()).copied();
    let is_guard = |other: &&Arc<Component>| {
        other.role == Role::Watchdog && other.account_key == component.account_key
    };
    let guard = all.iter().find(is_guard).filter(|_| component.role == Role::Brain);
    let has_own_sign = component.settings.ready.probe != Probe::Started;
    Spec {
        settings: Arc::clone(&component.settings),
        stop_rank: match component.role {
            Role::Orchestrator | Role::Brain => 0,
            Role::Watchdog => 1,
            Role::Server => 2,
            Role::Other => 3,
        },
        pause: match component.role {
            Role::Server if has_own_sign => Duration::ZERO,
            Role::Server => timing.server_settle,
            Role::Watchdog => timing.watchdog_stagger,
            Role::Brain => timing.brain_stagger,
            Role::Orchestrator | Role::Other => Duration::ZERO,
        },
        depends_on: component.depends_on.iter().filter_map(id).collect(),
        guard: guard.and_then(|guard| id(&guard.name)),
    }
}

#[cfg(test)]
mod tests;

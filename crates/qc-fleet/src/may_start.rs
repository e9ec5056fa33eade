//! May this component start? One answer for a first start, a restart, a start by hand, a reload, an
//! adoption, `qc-launch check` and `--dry-run`.
//!
//! Another copy is in the way: the component itself in this folder, or a program anywhere that holds
//! its place at the account or the terminal. Servers elsewhere are left to their ports.

mod adoptable;
mod obstacle;
mod survey;

use std::collections::{HashMap, HashSet};

use qc_lock_core::{LockEntry, Resource, sharing_hint};
use qc_process::{Identity, MachineHolder};

use self::adoptable::adoptable;
pub use self::obstacle::Obstacle;
use self::obstacle::{holder_obstacle, lock_obstacle};
pub use self::survey::{Blocked, Survey};
use crate::{Component, Fleet, Instance, Place, Role, Snapshot};

/// The suffix for a copy that can be adopted.
const UNDER_LOCK: &str = " under its lock";

/// The suffix for what runs on from before this folder was moved or copied.
const MOVED: &str = ", of the fleet of this folder, which was moved or copied while it ran";

/// Whether a component may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayStart {
    /// Nothing is in the way.
    Yes,
    /// It runs, once and under its lock, and a launcher that begins can supervise it from now on. For
    /// one that supervises already, it is a copy like any other.
    Adoptable {
        /// The process to supervise: the program's first one, or the outermost of its wrappers.
        identity: Identity,
        /// The same as an obstacle.
        copy: Obstacle,
    },
    /// These are in the way; never empty.
    No(Vec<Obstacle>),
}

/// The processes that run beside a start.
#[derive(Debug)]
pub struct Beside<'a> {
    fleet: &'a Fleet,
    orchestrator: String,
    /// The instances of this folder, by name.
    own: HashMap<String, Vec<&'a Instance>>,
    /// All instances with the places at accounts and terminals that they hold.
    placed: HashMap<String, Vec<&'a Instance>>,
    /// Brains elsewhere of which nothing shows the account, and copies that may be here, by name.
    unknown: HashMap<String, Vec<&'a Instance>>,
    /// The fleet of this folder as far as it runs in another one, by name.
    moved: HashMap<String, Vec<&'a Instance>>,
    /// Locks whose living holder is no instance, by what they protect and by their names.
    loose: HashMap<String, Vec<&'a LockEntry>>,
    /// The holders of an account or a terminal of the machine for another folder, by guard.
    elsewhere: HashMap<&'a str, &'a MachineHolder>,
    /// The pids of processes that started an instance and are not part of it.
    starters: HashSet<u32>,
}

impl<'a> Beside<'a> {
    /// Sorts what `snapshot` shows. What `is_own` accepts belongs to the program that asks, and is
    /// in no way.
    pub fn new(
        fleet: &'a Fleet,
        snapshot: &'a Snapshot,
        is_own: impl Fn(&Instance) -> bool,
    ) -> Self {
        let mut beside = Self {
            fleet,
            orchestrator: key(fleet.orchestrator.as_str()),
            own: HashMap::new(),
            placed: HashMap::new(),
            unknown: HashMap::new(),
            moved: HashMap::new(),
            loose: HashMap::new(),
            elsewhere: snapshot.elsewhere.iter().map(|one| (&*one.guard, one)).collect(),
            starters: HashSet::new(),
        };
        for instance in snapshot.instances.iter().filter(|one| !is_own(one)) {
            beside.add(instance);
        }
        for lock in snapshot.loose_locks().filter(|lock| lock.state.is_live()) {
            let places = lock.resources.iter().filter(|one| is_place(one)).cloned();
            for place in places.chain([key(&lock.name)]) {
                beside.loose.entry(place).or_default().push(lock);
            }
        }
        beside
    }

    fn add(&mut self, instance: &'a Instance) {
        let name = key(&instance.component);
        let first = instance.wrappers.first().or(instance.processes.first());
        self.starters.extend(first.and_then(|process| process.parent));
        if instance.place == Place::Fleet {
            self.own.entry(name.clone()).or_default().push(instance);
        }
        if instance.is_moved {
            self.moved.entry(name.clone()).or_default().push(instance);
        }
        if matches!(instance.role, Role::Server | Role::Orchestrator) {
            return;
        }
        let places = instance.places();
        let shows_no_account = !places.iter().any(|place| place.starts_with("account/"));
        let may_be_ours = match instance.place {
            Place::Fleet => false,
            Place::Foreign => instance.role == Role::Brain && !instance.of_another_user,
            Place::Unknown => true,
        };
        if shows_no_account && may_be_ours {
            self.unknown.entry(name).or_default().push(instance);
        }
        for place in places {
            self.placed.entry(place).or_default().push(instance);
        }
    }

    /// Decides about one component.
    pub fn may_start(&self, component: &Component) -> MayStart {
        let name = key(component.name.as_str());
        let copies = self.own.get(&name).map(Vec::as_slice).unwrap_or_default();
        let mut obstacles = Vec::new();
        let mut told: HashSet<*const Instance> =
            copies.iter().map(|&one| one as *const _).collect();
        let asked = component.request().resources();
        for place in asked.iter().map(|one| one.as_str()).filter(|one| is_place(one)) {
            let why = sharing(place);
            for &one in self.placed.get(place).into_iter().flatten() {
                if told.insert(one) {
                    let two_brokers = self.two_brokers(one, component);
                    let obstacle = self.obstacle(one, &format!(" {why}"));
                    obstacles.push(Obstacle { two_brokers, ..obstacle });
                }
            }
        }
        for &one in self.unknown.get(&name).into_iter().flatten() {
            let why = match one.place {
                Place::Unknown => ", and its folder can't be told",
                _ if component.account.is_some() => ", for an account that nothing shows",
                _ => continue,
            };
            if told.insert(one) {
                obstacles.push(self.obstacle(one, why));
            }
        }
        for &one in self.moved.get(&name).into_iter().flatten() {
            if told.insert(one) {
                obstacles.push(self.obstacle(one, MOVED));
            }
        }
        obstacles.extend(self.locks_of(component, &asked));
        for place in &asked {
            let holder = self.elsewhere.get(&*place.guard_file());
            let is_told = |pid: u32| obstacles.iter().any(|one| one.includes(pid));
            if let Some(holder) = holder.filter(|holder| !is_told(holder.pid)) {
                obstacles.push(holder_obstacle(holder, sharing(place.as_str())));
            }
        }
        let trades = asked.iter().any(Resource::is_traders);
        for obstacle in obstacles.iter_mut().filter(|one| trades && key(&one.name) != name) {
            obstacle.sharing = sharing_hint([component.name.as_str(), &*obstacle.name]);
        }
        match (copies, &obstacles[..]) {
            ([], []) => MayStart::Yes,
            ([one], []) => match adoptable(one, component, &self.starters) {
                Ok(identity) => {
                    let copy = self.obstacle(one, UNDER_LOCK);
                    MayStart::Adoptable { identity, copy }
                }
                Err(why) => MayStart::No(vec![self.obstacle(one, why)]),
            },
            ([one], _) => {
                let why = adoptable(one, component, &self.starters).err().unwrap_or(UNDER_LOCK);
                obstacles.insert(0, self.obstacle(one, why));
                MayStart::No(obstacles)
            }
            (several, _) => {
                let why = format!(", one of {} copies", several.len());
                let several = several.iter().map(|one| self.obstacle(one, &why));
                MayStart::No(several.chain(obstacles).collect())
            }
        }
    }

    /// Says how one number at two brokers is written, where the servers of the two are different.
    fn two_brokers(&self, one: &Instance, component: &Component) -> Option<String> {
        let (theirs, ours) = (one.server.as_deref()?, self.fleet.server_of(component)?);
        let is_one = theirs.trim().eq_ignore_ascii_case(ours.trim());
        let account = component.account.as_ref().filter(|_| !is_one)?;
        Some(format!(
            "its server is {}, and here {}; if the number is two accounts, at two brokers, write \
             `\"account\": \"{account}@BROKER\"` in each place that uses it",
            qc_process::visible(theirs),
            qc_process::visible(ours)
        ))
    }

    /// Returns the locks held by what is no instance that `component` would ask for.
    fn locks_of(&self, component: &Component, asked: &[Resource]) -> Vec<Obstacle> {
        let places = asked.iter().map(|one| one.as_str().to_owned()).filter(|one| is_place(one));
        let mut found: Vec<&LockEntry> = Vec::new();
        for place in places.chain([key(component.name.as_str())]) {
            let locks = self.loose.get(&place).into_iter().flatten();
            found.extend(locks.filter(|lock| key(&lock.name) != self.orchestrator));
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found.dedup_by(|one, other| one.name == other.name);
        found.into_iter().map(lock_obstacle).collect()
    }

    fn obstacle(&self, instance: &Instance, why: &str) -> Obstacle {
        let pids: Vec<String> = instance.pids().iter().map(ToString::to_string).collect();
        let is_own = instance.place == Place::Fleet;
        let folder =
            instance.folder.clone().or_else(|| is_own.then(|| self.fleet.root.as_path().into()));
        let place = match &folder {
            Some(folder) if !is_own => format!(" in {}", folder.display()),
            _ => String::new(),
        };
        let (name, pids) = (&instance.component, pids.join(", "));
        Obstacle {
            name: name.clone(),
            processes: instance.processes.iter().map(|one| one.identity.clone()).collect(),
            holder: None,
            folder,
            is_here: is_own,
            is_elsewhere: instance.place == Place::Foreign,
            is_moved: instance.is_moved,
            is_orchestrator: instance.role == Role::Orchestrator,
            sharing: None,
            two_brokers: None,
            text: format!("{name} runs (PID {pids}){place}{why}"),
        }
    }
}

/// Says what two share who need the same place.
fn sharing(place: &str) -> &'static str {
    match place.starts_with("account/") {
        true => "for the same account",
        false => "at the same terminal",
    }
}

/// Whether a resource is a place at an account or a terminal; names belong to their folder.
fn is_place(resource: &str) -> bool {
    resource.starts_with("account/") || resource.starts_with("terminal/")
}

fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests;

//! The look before each start: another copy of a component keeps it from being started, until that
//! copy has ended.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use qc_fleet::{Beside, Instance, MayStart, Obstacle, Snapshot};
use qc_lock_core::LockForChild;
use qc_process::{Awaited, Identity, Liveness, identity_of, liveness, pids};
use qc_supervise::{Event, Id, NotStarted, State};

use super::Runtime;
use super::live::Running;
use crate::daemon::look::Look;

/// A full look is taken at most this often; in between only at processes that are new.
const FULL_LOOK: Duration = Duration::from_secs(1);

/// How often a look is repeated at most that a process has evaded by ending.
const MOST_LOOKS: usize = 10;

/// Marks the tokens of processes that block a component.
const BLOCKER: u64 = 1 << 62;

/// The result of the last full look, and of the partial looks since.
pub(super) struct LastLook {
    /// The processes that this launcher does not supervise, and all that need no second look.
    strangers: Look,
    /// The processes beside its own of each component that is supervised here, by name: one may go on
    /// when the component has ended.
    helpers: HashMap<String, Vec<u32>>,
}

/// Other copies that components wait for.
#[derive(Default)]
pub(super) struct Blockers {
    /// By the token of the watcher.
    watched: HashMap<u64, Blocker>,
    count: u64,
    /// The guards of components that are blocked, so that no third copy starts meanwhile.
    pub(super) kept: HashMap<Id, LockForChild>,
}

struct Blocker {
    id: Id,
    generation: u32,
    /// Has to live as long as it is watched.
    process: Awaited,
}

impl Runtime<'_> {
    /// Looks at what runs, once for all of these starts; returns those with nothing in the way.
    pub(super) fn unobstructed(&mut self, generations: &[(Id, u32)]) -> Vec<(Id, u32)> {
        let mut free = Vec::new();
        let mut open = generations.to_vec();
        for _ in 0..MOST_LOOKS {
            let found = match self.obstacles(&open) {
                Ok(found) => found,
                Err(error) => {
                    self.not_ruled_out(&open, &error.to_string());
                    return free;
                }
            };
            let mut again = Vec::new();
            for (id, generation) in open {
                let Some(obstacles) = found.get(&id) else {
                    free.push((id, generation));
                    continue;
                };
                let blockers: Vec<Identity> = obstacles.iter().flat_map(processes_of).collect();
                if self.block(id, generation, &blockers, &copies_text(obstacles)) {
                    continue;
                }
                // A lock without a process that can be awaited decides when it is asked for.
                let is_by_lock = obstacles.iter().all(|one| one.processes.is_empty());
                if is_by_lock { &mut free } else { &mut again }.push((id, generation));
            }
            if again.is_empty() {
                return free;
            }
            // A copy that has ended since the look may have started the next one since, as a program
            // does that becomes a daemon.
            if let Some(look) = &mut self.last_look {
                look.forget_ended();
            }
            open = again;
        }
        self.not_ruled_out(&open, "each one that was seen had ended when it was looked at");
        free
    }

    /// These are tried again like after a failure.
    fn not_ruled_out(&mut self, generations: &[(Id, u32)], why: &str) {
        let why = format!("another copy can't be ruled out: {why}");
        self.events.extend(generations.iter().map(|&(id, generation)| {
            let why = NotStarted::Failed(why.clone());
            Event::NotStarted { id, generation, why }
        }));
    }

    /// Waits for the end of other copies, and keeps the guards of the component meanwhile. Returns
    /// `false` if none of them is alive any more.
    pub(super) fn block(
        &mut self,
        id: Id,
        generation: u32,
        blockers: &[Identity],
        why: &str,
    ) -> bool {
        let mut watched = 0;
        let mut denied = None;
        for identity in blockers {
            match self.watch_blocker(id, generation, identity) {
                Ok(true) => watched += 1,
                Ok(false) => {}
                Err(error) => denied = Some(error),
            }
        }
        let why = match (watched, denied) {
            (0, None) => return false,
            // Its end can't be awaited, so the start is tried again like after a failure.
            (0, Some(error)) => NotStarted::Failed(format!("{why}; it cannot be watched: {error}")),
            _ => {
                self.keep_guards(id);
                NotStarted::Blocked(why.to_owned())
            }
        };
        self.events.push_back(Event::NotStarted { id, generation, why });
        true
    }

    fn watch_blocker(
        &mut self,
        id: Id,
        generation: u32,
        identity: &Identity,
    ) -> Result<bool, String> {
        let is_it = |one: &&mut Blocker| one.id == id && one.process.identity() == identity;
        if let Some(known) = self.blockers.watched.values_mut().find(is_it) {
            known.generation = generation;
            return Ok(true);
        }
        let opened = Awaited::open(identity).map_err(|error| error.to_string())?;
        let Some(process) = opened else { return Ok(false) };
        self.blockers.count += 1;
        let token = BLOCKER | self.blockers.count;
        self.watcher.watch_end(&process, token).map_err(|error| error.to_string())?;
        self.blockers.watched.insert(token, Blocker { id, generation, process });
        Ok(true)
    }

    /// Returns whether the token was that of a blocker, whose end is taken up then.
    pub(super) fn blocker_ended(&mut self, token: u64) -> bool {
        if token & BLOCKER == 0 {
            return false;
        }
        if let Some(Blocker { id, generation, .. }) = self.blockers.watched.remove(&token) {
            let is_left = |one: &Blocker| one.id == id && one.generation == generation;
            if !self.blockers.watched.values().any(is_left) {
                self.events.push_back(Event::Unblocked { id, generation });
            }
        }
        true
    }

    /// Takes the guards of a component that can't be started now, as far as they are free.
    fn keep_guards(&mut self, id: Id) {
        if self.scripts_lock || self.blockers.kept.contains_key(&id) {
            return;
        }
        let Some(component) = self.roster.get(id) else { return };
        // The copy may hold them itself.
        if let Ok(guards) = self.locks.acquire_for_child(&component.request().at_once()) {
            self.blockers.kept.insert(id, guards);
        }
    }

    /// Lets go of the guards of those that are not to be started any more.
    pub(super) fn release_guards(&mut self) {
        if self.blockers.kept.is_empty() {
            return;
        }
        let machine = &self.supervisor;
        self.blockers.kept.retain(|&id, _| {
            machine.view(id).is_some_and(|view| match view.state {
                State::Blocked(_) | State::BackingOff(_) | State::Waiting(_) | State::Starting => {
                    true
                }
                State::Running
                | State::Stopping
                | State::Stopped
                | State::Finished(_)
                | State::GaveUp(_) => false,
            })
        });
    }

    /// Looks what is in the way of these.
    pub(super) fn obstacles(
        &mut self,
        generations: &[(Id, u32)],
    ) -> io::Result<HashMap<Id, Vec<Obstacle>>> {
        self.look_beside(generations)?;
        let ids: Vec<Id> = generations.iter().map(|&(id, _)| id).collect();
        Ok(self.obstacles_in_sight(&ids))
    }

    /// Returns what the last look shows in the way of these components.
    pub(super) fn obstacles_in_sight(&self, ids: &[Id]) -> HashMap<Id, Vec<Obstacle>> {
        let Some(look) = &self.last_look else { return HashMap::new() };
        let beside = Beside::new(&self.fleet, &look.strangers.snapshot, |_| false);
        let mut found = HashMap::new();
        for &id in ids {
            let Some(component) = self.roster.get(id) else { continue };
            match beside.may_start(component) {
                MayStart::Yes => {}
                MayStart::Adoptable { copy, .. } => {
                    found.insert(id, vec![copy]);
                }
                MayStart::No(obstacles) => {
                    found.insert(id, obstacles);
                }
            }
        }
        found
    }

    /// Takes a full look, or, shortly after one, looks at what is new.
    fn look_beside(&mut self, generations: &[(Id, u32)]) -> io::Result<()> {
        let own = self.own_pids();
        let is_fresh = |look: &LastLook| look.strangers.age() < FULL_LOOK;
        let Some(look) = self.last_look.as_mut().filter(|look| is_fresh(look)) else {
            let look = Look::take(&self.fleet, self.locks)?;
            self.keep_look(look);
            return Ok(());
        };
        // One that ends before it is looked at may have started another one before: see `list_sought`.
        for _ in 0..MOST_LOOKS {
            let mut fresh: Vec<u32> = pids()?;
            fresh.retain(|pid| !own.contains(pid) && look.strangers.known.insert(*pid));
            for &(id, _) in generations {
                let name = self.roster.get(id).map(|component| component.name.key());
                fresh.extend(name.and_then(|name| look.helpers.remove(&name)).unwrap_or_default());
            }
            if fresh.is_empty() {
                break;
            }
            let seen = Snapshot::of(&self.fleet, &fresh)?;
            let strangers = seen.instances.into_iter().filter(|one| !is_own(one, &own));
            look.strangers.snapshot.instances.extend(strangers);
        }
        Ok(())
    }

    /// Goes by this look for the next second.
    pub(super) fn keep_look(&mut self, look: Look) {
        self.report.metrics().looked();
        self.last_look = Some(LastLook::new(look, &self.own_pids()));
    }

    /// Returns the pids of what is supervised here.
    pub(super) fn own_pids(&self) -> HashSet<u32> {
        self.roster.runs().flat_map(Running::pids).collect()
    }
}

impl LastLook {
    /// Separates what is supervised here from all else that `look` has shown.
    fn new(look: Look, own: &HashSet<u32>) -> Self {
        let (mut strangers, mut helpers) = (look, HashMap::<String, Vec<u32>>::new());
        let snapshot = &mut strangers.snapshot;
        // Which locks are held by what is no instance, all instances have to tell.
        let loose = snapshot.loose_locks().cloned().collect();
        for one in snapshot.instances.extract_if(.., |one| is_own(one, own)) {
            let others = all_pids(&one).filter(|pid| !own.contains(pid));
            helpers.entry(one.component.to_ascii_lowercase()).or_default().extend(others);
        }
        snapshot.locks = loose;
        Self { strangers, helpers }
    }

    /// Forgets the instances of which nothing is alive any more, and what has ended elsewhere.
    fn forget_ended(&mut self) {
        self.strangers.snapshot.instances.retain(|instance| {
            let mut processes = instance.processes.iter();
            processes.any(|one| liveness(&one.identity) != Liveness::Dead)
        });
        let elsewhere = &mut self.strangers.snapshot.elsewhere;
        elsewhere.retain(|holder| liveness(&holder.identity()) != Liveness::Dead);
    }
}

/// Returns which copies keep a component from being started.
pub(super) fn copies_text(obstacles: &[Obstacle]) -> String {
    let texts: Vec<String> = obstacles.iter().map(Obstacle::text_with_folder).collect();
    format!("another copy runs: {}", texts.join("; "))
}

fn processes_of(obstacle: &Obstacle) -> Vec<Identity> {
    let holder = obstacle.holder.and_then(|pid| identity_of(pid).ok());
    obstacle.processes.iter().cloned().chain(holder).collect()
}

fn all_pids(instance: &Instance) -> impl Iterator<Item = u32> {
    let all = instance.wrappers.iter().chain(&instance.processes).chain(&instance.workers);
    all.map(|one| one.identity.pid)
}

fn is_own(instance: &Instance, own: &HashSet<u32>) -> bool {
    all_pids(instance).any(|pid| own.contains(&pid))
}

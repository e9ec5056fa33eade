//! The look before each start: another copy of a component keeps it from being started, until that
//! copy has ended.

use std::collections::HashMap;
use std::io;

use qc_fleet::{Beside, MayStart, Obstacle};
use qc_lock_core::LockForChild;
use qc_process::{Awaited, Identity, identity_of};
use qc_supervise::{Event, Id, NotStarted, State};

use super::Runtime;

/// How often a look is repeated at most that a process has evaded by ending.
pub(super) const MOST_LOOKS: usize = 10;

/// Marks the tokens of processes that block a component.
const BLOCKER: u64 = 1 << 62;

/// Other copies that components wait for.
#[derive(Default)]
pub(super) struct Blockers {
    /// By the token of the watcher.
    watched: HashMap<u64, Blocker>,
    count: u64,
    /// The reasons for which components are blocked now, where some of the copies have ended since.
    pub(super) reasons: HashMap<Id, String>,
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
            // A copy that has ended since the look may have started the next one since, as a
            // program does that becomes a daemon.
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
                self.blockers.reasons.remove(&id);
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
            if self.blockers.watched.values().any(is_left) {
                self.look_at_blockers(id, generation);
            } else {
                self.events.push_back(Event::Unblocked { id, generation });
            }
        }
        true
    }

    /// Brings the reason up to date for which a component is blocked, after one of the processes has ended
    /// that block it. A look that fails leaves it as it is.
    fn look_at_blockers(&mut self, id: Id, generation: u32) {
        self.last_look = None;
        let Ok(found) = self.obstacles(&[(id, generation)]) else { return };
        let (blockers, why) = match found.get(&id) {
            Some(obstacles) => {
                (obstacles.iter().flat_map(processes_of).collect(), copies_text(obstacles))
            }
            None => match self.openers_left(id) {
                Some(left) => left,
                None => return,
            },
        };
        for identity in &blockers {
            // One that can't be watched is seen when the others have ended.
            let _ = self.watch_blocker(id, generation, identity);
        }
        self.blockers.reasons.insert(id, why);
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
}

/// Returns which copies keep a component from being started.
pub(crate) fn copies_text(obstacles: &[Obstacle]) -> String {
    let texts: Vec<String> = obstacles.iter().map(Obstacle::text_with_folder).collect();
    format!("another copy runs: {}", texts.join("; "))
}

fn processes_of(obstacle: &Obstacle) -> Vec<Identity> {
    let holder = obstacle.holder.and_then(|pid| identity_of(pid).ok());
    obstacle.processes.iter().cloned().chain(holder).collect()
}

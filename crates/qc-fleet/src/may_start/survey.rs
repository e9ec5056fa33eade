//! The look before a first start: may all of its components start, and does nothing else run?

use std::collections::HashSet;
use std::sync::Arc;

use qc_process::Identity;

use super::obstacle::lock_obstacle;
use super::{Beside, MOVED, MayStart, Obstacle, key};
use crate::{Component, Instance, Role};

/// The result of the look before a first start.
#[derive(Debug, Default)]
pub struct Survey {
    /// The processes that can be supervised from now on, each with the copy that it is, by its
    /// component's name.
    pub adoptable: Vec<(Identity, Obstacle)>,
    /// The components that can't be started now, while the others can: each is started when its
    /// obstacles have ended.
    pub blocked: Vec<Blocked>,
    /// The obstacles to the whole start.
    pub obstacles: Vec<Obstacle>,
}

/// A component that has to wait, while others start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Its name.
    pub name: String,
    /// The obstacles to its start alone; never empty.
    pub obstacles: Vec<Obstacle>,
}

impl Survey {
    /// Returns all obstacles: those of single components, then those of the whole start.
    pub fn all_obstacles(&self) -> impl Iterator<Item = &Obstacle> {
        self.blocked.iter().flat_map(|one| &one.obstacles).chain(&self.obstacles)
    }

    /// Refuses the whole start for what otherwise blocks single components.
    fn refuse_blocked(&mut self) {
        let blocked = std::mem::take(&mut self.blocked).into_iter();
        self.obstacles.splice(..0, blocked.flat_map(|one| one.obstacles));
    }
}

impl Beside<'_> {
    /// Decides about all `components` of a first start. A copy of one of them here is in the way of that
    /// one alone. Anything else refuses the whole start, and so does a start that would begin nothing.
    pub fn survey(&self, components: &[Arc<Component>]) -> Survey {
        let mut survey = Survey::default();
        let mut is_of_use = false;
        for component in components {
            match self.may_start(component) {
                MayStart::Yes => is_of_use = true,
                MayStart::Adoptable { identity, copy } => {
                    is_of_use = true;
                    survey.adoptable.push((identity, copy));
                }
                MayStart::No(obstacles) if obstacles.iter().all(Obstacle::is_of_one) => {
                    let name = component.name.to_string();
                    survey.blocked.push(Blocked { name, obstacles });
                }
                MayStart::No(obstacles) => survey.obstacles.extend(obstacles),
            }
        }
        for other in self.others(components) {
            let is_it =
                |one: &Obstacle| !one.processes.is_empty() && one.processes == other.processes;
            if !survey.all_obstacles().any(is_it) {
                survey.obstacles.push(other);
            }
        }
        if !is_of_use || !survey.obstacles.is_empty() {
            survey.refuse_blocked();
        }
        survey
    }

    /// Returns what runs in the fleet's folder and is none of `components`.
    fn others(&self, components: &[Arc<Component>]) -> Vec<Obstacle> {
        let known: HashSet<String> = components.iter().map(|it| key(it.name.as_str())).collect();
        let mut others: Vec<&Instance> = self
            .own
            .iter()
            .filter(|(name, _)| !known.contains(*name))
            .flat_map(|(_, instances)| instances.iter().copied())
            .collect();
        others.sort_by_cached_key(|one| (one.role, one.component.clone(), one.pids()));
        let obstacle = |one: &Instance| {
            let why = match one.role {
                Role::Orchestrator => " and supervises the fleet",
                _ => " and is not among what is to be started",
            };
            self.obstacle(one, why)
        };
        let moved = self.moved.get(&self.orchestrator).into_iter().flatten();
        let moved = moved.map(|one| self.obstacle(one, MOVED));
        let held = self.loose.get(&self.orchestrator).into_iter().flatten();
        let held = held.map(|lock| Obstacle { is_orchestrator: true, ..lock_obstacle(lock) });
        others.into_iter().map(obstacle).chain(moved).chain(held).collect()
    }
}

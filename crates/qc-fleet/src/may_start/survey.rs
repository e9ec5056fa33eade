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
    /// The obstacles.
    pub obstacles: Vec<Obstacle>,
}

impl Beside<'_> {
    /// Decides about all `components` of a first start, beside which nothing else of the fleet may run.
    pub fn survey(&self, components: &[Arc<Component>]) -> Survey {
        let mut survey = Survey::default();
        for component in components {
            match self.may_start(component) {
                MayStart::Yes => {}
                MayStart::Adoptable { identity, copy } => survey.adoptable.push((identity, copy)),
                MayStart::No(obstacles) => survey.obstacles.extend(obstacles),
            }
        }
        for other in self.others(components) {
            let is_it =
                |one: &Obstacle| !one.processes.is_empty() && one.processes == other.processes;
            if !survey.obstacles.iter().any(is_it) {
                survey.obstacles.push(other);
            }
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

//! A changed config, and what follows from how components stand to each other.

use std::mem;

use crate::component::{Component, Phase, Rest};
use crate::supervisor::Supervisor;
use crate::{Change, Id};

/// Room between two stop ranks for what depends on each other.
const RANK: u64 = 1 << 32;

impl Supervisor {
    pub(super) fn reload(&mut self, changes: Vec<Change>) {
        if self.stopping {
            return;
        }
        let mut added = Vec::new();
        let mut kept = Vec::new();
        let mut changed = Vec::new();
        let mut gone = Vec::new();
        for change in changes {
            match change {
                Change::Add(spec) => {
                    added.push(self.next_id());
                    self.components.push(Some(Component::new(spec, self.now)));
                    self.stopped += 1;
                }
                Change::Replace { id, spec, restart } => {
                    if let Some(component) = self.get_mut(id) {
                        component.spec = spec;
                        if restart { &mut changed } else { &mut kept }.push(id);
                    }
                }
                Change::Remove(id) => {
                    if let Some(component) = self.get_mut(id) {
                        component.removed = true;
                        gone.push(id);
                    }
                }
            }
        }
        self.arrange();
        self.stop_in_order(&gone);
        for id in kept {
            self.follow_guard(id);
            if self.get(id).is_some_and(|it| it.phase == Phase::Starting) {
                self.await_ready(id);
            }
        }
        // Brains first: a watchdog that is restarted, too, waits until they have ended.
        changed.sort_by_key(|&id| self.get(id).map(|it| it.turn(id)));
        for id in changed {
            let was_stopped =
                |it: &Component| it.is_withheld || it.phase == Phase::Resting(Rest::Stopped);
            // A component that the user has stopped stays stopped.
            if self.follows_its_guard(id) {
                self.stop_one_in_order(id);
            } else if !self.get(id).is_some_and(was_stopped) {
                self.restart_by_hand(id);
            }
        }
        for id in added {
            self.start_by_hand(id);
        }
    }

    /// A component may have got another watchdog, or may not trade on without it any more.
    pub(super) fn follow_guard(&mut self, id: Id) {
        let needs = |it: &&Component| it.needs_its_guard();
        let Some(guard) = self.get(id).filter(needs).and_then(|it| it.spec.guard) else { return };
        if self.is_to_stop(guard) {
            self.stop_one_in_order(id);
        } else if self.get(guard).is_none_or(|it| matches!(it.phase, Phase::Resting(_))) {
            self.unguard(id, guard);
        }
    }

    /// Works out who guards whom, and the order of stopping: by rank, and what depends on another
    /// one before it.
    pub(super) fn arrange(&mut self) {
        let ids = self.ids();
        let mut order = vec![0; self.components.len()];
        let mut dependants = vec![0_u32; self.components.len()];
        let mut guards = vec![Vec::new(); self.components.len()];
        let mut needs = vec![Vec::new(); self.components.len()];
        for &id in &ids {
            let Some(component) = self.get(id) else { continue };
            order[id.0 as usize] = u64::from(component.spec.stop_rank) * RANK;
            let known = |other: &Id| self.get(*other).is_some();
            if let Some(guard) = component.spec.guard.filter(known) {
                guards[guard.0 as usize].push(id);
            }
            let others = component.spec.depends_on.iter().copied().chain(component.spec.guard);
            for other in others.filter(known) {
                dependants[other.0 as usize] += 1;
                needs[id.0 as usize].push(other);
            }
        }
        // A circle, which no config that was checked has, would keep its ranks.
        let mut done: Vec<Id> =
            ids.iter().copied().filter(|id| dependants[id.0 as usize] == 0).collect();
        while let Some(id) = done.pop() {
            let after = order[id.0 as usize] + 1;
            for other in mem::take(&mut needs[id.0 as usize]) {
                let index = other.0 as usize;
                order[index] = order[index].max(after);
                dependants[index] -= 1;
                if dependants[index] == 0 {
                    done.push(other);
                }
            }
        }
        for id in ids {
            let Some(component) = self.components[id.0 as usize].as_mut() else { continue };
            let before = component.turn(id);
            component.stop_order = order[id.0 as usize];
            component.guards = mem::take(&mut guards[id.0 as usize]);
            self.stops.moved(before, component.turn(id));
        }
    }
}

//! Judges the actions of the supervisor.

use std::time::Duration;

use qc_supervise::{Action, Id, RestartDelay, SupervisorEvent, WhenUnguarded};

use super::{Referee, Verdict};
use crate::world::World;

impl Referee {
    /// Judges what the supervisor asks for, before it is done.
    pub(crate) fn judge(&mut self, action: &Action, world: &World) -> Verdict {
        match *action {
            Action::Spawn { id, .. } => self.judge_spawn(id, world),
            Action::Ask { id, .. } => self.judge_ask(id, world),
            Action::Kill(id) => self.judge_kill(id, world),
            Action::Say(id, SupervisorEvent::GaveUp(_)) => {
                self.dossiers[id.0 as usize].restarts.clear();
                Ok(())
            }
            Action::Say(id, SupervisorEvent::Survived) => {
                self.dossiers[id.0 as usize].survived = true;
                Ok(())
            }
            Action::Forget(id) if world.process(id).is_some() => {
                Err(format!("{id:?} is forgotten while its process lives"))
            }
            Action::Forget(_) | Action::Look { .. } | Action::Say(..) => Ok(()),
        }
    }

    fn judge_spawn(&mut self, id: Id, world: &World) -> Verdict {
        let spec = self.spec(id).clone();
        let policy = &spec.settings.restart;
        if let Some(process) = world.process(id) {
            return Err(format!("a second copy of {id:?} is started beside {process:?}"));
        }
        let is_blocked = |&generation: &u32| world.blocked.contains(&(id, generation));
        let by_hand = self.dossiers[id.0 as usize].by_hand;
        if self.dossiers[id.0 as usize].last_blocked.as_ref().is_some_and(is_blocked) && !by_hand {
            return Err(format!("{id:?} is started although another copy runs"));
        }
        let guard_is_ready = spec.guard.is_none_or(|guard| {
            self.last_ready.contains_key(&guard) && self.is_proven(guard, world)
        });
        let dossier = &mut self.dossiers[id.0 as usize];
        if dossier.unwanted || dossier.withheld {
            return Err(format!("{id:?} is started although it was to stop"));
        }
        let keeps = spec.settings.when_unguarded == WhenUnguarded::Keep;
        if let Some(guard) = spec.guard.filter(|_| !keeps && !guard_is_ready) {
            return Err(format!("{id:?} is started although its watchdog {guard:?} is not ready"));
        }
        self.last_ready.remove(&id);
        let dossier = &mut self.dossiers[id.0 as usize];
        dossier.asked = None;
        dossier.survived = false;
        if dossier.by_hand || !dossier.busy {
            dossier.first = dossier.by_hand;
        }
        if dossier.by_hand {
            dossier.by_hand = false;
            dossier.restarts.clear();
        } else if !dossier.busy {
            let last = dossier.restarts.last().copied();
            dossier.restarts.push(world.now);
            let count = dossier.restarts.len();
            if policy.window.is_none() && count > policy.max_restarts as usize && !dossier.spared {
                return Err(format!("restart {count} of {id:?} is beyond its budget"));
            }
            // A component with a watchdog may have waited for that one, too.
            if let (RestartDelay::Cooldown(pause), Some(last), None, false) =
                (policy.delay, last, spec.guard, dossier.spared)
                && world.now < last + pause
            {
                return Err(format!("{id:?} is restarted before its cooldown is over"));
            }
        }
        Ok(())
    }

    fn judge_ask(&mut self, id: Id, world: &World) -> Verdict {
        if world.process(id).is_none() {
            return Err(format!("{id:?} is asked to stop, and does not run"));
        }
        let first = self.dossiers[id.0 as usize].asked.is_none();
        if self.dossiers[id.0 as usize].unwanted && first {
            let generations = |brain: &Id| world.process(*brain).is_some();
            if let Some(brain) = self.brains_of(id).find(generations) {
                return Err(format!("watchdog {id:?} is stopped before its brain {brain:?}"));
            }
        }
        self.dossiers[id.0 as usize].asked.get_or_insert(world.now);
        Ok(())
    }

    fn judge_kill(&self, id: Id, world: &World) -> Verdict {
        let dossier = &self.dossiers[id.0 as usize];
        let timeout = self.spec(id).settings.stop_timeout;
        let timeout = timeout.min(self.limit.unwrap_or(Duration::MAX));
        match dossier.asked {
            Some(asked) if world.now < asked + timeout && !dossier.spared => {
                Err(format!("{id:?} is killed {:?} after it was asked", world.now - asked))
            }
            _ => Ok(()),
        }
    }
}

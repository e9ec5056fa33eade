//! The last full look at what runs, kept up to date by looks at what is new.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use qc_fleet::{Instance, Snapshot};
use qc_process::{Liveness, liveness, pids};
use qc_start::Look;
use qc_supervise::Id;

use super::Runtime;
use super::beside::MOST_LOOKS;
use super::live::Running;

/// A full look is taken at most this often; in between only at processes that are new.
const FULL_LOOK: Duration = Duration::from_secs(1);

/// The result of the last full look, and of the partial looks since.
pub(super) struct LastLook {
    /// The processes that this launcher does not supervise, and all that need no second look.
    pub(super) strangers: Look,
    /// The processes beside its own of each component that is supervised here, by name: one may go
    /// on when the component has ended.
    helpers: HashMap<String, Vec<u32>>,
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
    pub(super) fn forget_ended(&mut self) {
        self.strangers.snapshot.instances.retain(|instance| {
            let mut processes = instance.processes.iter();
            processes.any(|one| liveness(&one.identity) != Liveness::Dead)
        });
        let elsewhere = &mut self.strangers.snapshot.elsewhere;
        elsewhere.retain(|holder| liveness(&holder.identity()) != Liveness::Dead);
    }
}

impl Runtime<'_> {
    /// Takes a full look, or, shortly after one, looks at what is new.
    pub(super) fn look_beside(&mut self, generations: &[(Id, u32)]) -> io::Result<()> {
        let own = self.own_pids();
        let is_fresh = |look: &LastLook| look.strangers.age() < FULL_LOOK;
        let Some(look) = self.last_look.as_mut().filter(|look| is_fresh(look)) else {
            let look = Look::take(&self.fleet, self.locks)?;
            self.keep_look(look);
            return Ok(());
        };
        // One that ends before it is looked at may have started another one before: see
        // `list_sought`.
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

fn all_pids(instance: &Instance) -> impl Iterator<Item = u32> {
    let all = instance.wrappers.iter().chain(&instance.processes).chain(&instance.workers);
    all.map(|one| one.identity.pid)
}

fn is_own(instance: &Instance, own: &HashSet<u32>) -> bool {
    all_pids(instance).any(|pid| own.contains(&pid))
}

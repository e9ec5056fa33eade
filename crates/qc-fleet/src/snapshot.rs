//! The processes that run right now, folded into one instance per program, with their locks.

mod holders;
mod identify;
mod learn;
mod machine;
mod moved;
mod origin;
mod roots;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use qc_call::{is_wrapper, is_wrapper_of_qc, without_false_title};
use qc_lock_core::{Latch, LockDir, LockEntry};
use qc_process::{Identity, Listing, MachineHolder, ProcessInfo, Sought};

pub(crate) use self::machine::{is_named, is_of};

use self::holders::Holders;
use self::identify::{Identified, identify};
use self::moved::mark_moved;
pub use self::moved::{MovedFleet, moved_fleets};
use self::roots::OtherRoots;
use crate::evidence::{Evidence, Machine, ProcessProbe, identity_in};
use crate::grouping::{ProcessGroup, group_processes};
use crate::left_over::left_behind;
use crate::matching::{Matcher, Place};
use crate::program::{contradiction, untouchable};
use crate::supervision::Orchestrators;
use crate::{Component, Fleet, Instance, LeftOver, Role};

/// Instances, locks, and what could not be seen.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The running instances, ordered by role and name.
    pub instances: Vec<Instance>,
    /// All locks.
    pub locks: Vec<LockEntry>,
    /// The command lines of the programs of qc that hold a lock for another one, or are about to.
    pub holding: Vec<Vec<String>>,
    /// The holders of an account or a terminal of this machine for another folder, as they describe
    /// themselves.
    pub elsewhere: Vec<MachineHolder>,
    /// How many processes could not be read.
    pub unreadable: usize,
    /// The latch that forbids every start, if there is one.
    pub latch: Option<Latch>,
    /// The latches that forbid only some starts.
    pub latches: Vec<Latch>,
    /// The programs that components have left behind of which nothing runs otherwise.
    pub left_behind: Vec<LeftOver>,
    /// Whether the system shows only part of the processes, see [`Listing::hides_others`].
    pub hides_others: bool,
}

impl Snapshot {
    /// Looks at this machine.
    ///
    /// # Errors
    /// If the system's process list can't be read.
    pub fn take(fleet: &Fleet, locks: Vec<LockEntry>) -> io::Result<Self> {
        let matcher = Matcher::new(fleet);
        let holders: Vec<u32> =
            locks.iter().filter_map(|lock| Some(identity_in(lock)?.pid)).collect();
        let listing = qc_process::list_sought(&Sought {
            args: &|args| matcher.may_find(args) || is_wrapper_of_qc(args),
            name: &|name| matcher.may_be_program(name),
            pids: &holders,
            // A shell's Python may have changed its title.
            starters: &is_wrapper,
        })?;
        let holders = machine::look();
        let mut snapshot = Self::assemble(fleet, listing, locks);
        snapshot.learn_suspended();
        snapshot.elsewhere = machine::elsewhere(holders, &snapshot, fleet);
        snapshot.learn_foreign_accounts();
        Ok(snapshot)
    }

    /// Looks only at the processes with these pids, and at no locks.
    ///
    /// # Errors
    /// If the system's process list can't be read.
    pub fn of(fleet: &Fleet, pids: &[u32]) -> io::Result<Self> {
        let mut snapshot = Self::assemble(fleet, qc_process::list_of(pids)?, Vec::new());
        snapshot.learn_foreign_accounts();
        Ok(snapshot)
    }

    /// Puts together what was seen.
    pub fn assemble(fleet: &Fleet, listing: Listing, locks: Vec<LockEntry>) -> Self {
        Self::assemble_with(fleet, listing, locks, &Machine)
    }

    /// Puts together what was seen; `probe` looks closer at the few processes that need it.
    pub(crate) fn assemble_with(
        fleet: &Fleet,
        listing: Listing,
        locks: Vec<LockEntry>,
        probe: &dyn ProcessProbe,
    ) -> Self {
        let Listing { processes, unreadable, hides_others } = listing;
        let processes: Vec<ProcessInfo> = processes.into_iter().map(without_false_title).collect();
        let holders = Holders::new(&locks);
        let Identified { mut found, by_lock, unclear } =
            identify(fleet, &processes, &holders, probe);
        let up_to = wrappers_of(&processes, &locks);
        let groups = group_processes(&processes, &mut found, &up_to, probe);
        let mut roots = OtherRoots::new(&fleet.root);
        let roots: Vec<Option<PathBuf>> =
            found.iter().map(|one| roots.root_of(one.as_ref()?)).collect();
        let orchestrators = Orchestrators::new(fleet, &processes, &found, &roots, &locks);
        let lineage = if by_lock.is_empty() { Vec::new() } else { probe.lineage() };
        let one = |groups: &ProcessGroup| {
            let head = *groups.chain.first()?;
            let found = found[head].clone()?;
            let take = |which: &[usize]| which.iter().map(|&one| processes[one].clone()).collect();
            let mut instance = Instance {
                account_key: found.account_key,
                place: found.place,
                folder: found.folder,
                other_root: roots[head].clone(),
                wrappers: take(&groups.wrappers),
                workers: take(&groups.workers),
                supervised: orchestrators.supervise(head, &roots[head], &groups.ancestors),
                ..Instance::new(found.component, found.role, take(&groups.chain))
            };
            instance.lock = holders.lock_of(&instance).cloned();
            let mut members = groups.wrappers.iter().chain(&groups.chain);
            if members.any(|one| by_lock.contains(one)) {
                judge_by_lock(&mut instance, fleet, &lineage);
            }
            instance.know(fleet);
            Some(instance)
        };
        let mut instances: Vec<Instance> = groups.iter().filter_map(one).collect();
        mark_moved(&mut instances, fleet, &holders, probe);
        instances.sort_by_cached_key(|one| (one.role, one.component.clone(), one.pids()));
        let holding = processes.iter().filter(|one| is_wrapper_of_qc(&one.args));
        let holding = holding.map(|one| one.args.clone()).collect();
        let unreadable = unreadable + unclear;
        let (elsewhere, latch, latches, left_behind) = (Vec::new(), None, Vec::new(), Vec::new());
        Self {
            instances,
            locks,
            holding,
            elsewhere,
            unreadable,
            latch,
            latches,
            left_behind,
            hides_others,
        }
    }

    /// Adds what forbids starts.
    pub fn with_latches(self, locks: &LockDir) -> Self {
        Self { latch: locks.latch(), latches: locks.scoped_latches(), ..self }
    }

    /// Returns the same with what the components have left behind of which nothing runs.
    ///
    /// # Errors
    /// If the system's process list can't be read.
    pub fn with_left_behind(self, fleet: &Fleet, locks: &LockDir) -> io::Result<Self> {
        Ok(Self { left_behind: left_behind(fleet, locks.path(), &self)?, ..self })
    }

    /// Returns what forbids the starts of `component`, and not every start.
    pub fn latch_of(&self, component: &Component) -> Option<&Latch> {
        // Hardly ever is there one.
        let request = (!self.latches.is_empty()).then(|| component.request())?;
        self.latches.iter().find(|latch| latch.is_of(&request))
    }

    /// Returns the same without one process and its lock: the one that looks.
    pub fn without_process(mut self, pid: u32) -> Self {
        self.instances.retain(|instance| !instance.includes(pid));
        self.locks.retain(|lock| lock.pid != Some(pid));
        self
    }

    /// Returns the instances whose scripts lie in the fleet's folder.
    pub fn own(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.place == Place::Fleet)
    }

    /// Returns the instances without a lock that are this fleet's, or may be.
    pub(crate) fn rogues(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|one| one.place != Place::Foreign && one.lock.is_none())
    }

    /// Returns the locks of which no running instance is known to be the holder.
    pub fn loose_locks(&self) -> impl Iterator<Item = &LockEntry> {
        let attached = |lock: &LockEntry| {
            lock.pid.is_some_and(|pid| self.instances.iter().any(|one| one.includes(pid)))
        };
        self.locks.iter().filter(move |lock| !attached(lock))
    }
}

/// Returns of each holder the pid of the program that holds its lock for it.
fn wrappers_of<'a>(processes: &[ProcessInfo], locks: &'a [LockEntry]) -> HashMap<usize, u32> {
    let wrapped = |lock: &'a LockEntry| Some((identity_in(lock)?, lock.evidence.wrapper_pid?));
    let held: HashMap<&Identity, u32> = locks.iter().filter_map(wrapped).collect();
    let of = |(position, process): (usize, &ProcessInfo)| {
        Some((position, *held.get(&process.identity)?))
    };
    processes.iter().enumerate().filter_map(of).collect()
}

/// Puts in what it means that only its lock says what it is.
fn judge_by_lock(instance: &mut Instance, fleet: &Fleet, lineage: &[Identity]) {
    instance.evidence = Evidence::Lock;
    let component = fleet.component(&instance.component);
    // A program that holds the lock for it is stopped with it, not as a program of qc.
    let wrappers = instance.wrappers.iter().filter(|one| !is_wrapper_of_qc(&one.args));
    let all = wrappers.chain(&instance.processes);
    let untouchable = all.filter_map(|one| untouchable(one, instance.role, lineage)).next();
    instance.untouchable = untouchable;
    let main = instance.processes.last().filter(|_| instance.role != Role::Orchestrator);
    instance.looks_like = main.and_then(|main| contradiction(component, main));
}

#[cfg(test)]
pub(crate) mod tests;

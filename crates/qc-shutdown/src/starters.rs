//! Loops that start again what was stopped, such as `while true; do python BRAIN_A.py; done`.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use qc_fleet::{Instance, Snapshot, StopPlan, Stopped, Target, shown_command};
use qc_process::{Identity, Liveness, ProcessInfo, describe, liveness, own_identity};
use serde::Serialize;

/// How often a component may come again before that counts as a loop.
const TIMES: u32 = 3;

/// The most characters of a command that are shown.
const SHOWN: usize = 80;

/// A process that starts a component again as often as it is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Loop {
    /// The component.
    pub(crate) component: String,
    /// The copy of it that was left running.
    pub(crate) pid: u32,
    /// The process that starts it; null where the system does not tell.
    pub(crate) starter_pid: Option<u32>,
    /// Its command.
    pub(crate) starter: Option<String>,
}

/// A component of a folder, and the process that starts it again.
type Key = (String, Option<PathBuf>, Option<Identity>);

/// The components that have come again so far.
#[derive(Debug, Default)]
pub(crate) struct Starters {
    seen: HashSet<Identity>,
    times: HashMap<Key, u32>,
    loops: HashMap<Key, Loop>,
}

impl Starters {
    /// Notes what ran before anything was stopped.
    pub(crate) fn new(plan: &StopPlan) -> Self {
        let seen = plan.targets().map(|target| target.identity.clone()).collect();
        Self { seen, ..Self::default() }
    }

    /// Sorts what runs now and did not before: what is to be stopped stays in `plan`; what a loop
    /// starts is taken out and returned.
    pub(crate) fn sort(&mut self, plan: &mut StopPlan) -> Vec<Target> {
        let is_new = |one: &&Target| !self.seen.contains(&one.identity) && !one.is_worker;
        let new: Vec<Target> = plan.targets().filter(is_new).cloned().collect();
        let mut looped = Vec::new();
        let mut counted = HashSet::new();
        for target in new {
            let starter = starter_of(&target.identity);
            let identity = starter.as_ref().map(|one| one.identity.clone());
            let key = (target.component.clone(), target.elsewhere.clone(), identity);
            let times = self.times.entry(key.clone()).or_default();
            // A stub and its interpreter have come once.
            *times += u32::from(counted.insert(key.clone()));
            if *times < TIMES {
                self.seen.insert(target.identity.clone());
                continue;
            }
            let pid = target.identity.pid;
            self.loops.insert(key, Loop::new(&target.component, pid, starter.as_ref()));
            looped.push(target);
        }
        let is_looped = |one: &Target| looped.iter().any(|it| it.identity == one.identity);
        *plan = std::mem::take(plan).without(is_looped);
        looped
    }

    /// Whether anything has come again.
    pub(crate) fn have_started(&self) -> bool {
        !self.times.is_empty()
    }

    /// Returns why a process that a loop has started is left running.
    pub(crate) fn reason(&self, target: &Target) -> String {
        let mut loops = self.loops.values();
        let found = loops.find(|one| one.pid == target.identity.pid);
        found.map_or_else(|| "it is started again".into(), Loop::text)
    }

    /// Returns the loops, by component.
    pub(crate) fn into_loops(self) -> Vec<Loop> {
        let mut loops: Vec<Loop> = self.loops.into_values().collect();
        loops.sort_by_key(|one| (one.component.clone(), one.pid));
        loops
    }
}

impl Loop {
    fn new(component: &str, pid: u32, starter: Option<&ProcessInfo>) -> Self {
        Self {
            component: component.into(),
            pid,
            starter_pid: starter.map(|one| one.identity.pid),
            starter: starter.map(shown),
        }
    }

    /// Says what may start it again, and what to do.
    pub(crate) fn lingering_text(&self) -> String {
        let pid = self.starter_pid.unwrap_or_default();
        let command = self.starter.as_deref().unwrap_or_default();
        let name = &self.component;
        format!(
            "PID {pid} (`{command}`) started {name} and runs on: it may start it again; stop it, too"
        )
    }

    /// Says what starts it, and what to do.
    pub(crate) fn text(&self) -> String {
        match (self.starter_pid, &self.starter) {
            (Some(1), _) => {
                "the system (PID 1) starts it again as often as it is stopped; disable its service first".into()
            }
            (Some(pid), Some(command)) => format!(
                "PID {pid} (`{command}`) starts it again as often as it is stopped; stop PID {pid} first"
            ),
            _ => "it is started again as often as it is stopped; find out by what, and stop that first".into(),
        }
    }
}

/// Returns the programs that have started what was stopped by a command that names it, and run on
/// without it, such as a loop that pauses.
pub(crate) fn lingering(snapshots: &[Snapshot], results: &[Stopped]) -> Vec<Loop> {
    let has_ended = |pid: u32| {
        results.iter().any(|one| one.target.identity.pid == pid && !one.outcome.is_alive())
    };
    let mut lingering: Vec<Loop> = Vec::new();
    for instance in snapshots.iter().flat_map(|snapshot| &snapshot.instances) {
        let Some(main) = instance.main().filter(|main| has_ended(main.identity.pid)) else {
            continue;
        };
        let starters = instance.wrappers.iter().cloned().chain(caller_of(instance));
        for wrapper in starters {
            let pid = wrapper.identity.pid;
            let is_known = lingering.iter().any(|one| one.starter_pid == Some(pid));
            if !is_known && liveness(&wrapper.identity) == Liveness::Alive {
                lingering.push(Loop::new(&instance.component, main.identity.pid, Some(&wrapper)));
            }
        }
    }
    lingering
}

/// Returns the parent of an instance, if its command names the component's script.
fn caller_of(instance: &Instance) -> Option<ProcessInfo> {
    let head = instance.wrappers.first().or(instance.processes.first())?;
    let name = instance.component.to_lowercase();
    let names_it =
        |one: &ProcessInfo| one.args.iter().any(|arg| arg.to_lowercase().contains(&name));
    let parent = describe(head.parent?).ok().flatten();
    parent.filter(|one| one.can_be_parent_of(head) && names_it(one) && one.identity.pid > 1)
}

/// Whether a program of which a brain is a child runs on without it, and so may start it again. The
/// shell at which the brain was started by hand has no arguments.
pub(crate) fn may_start_again(snapshot: &Snapshot) -> bool {
    let brains = snapshot.instances.iter().filter(|one| one.role == qc_fleet::Role::Brain);
    let heads = brains.filter_map(|one| one.wrappers.first().or(one.processes.first()));
    let known: HashSet<u32> = snapshot.instances.iter().flat_map(|one| one.pids()).collect();
    let wrappers = snapshot.instances.iter().flat_map(|one| &one.wrappers);
    let mut candidates: HashSet<u32> = wrappers.map(|one| one.identity.pid).collect();
    candidates.extend(heads.filter_map(|head| head.parent));
    candidates.into_iter().filter(|pid| *pid > 1 && !known.contains(pid)).any(|pid| {
        describe(pid)
            .ok()
            .flatten()
            .is_some_and(|one| one.args.len() > 1 && one.identity.started < own_identity().started)
    })
}

/// Returns the nearest ancestor that is older than this program: what has started the process once
/// more is not what was started meanwhile.
fn starter_of(identity: &Identity) -> Option<ProcessInfo> {
    let mut child =
        describe(identity.pid).ok().flatten().filter(|one| one.identity == *identity)?;
    loop {
        let parent = describe(child.parent?).ok().flatten()?;
        if !parent.can_be_parent_of(&child) {
            return None;
        }
        if parent.identity.started < own_identity().started {
            return Some(parent);
        }
        child = parent;
    }
}

fn shown(process: &ProcessInfo) -> String {
    let command = match process.args.is_empty() {
        true => process.name.clone(),
        false => shown_command(&process.args),
    };
    let command: String = command.split_whitespace().collect::<Vec<_>>().join(" ");
    match command.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &command[..end]),
        None => command,
    }
}

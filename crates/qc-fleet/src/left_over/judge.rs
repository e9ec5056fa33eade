//! The fate of the programs that a component has left behind.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use qc_call::{has_own_title, runs_python, without_false_title};
use qc_lock_core::LockEntry;
use qc_process::{
    Identity, LOCKS_ARE_INHERITED, MachineHolder, ProcessInfo, carries_terminals, inspect,
    is_terminal, list_of, list_wanted, machine_holders,
};

use super::{Fate, LeftOver};
use crate::evidence::{Untouchable, identity_in};
use crate::program::untouchable;
use crate::snapshot::{is_named, is_of};
use crate::{Fleet, Role, Snapshot};

/// Judges these processes, each of which was started by a run of the component that it names; `keeps_lock`
/// tells whether a process is in the way of the next run by a lock.
pub(super) fn judge(
    fleet: &Fleet,
    marked: &HashMap<u32, String>,
    spared: &[Identity],
    held: &[LockEntry],
    keeps_lock: &dyn Fn(&ProcessInfo) -> bool,
) -> io::Result<Vec<LeftOver>> {
    if marked.is_empty() {
        return Ok(Vec::new());
    }
    let pids: Vec<u32> = marked.keys().copied().collect();
    let listing = list_of(&pids)?;
    let processes: Vec<ProcessInfo> =
        listing.processes.iter().cloned().map(without_false_title).collect();
    let family = Family::new(&processes);
    let copies = copies(&Snapshot::assemble(fleet, listing, Vec::new()));
    let terminals = terminals_and_ancestors()?;
    let is_tool =
        |one: &&ProcessInfo| untouchable(one, Role::Other, &[]) == Some(Untouchable::OwnTool);
    let tools =
        processes.iter().filter(|one| marked.contains_key(&one.identity.pid)).filter(is_tool);
    let tools: Vec<&ProcessInfo> = tools.collect();
    let tool_pids: HashSet<u32> = tools.iter().map(|one| one.identity.pid).collect();
    let run_qc: HashSet<&Identity> =
        tools.into_iter().flat_map(|one| family.line(one)).map(|one| &one.identity).collect();
    let of_run = |one: &&ProcessInfo| marked.contains_key(&one.identity.pid);
    let in_the_way: HashSet<&Identity> = processes
        .iter()
        .filter(of_run)
        .filter(|one| runs_python(one) || keeps_lock(one))
        .flat_map(|one| family.line(one))
        .filter(of_run)
        .map(|one| &one.identity)
        .collect();
    let machine = OnceCell::new();
    let machine = || machine.get_or_init(|| machine_holders().unwrap_or_default());
    let mut found = Vec::new();
    for process in &processes {
        let pid = process.identity.pid;
        let Some(component) = marked.get(&pid).filter(|_| !spared.contains(&process.identity))
        else {
            continue;
        };
        // Another program than a Python is in the way of the next run only where it keeps a lock, or starts
        // such a Python again. Otherwise it may be any program: a browser, a database.
        if !in_the_way.contains(&process.identity) {
            continue;
        }
        let line = || family.line(process);
        let copy = line().find_map(|one| copies.get(&one.identity.pid));
        let fate = if let Some(what) = untouchable(process, Role::Other, &[]) {
            Fate::Spared(what.as_str())
        } else if line().any(is_terminal_process)
            || names_of(process).any(carries_terminals) && !runs_python(process)
        {
            Fate::Spared("part of what trading terminals run on")
        } else if let Some(copy) = copy {
            Fate::Copy(copy.clone())
        } else if runs_python(process) && has_own_title(process) {
            // With a title of its own, the component itself would look like this.
            Fate::Copy(component.clone())
        } else if line().skip(1).any(|one| tool_pids.contains(&one.identity.pid)) {
            Fate::Spared("what runs under a lock of its own")
        } else if terminals.contains(&process.identity) && !runs_python(process) {
            Fate::Spared("what has started a trading terminal")
        } else if run_qc.contains(&process.identity) && !runs_python(process) {
            Fate::Spared("what runs a program of qc")
        } else if holds_another(process, component, fleet, held, machine()) {
            Fate::Spared("the living holder of another lock")
        } else {
            Fate::Ends
        };
        let runs_qc = run_qc.contains(&process.identity);
        let (component, process) = (component.clone(), process.clone());
        found.push(LeftOver { component, process, fate, runs_qc });
    }
    Ok(found)
}

/// Whether a process is the holder of another lock than that of this component of the fleet: by its own
/// record in the folder of the locks, or by what it claims on the whole machine.
fn holds_another(
    process: &ProcessInfo,
    component: &str,
    fleet: &Fleet,
    held: &[LockEntry],
    machine: &[MachineHolder],
) -> bool {
    let here = held.iter().any(|lock| {
        identity_in(lock) == Some(&process.identity) && !lock.name.eq_ignore_ascii_case(component)
    });
    here || machine.iter().any(|holder| {
        let is_own = is_of(holder, &fleet.root) && is_named(holder, component);
        holder.identity() == process.identity && !is_own
    })
}

/// Whether a process has a guard of some lock open.
pub(super) fn has_guard(process: &ProcessInfo) -> bool {
    LOCKS_ARE_INHERITED && !inspect::open_in(process.identity.pid, ".guards").is_empty()
}

/// Returns of which component each process is that belongs to a running copy of one.
fn copies(snapshot: &Snapshot) -> HashMap<u32, String> {
    let instances = snapshot.instances.iter().filter(|one| one.role != Role::Orchestrator);
    let all = instances.flat_map(|one| {
        let processes = one.wrappers.iter().chain(&one.processes).chain(&one.workers);
        processes.map(|process| (process.identity.pid, one.component.clone()))
    });
    all.collect()
}

/// Returns the trading terminals that run, and what they descend from.
fn terminals_and_ancestors() -> io::Result<HashSet<Identity>> {
    let is_one = |args: &[String]| args.first().is_some_and(|program| is_terminal(program));
    let listing = list_wanted(&is_one)?;
    let family = Family::new(&listing.processes);
    let terminals = listing.processes.iter().filter(|one| is_terminal_process(one));
    Ok(terminals.flat_map(|one| family.line(one)).map(|one| one.identity.clone()).collect())
}

fn is_terminal_process(process: &ProcessInfo) -> bool {
    names_of(process).any(is_terminal)
}

fn names_of(process: &ProcessInfo) -> impl Iterator<Item = &str> {
    let exe = process.exe.as_deref().and_then(Path::to_str);
    process.args.first().map(String::as_str).into_iter().chain([process.name.as_str()]).chain(exe)
}

/// Processes by their pids.
struct Family<'a>(HashMap<u32, &'a ProcessInfo>);

impl<'a> Family<'a> {
    fn new(processes: &'a [ProcessInfo]) -> Self {
        Self(processes.iter().map(|one| (one.identity.pid, one)).collect())
    }

    /// Returns a process and those that it descends from, the nearest first.
    fn line(&self, process: &'a ProcessInfo) -> impl Iterator<Item = &'a ProcessInfo> {
        std::iter::successors(Some(process), move |child| {
            let parent = self.0.get(&child.parent?).copied()?;
            parent.can_be_parent_of(child).then_some(parent)
        })
    }
}

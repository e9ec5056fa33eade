//! The programs that a run of a component has started and that live on after it.
//!
//! They are known by the variables that `qc-launch` gives to each component, which whatever it starts
//! inherits, and by the component's mark, which a program can't lose: a limit on Linux, a job on Windows. A program that runs a component's script is a copy of that and never counts as left over.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::Path;

use qc_lock_core::{LockDir, LockEntry};
use qc_process::{
    Identity, LOCKS_ARE_INHERITED, Liveness, MachineHolder, ProcessInfo, StopSignal,
    carries_terminals, inspect, is_terminal, list_of, list_wanted, liveness, machine_holders,
};

use crate::evidence::{Untouchable, identity_in};
use crate::matching::runs_python;
use crate::program::{shown_program, untouchable};
use crate::run_mark::with_run_marks;
use crate::snapshot::{is_named, is_of};
use crate::title::has_own_title;
use crate::{Fleet, Role, Snapshot, Target, without_false_title};

/// The environment variable by which a component, and what it starts, knows its name.
pub const COMPONENT_VARIABLE: &str = "QC_COMPONENT";

/// The environment variable with the folder of its fleet's locks.
pub const COMPONENT_LOCKS_VARIABLE: &str = "QC_COMPONENT_LOCKS";

/// The environment variable with what stands for that folder under whatever name, where the system has it.
pub const COMPONENT_LOCKS_ID_VARIABLE: &str = "QC_COMPONENT_LOCKS_ID";

/// A program that the run of a component has started.
#[derive(Debug, Clone)]
pub struct LeftOver {
    /// The component, as its environment names it.
    pub component: String,
    /// The process.
    pub process: ProcessInfo,
    /// Its fate once that run has ended.
    pub fate: Fate,
    /// Whether it has started a program of qc that runs now, such as the `qc-shutdown` of an emergency
    /// script: whoever stops the fleet leaves it alone.
    pub runs_qc: bool,
}

/// The fate of a program that a run has left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is ended.
    Ends,
    /// It is a copy of this component, which is for the user to stop.
    Copy(String),
    /// It is never ended; says what it is.
    Spared(&'static str),
}

impl LeftOver {
    /// Whether it is stopped with the fleet. Such copies as are known by their scripts are stopped as what
    /// they are.
    pub fn ends_with_fleet(&self) -> bool {
        let is_its_own = match &self.fate {
            Fate::Ends => true,
            Fate::Copy(of) => of.eq_ignore_ascii_case(&self.component),
            Fate::Spared(_) => false,
        };
        is_its_own && !self.runs_qc
    }

    /// Returns its program and its PID for messages, with the script that a Python runs.
    pub fn text(&self) -> String {
        format!("{} (PID {})", shown_program(&self.process), self.process.identity.pid)
    }

    /// Says what it is beside a component that does not run.
    pub fn behind(&self) -> String {
        match self.fate {
            Fate::Copy(_) => {
                format!("the last run of {} goes on as {}", self.component, self.text())
            }
            Fate::Ends | Fate::Spared(_) => {
                format!("{} has left {} behind, which goes on", self.component, self.text())
            }
        }
    }

    /// Says what to do about it.
    pub fn way_out(&self) -> String {
        let name = &self.component;
        match self.fate {
            Fate::Copy(_) => {
                format!("`qc-shutdown --name {name}` stops it; until then {name} is not started")
            }
            Fate::Ends | Fate::Spared(_) => format!(
                "`qc-shutdown --name {name}` stops it, and so does the next start of {name}"
            ),
        }
    }

    /// Whether it keeps its component from being started.
    pub(crate) fn blocks(&self) -> bool {
        matches!(self.fate, Fate::Copy(_))
    }

    /// Returns what to stop, as part of the component that has left it behind.
    pub fn target(&self, fleet: &Fleet) -> Target {
        let component = fleet.component(&self.component);
        let account = component.and_then(|it| it.account.as_ref()).map(ToString::to_string);
        let timeout = component.map(|it| it.settings.stop_timeout);
        // The signal in the config is for the component's own program.
        let signal: Option<StopSignal> = None;
        Target {
            component: component.map_or_else(|| self.component.clone(), |it| it.name.to_string()),
            role: component.map_or(Role::Other, |it| it.role),
            account_key: component.and_then(|it| it.account_key.clone()),
            account,
            elsewhere: None,
            wrappers: Vec::new(),
            is_unmanaged: true,
            is_worker: false,
            helper: (self.fate == Fate::Ends).then(|| shown_program(&self.process)),
            is_scripted: false,
            identity: self.process.identity.clone(),
            timeout: timeout.unwrap_or(fleet.timing.stop_timeout),
            signal,
        }
    }
}

/// Finds what the runs of the components that `is_meant` accepts have started and that runs now,
/// whether or not they have ended. `locks` is the folder of the fleet's locks; `known` are processes
/// that are known to be of a component's run, whatever their environment; `former` are components that
/// the config names no longer; the processes `spared` are left out.
///
/// # Errors
/// If the system's process list can't be read.
pub fn left_over(
    fleet: &Fleet,
    locks: &Path,
    is_meant: impl Fn(&str) -> bool,
    known: &HashMap<Identity, String>,
    former: &[String],
    spared: &[Identity],
) -> io::Result<Vec<LeftOver>> {
    let held = LockDir::new(locks).list().unwrap_or_default();
    let id = inspect::folder_id(locks);
    let of_fleet = |(pid, [component, folder, its_id]): (u32, [Option<OsString>; 3])| {
        let component = component?.into_string().ok().filter(|name| is_meant(name))?;
        // A folder that was moved while it ran keeps what stands for it; a copy in its old place does not.
        let is_ours = match (its_id.and_then(|it| it.into_string().ok()), &id) {
            (Some(its), Some(id)) if !its.is_empty() => its == *id,
            _ => inspect::sees_same(pid, Path::new(&folder?), locks),
        };
        is_ours.then_some((pid, component))
    };
    let variables = [COMPONENT_VARIABLE, COMPONENT_LOCKS_VARIABLE, COMPONENT_LOCKS_ID_VARIABLE];
    let marked = inspect::with_variables(variables)?.into_iter().filter_map(of_fleet);
    let mut marked: HashMap<u32, String> = marked.collect();
    let names = fleet.components.iter().map(|one| one.name.as_str());
    let names = names.chain(former.iter().map(String::as_str));
    let names = names.chain(held.iter().map(|lock| lock.name.as_str()));
    let mut known_by_identity = HashMap::new();
    let with_marks = with_run_marks(locks, names.filter(|name| is_meant(name)))?;
    let known = known.iter().filter(|(_, component)| is_meant(component));
    for (process, component) in known.chain(&with_marks) {
        if !marked.contains_key(&process.pid) && liveness(process) != Liveness::Dead {
            marked.insert(process.pid, component.clone());
            known_by_identity.insert(process.pid, process);
        }
    }
    let mut found = judge(fleet, &marked, spared, &held, &has_guard)?;
    // Another process may have its number meanwhile.
    found.retain(|one| {
        let process = &one.process.identity;
        known_by_identity.get(&process.pid).is_none_or(|known| *known == process)
    });
    Ok(found)
}

/// Finds what is to be ended of what the components have left behind of which nothing runs, by the marks
/// alone: a look at them costs little.
///
/// # Errors
/// If the system's process list can't be read.
pub(crate) fn left_behind(
    fleet: &Fleet,
    locks: &Path,
    snapshot: &Snapshot,
) -> io::Result<Vec<LeftOver>> {
    let runs = |name: &str| snapshot.own().any(|one| one.component.eq_ignore_ascii_case(name));
    let names = fleet.components.iter().map(|one| one.name.as_str()).filter(|name| !runs(name));
    let mut marked = with_run_marks(locks, names)?;
    marked.retain(|process, _| !snapshot.instances.iter().any(|one| one.includes(process.pid)));
    let pids = marked.iter().map(|(process, name)| (process.pid, name.clone())).collect();
    let mut found = judge(fleet, &pids, &[], &snapshot.locks, &has_guard)?;
    found.retain(|one| one.ends_with_fleet() && marked.contains_key(&one.process.identity));
    Ok(found)
}

/// Judges these processes, each of which keeps a lock of the component open that it names. `held` are the
/// fleet's locks.
///
/// # Errors
/// If the system's process list can't be read.
pub fn judge_left_over(
    fleet: &Fleet,
    keepers: &HashMap<u32, String>,
    spared: &[Identity],
    held: &[LockEntry],
) -> io::Result<Vec<LeftOver>> {
    judge(fleet, keepers, spared, held, &|_| LOCKS_ARE_INHERITED)
}

/// Judges these processes, each of which was started by a run of the component that it names; `keeps_lock`
/// tells whether a process is in the way of the next run by a lock.
fn judge(
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
fn has_guard(process: &ProcessInfo) -> bool {
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

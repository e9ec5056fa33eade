//! The programs that a run of a component has started and that live on after it.
//!
//! They are known by the variables that `qc-launch` gives to each component, which whatever it starts
//! inherits, and by the component's mark, which a program can't lose: a limit on Linux, a job on Windows. A program that runs a component's script is a copy of that and never counts as left over.

mod judge;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use qc_lock_core::{LockDir, LockEntry};
use qc_process::{
    Identity, LOCKS_ARE_INHERITED, Liveness, ProcessInfo, StopSignal, inspect, liveness,
};

use self::judge::{has_guard, judge};
use crate::program::shown_program;
use crate::run_mark::with_run_marks;
use crate::{Fleet, Role, Snapshot, Target};

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
            cannot_be_told: None,
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

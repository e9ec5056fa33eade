//! The processes that belong to a component's program beside the one that was started for it: the
//! interpreter behind a shell, `uv run`, `timeout` or a batch file, and copies that a program has
//! made of itself. A component has ended when all of them have.
//!
//! Two witnesses: the lock, which processes inherit where the system allows it, and the folded
//! instance of the snapshot. What has neither, such as a helper that a Python has started and that
//! inherits nothing, is left alone and not waited for; so is a trading terminal.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;

use qc_fleet::{Component, Instance, Place, Snapshot, without_false_title};
use qc_process::{Identity, Listing, ProcessInfo, file, is_terminal, list};
use qc_supervise::Id;

use super::Runtime;

/// One more process of a component's program.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) identity: Identity,
    /// Whether it does the work, so that it is the one to be asked.
    pub(super) is_main: bool,
    /// Whether it is a copy that another member has made of itself, and works for that one.
    pub(super) is_worker: bool,
}

/// One look at the processes, for all questions of one moment.
pub(super) struct ProcessView {
    processes: Vec<ProcessInfo>,
    by_pid: HashMap<u32, usize>,
    children: HashMap<u32, Vec<usize>>,
    sessions: HashMap<u32, Vec<usize>>,
    snapshot: Snapshot,
}

impl ProcessView {
    /// Returns the positions of all that descends from these processes, or is in a session that one
    /// of them has begun; not they themselves.
    fn family(&self, roots: &HashSet<u32>) -> Vec<usize> {
        let of = |index: &HashMap<u32, Vec<usize>>, pid: u32| index.get(&pid).cloned();
        let children = |pid: u32| {
            let parent = self.by_pid.get(&pid).map(|&parent| &self.processes[parent]);
            let mut children = of(&self.children, pid).unwrap_or_default();
            children.retain(|&child| {
                parent.is_some_and(|parent| parent.can_be_parent_of(&self.processes[child]))
            });
            children
        };
        let mut waiting: Vec<usize> = roots
            .iter()
            .flat_map(|&root| [of(&self.sessions, root).unwrap_or_default(), children(root)])
            .flatten()
            .collect();
        let mut family = BTreeSet::new();
        while let Some(one) = waiting.pop() {
            let pid = self.processes[one].identity.pid;
            if !roots.contains(&pid) && family.insert(one) {
                waiting.extend(children(pid));
            }
        }
        family.into_iter().collect()
    }

    /// Returns the instances of one component.
    fn instances<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Instance> {
        let instances = self.snapshot.instances.iter();
        instances.filter(move |one| {
            one.place == Place::Fleet && one.component.eq_ignore_ascii_case(name)
        })
    }

    /// Returns the pids of the programs that hold the lock of the component `name`.
    fn under_lock(&self, name: &str) -> HashSet<u32> {
        self.instances(name).filter(|one| one.adoptable()).flat_map(Instance::pids).collect()
    }

    /// Returns what else belongs to the program of `component`, of which `own` are known; `orphans`
    /// belong to it, too.
    pub(super) fn members(
        &self,
        component: &Component,
        own: &HashSet<u32>,
        orphans: &HashSet<u32>,
        guard: Option<&Path>,
    ) -> Vec<Member> {
        let instances: Vec<&Instance> = self.instances(component.name.as_str()).collect();
        let has = |processes: &[ProcessInfo], pid: u32| {
            processes.iter().any(|process| process.identity.pid == pid)
        };
        let orphaned = orphans.difference(own).filter_map(|pid| self.by_pid.get(pid).copied());
        let family = self.family(&own.union(orphans).copied().collect());
        let mut members = Vec::new();
        for process in family.into_iter().chain(orphaned).map(|one| &self.processes[one]) {
            let pid = process.identity.pid;
            let image = process.exe.as_deref().and_then(Path::to_str);
            if is_terminal(&process.name) || image.is_some_and(is_terminal) {
                continue;
            }
            let of_instance =
                instances.iter().any(|one| has(&one.processes, pid) || has(&one.wrappers, pid));
            let holds = || guard.and_then(|guard| file::is_open_in(pid, guard)) == Some(true);
            if of_instance || holds() {
                members.push(Member {
                    identity: process.identity.clone(),
                    is_main: instances.iter().any(|one| is_main(one, pid)),
                    is_worker: process.is_fork,
                });
            }
        }
        // Around one that was adopted there may be a wrapper above it.
        let around = instances.iter().filter(|one| own.iter().any(|&pid| one.includes(pid)));
        for wrapper in around.flat_map(|one| &one.wrappers) {
            let pid = wrapper.identity.pid;
            let is_known = members.iter().any(|member| member.identity.pid == pid);
            if !own.contains(&pid) && !is_known {
                let identity = wrapper.identity.clone();
                members.push(Member { identity, is_main: false, is_worker: false });
            }
        }
        members
    }

    /// Whether one of these does the work of `component` itself. A program that is no Python and
    /// has started one that does the work is a wrapper, also where the config names it as the
    /// command.
    pub(super) fn is_main_among(&self, component: &Component, own: &HashSet<u32>) -> bool {
        let mains = |pid: u32| {
            let mut instances = self.instances(component.name.as_str());
            instances.any(|one| is_main(one, pid))
        };
        let is_python = |pid: u32| {
            let process = self.by_pid.get(&pid).map(|&one| &self.processes[one]);
            process.is_some_and(runs_python)
        };
        let has_started_one = || {
            let mut family = self.family(own).into_iter().map(|one| &self.processes[one]);
            family.any(|one| mains(one.identity.pid) && runs_python(one))
        };
        let mut mains = own.iter().filter(|&&pid| mains(pid));
        mains.any(|&pid| is_python(pid) || !has_started_one())
    }

    /// Returns the pids of these and of all that descends from them.
    pub(super) fn with_family(&self, own: HashSet<u32>) -> HashSet<u32> {
        let family = self.family(&own);
        let pids = family.into_iter().map(|one| self.processes[one].identity.pid);
        pids.chain(own.iter().copied()).collect()
    }

    /// Returns what the snapshot shows.
    pub(super) fn instance_list(&self) -> &[Instance] {
        &self.snapshot.instances
    }
}

/// Whether a process is a Python, by its program's file, which a changed title leaves as it is.
fn runs_python(process: &ProcessInfo) -> bool {
    let file = process.exe.as_deref().and_then(Path::file_name);
    let name = file.map_or_else(|| process.name.clone(), |name| name.to_string_lossy().into());
    is_python_name(&name)
}

/// Whether a program of this file name is a Python.
pub(super) fn is_python_name(name: &str) -> bool {
    let name = name.to_lowercase();
    name.starts_with("python") || name.starts_with("pypy")
}

fn is_main(instance: &Instance, pid: u32) -> bool {
    instance.main().is_some_and(|main| main.identity.pid == pid)
}

impl Runtime<'_> {
    /// Looks at the processes of this machine.
    pub(super) fn view_of_processes(&self) -> io::Result<ProcessView> {
        let Listing { processes, unreadable, hides_others } = list()?;
        let processes: Vec<ProcessInfo> = processes.into_iter().map(without_false_title).collect();
        let listing = Listing { processes: processes.clone(), unreadable, hides_others };
        let snapshot =
            Snapshot::assemble(&self.fleet, listing, self.locks.list().unwrap_or_default());
        let mut children: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut sessions: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut by_pid = HashMap::new();
        for (position, process) in processes.iter().enumerate() {
            by_pid.insert(process.identity.pid, position);
            if let Some(parent) = process.parent {
                children.entry(parent).or_default().push(position);
            }
            if let Some(session) = process.session {
                sessions.entry(session).or_default().push(position);
            }
        }
        Ok(ProcessView { processes, by_pid, children, sessions, snapshot })
    }

    /// Returns what else belongs to the program that runs for a component.
    pub(super) fn members_of(&self, id: Id, view_of_processes: &ProcessView) -> Vec<Member> {
        let (Some(component), Some(running)) = (self.roster.get(id), self.running(id)) else {
            return Vec::new();
        };
        let own: HashSet<u32> = running.pids().collect();
        let guard = (!self.scripts_lock).then(|| self.locks.guard_of(&component.name));
        // A program that has lost its wrapper has no ancestor here, and may share a session.
        let orphans = match running.is_adopted_wrapper {
            true => view_of_processes.under_lock(component.name.as_str()),
            false => HashSet::new(),
        };
        view_of_processes.members(component, &own, &orphans, guard.as_deref())
    }
}

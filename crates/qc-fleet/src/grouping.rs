//! One instance for each program that runs, however many processes it takes to run it.
//!
//! A process is folded into the one that it started only where three things prove that it is the
//! same program: the parent link, the order of starting, and the same script with the same
//! arguments. A brain that starts another copy of itself fulfils all three, too; so a Python is
//! folded only into one that does nothing but start the interpreter, and only the first that it
//! started. In doubt there are two.
//!
//! Pythons that it starts to work for it, as `multiprocessing` does, run no script of the fleet, or
//! they are copies that it made of itself, which the system tells from a script that was started
//! again. They belong to it as its workers.

mod launching;
mod tree;

use std::collections::{HashMap, HashSet};

use qc_call::{is_runner_of, is_wrapper, path_name, runs_python};
use qc_process::{ProcessInfo, is_terminal};

use self::launching::Launching;
pub(crate) use self::tree::Tree;
use crate::Role;
use crate::evidence::ProcessProbe;
use crate::matching::Match;

/// Processes of one instance, as positions in the list that [`fold`] was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessGroup {
    /// Shells, `uv`, `qc-lock run` and the like that wait for it, the outermost first.
    pub(crate) wrappers: Vec<usize>,
    /// The Python and the stubs before it; the last one does the work.
    pub(crate) chain: Vec<usize>,
    /// The Pythons that descend from it through nothing but Pythons, and run no script of the fleet
    /// themselves, and the copies that it made of itself.
    pub(crate) workers: Vec<usize>,
    /// All that it descends from, the nearest first; its wrappers are among them.
    pub(crate) ancestors: Vec<usize>,
}

/// Folds `processes`, of which `found` tells the components, into instances. What a component's
/// wrapper has started becomes that component in `found`. `held_up_to` tells of holders of locks the
/// pid of the program that holds it for them: what is between is theirs.
pub(crate) fn group_processes(
    processes: &[ProcessInfo],
    found: &mut [Option<Match>],
    held_up_to: &HashMap<usize, u32>,
    probe: &dyn ProcessProbe,
) -> Vec<ProcessGroup> {
    let tree = Tree::new(processes);
    launching::pass_on(processes, &tree, found);
    launching::take_home(&tree, found);
    let found = &*found;
    let launching = Launching { processes, found, tree: &tree, probe };
    let mut matched: Vec<usize> = (0..found.len()).filter(|&one| found[one].is_some()).collect();
    matched.sort_by_key(|&one| (processes[one].identity.started, processes[one].identity.pid));

    // From each launcher to what it started first.
    let mut started_by: HashMap<usize, usize> = HashMap::new();
    for &program in matched.iter().filter(|&&one| !launching.is_copy(one)) {
        let holder =
            held_up_to.get(&program).and_then(|&pid| tree.ancestor(program, processes, pid));
        let mut child = program;
        while let Some(parent) = tree.parents[child] {
            let is_below_holder = holder.is_some_and(|holder| {
                holder != parent && tree.ancestors(parent).any(|one| one == holder)
            });
            let is_its = launching.is_of(parent, program)
                && (launching.launches(parent, child, program)
                    || launching.is_between(parent, program)
                    || is_below_holder);
            if !is_its || started_by.contains_key(&parent) {
                break;
            }
            started_by.insert(parent, child);
            // The launchers of another match have been found already; a copy has had no turn.
            if found[parent].is_some() && !launching.is_copy(parent) {
                break;
            }
            child = parent;
        }
    }

    let is_program = |one: &usize| !started_by.contains_key(one) && !launching.is_copy(*one);
    let groups = matched.iter().copied().filter(is_program).map(|program| {
        let launcher = |&child: &usize| {
            tree.parents[child].filter(|parent| started_by.get(parent) == Some(&child))
        };
        let mut chain = vec![program];
        chain.extend(std::iter::successors(launcher(&program), launcher));
        let is_stub = |&one: &usize| {
            let process = &processes[one];
            found[one].is_some()
                && runs_python(process)
                && !is_wrapper(&process.args)
                && !is_runner_of(process, &processes[program])
                && !launching.is_command_of(one, program)
        };
        let stubs = chain[1..].iter().take_while(|one| is_stub(one)).count();
        let mut wrappers = chain.split_off(1 + stubs);
        wrappers.reverse();
        chain.reverse();
        let ancestors = tree.ancestors(chain[0]).collect();
        ProcessGroup { wrappers, chain, workers: Vec::new(), ancestors }
    });
    let mut groups: Vec<ProcessGroup> = groups.collect();
    add_workers(&mut groups, &launching);
    groups
}

/// Adds the processes that work for a program.
fn add_workers(groups: &mut [ProcessGroup], launching: &Launching<'_>) {
    let &Launching { processes, found, tree, .. } = launching;
    let members = |owner: usize| {
        let ProcessGroup { wrappers, chain, .. } = &groups[owner];
        // A shell that starts several things may be everyone's.
        let wrappers = wrappers.iter().filter(|&&one| found[one].is_some());
        wrappers.chain(chain).map(move |&one| (one, owner)).collect::<Vec<_>>()
    };
    let owners: HashMap<usize, usize> = (0..groups.len()).flat_map(members).collect();
    let wrappers: HashSet<usize> =
        groups.iter().flat_map(|one| one.wrappers.iter().copied()).collect();
    let can_work = |one: usize| {
        let is_free = !owners.contains_key(&one) && !wrappers.contains(&one);
        is_free && (is_worker_program(&processes[one]) || launching.is_copy(one))
    };
    for one in (0..processes.len()).filter(|&one| can_work(one)) {
        let nearest = tree.ancestors(one).find(|&ancestor| !can_work(ancestor));
        let Some(&owner) = nearest.and_then(|nearest| owners.get(&nearest)) else { continue };
        // A process that an orchestrator starts does not work for it.
        let role = found[groups[owner].chain[0]].as_ref().map(|found| found.role);
        if role != Some(Role::Orchestrator) || launching.is_copy(one) {
            groups[owner].workers.push(one);
        }
    }
}

fn is_worker_program(process: &ProcessInfo) -> bool {
    let exe = process.exe.as_deref().map(path_name);
    let mut names = process.args.first().into_iter().chain([&process.name]).chain(&exe);
    runs_python(process) && !names.any(|name| is_terminal(name))
}

#[cfg(test)]
mod tests;

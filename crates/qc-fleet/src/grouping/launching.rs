//! Which processes only launch another: shells, wrappers, stubs, one-file programs.
//!
//! They are told by what they do: the child runs the same script with the same arguments, or the same
//! component, and was started within moments by a parent that has loaded no Python.

use qc_call::{
    MOMENTS, ScriptCall, call_of, is_launcher_of_python, is_runner_of, is_same_call, is_within,
    is_wrapper, is_wrapper_of_qc, names_call, runs_python, unpacks_itself, wrapped_call,
};
use qc_process::ProcessInfo;

use super::Tree;
use crate::Role;
use crate::evidence::ProcessProbe;
use crate::matching::{Match, Place};

/// The known facts about all processes.
pub(super) struct Launching<'a> {
    pub(super) processes: &'a [ProcessInfo],
    pub(super) found: &'a [Option<Match>],
    pub(super) tree: &'a Tree,
    pub(super) probe: &'a dyn ProcessProbe,
}

impl Launching<'_> {
    /// Whether a process is a copy that its component made of itself: no second start of its script.
    pub(super) fn is_copy(&self, one: usize) -> bool {
        let name = |one: usize| self.found[one].as_ref().map(|found| &found.component);
        let is_of = |parent: usize| name(parent).is_some() && name(parent) == name(one);
        self.processes[one].is_fork && self.tree.parents[one].is_some_and(is_of)
    }

    /// Whether `parent` may belong to the program `child`: it is the same component or none.
    pub(super) fn is_of(&self, parent: usize, child: usize) -> bool {
        let [parent, child] = [parent, child].map(|one| self.found[one].as_ref());
        parent.is_none_or(|parent| {
            child.is_some_and(|child| {
                parent.component == child.component && parent.role != Role::Orchestrator
            })
        })
    }

    /// Whether `parent`, which started `child`, is there only to launch `program`: that child, or
    /// what it has launched in turn.
    pub(super) fn launches(&self, parent: usize, child: usize, program: usize) -> bool {
        let component = self.found[parent].as_ref();
        let is_component = component.is_some();
        // A server that watches its own files runs itself again, and serves in that second process
        // alone. Two brains may both trade.
        let is_server = component.is_some_and(|component| component.role == Role::Server);
        let is_command = self.is_command_of(parent, program);
        let [parent, child, program] = [parent, child, program].map(|one| &self.processes[one]);
        if runs_python(parent) && !is_wrapper(&parent.args) {
            return is_component
                && (is_command
                    || is_launcher_of_python(&self.loads_python(), parent, child)
                    || is_runner_of(parent, child)
                    || is_server && is_same_call(parent, child));
        }
        let names = any_call_of(program).is_some_and(|call| names_call(&parent.args, &call));
        if !is_component || is_wrapper_of_qc(&parent.args) {
            return is_wrapper(&parent.args) && names;
        }
        let is_same_program = parent.args == child.args && parent.exe == child.exe;
        if is_wrapper(&parent.args) {
            // A shell that starts the same shell again starts a second one, but a fork is a subshell.
            return !is_same_program || child.is_fork;
        }
        match is_same_program {
            true => unpacks_itself(&self.loads_python(), parent, child),
            false => names || runs_python(child) && is_within(parent, child, MOMENTS),
        }
    }

    /// Whether `parent` is the command with which the config starts a component, and `program` is that
    /// component by the name of its script alone: the command runs it, whenever that was.
    pub(super) fn is_command_of(&self, parent: usize, program: usize) -> bool {
        let [command, found] = [parent, program].map(|one| self.found[one].as_ref());
        command.zip(found).is_some_and(|(command, found)| is_command_of(command, found))
    }

    /// Whether what is between two processes of one component, such as the shell that `conda run`
    /// starts or the `xargs` of a shell, is part of how one launches the other. A Python is only if it
    /// names the script.
    pub(super) fn is_between(&self, between: usize, program: usize) -> bool {
        let is_part = |one: usize| {
            let process = &self.processes[one];
            self.found[one].is_none()
                && !is_wrapper_of_qc(&process.args)
                && (!runs_python(process)
                    || is_wrapper(&process.args)
                    || is_runner_of(process, &self.processes[program]))
        };
        let above = self.tree.ancestors(between).find(|&one| !is_part(one));
        is_part(between)
            && above.is_some_and(|above| {
                let is_component = self.found[above].is_some() && self.is_of(above, program);
                is_component
                    && (is_wrapper(&self.processes[above].args)
                        || self.is_command_of(above, program))
            })
    }

    fn loads_python(&self) -> impl Fn(&ProcessInfo) -> Option<bool> {
        |process| self.probe.loads_python(process)
    }
}

/// Makes the Python that a component's wrapper has started that component, where its own command line
/// does not say so: a shell script starts `feed.py`, a script that several components run, or a brain
/// that has changed its title.
pub(super) fn pass_on(processes: &[ProcessInfo], tree: &Tree, found: &mut [Option<Match>]) {
    let waits = |one: usize, found: &[Option<Match>]| {
        let role = found[one].as_ref().map(|found| found.role);
        is_wrapper(&processes[one].args) && role.is_some_and(|role| role != Role::Orchestrator)
    };
    let has_program = |wrapper: usize, found: &[Option<Match>]| {
        let is_below = |one: usize| tree.ancestors(one).any(|ancestor| ancestor == wrapper);
        let is_same = |one: usize| {
            let [one, other] = [one, wrapper].map(|one| found[one].as_ref());
            one.map(|one| &one.component) == other.map(|other| &other.component)
        };
        let is_other_program =
            |one: usize| !processes[one].is_fork && processes[one].args != processes[wrapper].args;
        (0..processes.len()).any(|one| is_same(one) && is_other_program(one) && is_below(one))
    };
    let mut pythons: Vec<usize> = (0..processes.len())
        .filter(|&one| found[one].as_ref().is_none_or(|found| found.is_vague))
        .filter(|&one| runs_python(&processes[one]))
        .collect();
    pythons.sort_by_key(|&one| (processes[one].identity.started, processes[one].identity.pid));
    for python in pythons {
        // Through shells and wrappers that are nothing by themselves.
        let between = |one: &usize| found[*one].is_none() && is_wrapper(&processes[*one].args);
        let Some(wrapper) = tree.ancestors(python).find(|one| !between(one)) else { continue };
        let is_soon = is_within(&processes[wrapper], &processes[python], MOMENTS);
        if waits(wrapper, found) && is_soon && !has_program(wrapper, found) {
            found[python] = found[wrapper].clone();
        }
    }
}

/// Puts what the command of a component runs below its folder, or in a folder that can't be told, into
/// the command's fleet: `python runner.py` starts `bots/BRAIN_ATLAS.py`.
pub(super) fn take_home(tree: &Tree, found: &mut [Option<Match>]) {
    for one in 0..found.len() {
        let above = tree.ancestors(one).find_map(|above| found[above].clone());
        let (Some(found), Some(command)) = (&mut found[one], above) else { continue };
        let is_below = match (&found.folder, &command.folder) {
            (Some(folder), Some(home)) => folder.starts_with(home),
            _ => found.place == Place::Unknown,
        };
        if is_command_of(&command, found) && is_below {
            found.place = Place::Fleet;
        }
    }
}

/// Whether a process that is `command` is started by the config, and `found` is only named like its
/// component.
fn is_command_of(command: &Match, found: &Match) -> bool {
    !command.is_by_name
        && found.is_by_name
        && command.place == Place::Fleet
        && command.role != Role::Orchestrator
        && command.component == found.component
}

/// Returns the script that a process runs, or that it is about to run.
fn any_call_of(process: &ProcessInfo) -> Option<ScriptCall<'_>> {
    wrapped_call(&process.args, &|_| false).or_else(|| call_of(process))
}

//! Whether the program of a process is the one that a component is started with.

use qc_call::{
    file_name, is_overwritten, is_own_tool, is_python, path_name, program_stem, runs_python,
    script_call, source_of,
};
use qc_process::{Identity, ProcessInfo, is_terminal};

use crate::evidence::Untouchable;
use crate::interpreted::Interpreted;
use crate::{Component, Role};

/// Returns the program that a process really is, if that is not what `component` is started with. A
/// Python that has changed its title is still one: what it runs can't be seen then, and its lock says
/// it.
pub(crate) fn contradiction(
    component: Option<&Component>,
    process: &ProcessInfo,
) -> Option<String> {
    let is_python_by_name = process.args.first().is_some_and(|program| is_python(program));
    let call = is_python_by_name.then(|| script_call(&process.args)).flatten();
    let is_right = match component {
        Some(component) if component.script.is_none() => runs_program(component, process),
        // The config says nothing of it: a Python may be what the lock is for.
        None => runs_python(process),
        Some(component) => match call {
            Some(call) => {
                let own = component.script_file();
                let is_own = |script: &str| file_name(script).eq_ignore_ascii_case(&own);
                is_own(&call.script)
                    || is_own(&source_of(&call.script))
                    || is_overwritten(&process.args)
            }
            None => runs_python(process) && !is_python_by_name,
        },
    };
    (!is_right).then(|| shown_program(process))
}

/// Whether a process runs the program of a component that is no Python script, whatever its
/// arguments look like by now.
fn runs_program(component: &Component, process: &ProcessInfo) -> bool {
    let Some(program) = component.command.first() else { return false };
    let own = program_stem(&path_name(program.path()));
    let is_own = names(process).any(|name| name == own);
    let interpreter = Interpreted::new(component).map(|one| one.interpreter().to_owned());
    // A wrapper may have become what it was told to run.
    let is_wrapper = qc_call::is_wrapper_program(&own) || is_own_tool(&own);
    let words = component.command.iter().filter(|_| is_wrapper);
    let mut words = words.map(|word| program_stem(&path_name(word.path())));
    let is_python_of = is_python(&own) || is_wrapper;
    is_own
        || words.any(|word| names(process).any(|name| name == word))
        || interpreter.is_some_and(|own| names(process).any(|name| name == own))
        || is_python_of && runs_python(process)
}

/// Returns the names under which the program of a process is known.
fn names(process: &ProcessInfo) -> impl Iterator<Item = String> {
    let exe = process.exe.as_deref().map(path_name);
    let all = process.args.first().cloned().into_iter().chain([process.name.clone()]).chain(exe);
    all.map(|name| program_stem(&name))
}

/// Returns the name of a program, and of a Python's script.
pub fn shown_program(process: &ProcessInfo) -> String {
    let exe = process.exe.as_deref().map(path_name).filter(|name| !name.is_empty());
    let program = exe.unwrap_or_else(|| process.name.clone());
    match script_call(&process.args).filter(|_| runs_python(process)) {
        Some(call) => format!("{program} {}", file_name(&call.script)),
        None => program,
    }
}

/// Returns why a process is never stopped by its lock alone.
pub(crate) fn untouchable(
    process: &ProcessInfo,
    role: Role,
    lineage: &[Identity],
) -> Option<Untouchable> {
    if process.identity.pid <= 1 {
        Some(Untouchable::FirstProcess)
    } else if names(process).any(|name| is_terminal(&name) || is_terminal(&format!("{name}.exe"))) {
        Some(Untouchable::Terminal)
    } else if lineage.contains(&process.identity) {
        Some(Untouchable::Ancestor)
    } else if role != Role::Orchestrator && names(process).any(|name| is_own_tool(&name)) {
        Some(Untouchable::OwnTool)
    } else {
        None
    }
}

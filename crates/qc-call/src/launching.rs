//! Programs that only launch another in their place: wrappers, stubs, one-file programs.
//!
//! They are told by what they do: the child runs the same script with the same arguments, and was started
//! within moments by a parent that has loaded no Python.

use std::time::Duration;

use qc_process::{Chain, Continues, ProcessInfo, identity_of, inspect};

use crate::{call_of, file_name, is_shell, is_wrapper, runs_python};

/// How soon a launcher starts what it is there for.
pub const MOMENTS: Duration = Duration::from_secs(10);

/// How soon a program that unpacks itself runs, where it is seen to hold the interpreter.
const UNPACKING: Duration = Duration::from_secs(60);

/// How soon it does where nothing shows that: a program may start a copy of itself later.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Asks whether a process has loaded a Python interpreter.
pub type LoadsPython<'a> = &'a dyn Fn(&ProcessInfo) -> Option<bool>;

/// Whether a process has loaded a Python interpreter; `None` where the system does not show it.
pub fn loads_python(process: &ProcessInfo) -> Option<bool> {
    let pid = process.identity.pid;
    let loads = inspect::loads_python(pid);
    loads.filter(|_| identity_of(pid).is_ok_and(|now| now == process.identity))
}

/// Whether `stub` is there to start `child`: it starts the same script with the same arguments,
/// runs another program than the child does, and is no interpreter itself.
pub fn is_launcher_of_python(
    loads_python: LoadsPython<'_>,
    stub: &ProcessInfo,
    child: &ProcessInfo,
) -> bool {
    let other_program = child.exe.is_some() && child.exe != stub.exe;
    let is_no_interpreter = || is_within(stub, child, MOMENTS) && loads_python(stub) == Some(false);
    other_program && is_same_call(stub, child) && (stub.is_stub || is_no_interpreter())
}

/// Whether a program is a one-file program that has unpacked and started itself.
pub fn unpacks_itself(
    loads_python: LoadsPython<'_>,
    parent: &ProcessInfo,
    child: &ProcessInfo,
) -> bool {
    let is_seen = || loads_python(parent) == Some(false) && loads_python(child) == Some(true);
    let is_shell = parent.args.first().is_some_and(|program| is_shell(program));
    !is_shell
        && !child.is_fork
        && (is_within(parent, child, AT_ONCE) || is_within(parent, child, UNPACKING) && is_seen())
}

/// The rules by which a wrapper on Windows finds the program behind its command, the same as for what
/// is shown.
pub const CHAIN: Chain = Chain { may_launch, continues };

/// Whether a process of this age may still launch another one in its place.
fn may_launch(process: &ProcessInfo, age: Duration) -> bool {
    let is_runner = || {
        let words = call_of(process).map(|call| call.rest).unwrap_or_default();
        words.iter().any(|word| word.to_ascii_lowercase().ends_with(".py"))
    };
    let may_unpack = || age <= UNPACKING && loads_python(process) != Some(true);
    is_wrapper(&process.args) || process.is_stub || is_runner() || may_unpack()
}

/// Whether `child` goes on with what `parent` was started for. What a Python starts is a helper, unless
/// it only launches another Python.
fn continues(parent: &ProcessInfo, child: &ProcessInfo) -> Continues {
    if is_wrapper(&parent.args) {
        let does_work = runs_python(child) || is_wrapper(&child.args);
        return if does_work { Continues::Yes } else { Continues::AsTheLast };
    }
    let launches = if runs_python(parent) {
        is_launcher_of_python(&loads_python, parent, child) || is_runner_of(parent, child)
    } else {
        let is_same_program = parent.args == child.args && parent.exe == child.exe;
        is_same_program && unpacks_itself(&loads_python, parent, child)
    };
    if launches { Continues::Yes } else { Continues::No }
}

/// Whether two Pythons run the same script with the same arguments.
pub fn is_same_call(one: &ProcessInfo, other: &ProcessInfo) -> bool {
    match (call_of(one), call_of(other)) {
        (Some(one), Some(other)) => one.script == other.script && one.rest == other.rest,
        _ => false,
    }
}

/// Whether a Python runs another script than `child` does, and was told to run that one:
/// `python run.py BRAIN_ATLAS.py`.
pub fn is_runner_of(parent: &ProcessInfo, child: &ProcessInfo) -> bool {
    let (Some(runner), Some(call)) = (call_of(parent), call_of(child)) else { return false };
    let script = file_name(&call.script);
    let is_script = |word: &String| file_name(word).eq_ignore_ascii_case(script);
    !file_name(&runner.script).eq_ignore_ascii_case(script)
        && runner.rest.iter().any(|word| is_script(word) || word == call.word)
}

/// Whether `child` was started within `limit` of `parent`.
pub fn is_within(parent: &ProcessInfo, child: &ProcessInfo, limit: Duration) -> bool {
    // The wall clock may say that the child is a little older.
    child.since.duration_since(parent.since).unwrap_or_default() <= limit
}

#[cfg(test)]
mod tests;

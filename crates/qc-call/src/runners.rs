//! Runners: Python programs that run a script given to them, such as debuggers and profilers. The
//! script trades as if it had been started directly.

use crate::{ScriptCall, is_python, program_stem};

/// Modules that run a script, as `python -m NAME` and as commands of their own. Linters, formatters
/// and test programs only read it, and are not listed.
const RUNNERS: [&str; 19] = [
    "pdb",
    "ipdb",
    "pudb",
    "cprofile",
    "profile",
    "trace",
    "debugpy",
    "pydevd",
    "coverage",
    "ipython",
    "kernprof",
    "line_profiler",
    "memory_profiler",
    "mprof",
    "pyinstrument",
    "scalene",
    "viztracer",
    "runpy",
    "jurigged",
];

/// Runners that need a word before they run anything.
const WITH_SUBCOMMAND: [(&str, &str); 2] = [("coverage", "run"), ("mprof", "run")];

/// Returns the script that a runner was told to run; `args` are its own. `None` if `name` is not a
/// runner, or runs nothing.
pub(super) fn script_of_runner<'a>(name: &str, args: &'a [String]) -> Option<ScriptCall<'a>> {
    let name = runner(name)?;
    let subcommand = WITH_SUBCOMMAND.iter().find(|(runner, _)| *runner == name);
    if subcommand.is_some_and(|(_, word)| args.first().is_none_or(|first| first != word)) {
        return None;
    }
    // Each runner has options of its own, and some take a value. None of those ends in `.py`.
    for (position, word) in args.iter().enumerate() {
        let rest = &args[position + 1..];
        match word.as_str() {
            // For `trace` this is another option, without a value.
            "-m" if name != "trace" => return module(rest),
            "--module" => return module(rest),
            // Its own argument is a module.
            word if name == "runpy" && !word.starts_with('-') && !is_script(word) => {
                return module(&args[position..]);
            }
            _ if is_script(word) => {
                return Some(ScriptCall { script: word.clone(), word, rest });
            }
            _ => {}
        }
    }
    None
}

/// Whether a program is the command of a runner, such as `coverage`.
pub(super) fn is_runner(program: &str) -> bool {
    runner(&program_stem(program)).is_some()
}

/// Returns the runner that a module, a script or a program is: `ipython3` and `coverage-3.12` are
/// commands of `ipython` and `coverage`.
fn runner(name: &str) -> Option<&'static str> {
    let stem = program_stem(name);
    let stem = stem.strip_suffix(".py").unwrap_or(&stem);
    // A package is run by its `__main__`.
    let stem = stem.strip_suffix("/__main__").unwrap_or(stem);
    let version = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    let plain = stem.trim_end_matches(version);
    RUNNERS.into_iter().find(|runner| *runner == stem || *runner == plain)
}

fn module(args: &[String]) -> Option<ScriptCall<'_>> {
    let (word, rest) = args.split_first()?;
    match script_of_runner(word, rest) {
        Some(call) => Some(call),
        None => Some(ScriptCall { script: crate::script_of_module(word), word, rest }),
    }
}

fn is_script(word: &str) -> bool {
    let is_option = word.starts_with('-');
    let ending = word.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    !is_option && ending.is_some_and(|ending| ending == "py" || ending == "pyw")
        // The interpreter itself can be a file of such a name, never the script.
        && !is_python(word)
}

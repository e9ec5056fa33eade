//! Command lines taken apart: which script a Python runs, and which programs only start another.
//!
//! Only words are read here, and nothing of a fleet is needed: a command line means the same to a lock, a
//! list and a stop.

#![forbid(unsafe_code)]

mod imports;
mod launching;
mod runners;
mod title;
mod wrappers;

use std::path::Path;

use qc_process::ProcessInfo;

pub use imports::imported_calls;
pub use launching::{
    CHAIN, LoadsPython, MOMENTS, is_launcher_of_python, is_runner_of, is_same_call, is_within,
    loads_python, unpacks_itself,
};
pub use title::{has_own_title, is_overwritten, is_own_tool, without_false_title};
pub use wrappers::{
    is_shell, is_wrapper, is_wrapper_of_qc, is_wrapper_program, names_call, names_whole_call,
    starts_another, wrapped_call,
};

/// A call of a Python script.
#[derive(Debug, PartialEq, Eq)]
pub struct ScriptCall<'a> {
    /// The script's file.
    pub script: String,
    /// The word that names it: the script's file, or with `-m` its module.
    pub word: &'a str,
    /// The script's own arguments.
    pub rest: &'a [String],
}

/// Takes a Python's command line apart, its program first; `None` if it runs no script. What a
/// runner was told to run counts, such as the script of `python -m pdb BRAIN_ATLAS.py`.
pub fn script_call(args: &[String]) -> Option<ScriptCall<'_>> {
    let call = direct_call(args)?;
    let is_module = call.script != call.word;
    let name = if is_module { call.word } else { file_name(call.word) };
    // A package's folder is run like a script.
    match runners::script_of_runner(name, call.rest) {
        Some(inner) => Some(inner),
        None => Some(call),
    }
}

/// The program that a Python's arguments name.
enum Told<'a> {
    /// A script or a module.
    Script(ScriptCall<'a>),
    /// This text, with these arguments.
    Code(&'a str, &'a [String]),
}

/// Takes a Python's command line apart; what it runs may be a runner.
fn direct_call(args: &[String]) -> Option<ScriptCall<'_>> {
    match told(args)? {
        Told::Script(call) => Some(call),
        Told::Code(..) => None,
    }
}

/// Returns the script that a process runs; `None` if it is no Python. One that was started under
/// another name is known by its program's name or file.
pub fn call_of(process: &ProcessInfo) -> Option<ScriptCall<'_>> {
    runs_python(process).then(|| script_call(&process.args)).flatten()
}

/// Whether a process is a Python, whatever that runs.
pub fn runs_python(process: &ProcessInfo) -> bool {
    process.args.first().is_some_and(|program| is_python(program))
        || is_python(&process.name)
        || process.exe.as_deref().is_some_and(|exe| is_python(&path_name(exe)))
}

/// Returns the script that a file was compiled from: `BRAIN_ATLAS.pyc` and
/// `__pycache__/BRAIN_ATLAS.cpython-312.pyc` are `BRAIN_ATLAS.py`, as is `BRAIN_ATLAS.pyw`.
pub fn source_of(script: &str) -> String {
    let (folder, file) = script.split_at(script.len() - file_name(script).len());
    let Some((stem, ending)) = file.rsplit_once('.') else { return script.to_owned() };
    let ending = ending.to_ascii_lowercase();
    if !matches!(ending.as_str(), "pyc" | "pyw") {
        return script.to_owned();
    }
    let cache = folder.strip_suffix(['/', '\\']).filter(|it| file_name(it) == "__pycache__");
    let stem = match (cache, stem.split_once('.')) {
        (Some(_), Some((stem, _))) => stem,
        _ => stem,
    };
    let folder = cache.map_or(folder, |cache| &folder[..cache.len() - "__pycache__".len()]);
    format!("{folder}{stem}.py")
}

fn told(args: &[String]) -> Option<Told<'_>> {
    let mut position = 1;
    while let Some(word) = args.get(position) {
        position += 1;
        if word == "--" {
            break;
        }
        if word.len() < 2 || !word.starts_with('-') {
            position -= 1;
            break;
        }
        if word.starts_with("--") {
            // The only long option with a value of its own.
            if word == "--check-hash-based-pycs" {
                position += 1;
            }
            continue;
        }
        // Short options can stand together; some take the rest of the word, or the next word.
        let letters = &word[1..];
        let Some(at) = letters.find(['c', 'm', 'W', 'X']) else { continue };
        let stands_alone = letters.len() == at + 1;
        match letters.as_bytes()[at] {
            b'c' => {
                let at_once = &letters[at + 1..];
                let code = if stands_alone { args.get(position)?.as_str() } else { at_once };
                let after = position + usize::from(stands_alone);
                return Some(Told::Code(code, args.get(after..).unwrap_or_default()));
            }
            b'm' => {
                let word =
                    if stands_alone { args.get(position)?.as_str() } else { &letters[at + 1..] };
                let script = script_of_module(word);
                let after = position + usize::from(stands_alone);
                let rest = args.get(after..).unwrap_or_default();
                return Some(Told::Script(ScriptCall { script, word, rest }));
            }
            _ if stands_alone => position += 1,
            _ => {}
        }
    }
    let word = args.get(position)?;
    let rest = &args[position + 1..];
    Some(Told::Script(ScriptCall { script: word.clone(), word, rest }))
}

/// `python`, `pythonw`, `python3.12`, `pypy3`, and the launchers `py` and `pyw`.
pub fn is_python(program: &str) -> bool {
    let stem = program_stem(program);
    let rest = ["python", "pypy", "py"].iter().find_map(|name| stem.strip_prefix(name));
    rest.is_some_and(|rest| {
        let rest = rest.strip_prefix('w').unwrap_or(rest);
        rest.chars().all(|c| c.is_ascii_digit() || c == '.' || c == 't' || c == 'd')
    })
}

/// Returns the file of a module, as it would be written.
fn script_of_module(module: &str) -> String {
    module.replace('.', "/") + ".py"
}

/// Returns the file name of a program in lower case, without `.exe`.
pub fn program_stem(program: &str) -> String {
    let file = file_name(program).to_lowercase();
    file.strip_suffix(".exe").map(str::to_owned).unwrap_or(file)
}

/// Returns the last part of a path, whichever system it is written for.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Returns the value of `--name value` or `--name=value`.
pub fn option(args: &[String], name: &str) -> Option<String> {
    args.iter().enumerate().find_map(|(position, word)| match word.strip_prefix(name)? {
        "" => args.get(position + 1).cloned(),
        rest => rest.strip_prefix('=').map(str::to_owned),
    })
}

/// Returns the text of a path's file name.
pub fn path_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

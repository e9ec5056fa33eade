//! Wrappers: programs that start another one and wait for it.

use crate::{
    ScriptCall, direct_call, file_name, is_own_tool, is_python, program_stem, runners, script_call,
};

/// Wrappers by name. Whether one of them really started a script is decided by the parent link and
/// by the words in [`names_call`].
const WRAPPERS: [&str; 23] = [
    "busybox",
    "chrt",
    "chpst",
    "doas",
    "env",
    "flock",
    "ionice",
    "nice",
    "nohup",
    "numactl",
    "runuser",
    "setpriv",
    "setsid",
    "softlimit",
    "start",
    "stdbuf",
    "sudo",
    "systemd-inhibit",
    "taskset",
    "time",
    "timeout",
    "winpty",
    "xargs",
];

/// Wrappers that run a command, or a script, in an environment: `uv run BRAIN_ATLAS.py`.
const ENVIRONMENTS: [&str; 12] = [
    "conda",
    "direnv",
    "hatch",
    "mamba",
    "micromamba",
    "pdm",
    "pipenv",
    "pixi",
    "poetry",
    "rye",
    "uv",
    "uvx",
];

/// Shells.
const SHELLS: [&str; 9] = ["ash", "bash", "cmd", "dash", "ksh", "powershell", "pwsh", "sh", "zsh"];

/// Whether a program is one that only starts another and waits for it.
pub fn is_wrapper(args: &[String]) -> bool {
    let args = own_args(args);
    let Some(program) = args.first() else { return false };
    is_wrapper_program(program) || is_wrapper_of_qc(args)
}

/// Returns the arguments of a wrapper, its name first: `conda` and `poetry` are scripts of a Python.
fn own_args(args: &[String]) -> &[String] {
    let is_python_call = args.first().is_some_and(|program| is_python(program));
    let Some(call) = is_python_call.then(|| direct_call(args)).flatten() else { return args };
    let stem = program_stem(call.word);
    let stem = stem.strip_suffix(".py").unwrap_or(&stem);
    let stem = stem.strip_suffix("-script").unwrap_or(stem);
    match ENVIRONMENTS.contains(&stem) {
        true => &args[args.len() - call.rest.len() - 1..],
        false => args,
    }
}

/// Whether a program of this name only starts another one and waits for it.
pub fn is_wrapper_program(program: &str) -> bool {
    let stem = program_stem(program);
    let stem = stem.strip_prefix('-').unwrap_or(&stem);
    let stem = stem.strip_suffix("-script.py").unwrap_or(stem);
    [&WRAPPERS[..], &ENVIRONMENTS, &SHELLS].iter().any(|names| names.contains(&stem))
}

/// Whether a program of this name only starts another in its place and waits for it: a shell, a wrapper, or
/// one of qc.
pub fn starts_another(program: &str) -> bool {
    is_wrapper_program(program) || is_own_tool(&program_stem(program))
}

/// Whether a program is a shell. Each copy of a shell counts for itself.
pub fn is_shell(program: &str) -> bool {
    SHELLS.contains(&program_stem(program).as_str())
}

/// Whether it is `qc-lock run` or `qc-launch hold`, which start what stands behind their `--`.
pub fn is_wrapper_of_qc(args: &[String]) -> bool {
    let Some((program, words)) = args.split_first() else { return false };
    let stem = program_stem(program);
    let of_qc =
        |tool: &str, word: &str| stem.starts_with(tool) && words.iter().any(|it| it == word);
    of_qc("qc-lock", "run") || of_qc("qc-launch", "hold")
}

/// Returns the script that a wrapper is about to run or runs, from the words after its own. A shell
/// counts only where it runs Python's place holder, such as the shims of pyenv: what else stands in
/// its command is its own affair. `is_interpreter` knows the interpreters of the fleet, which can be
/// shell scripts.
pub fn wrapped_call<'a>(
    args: &'a [String],
    is_interpreter: &dyn Fn(&str) -> bool,
) -> Option<ScriptCall<'a>> {
    let args = own_args(args);
    let (program, words) = args.split_first()?;
    if !is_wrapper_program(program) {
        return None;
    }
    if is_shell(program) {
        return shim_call(words, is_interpreter);
    }
    let stem = program_stem(program);
    let stem = stem.strip_suffix("-script.py").unwrap_or(&stem);
    let is_environment = ENVIRONMENTS.contains(&stem);
    let mut own_words = own_words(stem);
    let mut is_value = false;
    for (position, word) in words.iter().enumerate() {
        let rest = &words[position..];
        let is_option = word.starts_with('-');
        if is_python(word) || is_interpreter(word) {
            return script_call(rest);
        } else if runners::is_runner(word) {
            return runners::script_of_runner(word, &rest[1..]);
        } else if is_wrapper_program(word) {
            return wrapped_call(rest, is_interpreter);
        } else if is_environment && !is_option && word.to_ascii_lowercase().ends_with(".py") {
            return Some(ScriptCall { script: word.clone(), word, rest: &rest[1..] });
        } else if !is_option && !is_value && !word.contains('=') {
            // Beyond its own words it names another program, which may only read a script.
            own_words = own_words.checked_sub(1)?;
        }
        is_value = is_option && !is_flag(word);
    }
    None
}

/// Returns how many words that are no options stand before the command of a wrapper.
fn own_words(stem: &str) -> usize {
    let has_one = ENVIRONMENTS.contains(&stem)
        || matches!(stem, "chrt" | "flock" | "softlimit" | "taskset" | "timeout");
    usize::from(has_one)
}

/// Whether an option of one of the wrappers takes no value as a word of its own.
fn is_flag(option: &str) -> bool {
    const FLAGS: [&str; 12] = [
        "--active",
        "--dev",
        "--exact",
        "--frozen",
        "--isolated",
        "--live-stream",
        "--locked",
        "--offline",
        "--quiet",
        "--verbose",
        "-q",
        "-v",
    ];
    option.contains('=') || option.starts_with("--no-") || FLAGS.contains(&option)
}

/// A shell that runs a script standing in for Python: the rest of its words is Python's.
fn shim_call<'a>(
    words: &'a [String],
    is_interpreter: &dyn Fn(&str) -> bool,
) -> Option<ScriptCall<'a>> {
    let is_option = |word: &&String| word.starts_with('-') && !word.starts_with("-c");
    let mut at = words.iter().take_while(is_option).count();
    if words.get(at)?.eq_ignore_ascii_case("/c") {
        at += 1;
    }
    let shim = words.get(at)?;
    let name = program_stem(shim);
    let plain = [".bat", ".cmd"].iter().find_map(|it| name.strip_suffix(it)).unwrap_or(&name);
    if is_python(plain) || is_interpreter(shim) {
        return script_call(&words[at..]);
    }
    // `pyenv exec python BRAIN_ATLAS.py`, and the same as `pyenv-exec`.
    let behind = words.get(at + 1..)?;
    let python = behind.iter().position(|word| is_python(file_name(word)))?;
    plain.starts_with("pyenv").then(|| script_call(&behind[python..])).flatten()
}

/// Whether a command line names `call`: the script and its arguments stand in it side by side.
/// A shell has its whole command in one argument, quoted in its own way, so quotes don't count.
pub fn names_call(args: &[String], call: &ScriptCall<'_>) -> bool {
    names(args, call, &|_| true)
}

/// Whether a command line names `call` and no more arguments behind it.
pub fn names_whole_call(args: &[String], call: &ScriptCall<'_>) -> bool {
    names(args, call, &|rest| {
        let line = rest.split('\n').next().unwrap_or_default().trim_start();
        // `2>log` redirects, and is no argument.
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() && line.contains('>'));
        line.is_empty() || line.starts_with([';', '&', '|', ')', '<', '>'])
    })
}

/// Whether a command line names `call`, with what `is_end` accepts behind it.
fn names(args: &[String], call: &ScriptCall<'_>, is_end: &dyn Fn(&str) -> bool) -> bool {
    let plain = |words: &mut dyn Iterator<Item = &str>| {
        words.collect::<Vec<_>>().join(" ").replace(['"', '\''], "")
    };
    let text = plain(&mut args.iter().skip(1).map(String::as_str));
    let wanted = plain(&mut std::iter::once(call.word).chain(call.rest.iter().map(String::as_str)));
    let is_boundary = |c: Option<char>| {
        c.is_none_or(|c| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')' | '<' | '>'))
    };
    text.match_indices(&wanted).any(|(at, _)| {
        is_boundary(text[..at].chars().next_back())
            && is_boundary(text[at + wanted.len()..].chars().next())
            && is_end(&text[at + wanted.len()..])
    })
}

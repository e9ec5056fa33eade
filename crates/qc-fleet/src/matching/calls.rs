//! The script that a process or a command calls.

use std::path::{Path, PathBuf};

use qc_call::{ScriptCall, file_name, is_python, is_shell, names_whole_call, script_call};

use super::scripts;
use crate::{Component, Text};

/// Whether the command of `shell` is one that runs the script of `other` with the same arguments.
pub(crate) fn is_shell_of(shell: &Component, other: &Component) -> bool {
    let own = scripts::words(&other.command);
    let Some(call) = script_call(&own).filter(|_| other.script.is_some()) else { return false };
    // Paths compare equal without their folders.
    let without_folders =
        |word: String| word.split(' ').map(file_name).collect::<Vec<_>>().join(" ");
    let words: Vec<String> =
        scripts::words(&shell.command).into_iter().map(without_folders).collect();
    words.first().is_some_and(|program| is_shell(program))
        && names_whole_call(&words, &ScriptCall { word: file_name(call.word), ..call })
}

/// Returns the script in a component's command, and where its arguments begin.
pub(crate) fn script_in(command: &[Text]) -> Option<(PathBuf, usize)> {
    let words = scripts::words(command);
    let call = is_python(words.first()?).then(|| script_call(&words)).flatten()?;
    Some((PathBuf::from(&call.script), words.len() - call.rest.len()))
}

/// Returns the call of the script that a link of this name leads to.
pub(super) fn behind_link<'a>(
    call: ScriptCall<'a>,
    current_dir: Option<&Path>,
) -> Option<ScriptCall<'a>> {
    let link = current_dir.unwrap_or(Path::new("")).join(&call.script);
    // Most are no links, which is cheaper to ask.
    let script = link.read_link().and_then(|_| link.canonicalize()).ok()?;
    Some(ScriptCall { script: script.to_string_lossy().into_owned(), ..call })
}

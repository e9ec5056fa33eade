//! The scripts that are looked for, by their file names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use qc_call::{ScriptCall, file_name, is_shell, names_whole_call, source_of, wrapped_call};

use crate::{Component, Fleet, Text};

/// The scripts of all watchdogs, unless the config says otherwise: of today, and the first version.
const WATCHDOG_SCRIPTS: [&str; 2] = ["STOPLOSS_WATCHDOG_V2.py", "STOPLOSS_WATCHDOG.py"];

/// The scripts of a fleet.
#[derive(Debug)]
pub(super) struct Scripts<'a> {
    /// By the script's file name in lower case.
    by_file: HashMap<String, Vec<Runs<'a>>>,
    /// The components whose command is a shell, with its words.
    shells: Vec<(&'a Component, Vec<String>)>,
    orchestrator: &'a str,
}

/// A component that runs a script.
#[derive(Debug, Clone)]
pub(super) struct Runs<'a> {
    pub(super) component: &'a Component,
    /// Where the script lies.
    pub(super) home: PathBuf,
    /// The script's arguments, where its component is a wrapper.
    wrapped_args: Option<Vec<String>>,
}

impl<'a> Scripts<'a> {
    pub(super) fn new(fleet: &'a Fleet, is_interpreter: &dyn Fn(&str) -> bool) -> Self {
        let mut by_file: HashMap<String, Vec<Runs<'_>>> = HashMap::new();
        let mut shells = Vec::new();
        for component in &fleet.components {
            let home = |script: &Path| script.parent().unwrap_or(&fleet.root).to_path_buf();
            let (file, runs) = match &component.script {
                Some(script) => {
                    let home = home(script);
                    (component.script_file(), Runs { component, home, wrapped_args: None })
                }
                None => {
                    let words = words(&component.command);
                    let Some(call) = wrapped_call(&words, is_interpreter) else {
                        if words.first().is_some_and(|program| is_shell(program)) {
                            shells.push((&**component, words));
                        }
                        continue;
                    };
                    let home = home(&component.cwd.join(&call.script));
                    let wrapped_args = Some(call.rest.to_vec());
                    (file_name(&call.script).to_owned(), Runs { component, home, wrapped_args })
                }
            };
            by_file.entry(file.to_lowercase()).or_default().push(runs);
        }
        Self { by_file, shells, orchestrator: fleet.orchestrator.as_str() }
    }

    /// Returns the components that run a script of this file name.
    pub(super) fn named(&self, file: &str) -> &[Runs<'a>] {
        self.by_file.get(&file.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// Returns the only component whose shell names this call, and where the script lies.
    pub(super) fn named_by_shell(&self, call: &ScriptCall<'_>) -> Option<(&'a Component, PathBuf)> {
        let mut those = self.shells.iter().filter(|(_, words)| names_whole_call(words, call));
        let (component, _) = those.next()?;
        let script = component.cwd.join(&call.script);
        those.next().is_none().then(|| (*component, script.parent().unwrap_or(&script).into()))
    }

    /// Returns the script that a file stands for: itself, or what it was compiled from.
    pub(super) fn source_of(&self, path: String) -> String {
        match self.by_file.contains_key(&file_name(&path).to_lowercase()) {
            true => path,
            false => source_of(&path),
        }
    }

    /// Whether a file is one of the scripts that are looked for, or was compiled from one.
    pub(super) fn is_one(&self, path: &str) -> bool {
        self.is_script(file_name(path)) || self.is_script(file_name(&source_of(path)))
    }

    fn is_script(&self, file: &str) -> bool {
        let upper = stem(file).to_ascii_uppercase();
        // Most words are neither.
        let is_python = upper.len() + 3 == file.len();
        (is_python
            && (is_watchdog_script(file)
                || upper.starts_with("BRAIN_")
                || upper == self.orchestrator))
            || self.by_file.contains_key(&file.to_lowercase())
    }
}

impl Runs<'_> {
    /// Whether these are the arguments that the script is started with.
    pub(super) fn has_args(&self, args: &[String]) -> bool {
        match &self.wrapped_args {
            Some(own) => own == args,
            None => super::has_args(self.component, args),
        }
    }
}

pub(super) fn is_watchdog_script(file: &str) -> bool {
    WATCHDOG_SCRIPTS.iter().any(|script| file.eq_ignore_ascii_case(script))
}

/// Returns the file name of a script without its ending.
pub(super) fn stem(file: &str) -> &str {
    match file.len().checked_sub(3) {
        Some(end) if file.is_char_boundary(end) && file[end..].eq_ignore_ascii_case(".py") => {
            &file[..end]
        }
        _ => file,
    }
}

/// Returns the words of a command as a process shows them.
pub(super) fn words(command: &[Text]) -> Vec<String> {
    command.iter().map(|word| word.value().to_string_lossy().into_owned()).collect()
}

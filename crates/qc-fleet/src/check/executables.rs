//! The programs that components and notifications run.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_process::{find_program, is_bare, is_path_variable, is_terminal};

use super::{Check, Facts, Subject};
use crate::{Component, Fleet, Variables};

/// The file that a program's name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramFile {
    /// It can be run.
    Found(PathBuf),
    /// There is none: where was searched, and what to write instead.
    Missing(String),
    /// It may not be run, and why.
    Forbidden(String),
    /// The Microsoft Store's placeholder for a Python that is not installed. It ends with exit code
    /// 9009.
    Placeholder(PathBuf),
}

/// The files of all programs, by their name and the PATH of their own that a component has.
pub type ProgramFiles = HashMap<(PathBuf, Option<OsString>), ProgramFile>;

/// Finds each program once, as starting it does.
pub(super) fn gather(
    fleet: &Fleet,
    components: &[Arc<Component>],
    variables: Variables<'_>,
) -> ProgramFiles {
    let mut files = ProgramFiles::new();
    let notify = fleet.notify.command.first().map(|word| (word.path().to_path_buf(), None));
    for key in components.iter().filter_map(|one| key_of(one)).chain(notify) {
        let path = key.1.clone().or_else(|| variables("PATH"));
        files.entry(key).or_insert_with_key(|(program, _)| {
            match find_program(program.as_os_str(), path.as_deref()) {
                Ok(file) if is_placeholder(&file) => ProgramFile::Placeholder(file),
                Ok(file) => ProgramFile::Found(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    ProgramFile::Missing(error.to_string())
                }
                Err(error) => ProgramFile::Forbidden(error.to_string()),
            }
        });
    }
    files
}

/// Returns what a component's program is looked up by.
fn key_of(component: &Component) -> Option<(PathBuf, Option<OsString>)> {
    let program = component.command.first()?.path().to_path_buf();
    let own = component.env.iter().rev().find(|(name, _)| is_path_variable(name.as_ref()));
    Some((program, own.map(|(_, value)| value.reveal().to_owned())))
}

/// Whether a file is the Store's placeholder: the alias of a Python in a folder that has none of the
/// Store's Pythons.
fn is_placeholder(file: &Path) -> bool {
    let Some(folder) = file.parent() else { return false };
    let lower = |name: Option<&std::ffi::OsStr>| {
        name.map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default()
    };
    if lower(folder.file_name()) != "windowsapps" || !lower(file.file_name()).starts_with("python")
    {
        return false;
    }
    let is_alias = fs::symlink_metadata(file).is_ok_and(|it| it.len() == 0);
    let has_python = fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|it| lower(Some(&it.file_name())).starts_with("pythonsoftware"))
    });
    is_alias && !has_python
}

/// Finds programs and working folders that a start of `components` lacks.
pub(super) fn missing_programs(
    fleet: &Fleet,
    components: &[Arc<Component>],
    facts: &Facts,
) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    let starts = |one: &&Arc<Component>| one.named_script().is_none_or(|path| !facts.lacks(path));
    for one in components.iter().filter(starts) {
        let check = key_of(one).and_then(|key| judge(fleet, one, facts.programs.get(&key)?));
        checks.extend(check.filter(|check| !checks.contains(check)));
        if facts.lacks(&one.cwd) {
            let text =
                format!("the working folder {} of {} does not exist", one.cwd.display(), one.name);
            let advice = "make the folder, or correct `cwd` in the config";
            checks.push(Check::error(Subject::Programs, text, advice));
        }
        checks.extend(terminal(one));
    }
    checks.extend(interpreter_note(fleet, facts));
    checks.extend(notify(fleet, facts));
    checks
}

fn judge(fleet: &Fleet, one: &Component, file: &ProgramFile) -> Option<Check> {
    let subject = Subject::Programs;
    let program = one.command.first()?;
    let is_python = *program == fleet.interpreter;
    let why = if is_bare(program.path()) { "is not on PATH" } else { "does not exist" };
    Some(match file {
        ProgramFile::Found(_) => return None,
        ProgramFile::Missing(searched) if is_python => {
            let text = format!("the Python {program} {why}");
            let advice = format!(
                "correct PROCESS_MANAGER.interpreter in the config, or make the environment: {searched}"
            );
            Check::error(subject, text, advice)
        }
        ProgramFile::Missing(searched) => {
            let text = format!("the program {program} of {} {why}", one.name);
            Check::error(subject, text, format!("correct its `command` in the config: {searched}"))
        }
        ProgramFile::Forbidden(reason) => {
            let text = format!("the program {program} of {} cannot be run: {reason}", one.name);
            Check::error(subject, text, "make it executable, or correct the config")
        }
        ProgramFile::Placeholder(file) => {
            let text = format!(
                "the Python {} is the Microsoft Store's placeholder and runs nothing",
                file.display()
            );
            let advice = "install Python from python.org, or name yours in \
                          PROCESS_MANAGER.interpreter; the placeholder ends with exit code 9009";
            Check::error(subject, text, advice)
        }
    })
}

/// A terminal as a component is started, and then no tool ends it.
fn terminal(one: &Component) -> Option<Check> {
    let program = one.command.first()?;
    if !is_terminal(&program.path().to_string_lossy()) {
        return None;
    }
    let text = format!("{} is a trading terminal, which no tool ever stops", one.name);
    let advice = "start it apart from the fleet, and remove it from `components`";
    Some(Check::warning(Subject::Programs, text, advice))
}

/// Says which Python is used where that is not the fleet's own.
fn interpreter_note(fleet: &Fleet, facts: &Facts) -> Option<Check> {
    let note = fleet.interpreter_note.as_ref()?;
    let found = facts.programs.get(&(fleet.interpreter.path().to_path_buf(), None));
    let text = match found {
        Some(ProgramFile::Found(file)) if is_bare(fleet.interpreter.path()) => {
            format!("{note}: {}", file.display())
        }
        _ => note.clone(),
    };
    let advice = "set PROCESS_MANAGER.interpreter if that is not the right one";
    Some(Check::warning(Subject::Programs, text, advice))
}

fn notify(fleet: &Fleet, facts: &Facts) -> Option<Check> {
    let program = fleet.notify.command.first()?;
    let reason = match facts.programs.get(&(program.path().to_path_buf(), None))? {
        ProgramFile::Found(_) => return None,
        ProgramFile::Missing(reason) | ProgramFile::Forbidden(reason) => reason.clone(),
        ProgramFile::Placeholder(_) => "it is the Microsoft Store's placeholder".into(),
    };
    let text = format!("the command {program} of `notify` cannot be run: {reason}");
    Some(Check::warning(Subject::Programs, text, "correct `notify.command` in the config"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_of_the_store_is_no_python() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("WindowsApps");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("python3.exe");
        fs::write(&file, "").unwrap();
        fs::write(folder.join("winget.exe"), "").unwrap();
        assert!(is_placeholder(&file));
        assert!(!is_placeholder(&folder.join("winget.exe")));
        // A Python of the Store has a folder beside its alias, and elsewhere a file is a file.
        fs::create_dir(folder.join("PythonSoftwareFoundation.Python.3.12_qbz5n2kfra8p0")).unwrap();
        assert!(!is_placeholder(&file));
        let elsewhere = dir.path().join("python3.exe");
        fs::write(&elsewhere, "").unwrap();
        assert!(!is_placeholder(&elsewhere));
    }
}

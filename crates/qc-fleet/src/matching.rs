//! Which component a process is by its command line: the interpreter, its options skipped, the
//! script's file name, looking through wrappers and runners. An editor with a brain's file in its
//! arguments is not a brain.
//!
//! A Python that was copied to another name, and one that has overwritten its own command line, are
//! known by their locks alone: see [`Snapshot`](crate::Snapshot).

mod calls;
mod found;
mod scripts;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use qc_call::{
    ScriptCall, call_of, file_name, imported_calls, is_overwritten, is_python, is_wrapper_program,
    option, path_name, program_stem, runs_python, script_call, wrapped_call,
};
use qc_process::ProcessInfo;

use self::calls::behind_link;
pub(crate) use self::calls::{is_shell_of, script_in};
pub use self::found::{Match, Place};
use self::scripts::{Runs, Scripts, is_watchdog_script};
use crate::interpreted::Interpreted;
use crate::{Component, Fleet, Role, launcher, same_folder};

/// Tells which component a process is.
#[derive(Debug)]
pub struct Matcher<'a> {
    fleet: &'a Fleet,
    scripts: Scripts<'a>,
    /// The components that are no Python scripts, by the name of their program.
    programs: HashMap<String, Vec<&'a Component>>,
    /// The ones that another program runs.
    interpreted: Vec<Interpreted<'a>>,
    /// The file names of interpreters that are not known as Pythons.
    interpreters: HashSet<String>,
    /// Whether two folders are the same, as far as that was asked: the system has to be asked.
    same: HashMap<(PathBuf, PathBuf), bool>,
}

impl<'a> Matcher<'a> {
    /// Prepares to look for the components of `fleet`.
    pub fn new(fleet: &'a Fleet) -> Self {
        let mut programs: HashMap<String, Vec<&Component>> = HashMap::new();
        let mut interpreted = Vec::new();
        let mut interpreters = HashSet::new();
        for component in &fleet.components {
            if component.script.is_none() {
                programs.entry(program_stem(&component.script_file())).or_default().push(component);
                interpreted.extend(Interpreted::new(component));
            } else if let Some(program) = component.command.first() {
                let name = path_name(program.path()).to_lowercase();
                interpreters.extend((!is_python(&name)).then_some(name));
            }
        }
        let is_interpreter = |word: &str| interpreters.contains(&file_name(word).to_lowercase());
        let scripts = Scripts::new(fleet, &is_interpreter);
        Self { fleet, scripts, programs, interpreted, interpreters, same: HashMap::new() }
    }

    /// Whether a process with this command line may be of interest, whatever else there is to it.
    /// Never says no to one that [`Matcher::find`] would find.
    pub fn may_find(&self, args: &[String]) -> bool {
        let is_program = |program: &String| self.programs.contains_key(&program_stem(program));
        let is_of_script = |call: Option<ScriptCall<'_>>| {
            call.is_some_and(|call| self.scripts.is_one(&call.script))
        };
        launcher::runs_fleet(args)
            // A Python may work for one that runs a script.
            || args.first().is_some_and(|program| is_python(program))
            || args.iter().skip(1).any(|word| self.scripts.is_one(word))
            || is_of_script(script_call(args))
            || is_of_script(self.wrapped_call(args))
            || (!self.programs.is_empty() && args.first().is_some_and(is_program))
            || self.interpreted.iter().any(|one| one.may_be(args))
    }

    /// Whether a program of this name could be a component, or start one. Asked about processes
    /// whose command line is not shown.
    pub fn may_be_program(&self, name: &str) -> bool {
        let stem = program_stem(name);
        stem.starts_with("py")
            || is_wrapper_program(name)
            || self.programs.contains_key(&stem)
            || self.interpreters.contains(&name.to_lowercase())
    }

    /// Tells which component `process` is, if any.
    pub fn find(&mut self, process: &ProcessInfo) -> Option<Match> {
        let current_dir = process.current_dir.as_deref();
        if launcher::runs_fleet(&process.args) {
            let folder = launcher::folder(&process.args[1..], current_dir);
            let name = self.fleet.orchestrator.to_string();
            let root = &self.fleet.root;
            return Some(self.found(name, Role::Orchestrator, None, folder, root, current_dir));
        }
        let found = match self.script_of(process) {
            Some(call) => self.script(&call, current_dir),
            None => self.program(&process.args, current_dir),
        }?;
        Some(Match { is_vague: found.is_vague || is_overwritten(&process.args), ..found })
    }

    /// Returns the script of the fleet that a process runs or is about to run. A Python may run it under
    /// the name of a link, as a compiled file, or by an import.
    fn script_of<'b>(&self, process: &'b ProcessInfo) -> Option<ScriptCall<'b>> {
        let args = &process.args;
        let call = self.wrapped_call(args).or_else(|| call_of(process));
        let call = match call {
            Some(call) if self.scripts.is_one(&call.script) => call,
            _ if !runs_python(process) => return None,
            call => match self.imported_call(args) {
                Some(imported) => imported,
                None => behind_link(call?, process.current_dir.as_deref())?,
            },
        };
        let call = Some(call).filter(|call| self.scripts.is_one(&call.script))?;
        Some(ScriptCall { script: self.scripts.source_of(call.script), ..call })
    }

    /// Returns the import of one of the scripts that are looked for by a Python's command line.
    fn imported_call<'b>(&self, args: &'b [String]) -> Option<ScriptCall<'b>> {
        imported_calls(args).into_iter().find(|call| self.scripts.is_one(&call.script))
    }

    /// Returns the relative path by which a Python was told to run one of the scripts that are looked
    /// for. A wrapper may change the folder before it runs one.
    pub(crate) fn relative_script(&self, process: &ProcessInfo) -> Option<PathBuf> {
        if self.wrapped_call(&process.args).is_some() {
            return None;
        }
        let direct = call_of(process).filter(|call| self.scripts.is_one(&call.script));
        let call = direct.or_else(|| self.imported_call(&process.args))?;
        // A path of Windows is absolute also where another system shows it.
        let is_relative = Path::new(&call.script).is_relative() && !call.script.contains(':');
        is_relative.then(|| PathBuf::from(call.script))
    }

    fn wrapped_call<'b>(&self, args: &'b [String]) -> Option<ScriptCall<'b>> {
        wrapped_call(args, &|word| self.interpreters.contains(&file_name(word).to_lowercase()))
    }

    /// A process that runs one of the scripts that are looked for.
    fn script(&mut self, call: &ScriptCall<'_>, current_dir: Option<&Path>) -> Option<Match> {
        let path = Path::new(&call.script);
        let folder = if path.is_absolute() {
            path.parent().map(Path::to_path_buf)
        } else {
            current_dir.and_then(|current| current.join(path).parent().map(Path::to_path_buf))
        };
        let file = file_name(&call.script);
        let same_script: Vec<Runs<'a>> = self.scripts.named(file).to_vec();
        let home = same_script.first().map_or(&self.fleet.root, |one| &one.home).clone();
        if !same_script.iter().any(|one| one.has_args(call.rest))
            && let Some((one, home)) = self.scripts.named_by_shell(call)
        {
            return Some(self.found_as(one, folder, &home, current_dir));
        }
        let shared_role = match &same_script[..] {
            [] => is_watchdog_script(file).then_some(Role::Watchdog),
            [one] if one.component.role != Role::Watchdog => {
                return Some(self.found_as(one.component, folder, &home, current_dir));
            }
            [one, ..] => Some(one.component.role),
        };
        if let Some(role) = shared_role {
            // One script works for several accounts; its arguments tell for which.
            let key = option(call.rest, "--account");
            let by_key = |one: &Component| key.as_ref().is_some_and(|key| is_for(one, key));
            let mut those = same_script.iter();
            let one = those.find(|one| by_key(one.component) || one.has_args(call.rest));
            let one = one.map(|one| one.component).or_else(|| {
                let all = self.fleet.components.iter().map(AsRef::as_ref);
                all.filter(|one| one.role == role).find(|one| by_key(one))
            });
            return Some(match one {
                Some(one) => self.found_as(one, folder, &home, current_dir),
                None => {
                    let is_vague = key.is_none();
                    let name = key.as_deref().unwrap_or("UNKNOWN");
                    let name = format!("{}_{name}", role.as_str().to_ascii_uppercase());
                    let found = self.found(name, role, key, folder, &home, current_dir);
                    Match { is_vague, ..found }
                }
            });
        }
        let stem = scripts::stem(file);
        let upper = stem.to_ascii_uppercase();
        if upper == self.fleet.orchestrator.as_str() {
            return Some(self.found(upper, Role::Orchestrator, None, folder, &home, current_dir));
        }
        // A brain whose account was taken out of the config still trades.
        let key = upper.strip_prefix("BRAIN_")?.to_owned();
        if let Some(one) = self.fleet.component(stem) {
            let found = self.found_as(one, folder, &home, current_dir);
            return Some(Match { is_by_name: true, ..found });
        }
        let name = stem.to_owned();
        let found = self.found(name, Role::Brain, Some(key), folder, &home, current_dir);
        Some(Match { is_by_name: true, ..found })
    }

    /// A component that is no Python script of the fleet: the same program with the same arguments in
    /// the same folder, for the program may be used for something else.
    fn program(&mut self, args: &[String], current_dir: Option<&Path>) -> Option<Match> {
        let (program, rest) = args.split_first()?;
        let dir = current_dir?;
        let named = self.programs.get(&program_stem(program)).into_iter().flatten();
        let named = named.copied().filter(|one| has_args(one, rest));
        let interpreted = self.interpreted.iter().filter(|one| one.may_be(args));
        let candidates: Vec<&Component> =
            named.chain(interpreted.map(|one| one.component)).collect();
        let one = candidates.into_iter().find(|one| self.is_same(dir, &one.cwd))?;
        Some(self.found_as(one, Some(dir.to_path_buf()), &one.cwd, current_dir))
    }

    fn found_as(
        &mut self,
        one: &Component,
        folder: Option<PathBuf>,
        home: &Path,
        current_dir: Option<&Path>,
    ) -> Match {
        let (name, key) = (one.name.to_string(), one.account_key.clone());
        self.found(name, one.role, key, folder, home, current_dir)
    }

    /// `home` is where the script lies that the config means.
    fn found(
        &mut self,
        component: String,
        role: Role,
        account_key: Option<String>,
        folder: Option<PathBuf>,
        home: &Path,
        current_dir: Option<&Path>,
    ) -> Match {
        let is_home = folder.as_ref().is_none_or(|folder| {
            // A folder that was renamed since is known by the process that still works in it.
            let was_renamed = |dir: &Path| dir != folder && !folder.exists();
            self.is_same(folder, home)
                || current_dir.is_some_and(|dir| was_renamed(dir) && self.is_same(dir, home))
        });
        let place = if is_home { Place::Fleet } else { Place::Foreign };
        Match { component, role, account_key, place, folder, is_vague: false, is_by_name: false }
    }

    fn is_same(&mut self, one: &Path, other: &Path) -> bool {
        let key = (one.to_path_buf(), other.to_path_buf());
        *self.same.entry(key).or_insert_with_key(|(one, other)| {
            same_folder(one, other) || is_same_in_letters(one, other)
        })
    }
}

/// Whether two folders are the same as far as letters show: what a command line says in bytes that
/// are no text was replaced when it was read.
fn is_same_in_letters(read: &Path, other: &Path) -> bool {
    let read = read.to_string_lossy();
    let is_it = |path: &Path| path.to_string_lossy() == read;
    read.contains(char::REPLACEMENT_CHARACTER)
        && (is_it(other) || other.canonicalize().is_ok_and(|path| is_it(&path)))
}

/// Whether a component is for the account of this key or number.
fn is_for(component: &Component, account: &str) -> bool {
    let key = component.account_key.as_ref().is_some_and(|key| key.eq_ignore_ascii_case(account));
    key || component.account.is_some() && component.account == account.parse().ok()
}

fn has_args(component: &Component, args: &[String]) -> bool {
    component.args().len() == args.len() && component.ends(args)
}

#[cfg(test)]
mod tests;

//! Which component a process is, told by its arguments: the interpreter, its options skipped,
//! the script's file name. An editor with a brain's file in its arguments is not a brain.
//!
//! What this can't see is a Python that was copied to another name and one that has overwritten
//! its own command line. Their locks are shown all the same, as held by another program.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use qc_process::ProcessInfo;

use crate::call::{ScriptCall, file_name, is_python, option, path_name, program_stem, script_call};
use crate::interpreted::Interpreted;
use crate::{Component, Fleet, Role, Text, same_folder};

/// The script of all watchdogs, unless the config says otherwise.
const WATCHDOG_SCRIPT: &str = "STOPLOSS_WATCHDOG_V2.py";

/// A process that runs a fleet's script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The component's name.
    pub component: String,
    /// What it does.
    pub role: Role,
    /// The key of its account.
    pub account_key: Option<String>,
    /// Where its script lies.
    pub place: Place,
    /// The folder of its script, or of its config; `None` if the process does not let us see it.
    pub folder: Option<PathBuf>,
}

/// Where a script lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this fleet's folder; also if the process does not let us see where.
    Fleet,
    /// In another folder.
    Foreign,
}

/// Tells which component a process is.
#[derive(Debug)]
pub struct Matcher<'a> {
    fleet: &'a Fleet,
    /// Which components run a script, by the script's file name in lower case.
    scripts: HashMap<String, Vec<&'a Component>>,
    /// The components that are no Python scripts, by the name of their program.
    programs: HashMap<String, Vec<&'a Component>>,
    /// Those of them that another program runs.
    interpreted: Vec<Interpreted<'a>>,
    /// Whether two folders are the same, as far as that was asked: the system has to be asked.
    same: HashMap<(PathBuf, PathBuf), bool>,
}

impl<'a> Matcher<'a> {
    /// Prepares to look for the components of `fleet`.
    pub fn new(fleet: &'a Fleet) -> Self {
        let mut scripts: HashMap<String, Vec<&Component>> = HashMap::new();
        let mut programs: HashMap<String, Vec<&Component>> = HashMap::new();
        let mut interpreted = Vec::new();
        for component in &fleet.components {
            let file = component.script_file();
            match &component.script {
                Some(_) => scripts.entry(file.to_lowercase()).or_default().push(component),
                None => {
                    programs.entry(program_stem(&file)).or_default().push(component);
                    interpreted.extend(Interpreted::new(component));
                }
            }
        }
        Self { fleet, scripts, programs, interpreted, same: HashMap::new() }
    }

    /// Whether a process with this command line may be of interest, whatever else there is to it.
    /// Never says no to one that [`Matcher::find`] would find.
    pub fn may_find(&self, args: &[String]) -> bool {
        let is_program = |program: &String| self.programs.contains_key(&program_stem(program));
        is_orchestrator(args)
            // A Python may work for one that runs a script.
            || args.first().is_some_and(|program| is_python(program))
            || args.iter().skip(1).any(|word| self.is_script(word))
            || script_call(args).is_some_and(|call| self.is_script(&call.script))
            || (!self.programs.is_empty() && args.first().is_some_and(is_program))
            || self.interpreted.iter().any(|one| one.may_be(args))
    }

    /// Tells which component `process` is, if any.
    pub fn find(&mut self, process: &ProcessInfo) -> Option<Match> {
        let current_dir = process.current_dir.as_deref();
        if is_orchestrator(&process.args) {
            let folder = launcher_folder(&process.args[1..], current_dir);
            let name = self.fleet.orchestrator.to_string();
            return Some(self.found(name, Role::Orchestrator, None, folder, &self.fleet.root));
        }
        let Some(call) = call_of(process) else { return self.program(&process.args, current_dir) };
        if !self.is_script(&call.script) {
            return self.program(&process.args, current_dir);
        }
        let path = Path::new(&call.script);
        let folder = if path.is_absolute() {
            path.parent().map(Path::to_path_buf)
        } else {
            current_dir.and_then(|current| current.join(path).parent().map(Path::to_path_buf))
        };
        let file = file_name(&call.script);
        let same_script = self.scripts.get(&file.to_lowercase()).cloned().unwrap_or_default();
        let home = same_script.first().and_then(|one| one.script.as_deref()?.parent());
        let home = home.unwrap_or(&self.fleet.root);
        let shared_role = match &same_script[..] {
            [] => file.eq_ignore_ascii_case(WATCHDOG_SCRIPT).then_some(Role::Watchdog),
            [one] if one.role != Role::Watchdog => return Some(self.found_as(one, folder, home)),
            [one, ..] => Some(one.role),
        };
        if let Some(role) = shared_role {
            // One script works for several accounts; its arguments tell for which.
            let key = option(call.rest, "--account");
            let one = same_script.iter().find(|one| match (&key, &one.account_key) {
                (Some(key), Some(other)) => other.eq_ignore_ascii_case(key),
                _ => has_args(one, call.rest),
            });
            return Some(match one {
                Some(one) => self.found_as(one, folder, home),
                None => {
                    let name = key.as_deref().unwrap_or("UNKNOWN");
                    let name = format!("{}_{name}", role.word().to_ascii_uppercase());
                    self.found(name, role, key, folder, home)
                }
            });
        }
        let stem = stem(file);
        let upper = stem.to_ascii_uppercase();
        if upper == self.fleet.orchestrator.as_str() {
            return Some(self.found(upper, Role::Orchestrator, None, folder, home));
        }
        // A brain whose account was taken out of the config still trades.
        let key = upper.strip_prefix("BRAIN_")?.to_owned();
        Some(self.found(stem.to_owned(), Role::Brain, Some(key), folder, home))
    }

    /// A component that is no Python script of the fleet: the same program with the same arguments in
    /// the same folder, for anybody may use the program for something else.
    fn program(&mut self, args: &[String], current_dir: Option<&Path>) -> Option<Match> {
        let (program, rest) = args.split_first()?;
        let dir = current_dir?;
        let named = self.programs.get(&program_stem(program)).into_iter().flatten();
        let named = named.copied().filter(|one| has_args(one, rest));
        let interpreted = self.interpreted.iter().filter(|one| one.may_be(args));
        let candidates: Vec<&Component> =
            named.chain(interpreted.map(|one| one.component)).collect();
        let one = candidates.into_iter().find(|one| self.is_same(dir, &one.cwd))?;
        Some(self.found_as(one, Some(dir.to_path_buf()), &one.cwd))
    }

    /// Whether a file is one of the scripts that are looked for.
    fn is_script(&self, path: &str) -> bool {
        let file = file_name(path);
        let upper = stem(file).to_ascii_uppercase();
        // Most words are neither.
        let is_python = upper.len() + 3 == file.len();
        (is_python
            && (file.eq_ignore_ascii_case(WATCHDOG_SCRIPT)
                || upper.starts_with("BRAIN_")
                || upper == self.fleet.orchestrator.as_str()))
            || self.scripts.contains_key(&file.to_lowercase())
    }

    fn found_as(&mut self, one: &Component, folder: Option<PathBuf>, home: &Path) -> Match {
        self.found(one.name.to_string(), one.role, one.account_key.clone(), folder, home)
    }

    /// `home` is where the script lies that the config means.
    fn found(
        &mut self,
        component: String,
        role: Role,
        account_key: Option<String>,
        folder: Option<PathBuf>,
        home: &Path,
    ) -> Match {
        let is_home = folder.as_ref().is_none_or(|folder| self.is_same(folder, home));
        let place = if is_home { Place::Fleet } else { Place::Foreign };
        Match { component, role, account_key, place, folder }
    }

    fn is_same(&mut self, one: &Path, other: &Path) -> bool {
        let key = (one.to_path_buf(), other.to_path_buf());
        *self.same.entry(key).or_insert_with_key(|(one, other)| same_folder(one, other))
    }
}

fn has_args(component: &Component, args: &[String]) -> bool {
    component.args().len() == args.len() && component.ends(args)
}

/// Returns the script in a component's command, and where its arguments begin.
pub(crate) fn script_in(command: &[Text]) -> Option<(PathBuf, usize)> {
    let words: Vec<String> =
        command.iter().map(|word| word.value().to_string_lossy().into_owned()).collect();
    let call = is_python(words.first()?).then(|| script_call(&words)).flatten()?;
    Some((PathBuf::from(&call.script), words.len() - call.rest.len()))
}

/// Returns the script that a process runs; `None` if it is no Python. One that was started under
/// another name is known by its program's name or file.
pub(crate) fn call_of(process: &ProcessInfo) -> Option<ScriptCall<'_>> {
    runs_python(process).then(|| script_call(&process.args)).flatten()
}

/// Whether a process is a Python, whatever that runs.
pub(crate) fn runs_python(process: &ProcessInfo) -> bool {
    process.args.first().is_some_and(|program| is_python(program))
        || is_python(&process.name)
        || process.exe.as_deref().is_some_and(|exe| is_python(&path_name(exe)))
}

fn stem(file: &str) -> &str {
    match file.len().checked_sub(3) {
        Some(end) if file.is_char_boundary(end) && file[end..].eq_ignore_ascii_case(".py") => {
            &file[..end]
        }
        _ => file,
    }
}

/// The folder of the fleet that a launcher was started for.
fn launcher_folder(args: &[String], current_dir: Option<&Path>) -> Option<PathBuf> {
    let root = option(args, "--root").map(PathBuf::from);
    let config =
        option(args, "--config").and_then(|config| Some(Path::new(&config).parent()?.into()));
    let named =
        root.or(config).map(|dir| current_dir.map_or(dir.clone(), |current| current.join(&dir)));
    named.or_else(|| current_dir.map(|dir| crate::find_root(dir).unwrap_or(dir.to_path_buf())))
}

/// A running `qc-launch`, but none of its helpers and questions.
fn is_orchestrator(args: &[String]) -> bool {
    const OTHERS: [&str; 21] = [
        "hold",
        "status",
        "stop",
        "start",
        "restart",
        "reload",
        "logs",
        "check",
        "init",
        "schema",
        "autostart",
        "drill",
        "doctor",
        "unlatch",
        "help",
        "--help",
        "-h",
        "--version",
        "-V",
        "--dry-run",
        "--detach",
    ];
    let is_launcher =
        args.first().is_some_and(|program| program_stem(program).starts_with("qc-launch"));
    is_launcher && !args[1..].iter().any(|word| OTHERS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(component: String, role: Role, account_key: Option<String>, place: Place) -> Match {
        Match { component, role, account_key, place, folder: None }
    }

    fn fleet(root: &Path) -> Fleet {
        let config = root.join("MASTER_CONFIG.json");
        std::fs::write(
            &config,
            r#"{"ACCOUNTS": {"ATLAS": {"account": 1, "enabled": true}, "GL_3": {"account": 2, "enabled": true}}}"#,
        )
        .unwrap();
        Fleet::load(&config).unwrap()
    }

    fn process(args: &[&str], dir: Option<&Path>) -> ProcessInfo {
        ProcessInfo {
            identity: qc_process::own_identity().clone(),
            parent: None,
            name: String::new(),
            args: args.iter().map(|&word| word.to_owned()).collect(),
            exe: None,
            current_dir: dir.map(Path::to_path_buf),
            is_stub: false,
            is_fork: false,
            session: None,
            since: std::time::SystemTime::now(),
            cpu_time: std::time::Duration::ZERO,
            memory_bytes: 0,
        }
    }

    #[test]
    fn processes_are_matched_with_components_and_folders() {
        let root = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let fleet = fleet(root.path());
        let (here, there) = (Some(root.path()), Some(other.path()));
        let absolute = root.path().join("BRAIN_ATLAS.py");
        let absolute = absolute.to_str().unwrap();
        let brain = |place| found("BRAIN_ATLAS".into(), Role::Brain, Some("ATLAS".into()), place);
        let gl = found("BRAIN_GETLEVERAGED".into(), Role::Brain, Some("GL_3".into()), Place::Fleet);
        let watchdog = |key: &str| {
            found(format!("WATCHDOG_{key}"), Role::Watchdog, Some(key.into()), Place::Fleet)
        };
        let gone = found("BRAIN_GONE".into(), Role::Brain, Some("GONE".into()), Place::Fleet);
        let cases = [
            (process(&["python", "BRAIN_ATLAS.py"], here), Some(brain(Place::Fleet))),
            (process(&["python", "brain_atlas.py"], here), Some(brain(Place::Fleet))),
            (process(&["python", "BRAIN_ATLAS.py"], None), Some(brain(Place::Fleet))),
            (process(&["python", "BRAIN_ATLAS.py"], there), Some(brain(Place::Foreign))),
            (process(&["python", absolute], there), Some(brain(Place::Fleet))),
            (process(&["python", "BRAIN_GETLEVERAGED.py"], here), Some(gl)),
            (process(&["python", "BRAIN_GONE.py"], here), Some(gone)),
            (
                process(&["python", WATCHDOG_SCRIPT, "--account", "atlas"], here),
                Some(watchdog("ATLAS")),
            ),
            (process(&["python", WATCHDOG_SCRIPT, "--account=GL_3"], here), Some(watchdog("GL_3"))),
            (process(&["python", "other.py", "BRAIN_ATLAS.py"], here), None),
            (process(&["qc-launch", "hold", "--name", "BRAIN_ATLAS"], here), None),
            (
                process(&["qc-launch.exe"], here),
                Some(found("MASTER_LAUNCH".into(), Role::Orchestrator, None, Place::Fleet)),
            ),
            (
                process(&["qc-launch", "--root", other.path().to_str().unwrap()], here),
                Some(found("MASTER_LAUNCH".into(), Role::Orchestrator, None, Place::Foreign)),
            ),
        ];
        let mut matcher = Matcher::new(&fleet);
        for (process, expected) in cases {
            assert!(expected.is_none() || matcher.may_find(&process.args));
            let found = matcher.find(&process).map(|found| Match { folder: None, ..found });
            assert_eq!(found, expected, "{:?}", process.args);
        }
    }

    #[test]
    fn a_python_under_another_name_is_known_by_its_program() {
        let root = tempfile::tempdir().unwrap();
        let fleet = fleet(root.path());
        let mut matcher = Matcher::new(&fleet);
        let renamed = process(&["trader", "BRAIN_ATLAS.py"], Some(root.path()));
        assert_eq!(matcher.find(&renamed), None);
        for named in [
            ProcessInfo { name: "python3".into(), ..renamed.clone() },
            ProcessInfo { exe: Some("/usr/bin/python3.11".into()), ..renamed },
        ] {
            assert!(matcher.may_find(&named.args));
            assert!(matcher.find(&named).is_some(), "{named:?}");
        }
    }

    /// Opening a FIFO waits for somebody who writes.
    #[cfg(unix)]
    #[test]
    fn a_program_that_is_no_file_keeps_nobody_waiting() {
        let root = tempfile::tempdir().unwrap();
        let fifo = root.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let config = root.path().join("MASTER_CONFIG.json");
        let text = r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"components": {"X": {"command": ["./fifo"]}}}}"#;
        std::fs::write(&config, text).unwrap();
        let (sender, done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let fleet = Fleet::load(&config).unwrap();
            sender.send(Matcher::new(&fleet).interpreted.len())
        });
        assert_eq!(done.recv_timeout(std::time::Duration::from_secs(60)), Ok(0));
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_missed_for_speed(
            program in "(python|py|pythonw.exe|qc-launch|sh|x)",
            words in proptest::collection::vec("(-u|-m|-mBRAIN_A|BRAIN_A|BRAIN_[A-Z]{1,2}\\.(py|PY)|x/BRAIN_B\\.py|hold|--account|é|)", 0..4),
        ) {
            let root = tempfile::tempdir().unwrap();
            let fleet = fleet(root.path());
            let mut matcher = Matcher::new(&fleet);
            let words: Vec<&str> = [program.as_str()].into_iter().chain(words.iter().map(String::as_str)).collect();
            let info = ProcessInfo { name: "python".into(), ..process(&words, Some(root.path())) };
            if matcher.find(&info).is_some() {
                proptest::prop_assert!(matcher.may_find(&info.args), "{words:?}");
            }
        }
    }
}

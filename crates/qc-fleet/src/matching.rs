//! Which component a process is, told by its arguments: the interpreter, its options skipped,
//! the script's file name. An editor with a brain's file in its arguments is not a brain.

use std::path::{Path, PathBuf};

use qc_process::ProcessInfo;

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
}

/// Where a script lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this fleet's folder; also if the process does not let us see where.
    Fleet,
    /// In another folder.
    Foreign,
}

/// Tells which component `process` is, if any.
pub fn match_process(fleet: &Fleet, process: &ProcessInfo) -> Option<Match> {
    let current_dir = process.current_dir.as_deref();
    if is_orchestrator(&process.args) {
        let root = option(&process.args[1..], "--root").map(PathBuf::from);
        let config = option(&process.args[1..], "--config")
            .and_then(|config| Some(Path::new(&config).parent()?.into()));
        let named = root
            .or(config)
            .map(|dir| current_dir.map_or(dir.clone(), |current| current.join(&dir)));
        let dir = named
            .or_else(|| current_dir.map(|dir| crate::find_root(dir).unwrap_or(dir.to_path_buf())));
        return Some(found(
            fleet.orchestrator.to_string(),
            Role::Orchestrator,
            None,
            place(&fleet.root, dir.as_deref()),
        ));
    }
    let Some(call) = script_call(&process.args) else {
        return program_of(fleet, &process.args, current_dir);
    };
    let path = Path::new(&call.script);
    let file = call.script.rsplit(['/', '\\']).next().unwrap_or(&call.script);
    let dir = if path.is_absolute() {
        path.parent().map(Path::to_path_buf)
    } else {
        current_dir.and_then(|current| current.join(path).parent().map(Path::to_path_buf))
    };
    let same_script: Vec<&Component> = fleet
        .components
        .iter()
        .filter(|one| one.script.is_some() && one.script_file().eq_ignore_ascii_case(file))
        .collect();
    let home = same_script.first().and_then(|one| one.script.as_deref()?.parent());
    let place = place(home.unwrap_or(&fleet.root), dir.as_deref());
    let stem = file.strip_suffix(".py").or_else(|| file.strip_suffix(".PY")).unwrap_or(file);

    let shared_role = match &same_script[..] {
        [] => file.eq_ignore_ascii_case(WATCHDOG_SCRIPT).then_some(Role::Watchdog),
        [one] if one.role != Role::Watchdog => return Some(found_as(one, place)),
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
            Some(one) => found_as(one, place),
            None => {
                let name = key.as_deref().unwrap_or("UNKNOWN");
                let name = format!("{}_{name}", role.word().to_ascii_uppercase());
                found(name, role, key, place)
            }
        });
    }
    let upper = stem.to_ascii_uppercase();
    if upper == fleet.orchestrator.as_str() {
        return Some(found(upper, Role::Orchestrator, None, place));
    }
    // A brain whose account was taken out of the config still trades.
    upper
        .strip_prefix("BRAIN_")
        .map(|key| found(stem.to_owned(), Role::Brain, Some(key.to_owned()), place))
}

/// A component that is no Python script: the same program with the same arguments in the same
/// folder, for anybody may use the program for something else.
fn program_of(fleet: &Fleet, args: &[String], current_dir: Option<&Path>) -> Option<Match> {
    let (program, rest) = args.split_first()?;
    let stem = program_stem(program);
    let is_it = |one: &&Component| {
        one.script.is_none()
            && program_stem(&one.script_file()) == stem
            && has_args(one, rest)
            && current_dir.is_some_and(|dir| same_folder(dir, &one.cwd))
    };
    fleet.components.iter().find(is_it).map(|one| found_as(one, Place::Fleet))
}

fn has_args(component: &Component, args: &[String]) -> bool {
    let own = component.args();
    own.len() == args.len() && own.iter().zip(args).all(|(text, word)| text.may_be(word))
}

fn found_as(component: &Component, place: Place) -> Match {
    found(component.name.to_string(), component.role, component.account_key.clone(), place)
}

fn found(component: String, role: Role, account_key: Option<String>, place: Place) -> Match {
    Match { component, role, account_key, place }
}

/// Tells whether a script that lies in `dir` is the one that lies in `home`.
fn place(home: &Path, dir: Option<&Path>) -> Place {
    match dir {
        Some(dir) if !same_folder(dir, home) => Place::Foreign,
        _ => Place::Fleet,
    }
}

/// A running `qc-launch`, but none of its helpers and questions.
fn is_orchestrator(args: &[String]) -> bool {
    const OTHERS: [&str; 10] =
        ["hold", "check", "init", "schema", "help", "--help", "-h", "--version", "-V", "--dry-run"];
    let is_launcher =
        args.first().is_some_and(|program| program_stem(program).starts_with("qc-launch"));
    is_launcher && !args[1..].iter().any(|word| OTHERS.contains(&word.as_str()))
}

/// Returns the script in a component's command, and where its arguments begin.
pub(crate) fn script_in(command: &[Text]) -> Option<(PathBuf, usize)> {
    let words: Vec<String> =
        command.iter().map(|word| word.value().to_string_lossy().into_owned()).collect();
    let call = script_call(&words)?;
    Some((PathBuf::from(&call.script), words.len() - call.rest.len()))
}

/// A call of a Python script.
#[derive(Debug, PartialEq, Eq)]
struct ScriptCall<'a> {
    script: String,
    rest: &'a [String],
}

/// Takes a Python command line apart; `None` if it is none, or runs no script.
fn script_call(args: &[String]) -> Option<ScriptCall<'_>> {
    if !is_python(args.first()?) {
        return None;
    }
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
        let value = match &letters[at + 1..] {
            "" => args.get(position).cloned(),
            rest => Some(rest.to_owned()),
        };
        match letters.as_bytes()[at] {
            b'c' => return None,
            b'm' => {
                let script = value?.replace('.', "/") + ".py";
                let after = if letters.len() == at + 1 { position + 1 } else { position };
                return Some(ScriptCall { script, rest: args.get(after..).unwrap_or_default() });
            }
            _ if letters.len() == at + 1 => position += 1,
            _ => {}
        }
    }
    let script = args.get(position)?.clone();
    Some(ScriptCall { script, rest: &args[position + 1..] })
}

/// `python`, `pythonw`, `python3.12`, `pypy3`, and the launchers `py` and `pyw`.
fn is_python(program: &str) -> bool {
    let stem = program_stem(program);
    let rest = ["python", "pypy", "py"].iter().find_map(|name| stem.strip_prefix(name));
    rest.is_some_and(|rest| {
        let rest = rest.strip_prefix('w').unwrap_or(rest);
        rest.chars().all(|c| c.is_ascii_digit() || c == '.' || c == 't' || c == 'd')
    })
}

fn program_stem(program: &str) -> String {
    let file = program.rsplit(['/', '\\']).next().unwrap_or(program).to_lowercase();
    file.strip_suffix(".exe").map(str::to_owned).unwrap_or(file)
}

/// Returns the value of `--name value` or `--name=value`.
fn option(args: &[String], name: &str) -> Option<String> {
    args.iter().enumerate().find_map(|(position, word)| match word.strip_prefix(name)? {
        "" => args.get(position + 1).cloned(),
        rest => rest.strip_prefix('=').map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn script(line: &str) -> Option<String> {
        script_call(&words(line)).map(|call| call.script)
    }

    #[test]
    fn the_script_is_found_behind_the_options() {
        for line in [
            "python BRAIN_ATLAS.py",
            r"C:\x\.venv312_gpu\Scripts\python.exe -u BRAIN_ATLAS.py --account X",
            "/usr/bin/python3.12 -W ignore -Xdev -uB BRAIN_ATLAS.py",
            "pythonw -uX utf8 BRAIN_ATLAS.py",
            "py -3.12 BRAIN_ATLAS.py",
            "python --check-hash-based-pycs always -- BRAIN_ATLAS.py",
            "python -um BRAIN_ATLAS",
        ] {
            assert_eq!(script(line).as_deref(), Some("BRAIN_ATLAS.py"), "{line}");
        }
    }

    #[test]
    fn what_only_mentions_a_script_is_not_a_script() {
        for line in [
            "notepad.exe BRAIN_ATLAS.py",
            "grep -r BRAIN_ATLAS.py .",
            "python -c BRAIN_ATLAS.py",
            "python",
            "pyright BRAIN_ATLAS.py",
            "pytest BRAIN_ATLAS.py",
            "qc-lock run BRAIN_ATLAS -- python BRAIN_ATLAS.py",
        ] {
            assert_eq!(script(line), None, "{line}");
        }
    }

    fn fleet(root: &Path) -> Fleet {
        let config = root.join("MASTER_CONFIG.json");
        std::fs::write(
            &config,
            r#"{"ACCOUNTS": {"ATLAS": {"account": 1}, "GL_3": {"account": 2}}}"#,
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
            user: None,
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
        for (process, expected) in cases {
            assert_eq!(match_process(&fleet, &process), expected, "{:?}", process.args);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_arguments_make_matching_panic(args: Vec<String>) {
            let args: Vec<String> = ["python".to_owned()].into_iter().chain(args).collect();
            if let Some(call) = script_call(&args) {
                proptest::prop_assert!(call.rest.len() < args.len());
            }
        }

        #[test]
        fn odd_options_do_not_make_matching_panic(args in proptest::collection::vec("-{0,2}[cmWXu=]{0,3}", 0..6)) {
            let args: Vec<String> = ["py".to_owned()].into_iter().chain(args).collect();
            script_call(&args);
        }

        #[test]
        fn no_secret_is_shown(secret in "[a-z0-9]{8,20}") {
            let args = ["x", "--password", &secret].map(str::to_owned);
            proptest::prop_assert!(!crate::shown_command(&args).contains(&secret));
        }
    }
}

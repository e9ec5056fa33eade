//! The command lines of running processes.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use qc_fleet::{Fleet, Match, Matcher, Place, Role};
use qc_process::ProcessInfo;

/// A fleet of two accounts, with a script and a program besides.
static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let config = br#"{"ACCOUNTS": {"ATLAS": {"account": 1, "enabled": true}, "GL_3": {"account": 2, "enabled": true}}, "PROCESS_MANAGER":
        {"components": {"report": {"script": "report.py"}, "bridge": {"command": ["bin/bridge", "-f"]}}}}"#;
    let (root, path) = (Path::new(ROOT), Path::new("MASTER_CONFIG.json"));
    Fleet::from_bytes(root, path, config, &|_| None).expect("it is one")
});

/// Where the fleet is. The folder does not exist, so that nothing of this machine is looked at.
const ROOT: &str = if cfg!(windows) { r"Z:\no such fleet" } else { "/no such fleet" };

/// The beginnings of arguments that run a script, the orchestrator or the program.
const PROGRAMS: [&str; 4] = ["py", "pypy", "qc-launch", "bridge"];

/// The programs that start one of those and wait for it.
const WRAPPERS: [&str; 16] = [
    "bash", "cmd", "conda", "env", "flock", "nice", "nohup", "poetry", "pipenv", "rye", "sh",
    "sudo", "time", "timeout", "uv", "uvx",
];

/// Matches the process that `bytes` describes: its arguments, one a line, after a line with the
/// letter of its current folder: `F` for the fleet's, `E` for one elsewhere, anything else for none
/// that can be seen.
pub fn any_command(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let current_dir: Option<PathBuf> = match lines.next() {
        Some("F") => Some(ROOT.into()),
        Some("E") => Some(Path::new(ROOT).join("elsewhere")),
        _ => None,
    };
    let args: Vec<String> = lines.map(str::to_owned).collect();
    let found = matched(&args, current_dir.as_deref());
    // Showing it says nothing that is not there, and never fails.
    let shown = qc_fleet::shown_command(&args);
    assert!(args.is_empty() == shown.is_empty() || args == [""], "{args:?} is shown as {shown}");
    let Some(found) = found else { return };
    check(&found, &args, current_dir.as_deref());
}

fn check(found: &Match, args: &[String], current_dir: Option<&Path>) {
    let program = args.first().expect("nothing matches no arguments");
    let file = program.rsplit(['/', '\\']).next().unwrap_or(program).to_lowercase();
    let runs = PROGRAMS.iter().any(|one| file.starts_with(one));
    let is_wrapper = WRAPPERS.contains(&file.strip_suffix(".exe").unwrap_or(&file));
    let names_program = args[1..].iter().any(|word| {
        let file = word.rsplit(['/', '\\']).next().unwrap_or(word).to_lowercase();
        PROGRAMS.iter().any(|one| file.starts_with(one)) || file.ends_with(".py")
    });
    assert!(runs || is_wrapper && names_program, "{program:?} runs {found:?}");

    // It belongs to the fleet, or would if its account was still in the config.
    match FLEET.component(&found.component) {
        Some(component) => {
            assert_eq!(component.role, found.role, "{found:?}");
            assert_eq!(component.account_key, found.account_key, "{found:?}");
        }
        None => match found.role {
            Role::Orchestrator => assert_eq!(found.component, FLEET.orchestrator.as_str()),
            Role::Watchdog => assert!(found.component.starts_with("WATCHDOG_"), "{found:?}"),
            Role::Brain => {
                assert!(found.component.to_uppercase().starts_with("BRAIN_"), "{found:?}");
                assert!(found.account_key.is_some(), "{found:?}");
            }
            Role::Server | Role::Other => panic!("{found:?} is none of the fleet's"),
        },
    }

    // Where it is said to be elsewhere, something says so.
    if found.place == Place::Foreign {
        let names_folder = args.iter().any(|word| word.contains(['/', '\\', '=', ':', '.']));
        let is_elsewhere = current_dir.is_some_and(|dir| dir != Path::new(ROOT));
        let is_launcher = found.role == Role::Orchestrator;
        assert!(
            names_folder || is_elsewhere || is_launcher,
            "{found:?} is not elsewhere: {args:?}"
        );
    }

    // The program's own folder and the case of its name mean nothing.
    for spelling in [
        format!("/usr/bin/{file}"),
        format!(r"C:\Program Files\Python\{file}"),
        file.to_uppercase(),
    ] {
        let args: Vec<String> = [spelling].into_iter().chain(args[1..].iter().cloned()).collect();
        let other = matched(&args, current_dir);
        assert_eq!(other.as_ref(), Some(found), "{args:?}");
    }
    // A brain is one whatever stands behind its script.
    if found.role == Role::Brain {
        let args: Vec<String> = args
            .iter()
            .cloned()
            .chain(["--account".into(), "GL_3".into(), "x.py".into()])
            .collect();
        assert_eq!(matched(&args, current_dir).as_ref(), Some(found), "{args:?}");
    }
    // The same words are no call of anything in a program that only looks at files.
    for program in ["notepad.exe", "/usr/bin/grep", "code", "pytest"] {
        let args: Vec<String> =
            [program.to_owned()].into_iter().chain(args[1..].iter().cloned()).collect();
        assert_eq!(matched(&args, current_dir), None, "{args:?}");
    }
}

fn matched(args: &[String], current_dir: Option<&Path>) -> Option<Match> {
    let process = ProcessInfo {
        current_dir: current_dir.map(Path::to_path_buf),
        ..ProcessInfo::new(qc_process::own_identity().clone(), args.to_vec())
    };
    let mut matcher = Matcher::new(&FLEET);
    let found = matcher.find(&process);
    assert!(found.is_none() || matcher.may_find(args), "it is overlooked: {args:?}");
    found
}

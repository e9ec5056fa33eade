//! The files and commands that set autostart up: pure, from facts about this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hmac_sha256::Hash;
use qc_process::AtLogOn;

use crate::{task, unit};

/// The facts that the plan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The system service that starts programs at log-on.
    pub system: AtLogOn,
    /// The fleet's folder, absolute.
    pub root: PathBuf,
    /// This program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The user, on Windows with the domain: `PC\trader`.
    pub user: String,
    /// The folder of the user's systemd units.
    pub units: PathBuf,
}

/// The steps that make the fleet start at log-on, and those that undo them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The name of the task or unit, another one for each root.
    pub name: String,
    /// The file that says what to start.
    pub file: PathBuf,
    /// The file's text.
    pub text: String,
    /// The same as bytes.
    pub bytes: Vec<u8>,
    /// The commands to run once the file is written.
    pub enable: Vec<Vec<OsString>>,
    /// The commands that undo this, before the file is removed.
    pub disable: Vec<Vec<OsString>>,
    /// The commands to run once the file is removed.
    pub afterwards: Vec<Vec<OsString>>,
    /// A command that succeeds if the fleet starts at log-on.
    pub ask: Vec<OsString>,
    /// A remark for the user.
    pub note: &'static str,
}

/// Why a fleet can't be started at log-on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` can't be written into a {kind}")]
pub struct Unsuitable {
    /// The path or argument.
    pub text: String,
    /// A task or a unit.
    pub kind: &'static str,
}

impl Unsuitable {
    /// Returns the step to suggest after `hint:`.
    pub fn hint(&self) -> &'static str {
        "use paths and arguments in Unicode, without line ends and other control characters"
    }
}

/// Decides what to write and to run.
///
/// # Errors
/// If a path or an argument can't be written into the file.
pub fn plan(facts: &Facts) -> Result<Plan, Unsuitable> {
    let name = name(&facts.root);
    match facts.system {
        AtLogOn::TaskScheduler => {
            let text = task::text(facts, &name)?;
            let file = facts.root.join(format!("{name}.xml"));
            let task = |words: &[&str], rest: &[&str]| {
                command("schtasks", &[words, &["/TN", &name], rest].concat())
            };
            let mut create = task(&["/Create"], &["/F", "/XML"]);
            create.push(file.clone().into());
            Ok(Plan {
                bytes: task::bytes(&text),
                text,
                file,
                enable: vec![create],
                disable: vec![task(&["/Delete"], &["/F"])],
                afterwards: Vec::new(),
                ask: task(&["/Query"], &[]),
                note: "it starts in a window at each log-on of this user; closing that window stops the fleet in order",
                name,
            })
        }
        AtLogOn::Systemd => {
            let text = unit::text(facts)?;
            let unit = format!("{name}.service");
            let systemctl = |words: &[&str]| command("systemctl", &[&["--user"], words].concat());
            Ok(Plan {
                bytes: text.clone().into_bytes(),
                text,
                file: facts.units.join(&unit),
                enable: vec![systemctl(&["daemon-reload"]), systemctl(&["enable", &unit])],
                disable: vec![systemctl(&["disable", &unit])],
                afterwards: vec![systemctl(&["daemon-reload"])],
                ask: systemctl(&["is-enabled", &unit]),
                note: "it starts at log-on and stops in order at log-off; `loginctl enable-linger` makes it start with the machine and stay",
                name: unit,
            })
        }
    }
}

fn command(program: &str, args: &[&str]) -> Vec<OsString> {
    std::iter::once(program).chain(args.iter().copied()).map(OsString::from).collect()
}

/// Names the task or unit after the root's folder, and so that two roots never share a name.
fn name(root: &Path) -> String {
    let folder = root.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let folder: String = folder.chars().take(40).map(plain).collect();
    let digest = Hash::hash(root.as_os_str().as_encoded_bytes());
    let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("qc-launch-{folder}-{digest}")
}

/// Returns a path or argument as text that fits on one line.
pub(super) fn one_line<'a>(
    text: &'a (impl AsRef<std::ffi::OsStr> + ?Sized),
    kind: &'static str,
) -> Result<&'a str, Unsuitable> {
    let text = text.as_ref();
    let fits = |text: &&str| !text.chars().any(char::is_control);
    text.to_str().filter(fits).ok_or_else(|| Unsuitable { text: text.display().to_string(), kind })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn facts(system: AtLogOn) -> Facts {
        let (root, program) = match system {
            AtLogOn::TaskScheduler => (r"C:\Trading & Co\Flotte é", r"C:\qc tools\qc-launch.exe"),
            AtLogOn::Systemd => ("/home/trader/my fleet $1 100%", "/opt/qc tools/qc-launch"),
        };
        Facts {
            system,
            root: root.into(),
            program: program.into(),
            args: vec!["--root".into(), root.into()],
            user: r"PC\Jörg & Co".into(),
            units: "/home/trader/.config/systemd/user".into(),
        }
    }

    #[test]
    fn the_task_scheduler_gets_a_file_and_one_command() {
        let mut facts = facts(AtLogOn::TaskScheduler);
        facts.root = "/fleets/my fleet".into();
        let plan = plan(&facts).unwrap();
        let name = plan.name.as_str();
        assert!(name.starts_with("qc-launch-my-fleet-"), "{name}");
        assert_eq!(plan.file, facts.root.join(format!("{name}.xml")));
        let file = plan.file.to_str().unwrap();
        assert_eq!(plan.enable, [["schtasks", "/Create", "/TN", name, "/F", "/XML", file]]);
        assert_eq!(plan.disable, [["schtasks", "/Delete", "/TN", name, "/F"]]);
        assert_eq!(plan.ask, ["schtasks", "/Query", "/TN", name]);
    }

    #[test]
    fn systemd_gets_a_unit_and_is_told() {
        let plan = plan(&facts(AtLogOn::Systemd)).unwrap();
        let name = plan.name.as_str();
        assert!(
            name.starts_with("qc-launch-my-fleet--1-100--") && name.ends_with(".service"),
            "{name}"
        );
        assert_eq!(plan.file, Path::new("/home/trader/.config/systemd/user").join(name));
        assert_eq!(plan.enable[0], ["systemctl", "--user", "daemon-reload"]);
        assert_eq!(plan.enable[1], ["systemctl", "--user", "enable", name]);
        // Neither starts nor stops anything now.
        assert_eq!(plan.disable, [["systemctl", "--user", "disable", name]]);
        assert_eq!(plan.afterwards, [["systemctl", "--user", "daemon-reload"]]);
        assert_eq!(plan.ask, ["systemctl", "--user", "is-enabled", name]);
    }

    #[test]
    fn two_roots_have_two_names() {
        let names = ["/a/fleet", "/b/fleet", "/a/fleet2", "/a/flee\u{301}t"]
            .map(|root| name(Path::new(root)));
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 4);
        assert_eq!(name(Path::new("/a/fleet")), names[0], "the same each time");
        let long = name(Path::new(&format!("/{}", "x".repeat(300))));
        assert!(long.len() < 64, "{long}");
    }

    #[test]
    fn what_is_not_one_line_of_text_is_refused() {
        for system in [AtLogOn::TaskScheduler, AtLogOn::Systemd] {
            let mut facts = facts(system);
            facts.args.push("two\nlines".into());
            let error = plan(&facts).unwrap_err();
            assert!(
                error.to_string().starts_with("`two\nlines` can't be written into a "),
                "{error}"
            );
        }
    }
}

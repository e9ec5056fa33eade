//! A fleet beside a lock that a living process holds, broken in one way after another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use qc_lock_core::{LockDir, LockError, Request};
use qc_tests::{Contender, Finished, SampleFleet, run};
use serde_json::Value;

use crate::tools;

/// The lock that is held all the time.
pub(super) const LIVE: &str = "BRAIN_LIVE";

/// The folder of locks that rows break; the living lock is not in there.
pub(super) const OTHER: &str = "other locks";

/// A broken thing, a command, and the expected result.
pub(super) struct Row {
    what: String,
    make: Box<dyn Fn(&Path)>,
    env: Vec<(String, String)>,
    args: Vec<String>,
    code: i32,
    stdout: String,
    stderr: Stderr,
}

/// The expected text on standard error.
enum Stderr {
    /// Nothing.
    Nothing,
    /// One line that holds this.
    Note(String),
    /// One line of the tool that holds this, and one line with a hint.
    Refusal(String),
}

impl Row {
    /// The situation `what` that `make` makes in the fleet's folder, and what is typed there.
    pub(super) fn new(what: &str, make: impl Fn(&Path) + 'static, args: &[&str]) -> Self {
        Self {
            what: what.into(),
            make: Box::new(make),
            env: Vec::new(),
            args: args.iter().map(ToString::to_string).collect(),
            code: 0,
            stdout: String::new(),
            stderr: Stderr::Nothing,
        }
    }

    /// Nothing is broken but what is typed.
    pub(super) fn typed(args: &[&str]) -> Self {
        Self::new("nothing broken", |_| (), args)
    }

    /// Sets an environment variable.
    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The tool does its work and prints something that holds `stdout`.
    pub(super) fn prints(self, stdout: &str) -> Self {
        Self { stdout: stdout.into(), ..self }
    }

    /// The tool says one line more, on standard error.
    pub(super) fn notes(self, stderr: &str) -> Self {
        Self { stderr: Stderr::Note(stderr.into()), ..self }
    }

    /// The tool ends with this code all the same.
    pub(super) fn ends_with(self, code: i32) -> Self {
        Self { code, ..self }
    }

    /// The tool refuses in one line that holds `stderr`, with a hint.
    pub(super) fn refused(self, code: i32, stderr: &str) -> Self {
        Self { code, stderr: Stderr::Refusal(stderr.into()), ..self }
    }
}

/// The fleet, the living lock, and what its record says.
pub(super) struct Bench {
    pub(super) fleet: SampleFleet,
    pub(super) holder: Contender,
    /// The lock directory, as this test sees it.
    pub(super) locks: PathBuf,
    record: Vec<u8>,
    config: Vec<u8>,
    /// The command that runs the tools, if they need help to see the lock directory.
    wrapper: Vec<String>,
}

impl Bench {
    /// Makes a fleet of these accounts, and holds a lock.
    pub(super) fn new(accounts: &[&str]) -> Self {
        let fleet = sample(accounts);
        let locks = fleet.root().join(".locks");
        let mut stand_in = Command::new(fleet.tools.stand_in());
        let holder = hold(stand_in.arg("lock").arg(&locks).arg(LIVE));
        Self::of(fleet, holder, locks, Vec::new())
    }

    /// The same, where for the tools the lock directory lies on a disk that can't be written to.
    /// Needs [`can_mount`].
    pub(super) fn read_only(accounts: &[&str]) -> Self {
        let mount =
            r#"mount --bind .locks .locks && mount -o remount,bind,ro .locks && exec "$0" "$@""#;
        let wrapper = ["unshare", "-m", "sh", "-c", mount].map(String::from).into();
        Self { wrapper, ..Self::new(accounts) }
    }

    /// The same, where the lock directory is a disk of 64 KiB. Needs [`can_mount`].
    pub(super) fn small(accounts: &[&str]) -> Self {
        let fleet = sample(accounts);
        let root = fs::canonicalize(fleet.root()).expect("a fleet has a folder");
        let locks = root.join(".locks");
        fs::create_dir(&locks).expect("a folder can be made");
        let mount = r#"mount -t tmpfs -o size=64k none "$1" && exec "$0" lock "$@""#;
        let mut stand_in = Command::new("unshare");
        stand_in.args(["-m", "sh", "-c", mount]).arg(fleet.tools.stand_in());
        let holder = hold(stand_in.arg(&locks).arg(LIVE));
        let pid = holder.pid();
        let wrapper = vec![
            "nsenter".into(),
            format!("-t{pid}"),
            "-m".into(),
            format!("--wd={}", root.display()),
        ];
        // The disk is mounted for the holder alone, and reached through it.
        let locks = Path::new(&format!("/proc/{pid}/root{}", locks.display())).into();
        Self::of(fleet, holder, locks, wrapper)
    }

    fn of(fleet: SampleFleet, holder: Contender, locks: PathBuf, wrapper: Vec<String>) -> Self {
        let record = fs::read(locks.join(format!("{LIVE}.lock"))).expect("a lock has a record");
        let config = fs::read(fleet.root().join(CONFIG)).expect("a fleet has a config");
        Self { fleet, holder, locks, record, config, wrapper }
    }

    /// Returns the living record.
    pub(super) fn record(&self) -> Value {
        serde_json::from_slice(&self.record).expect("a record is JSON")
    }

    /// Runs `tool` on each row, and looks after each that the living lock has not suffered.
    pub(super) fn check(&self, tool: &str, rows: &[Row]) {
        for row in rows {
            (row.make)(self.fleet.root());
            let path = self.fleet.tools.tool(tool);
            let mut command = match &self.wrapper[..] {
                [] => Command::new(path),
                [program, args @ ..] => {
                    let mut command = Command::new(program);
                    command.args(args).arg(path);
                    command
                }
            };
            command.args(&row.args).envs(row.env.iter().map(|(name, value)| (name, value)));
            row.check(tool, &run(command.current_dir(self.fleet.root()), ""));
            self.check_living(&row.what);
            self.mend();
        }
    }

    /// Checks that the living lock is held, and its record as it was.
    pub(super) fn check_living(&self, what: &str) {
        let record = fs::read(self.locks.join(format!("{LIVE}.lock")));
        let record = record.unwrap_or_else(|error| panic!("{what}: no living record: {error}"));
        assert!(record == self.record, "{what}: {}", String::from_utf8_lossy(&record));
        let request = Request::new(LIVE.parse().expect("a lock name"));
        match LockDir::new(&self.locks).acquire(&request) {
            Err(LockError::Held { holder, .. }) => {
                assert_eq!(holder.pid, Some(self.holder.pid()), "{what}");
            }
            taken => panic!("{what}: the living lock is not held: {taken:?}"),
        }
    }

    /// Makes everything whole again.
    fn mend(&self) {
        let root = self.fleet.root();
        remove(&root.join(CONFIG));
        fs::write(root.join(CONFIG), &self.config).expect("the config can be written");
        remove(&root.join(OTHER));
        for entry in fs::read_dir(&self.locks).expect("there are locks").flatten() {
            let stays = [".guards".into(), format!("{LIVE}.lock")];
            if stays.iter().all(|name| entry.file_name() != **name) {
                remove(&entry.path());
            }
        }
    }
}

fn sample(accounts: &[&str]) -> SampleFleet {
    let numbered: Vec<(&str, u64)> = ["LIVE"].iter().chain(accounts).copied().zip(1..).collect();
    let fleet = SampleFleet::new(tools(), &numbered);
    // Run under a lock, it ends at once with a code that nothing else has.
    fleet.script("done.py", "exit 7");
    fleet
}

fn hold(command: &mut Command) -> Contender {
    let mut holder = Contender::start(command);
    match holder.holds() {
        Some(_) => holder,
        None => panic!("it does not hold its lock: {:?}", holder.finish()),
    }
}

impl Row {
    fn check(&self, tool: &str, finished: &Finished) {
        let Self { what, args, .. } = self;
        let shown = format!("{what}: {tool} {args:?} gives {finished:#?}");
        assert_eq!(finished.code, self.code, "{shown}");
        if self.stdout.is_empty() {
            assert_eq!(finished.stdout, "", "{shown}");
        } else {
            assert!(finished.stdout.contains(&self.stdout), "no `{}`: {shown}", self.stdout);
        }
        let lines: Vec<&str> = finished.stderr.lines().collect();
        match &self.stderr {
            Stderr::Nothing => assert_eq!(finished.stderr, "", "{shown}"),
            Stderr::Note(text) => {
                assert!(matches!(lines[..], [line] if line.contains(text)), "no `{text}`: {shown}");
            }
            Stderr::Refusal(text) => {
                let is_right = matches!(lines[..], [message, hint]
                    if message.starts_with(&format!("{tool}: "))
                        && message.contains(text)
                        && hint.len() > "hint: ".len()
                        && hint.starts_with("hint: "));
                assert!(is_right, "no line with `{text}` and a hint: {shown}");
            }
        }
    }
}

pub(super) const CONFIG: &str = "MASTER_CONFIG.json";

/// Tells whether disks can be made here: on Linux, by root.
///
/// # Errors
/// Why not.
pub(crate) fn can_mount() -> Result<(), String> {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let mut mount = Command::new("unshare");
    mount.args(["-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none"]).arg(dir.path());
    match mount.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().into()),
        Err(error) => Err(format!("no program `unshare`: {error}")),
    }
}

/// Removes a file, a link or a folder; none is fine.
pub(super) fn remove(path: &Path) {
    let Ok(found) = fs::symlink_metadata(path) else { return };
    let removed = if found.is_dir() {
        fs::remove_dir_all(path)
    } else {
        // On Windows a link to a folder is removed like one.
        fs::remove_file(path).or_else(|error| fs::remove_dir(path).map_err(|_| error))
    };
    removed.unwrap_or_else(|error| panic!("cannot remove {}: {error}", path.display()));
}

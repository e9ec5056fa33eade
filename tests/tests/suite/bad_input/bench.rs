//! A fleet beside a lock that a living process holds, broken in one way after another.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use qc_lock_core::{LockError, Request};
use qc_tests::{Contender, Finished, SampleFleet, run};

use crate::tools;

/// The lock that is held all the time.
pub(super) const LIVE: &str = "BRAIN_LIVE";

/// The folder of locks that rows break; the living lock is not in there.
pub(super) const OTHER: &str = "other locks";

/// What is broken, what is typed, and what must come of it.
pub(super) struct Row {
    what: String,
    make: Box<dyn Fn(&Path)>,
    env: Vec<(String, String)>,
    args: Vec<String>,
    code: i32,
    stdout: String,
    stderr: Stderr,
}

/// What must stand on standard error.
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
    record: PathBuf,
    text: Vec<u8>,
    config: Vec<u8>,
}

impl Bench {
    /// Makes a fleet of these accounts, and holds a lock.
    pub(super) fn new(accounts: &[&str]) -> Self {
        let numbered: Vec<(&str, u64)> =
            ["LIVE"].iter().chain(accounts).copied().zip(1..).collect();
        let fleet = SampleFleet::new(tools(), &numbered);
        // Under `qc-lock run` it ends at once with a code that nothing else has.
        fleet.script("done.py", "exit 7");
        let locks = fleet.locks();
        let mut stand_in = Command::new(fleet.tools.stand_in());
        let mut holder = Contender::start(stand_in.arg("lock").arg(locks.path()).arg(LIVE));
        holder.holds().expect("it holds its lock");
        let record = locks.path().join(format!("{LIVE}.lock"));
        let text = fs::read(&record).expect("a lock has a record");
        let config = fs::read(fleet.root().join(CONFIG)).expect("a fleet has a config");
        Self { fleet, holder, record, text, config }
    }

    /// Returns the living record.
    pub(super) fn record(&self) -> &[u8] {
        &self.text
    }

    /// Runs `tool` on each row, and looks after each that the living lock has not suffered.
    pub(super) fn check(&self, tool: &str, rows: &[Row]) {
        let start = |row: &Row| {
            let mut command = Command::new(self.fleet.tools.tool(tool));
            command.args(&row.args).envs(row.env.iter().map(|(name, value)| (name, value)));
            command
        };
        self.check_with(tool, rows, start);
    }

    /// The same, where `start` makes the command.
    pub(super) fn check_with(&self, tool: &str, rows: &[Row], start: impl Fn(&Row) -> Command) {
        for row in rows {
            (row.make)(self.fleet.root());
            let finished = run(start(row).current_dir(self.fleet.root()), "");
            row.check(tool, &finished);
            self.check_living(&row.what);
            self.mend();
        }
    }

    /// Checks that the living lock is held, and its record as it was.
    pub(super) fn check_living(&self, what: &str) {
        let text = fs::read(&self.record).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(
            text == self.text,
            "{what}: the living record is {}",
            String::from_utf8_lossy(&text)
        );
        match self.fleet.locks().acquire(&Request::new(LIVE.parse().expect("a lock name"))) {
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
        for entry in fs::read_dir(root.join(".locks")).expect("there are locks").flatten() {
            if entry.path() != self.record && entry.file_name() != ".guards" {
                remove(&entry.path());
            }
        }
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

/// Says what this machine can't be made to do; past the test harness, which would swallow it.
pub(super) fn cannot_test(what: &str, why: &str) {
    writeln!(io::stderr(), "NOT TESTED here: {what}: {why}").expect("standard error is open");
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

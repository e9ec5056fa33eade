//! A lock directory in a temporary folder, and everybody who speaks its protocol.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use qc_lock_core::{Event, LockDir, Request};
use qc_process::forget_machine_guard;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Contender, FAULT_VARIABLE, Finished, Tools, python, run};

/// One who speaks the lock protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The Rust library, in the stand-in.
    Library,
    /// `qc-lock run`, with the stand-in as its command.
    Tool,
    /// The drop-in `process_lock.py`.
    Python,
}

/// The folder of the drop-in as it was under protocol version 1.
const VERSION_1: &str = "version 1";

/// The result of asking for a lock.
#[derive(Debug)]
pub enum Attempt {
    /// Another process holds it; the text names it.
    Refused(String),
    /// It was taken and given back at once.
    Taken {
        /// How many records of the dead gave way.
        reclaimed: usize,
    },
}

/// A lock directory in a folder that goes away.
pub struct SampleLocks {
    /// Goes before the folder in which it looks.
    _shared: SharedFiles,
    folder: TempDir,
    dir: PathBuf,
    tools: Tools,
}

/// The files in shared memory that the guards of a lock directory have on the whole machine. They stay
/// for good; no other program needs those of a test's own accounts, so they go with it.
pub struct SharedFiles(pub PathBuf);

impl Drop for SharedFiles {
    fn drop(&mut self) {
        let guards = fs::read_dir(self.0.join(".guards")).into_iter().flatten().flatten();
        let names = guards.filter_map(|guard| guard.file_name().into_string().ok());
        names
            .filter(|name| !name.starts_with("name@"))
            .for_each(|name| forget_machine_guard(&name));
    }
}

impl Speaker {
    /// Returns all that can be heard here: without a Python, two.
    pub fn all() -> Vec<Self> {
        let python = python().map(|_| Self::Python);
        [Self::Library, Self::Tool].into_iter().chain(python).collect()
    }

    /// Returns all ordered pairs: one who holds, one who asks.
    pub fn pairs() -> Vec<(Self, Self)> {
        let with = |holder| Self::all().into_iter().map(move |asker| (holder, asker));
        Self::all().into_iter().flat_map(with).collect()
    }
}

impl Attempt {
    /// Returns how many records of the dead gave way.
    ///
    /// # Panics
    /// If the lock was refused.
    #[track_caller]
    pub fn taken(self) -> usize {
        match self {
            Self::Taken { reclaimed } => reclaimed,
            Self::Refused(text) => panic!("refused: {text}"),
        }
    }

    /// Returns the refusal's text.
    ///
    /// # Panics
    /// If the lock was taken.
    #[track_caller]
    pub fn refused(self) -> String {
        match self {
            Self::Refused(text) => text,
            Self::Taken { .. } => panic!("the lock was taken"),
        }
    }

    /// Checks that the lock was refused, and that the refusal names `pid`.
    ///
    /// # Panics
    /// Otherwise.
    #[track_caller]
    pub fn names(self, pid: u32) {
        let text = self.refused();
        assert!(text.contains(&format!("is held by PID {pid} ")), "not PID {pid}: {text}");
    }
}

impl SampleLocks {
    /// Makes the folder, with the drop-in in it.
    pub fn new(tools: Tools) -> Self {
        Self::under(&std::env::temp_dir(), tools)
    }

    /// Makes the folder, with the lock directory somewhere below it.
    pub fn below(path: &Path, tools: Tools) -> Self {
        let locks = Self::new(tools);
        let dir = locks.folder().join(path).join(".locks");
        Self { _shared: SharedFiles(dir.clone()), dir, ..locks }
    }

    /// Makes the folder in another folder.
    pub fn under(parent: &Path, tools: Tools) -> Self {
        let folder = tempfile::Builder::new().prefix("qc locks ").tempdir_in(parent);
        let folder = folder.expect("no temporary folder");
        for (name, text) in [
            ("process_lock.py", include_str!("../../scripts/process_lock.py")),
            ("speak.py", include_str!("speak.py")),
            ("fault.py", include_str!("fault.py")),
        ] {
            fs::write(folder.path().join(name), text).expect("cannot write a script");
        }
        let version_1 = folder.path().join(VERSION_1);
        fs::create_dir(&version_1).expect("cannot make a folder");
        for (name, text) in [
            ("process_lock.py", include_str!("process_lock_v1.py")),
            ("speak.py", include_str!("speak.py")),
        ] {
            fs::write(version_1.join(name), text).expect("cannot write a script");
        }
        let dir = folder.path().join(".locks");
        Self { _shared: SharedFiles(dir.clone()), dir, folder, tools }
    }

    /// Returns the folder that goes away, with the drop-in in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the lock directory.
    pub fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// Returns the locks, as the Rust library sees them.
    pub fn locks(&self) -> LockDir {
        LockDir::new(self.dir())
    }

    /// Returns the file of a record.
    pub fn record(&self, name: &str) -> PathBuf {
        self.dir().join(format!("{name}.lock"))
    }

    /// Writes a record.
    pub fn write(&self, name: &str, record: &Value) {
        fs::create_dir_all(self.dir()).expect("cannot make the lock directory");
        fs::write(self.record(name), record.to_string()).expect("cannot write a record");
    }

    /// Reads a record.
    pub fn read(&self, name: &str) -> Value {
        let text = fs::read(self.record(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Deletes all records, as a person would.
    pub fn delete_records(&self) {
        for entry in fs::read_dir(self.dir()).expect("there is a lock directory") {
            let path = entry.expect("it can be listed").path();
            if path.extension().is_some_and(|ending| ending == "lock") {
                fs::remove_file(path).expect("a record can be deleted");
            }
        }
    }

    /// Lets `who` take a lock and keep it.
    ///
    /// # Panics
    /// If it is refused.
    #[track_caller]
    pub fn hold(&self, who: Speaker, name: &str, account: Option<&str>) -> Contender {
        let mut contender = Contender::start(&mut self.command(who, name, account));
        match contender.holds() {
            Some(_) => contender,
            None => panic!("{who:?} can't hold {name}: {:?}", contender.finish()),
        }
    }

    /// Lets `who` take a lock and give it back at once.
    ///
    /// # Panics
    /// If it neither takes it nor says in the agreed way that it is held.
    #[track_caller]
    pub fn attempt(&self, who: Speaker, name: &str, account: Option<&str>) -> Attempt {
        let before = self.count(Event::Reclaimed);
        let finished = run(&mut self.command(who, name, account), "");
        match finished.code {
            0 => Attempt::Taken { reclaimed: self.count(Event::Reclaimed) - before },
            75 => Attempt::Refused(finished.stdout + &finished.stderr),
            _ => panic!("{who:?} fails to ask for {name}: {finished:?}"),
        }
    }

    /// Starts `who`, who will ask for a lock when told `go`.
    pub fn contend(&self, who: Speaker, name: &str, account: Option<&str>) -> Contender {
        let mut contender = Contender::start(&mut self.command_after_go(who, true, name, account));
        contender.wait_for("ready");
        contender
    }

    /// Starts `speak.py` under `qc-lock run`, with as many `stubs` between them as a virtual
    /// environment has one.
    pub fn under_tool(
        &self,
        name: &str,
        account: Option<&str>,
        stubs: usize,
        args: &[&str],
    ) -> Contender {
        let mut command = Command::new(self.tools.tool("qc-lock"));
        command.args(tool_args(&self.dir(), name, account));
        for _ in 0..stubs {
            command.arg(self.tools.stand_in()).arg("run");
        }
        command.arg(python().expect("there is one")).arg(self.script()).args(args);
        Contender::start(&mut command)
    }

    /// Runs `speak.py` to its end.
    pub fn speak(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(python().expect("there is one"));
        run(command.arg(self.script()).args(args), "")
    }

    /// Runs `qc-lock` to its end.
    pub fn qc_lock(&self, args: &[&str]) -> Finished {
        run(&mut self.qc_lock_command(args), "")
    }

    /// Runs the drop-in's own command line to its end; `None` without a Python.
    pub fn drop_in(&self, args: &[&str]) -> Option<Finished> {
        let mut command = Command::new(python()?);
        Some(run(command.arg(self.folder().join("process_lock.py")).args(args), ""))
    }

    /// Returns what runs `qc-lock` on these locks.
    pub fn qc_lock_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.tools.tool("qc-lock"));
        command.arg("--lock-dir").arg(self.dir()).args(args);
        command
    }

    /// Returns the same, to die or to wait at a step: `fault` is `die 7` or `wait 7`.
    pub fn command_with_fault(
        &self,
        who: Speaker,
        fault: &str,
        name: &str,
        account: Option<&str>,
    ) -> Command {
        let mut command = self.command(who, name, account);
        if who == Speaker::Python {
            command = Command::new(python().expect("there is one"));
            command.arg(self.folder().join("fault.py")).args(fault.split(' ')).arg("lock");
            command.arg(self.dir()).arg(name).args(account);
        } else {
            command.env(FAULT_VARIABLE, fault);
        }
        command
    }

    /// Returns the command by which the drop-in of protocol version 1 takes a lock and keeps it until
    /// its standard input ends, or exits with 75; `None` without a Python.
    pub fn version_1(&self, name: &str, account: Option<&str>) -> Option<Command> {
        let mut command = Command::new(python()?);
        command.arg(self.folder().join(VERSION_1).join("speak.py")).arg("lock");
        command.arg(self.dir()).arg(name).args(account);
        Some(command)
    }

    /// Starts a Python that takes locks on demand, in any folder: `speak.py serve`.
    pub fn serve(&self) -> Contender {
        let mut command = Command::new(python().expect("there is one"));
        Contender::start(command.arg(self.script()).arg("serve"))
    }

    /// Leaves the record of a holder that has died, as its crash would.
    ///
    /// # Panics
    /// If the lock is held.
    pub fn leave_dead(&self, name: &str, account: Option<&str>) {
        let mut request = Request::new(name.parse().expect("a lock name"));
        if let Some(account) = account {
            request = request.account(account.parse().expect("an account"));
        }
        let lock = self.locks().acquire(&request).expect("the lock is free");
        let mut record = serde_json::to_value(lock.record()).expect("a record is JSON");
        lock.release().expect("the lock is given back");
        // Another process has had this pid long ago.
        record["started"] = 1.into();
        self.write(name, &record);
        self.wait_for_copies_of_guards(&request);
    }

    /// A program that another test starts right now has a copy of each open guard until it runs.
    fn wait_for_copies_of_guards(&self, request: &Request) {
        if cfg!(windows) {
            return;
        }
        for resource in request.resources() {
            let guard = self.dir().join(".guards").join(resource.guard_file());
            let guard = fs::File::open(guard).expect("a guard can be opened");
            guard.lock().expect("a guard can be locked");
            // Unlike a close, this also frees the copies of this one.
            guard.unlock().expect("a guard can be unlocked");
        }
    }

    fn count(&self, event: Event) -> usize {
        let history = self.locks().history().expect("the history can be read");
        history.entries.iter().filter(|entry| entry.event == event).count()
    }

    fn script(&self) -> PathBuf {
        self.folder().join("speak.py")
    }

    /// Returns what makes `who` take a lock, and keep it until its standard input ends. Behind the
    /// account can stand a blank and what is done with it: `shared` or `paper`.
    pub fn command(&self, who: Speaker, name: &str, account: Option<&str>) -> Command {
        self.command_after_go(who, false, name, account)
    }

    fn command_after_go(
        &self,
        who: Speaker,
        go: bool,
        name: &str,
        account: Option<&str>,
    ) -> Command {
        let stand_in = self.tools.stand_in();
        let go = go.then_some("go");
        let mut command = Command::new(match who {
            Speaker::Library | Speaker::Tool => &stand_in,
            Speaker::Python => python().expect("there is one"),
        });
        if who == Speaker::Python {
            command.arg(self.script());
        }
        match who {
            Speaker::Library | Speaker::Python => {
                command.args(go).arg("lock").arg(self.dir()).arg(name);
                let (number, used) = number_and_use(account);
                command.args(number).args(used);
            }
            Speaker::Tool => {
                if go.is_some() {
                    command.args(["go", "run"]).arg(self.tools.tool("qc-lock"));
                } else {
                    command = Command::new(self.tools.tool("qc-lock"));
                }
                command.args(tool_args(&self.dir(), name, account)).arg(&stand_in).arg("hold");
            }
        }
        command
    }
}

/// Separates an account from what is done with it, see [`SampleLocks::command`].
fn number_and_use(account: Option<&str>) -> (Option<&str>, Option<&str>) {
    let used = |used| Some((account?.strip_suffix(used)?.strip_suffix(' ')?, used));
    match used("shared").or_else(|| used("paper")) {
        Some((number, used)) => (Some(number), Some(used)),
        None => (account, None),
    }
}

/// The arguments of `qc-lock`, up to the command.
fn tool_args(dir: &Path, name: &str, account: Option<&str>) -> Vec<std::ffi::OsString> {
    let (number, used) = number_and_use(account);
    let mut args = vec!["--lock-dir".into(), dir.into(), "run".into(), name.into()];
    args.extend(number.into_iter().flat_map(|number| ["--account".into(), number.into()]));
    args.extend(
        used.map(|used| if used == "shared" { "--shared-account" } else { "--paper" }.into()),
    );
    args.push("--".into());
    args
}

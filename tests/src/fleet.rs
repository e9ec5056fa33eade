//! A sample fleet in a temporary folder, whose Python is the stand-in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qc_lock_core::LockDir;
use qc_process::{PYTHON_IN_ENVIRONMENT, Process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::locks::SharedFiles;
use crate::random::unlikely;
use crate::{Program, Tools, copy_program};

/// The accounts of the sample fleet: key and number.
pub const ACCOUNTS: [(&str, u64); 5] = [
    ("ATLAS", 1_000_001),
    ("BOREAS", 1_000_002),
    ("CASTOR", 1_000_003),
    ("DELPHI", 1_000_004),
    ("GL_3", 1_000_005),
];

/// A fleet in a folder that goes away, with everything that runs in it.
pub struct SampleFleet {
    root: PathBuf,
    /// Goes away with the fleet, unless the folder was there before.
    _folder: Option<TempDir>,
    /// The tools that it is used with.
    pub tools: Tools,
    /// The number before the first of its accounts.
    accounts_from: u64,
}

impl SampleFleet {
    /// Makes the fleet of these accounts, with short pauses.
    pub fn new(tools: Tools, accounts: &[(&str, u64)]) -> Self {
        Self::in_new_folder(tools, accounts, accounts_from())
    }

    fn in_new_folder(tools: Tools, accounts: &[(&str, u64)], accounts_from: u64) -> Self {
        let folder =
            tempfile::Builder::new().prefix("qc fleet ").tempdir().expect("no temporary folder");
        let root = folder.path().into();
        let fleet = Self { root, _folder: Some(folder), tools, accounts_from };
        fleet.fill(accounts);
        fleet
    }

    /// Makes a fleet in another folder, whose account numbers stand for the same accounts as here.
    pub fn elsewhere(&self, accounts: &[(&str, u64)]) -> Self {
        Self::in_new_folder(self.tools.clone(), accounts, self.accounts_from)
    }

    /// Makes the fleet of these accounts in a folder that is there and stays.
    pub fn in_folder(tools: Tools, accounts: &[(&str, u64)], root: &Path) -> Self {
        let fleet =
            Self { root: root.into(), _folder: None, tools, accounts_from: accounts_from() };
        fleet.fill(accounts);
        fleet
    }

    fn fill(&self, accounts: &[(&str, u64)]) {
        let python = self.python();
        let base = self.root().join("base");
        let file = python.file_name().expect("python has a name");
        for program in [python.clone(), base.join(file)] {
            fs::create_dir_all(program.parent().expect("python lies in a folder"))
                .expect("cannot make the environment");
            copy_program(&self.tools.stand_in(), &program);
        }
        let environment = self.root().join(".venv312_gpu").join("pyvenv.cfg");
        fs::write(environment, format!("home = {}\n", base.display()))
            .expect("cannot make the environment");
        let config: serde_json::Map<String, Value> = accounts
            .iter()
            .map(|(key, number)| {
                (key.to_string(), json!({ "account": number, "server": "Demo", "enabled": true }))
            })
            .collect();
        self.configure(&json!({
            "ACCOUNTS": config,
            "TRADING_SETTINGS": { "WATCHDOG_LIMIT": 2.5 },
            "PROCESS_MANAGER": section(&json!({})),
        }));
        self.script("quantum_server.py", "");
        self.script("STOPLOSS_WATCHDOG_V2.py", "");
        for (key, _) in accounts {
            self.script(&format!("{}.py", brain(key)), "");
        }
    }

    /// Returns the fleet's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the fleet's Python.
    pub fn python(&self) -> PathBuf {
        self.root().join(".venv312_gpu").join(PYTHON_IN_ENVIRONMENT)
    }

    /// Returns the fleet's locks.
    pub fn locks(&self) -> LockDir {
        LockDir::new(self.root().join(".locks"))
    }

    /// Writes the config. Account numbers become numbers of this fleet alone, see
    /// [`SampleFleet::account`].
    pub fn configure(&self, config: &Value) {
        let mut config = config.clone();
        let accounts = config.get_mut("ACCOUNTS").and_then(Value::as_object_mut);
        for account in accounts.into_iter().flat_map(|accounts| accounts.values_mut()) {
            let Some(number) = account.get("account").and_then(Value::as_u64) else { continue };
            account["account"] = self.account(number).into();
        }
        self.configure_as(&config.to_string());
    }

    /// Writes this text as the config, in one step: a brain whose config can't be read for a moment is a
    /// finding elsewhere. What nothing but a text without accounts describes needs an [`own_key`].
    ///
    /// [`own_key`]: crate::own_key
    pub fn configure_as(&self, text: &str) {
        let new = self.root().join("MASTER_CONFIG.new");
        fs::write(&new, text).expect("cannot write the config");
        qc_process::file::replace(&new, &self.root().join("MASTER_CONFIG.json"))
            .expect("cannot replace the config");
    }

    /// Returns the account that `number` stands for in this fleet's config: tests run side by side, and
    /// an account is one for the whole machine. Only its last three digits count.
    pub fn account(&self, number: u64) -> u64 {
        self.accounts_from + number % OWN
    }

    /// Writes a script with directives for the stand-in, one per line.
    pub fn script(&self, name: &str, directives: &str) {
        let text: String = directives.lines().map(|line| format!("# stand-in: {line}\n")).collect();
        fs::write(self.root().join(name), text).expect("cannot write a script");
    }

    /// Starts `qc-launch`.
    pub fn launch(&self, args: &[&str], echo: impl Fn(&str) + Send + 'static) -> Program {
        Program::start(&self.tools.tool("qc-launch"), args, self.root(), &[], echo)
    }

    /// Runs a tool to its end in the fleet's folder.
    pub fn run(&self, tool: &str, args: &[&str]) -> crate::Finished {
        self.run_with(tool, args, "")
    }

    /// Runs a tool to its end in the fleet's folder, with `input` on its standard input.
    pub fn run_with(&self, tool: &str, args: &[&str], input: &str) -> crate::Finished {
        self.tools.run(tool, args, self.root(), input)
    }

    /// Returns what `qc-ps --json` says of its processes; other fleets may run at the same time.
    pub fn processes(&self) -> Vec<Value> {
        let report = self.run("qc-ps", &["--json"]).json();
        let processes = report["processes"].as_array().expect("processes are a list");
        processes.iter().filter(|row| row["state"] != "foreign").cloned().collect()
    }
}

/// How many accounts a fleet has for itself.
const OWN: u64 = 1000;

/// Returns the number before the first account of a fleet, far beyond those of any broker.
fn accounts_from() -> u64 {
    (900_000_000 + unlikely(100_000_000)) * OWN
}

impl Drop for SampleFleet {
    /// Kills what a test has left running in this folder, and nothing else. It is gone before its
    /// config is: a brain without a known account is a finding elsewhere.
    fn drop(&mut self) {
        let _shared = SharedFiles(self.root().join(".locks"));
        let Ok(listing) = qc_process::list() else { return };
        let root = fs::canonicalize(self.root()).unwrap_or_else(|_| self.root().into());
        let here = |dir: &Path| fs::canonicalize(dir).is_ok_and(|dir| dir.starts_with(&root));
        // A real Python lies elsewhere, and works here.
        let is_here = |one: &qc_process::ProcessInfo| {
            [&one.exe, &one.current_dir].into_iter().flatten().any(|path| here(path))
        };
        let own = qc_process::own_identity();
        for process in listing.processes.iter().filter(|&one| is_here(one)) {
            if process.identity == *own {
                continue;
            }
            if let Ok(Some(process)) = Process::open(&process.identity) {
                // It may be ending by itself.
                let _ = process.kill();
                let _ = qc_process::wait_any(&[&process], Duration::from_secs(5));
            }
        }
    }
}

/// Returns a section PROCESS_MANAGER with short pauses, and `more`.
pub fn section(more: &Value) -> Value {
    let mut section = json!({
        // The tests ignore listeners of this machine.
        "server": { "port": null },
        "server_settle_seconds": 0.2,
        "watchdog_stagger_seconds": 0.1,
        "brain_stagger_seconds": 0.2,
    });
    for (key, value) in more.as_object().expect("a section is an object") {
        section[key] = value.clone();
    }
    section
}

/// Returns the name of an account's brain.
fn brain(key: &str) -> String {
    if key == "GL_3" { "BRAIN_GETLEVERAGED".into() } else { format!("BRAIN_{key}") }
}

//! What the config says should run.

use std::fmt;
use std::path::{Path, PathBuf};

use qc_lock_core::{Account, LockName, Request, Terminal};
use serde::Serialize;

use crate::config::{self, Object, Timing};
use crate::{ConfigError, root};

/// The script of all watchdogs.
pub(crate) const WATCHDOG_SCRIPT: &str = "STOPLOSS_WATCHDOG_V2.py";

/// What a component does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Starts and restarts the others.
    Orchestrator,
    /// Trades one account.
    Brain,
    /// Guards the open positions of one account.
    Watchdog,
    /// Serves all of them.
    Server,
    /// Something else of the fleet.
    Other,
}

impl Role {
    /// Returns the word that tables, flags and JSON use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Brain => "brain",
            Self::Watchdog => "watchdog",
            Self::Server => "server",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One program of the fleet.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name, which is its lock's, too.
    pub name: LockName,
    /// What it does.
    pub role: Role,
    /// The key of its account in the config.
    pub account_key: Option<String>,
    /// Its account.
    pub account: Option<Account>,
    /// Its terminal.
    pub terminal: Option<Terminal>,
    /// Its script.
    pub script: PathBuf,
    /// The script's arguments.
    pub args: Vec<String>,
    /// Whether the config wants it to run.
    pub enabled: bool,
}

impl Component {
    /// Returns what its lock asks for.
    pub fn request(&self) -> Request {
        let mut request = Request::new(self.name.clone()).program(self.script_file());
        if let Some(account) = &self.account {
            request = request.account(account.clone());
        }
        if let Some(terminal) = &self.terminal {
            request = request.terminal(terminal.clone());
        }
        request
    }

    /// Returns the file name of its script.
    pub fn script_file(&self) -> String {
        self.script.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// What the config says.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The folder with the config and the scripts.
    pub root: PathBuf,
    /// The Python to run them with, and how it was chosen.
    pub interpreter: PathBuf,
    /// What to tell the user about that choice, unless it is the expected one.
    pub interpreter_note: Option<String>,
    /// The server, the watchdogs, the brains: the order of starting.
    pub components: Vec<Component>,
    /// The pace.
    pub timing: Timing,
    /// The name under which the orchestrator locks.
    pub orchestrator: LockName,
}

impl Fleet {
    /// Reads the config at `path`; the fleet's folder is the one it lies in.
    ///
    /// # Errors
    /// A [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let absolute = std::path::absolute(path).ok();
        let root =
            absolute.as_deref().and_then(Path::parent).ok_or_else(|| ConfigError::Value {
                path: path.into(),
                key: String::new(),
                message: "it lies in no folder".into(),
            })?;
        Self::load_for(root, path)
    }

    /// Reads the config at `path` of the fleet in the folder `root`.
    ///
    /// # Errors
    /// A [`ConfigError`].
    pub fn load_for(root: &Path, path: &Path) -> Result<Self, ConfigError> {
        let config = config::read(path)?;
        let invalid = |key: &str, message: String| ConfigError::Value {
            path: path.into(),
            key: key.into(),
            message,
        };
        let name = |text: String, key: &str| {
            text.parse().map_err(|error| invalid(key, format!("{error}")))
        };

        let mut watchdogs = Vec::new();
        let mut brains = Vec::new();
        for (key, Object(account)) in &config.accounts.0 {
            let place = format!("ACCOUNTS.{key}");
            let number = account.account.0.to_string();
            let number: Account =
                number.parse().map_err(|error| invalid(&place, format!("{error}")))?;
            let terminal = account
                .terminal_path
                .as_deref()
                .filter(|path| !path.trim().is_empty())
                .map(Terminal::new);
            let brain = brain_stem(key);
            let component = |name, role, script: String, args| Component {
                name,
                role,
                account_key: Some(key.clone()),
                account: Some(number.clone()),
                terminal: terminal.clone(),
                script: root.join(script),
                args,
                enabled: account.enabled,
            };
            let mut args = vec!["--account".to_owned(), key.clone()];
            if let Some(limit) = &config.trading.0.watchdog_limit {
                args.extend(["--limit".to_owned(), limit.to_string()]);
            }
            let watchdog: LockName = name(format!("WATCHDOG_{key}"), &place)?;
            let brain_name: LockName = name(brain.clone(), &place)?;
            let twin = |other: &&Component| {
                other.name.key() == watchdog.key() || other.name.key() == brain_name.key()
            };
            if let Some(twin) = watchdogs.iter().chain(&brains).find(twin) {
                let other = twin.account_key.as_deref().unwrap_or_default();
                let message = format!("this account and `{other}` would both be {}", twin.name);
                return Err(invalid(&place, message));
            }
            watchdogs.push(component(watchdog, Role::Watchdog, WATCHDOG_SCRIPT.into(), args));
            brains.push(component(brain_name, Role::Brain, format!("{brain}.py"), Vec::new()));
        }
        let server = Component {
            name: name("quantum_server".into(), "")?,
            role: Role::Server,
            account_key: None,
            account: None,
            terminal: None,
            script: root.join("quantum_server.py"),
            args: Vec::new(),
            enabled: true,
        };
        let (interpreter, interpreter_note) = match &config.manager.0.interpreter {
            Some(given) => (root.join(given), None),
            None => root::interpreter(root),
        };
        Ok(Self {
            interpreter,
            interpreter_note,
            components: [vec![server], watchdogs, brains].concat(),
            timing: config.manager.0.timing(),
            orchestrator: name("MASTER_LAUNCH".into(), "")?,
            root: root.into(),
        })
    }

    /// Returns the folder that the locks live in, unless the user names another.
    pub fn lock_dir(&self) -> PathBuf {
        self.root.join(".locks")
    }

    /// Returns the component of this name, whatever its case.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.name.as_str().eq_ignore_ascii_case(name))
    }
}

/// Returns the name of an account's brain; one account's script has a name of its own.
fn brain_stem(key: &str) -> String {
    if key == "GL_3" { "BRAIN_GETLEVERAGED".into() } else { format!("BRAIN_{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Fleet, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("MASTER_CONFIG.json");
        std::fs::write(&path, text).unwrap();
        Fleet::load(&path)
    }

    #[test]
    fn a_fleet_has_a_server_and_two_components_for_each_account() {
        let fleet = load(
            r#"{"ACCOUNTS": {"ATLAS": {"account": 1, "terminal_path": "C:\\MT5"}, "GL_3": {"account": 2, "enabled": false}},
                "TRADING_SETTINGS": {"WATCHDOG_LIMIT": 2.5}}"#,
        )
        .unwrap();
        let names: Vec<&str> =
            fleet.components.iter().map(|component| component.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "quantum_server",
                "WATCHDOG_ATLAS",
                "WATCHDOG_GL_3",
                "BRAIN_ATLAS",
                "BRAIN_GETLEVERAGED"
            ]
        );
        let watchdog = fleet.component("watchdog_atlas").unwrap();
        assert_eq!(watchdog.args, ["--account", "ATLAS", "--limit", "2.5"]);
        let resources: Vec<String> =
            watchdog.request().resources().iter().map(ToString::to_string).collect();
        assert_eq!(
            resources,
            ["account/1/watchdog", "name/watchdog_atlas", "terminal/c:/mt5/watchdog"]
        );
        assert!(!fleet.component("BRAIN_GETLEVERAGED").unwrap().enabled);
    }

    #[test]
    fn two_accounts_are_two_components() {
        for (one, other) in [("ATLAS", "atlas"), ("GL_3", "GETLEVERAGED")] {
            let text = format!(
                r#"{{"ACCOUNTS": {{"{one}": {{"account": 1}}, "{other}": {{"account": 2}}}}}}"#
            );
            let error = load(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("this account and `{one}` would both be")), "{error}");
        }
    }

    #[test]
    fn an_account_key_must_fit_into_a_lock_name() {
        let error = load(r#"{"ACCOUNTS": {"A/B": {"account": 1}}}"#).unwrap_err();
        assert!(error.to_string().contains("ACCOUNTS.A/B"), "{error}");
    }
}

//! The components that the config wants to run.

mod choice;
mod role;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_lock_core::{Account, AccountUse, LockName, Request, Resource, Terminal};
use qc_process::StopSignal;
use qc_supervise::Settings;

pub use self::choice::{share_terminals, with_scripts};
pub use self::role::Role;
use crate::config::{self, ConfigWarning, LogSettings, NotifySettings, Timing, Variables};
use crate::text::{Secret, Text};
use crate::{ConfigError, build};

/// One program of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name, which is also the name of its lock.
    pub name: LockName,
    /// Its role.
    pub role: Role,
    /// The key of its account in the config.
    pub account_key: Option<String>,
    /// Its account.
    pub account: Option<Account>,
    /// Its terminal.
    pub terminal: Option<Terminal>,
    /// Its use of both.
    pub account_use: AccountUse,
    /// The program and its arguments; with a script, the interpreter, the script, its arguments.
    pub command: Vec<Text>,
    /// The script among them, if it is one for a Python.
    pub script: Option<PathBuf>,
    /// How many words of the command stand before the arguments of the script or the program.
    pub(crate) args_at: usize,
    /// Its working folder.
    pub cwd: PathBuf,
    /// Environment variables for it, besides those of the launcher.
    pub env: Vec<(String, Secret)>,
    /// The components that must be ready before it starts. Such a component may be disabled or have
    /// no script.
    pub depends_on: Vec<LockName>,
    /// The ports at which it will listen, which must be free before it starts.
    pub ports: Vec<u16>,
    /// Whether its script keeps a PID record of its own under its name in the folder of the locks, so
    /// that its lock has none.
    pub own_record: bool,
    /// How it is supervised.
    pub settings: Arc<Settings>,
    /// The signal that asks it to stop, where the config names one. Without effect on Windows.
    pub stop_signal: Option<StopSignal>,
    /// Whether the config wants it to run.
    pub enabled: bool,
}

impl Component {
    /// Returns what its lock asks for.
    pub fn request(&self) -> Request {
        let request = Request::new(self.name.clone()).program(self.script_file());
        let mut request = request.account_use(self.account_use);
        if let Some(account) = &self.account {
            request = request.account(account.clone());
        }
        if let Some(terminal) = &self.terminal {
            request = request.terminal(terminal.clone());
        }
        if self.own_record { request.without_record() } else { request }
    }

    /// Returns the places at accounts and terminals that it takes.
    pub fn places(&self) -> impl Iterator<Item = Resource> {
        self.request().resources().into_iter().filter(Resource::is_machine_wide)
    }

    /// Returns the file name of its script, or else of its program.
    pub fn script_file(&self) -> String {
        let program = self.command.first().map(Text::path);
        let file = self.script.as_deref().or(program).and_then(Path::file_name);
        file.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Returns its script, if its command names the file. A module (`python -m http.server`) may be
    /// installed in any folder, which only its Python knows.
    pub(crate) fn named_script(&self) -> Option<&Path> {
        let script = self.script.as_deref()?;
        let is_named = |word: &Text| word.path().file_name() == script.file_name();
        self.command.iter().any(is_named).then_some(script)
    }

    /// Returns its script, if it has one that does not exist.
    pub fn missing_script(&self) -> Option<&Path> {
        self.named_script().filter(|script| !script.exists())
    }

    /// Returns the arguments of its script, or else of its program.
    pub fn args(&self) -> &[Text] {
        self.command.get(self.args_at..).unwrap_or_default()
    }

    /// Whether values of environment variables stand among its arguments.
    pub(crate) fn has_variables(&self) -> bool {
        self.args().iter().any(Text::has_variables)
    }

    /// Whether `args` end in its own arguments.
    pub(crate) fn ends(&self, args: &[String]) -> bool {
        let before = args.len().checked_sub(self.args().len());
        before.is_some_and(|before| {
            self.args().iter().zip(&args[before..]).all(|(text, word)| text.may_be(word))
        })
    }

    /// Returns the command of a process that is this component, as it may be shown.
    pub(crate) fn shown_command_of(&self, words: &[String]) -> String {
        let mut words = words.to_vec();
        // An interpreter, its options and the script come first.
        let before = words.len().saturating_sub(self.args().len());
        for (word, text) in words[before..].iter_mut().zip(self.args()) {
            if text.has_variables() {
                *word = text.written().to_owned();
            }
        }
        crate::shown_command(&words)
    }

    /// Returns its command as it may be shown.
    pub fn shown_command(&self) -> String {
        let words: Vec<String> = self.command.iter().map(ToString::to_string).collect();
        crate::shown_command(&words)
    }
}

/// One account of the config.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountEntry {
    /// Its key.
    pub key: String,
    /// Its number or name, if the config writes one.
    pub account: Option<Account>,
    /// The number that marks its orders, as far as the config says one.
    pub magic: Option<String>,
    /// The broker's server, as the config writes it.
    pub server: Option<String>,
    /// Its terminal, as the config writes it.
    pub terminal_path: Option<String>,
    /// Whether it is traded.
    pub enabled: bool,
    /// Whether the config has no `enabled` for it, so that it is not traded.
    pub lacks_enabled: bool,
    /// Whether it is traded on paper, beside whoever trades the same number.
    pub paper: bool,
}

impl AccountEntry {
    /// Returns what its brain does with it.
    pub(crate) fn account_use(&self) -> AccountUse {
        if self.paper { AccountUse::Paper } else { AccountUse::Trades }
    }
}

/// The config as a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// The folder with the config and the scripts.
    pub root: PathBuf,
    /// The Python to run them with.
    pub interpreter: Text,
    /// A remark about how it was chosen, unless it is the expected one.
    pub interpreter_note: Option<String>,
    /// The accounts, in the order of the file.
    pub accounts: Vec<AccountEntry>,
    /// The server, the watchdogs, the brains, the others, as far as nothing depends on a later one:
    /// the order of starting.
    pub components: Vec<Arc<Component>>,
    /// The pace.
    pub timing: Timing,
    /// The name under which the orchestrator locks.
    pub orchestrator: LockName,
    /// The retention of the components' output.
    pub logs: LogSettings,
    /// The recipients of notifications.
    pub notify: NotifySettings,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Suspicious contents of the config that refuse nothing.
    pub warnings: Vec<ConfigWarning>,
    /// Whether a config says all this; without one, the usual names are all that is known.
    pub is_from_config: bool,
}

impl Fleet {
    /// Whether anything of it trades or guards an account. Without a config that can be read, it may.
    pub fn has_accounts(&self) -> bool {
        let is_of_account = |one: &Arc<Component>| {
            one.account.is_some() || matches!(one.role, Role::Brain | Role::Watchdog)
        };
        !self.is_from_config
            || !self.accounts.is_empty()
            || self.components.iter().any(is_of_account)
    }

    /// Reads the config at `path`; the fleet's folder is the one it lies in. Where a text names an
    /// environment variable, it is left as it is written.
    ///
    /// # Errors
    /// A [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let absolute = std::path::absolute(path).ok();
        let root = absolute
            .as_deref()
            .and_then(Path::parent)
            .ok_or_else(|| ConfigError::NoFolder { path: path.into() })?;
        Self::load_for(root, path, &|name| Some(format!("${{{name}}}").into()))
    }

    /// Reads the config at `path` of the fleet in the folder `root`, with the environment's
    /// `variables`.
    ///
    /// # Errors
    /// A [`ConfigError`], also for a variable that is not set.
    pub fn load_for(
        root: &Path,
        path: &Path,
        variables: Variables<'_>,
    ) -> Result<Self, ConfigError> {
        config::read(path, |config| build::fleet(root, &config, variables))
            .inspect(Self::spare_terminals)
    }

    /// Understands `bytes` as the config of the fleet in the folder `root`; errors name it `path`.
    ///
    /// # Errors
    /// As [`Fleet::load_for`].
    pub fn from_bytes(
        root: &Path,
        path: &Path,
        bytes: &[u8],
        variables: Variables<'_>,
    ) -> Result<Self, ConfigError> {
        config::from_bytes(path, bytes, |config| build::fleet(root, &config, variables))
            .inspect(Self::spare_terminals)
    }

    /// Makes every file that a `terminal_path` names a terminal for all that stops processes.
    fn spare_terminals(&self) {
        let paths = self.accounts.iter().filter_map(|entry| entry.terminal_path.as_ref());
        qc_process::spare_programs(paths.flat_map(|path| [path.into(), self.root.join(path)]));
    }

    /// Returns the fleet in the folder `root` as far as it is known without its config: its scripts
    /// have their usual names. For stopping what runs although the config can't be read.
    ///
    /// # Errors
    /// A [`ConfigError`], if there is no such fleet.
    pub fn without_config(root: &Path) -> Result<Self, ConfigError> {
        let nothing = r#"{"ACCOUNTS": {}}"#;
        let path = root.join(crate::CONFIG_FILE);
        let fleet =
            config::read_text(&path, nothing, |config| build::fleet(root, &config, &|_| None))?;
        Ok(Self { is_from_config: false, ..fleet })
    }

    /// Returns the folder that the locks live in, unless the user names another.
    pub fn lock_dir(&self) -> PathBuf {
        self.root.join(qc_lock_core::LOCK_FOLDER)
    }

    /// Returns the broker's server of the account of `component`, as far as the config names it.
    pub(crate) fn server_of(&self, component: &Component) -> Option<&str> {
        let key = component.account_key.as_deref()?;
        self.accounts.iter().find(|entry| entry.key == key)?.server.as_deref()
    }

    /// Returns the component of this name, whatever its case.
    pub fn component(&self, name: &str) -> Option<&Component> {
        let named = |component: &&Component| component.name.as_str().eq_ignore_ascii_case(name);
        self.components.iter().map(Arc::as_ref).find(named)
    }
}

#[cfg(test)]
mod tests;

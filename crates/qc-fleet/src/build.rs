//! From the config to the fleet: what follows from the accounts, changed by our own section.

mod kinds;
mod links;
mod paths;
mod single;
mod texts;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_lock_core::{AccountUse, LockName};
use qc_supervise::{RestartDelay, Settings};

use self::paths::{Paths, same_variable};
use self::texts::lock_name;
use crate::component::{AccountEntry, Component, Fleet, Role, share_terminals};
use crate::config::{
    AccountConfig, Config, ConfigDuration, ConfigIssue, ConfigWarning, Entries, HasRules, KeyPath,
    Manager, Placeholders, RawText, SECTION, SignalName, Timing, Variables,
};
use crate::order::order;
use crate::root;
use crate::text::Text;

/// Makes the fleet in the folder `root`.
pub(crate) fn fleet(
    root: &Path,
    config: &Config,
    variables: Variables<'_>,
) -> Result<Fleet, ConfigIssue> {
    let manager = &config.manager.0;
    let section = KeyPath::default().key(SECTION);
    let paths = Paths { root, placeholders: Placeholders { variables, placeholders: &[] } };
    let (interpreter, interpreter_note) = match &manager.interpreter {
        Some(given) => (paths.program(given, &section.key("interpreter"))?, None),
        None => {
            let (path, note) = root::interpreter(root);
            (Text::plain(path), note)
        }
    };
    let orchestrator = manager.orchestrator.as_deref().unwrap_or("MASTER_LAUNCH");
    let orchestrator = lock_name(orchestrator, &section.key("orchestrator"))?;
    let limit = config.trading.0.watchdog_limit.as_ref().map(ToString::to_string);
    let mut builder = Builder {
        paths,
        manager,
        section: section.clone(),
        interpreter,
        orchestrator,
        limit,
        defaults: Arc::default(),
        accounts: Vec::new(),
        warnings: config.warnings.clone(),
        components: Vec::new(),
        positions: HashMap::new(),
    };
    builder.set_defaults()?;
    for (key, account) in &config.accounts.0 {
        builder.add_account(key, &account.0)?;
    }
    builder.add_server(&manager.server.0)?;
    for position in 0..builder.accounts.len() {
        builder.add_watchdog(position, &manager.watchdogs.0)?;
    }
    for position in 0..builder.accounts.len() {
        builder.add_brain(position, &manager.brains.0)?;
    }
    builder.check_keys(&manager.watchdogs.0.scripts, "watchdogs")?;
    builder.check_keys(&manager.brains.0.scripts, "brains")?;
    for (name, one) in &manager.components.0 {
        builder.add_or_change(name, &one.0)?;
    }
    builder.check_orchestrator()?;
    builder.check_dependencies()?;
    builder.complete_readiness();

    let Builder { interpreter, orchestrator, accounts, warnings, components, .. } = builder;
    // A stop of several at a time gives each the time that it needs.
    let longest = components.iter().map(|one| one.settings.stop_timeout).max();
    let stop_timeout = longest.unwrap_or_default();
    let mut fleet = Fleet {
        logs: manager.logs.0.settings(&section.key("logs"), &|text, at| paths.file(text, at))?,
        notify: manager.notify.0.settings(
            &section.key("notify"),
            paths.placeholders,
            |words, at| paths.command(words, at),
        )?,
        metrics: manager.metrics.map(|address| address.0),
        timing: Timing { stop_timeout, ..manager.timing() },
        components: order(components).map_err(|cycle| {
            // The links that follow from the accounts form no circle, so the config has closed it.
            let said = manager.components.0.iter().find(|(name, one)| {
                one.0.depends_on.is_some() && cycle.iter().any(|it| it.eq_ignore_ascii_case(name))
            });
            let name = said.map_or("", |(name, _)| name);
            let at = section.key("components").key(name).key("depends_on");
            ConfigIssue::new(at, format!("these wait for one another: {}", cycle.join(", ")))
        })?,
        root: root.into(),
        interpreter,
        interpreter_note,
        accounts,
        orchestrator,
        warnings,
        is_from_config: true,
    };
    if manager.allow_shared_terminal {
        share_terminals(&mut fleet.components);
    }
    Ok(fleet)
}

/// The program of a component: an interpreter with a script, or any.
struct Program {
    command: Vec<Text>,
    script: Option<PathBuf>,
    args_at: usize,
}

/// The fleet, as far as it is built.
struct Builder<'a> {
    paths: Paths<'a>,
    manager: &'a Manager,
    section: KeyPath,
    interpreter: Text,
    orchestrator: LockName,
    limit: Option<String>,
    /// The settings of a component of which nothing more is said.
    defaults: Arc<Settings>,
    accounts: Vec<AccountEntry>,
    warnings: Vec<ConfigWarning>,
    components: Vec<Component>,
    /// Where each stands, by the key of its name.
    positions: HashMap<String, usize>,
}

impl Builder<'_> {
    fn set_defaults(&mut self) -> Result<(), ConfigIssue> {
        let mut settings = Settings::default();
        if let Some(max) = self.manager.max_restarts {
            settings.restart.max_restarts = max;
        }
        if let Some(ConfigDuration(cooldown)) = self.manager.restart_cooldown_seconds {
            settings.restart.delay = RestartDelay::Cooldown(cooldown);
        }
        if let Some(ConfigDuration(timeout)) = self.manager.stop_timeout_seconds {
            settings.stop_timeout = timeout;
        }
        if let Some(ConfigDuration(start_seconds)) = self.manager.start_seconds {
            settings.start_seconds = start_seconds;
        }
        self.apply(&self.manager.defaults.0, &mut settings, &self.section.key("defaults"))?;
        self.defaults = Arc::new(settings);
        Ok(())
    }

    fn apply(
        &self,
        level: &impl HasRules,
        settings: &mut Settings,
        at: &KeyPath,
    ) -> Result<(), ConfigIssue> {
        level.rules().apply(settings, at, &|text, at| self.paths.file(text, at))
    }

    /// Applies what is said of one component, or of one kind. Most say nothing, and share their settings.
    fn adjust(
        &self,
        level: &impl HasRules,
        component: &mut Component,
        at: &KeyPath,
    ) -> Result<(), ConfigIssue> {
        let mut settings = Settings::clone(&component.settings);
        self.apply(level, &mut settings, at)?;
        if settings != *component.settings {
            component.settings = Arc::new(settings);
        }
        if let Some(SignalName(signal)) = level.rules().stop.signal {
            component.stop_signal = Some(signal);
        }
        Ok(())
    }

    fn add_account(&mut self, key: &str, account: &AccountConfig) -> Result<(), ConfigIssue> {
        let place = KeyPath::default().key("ACCOUNTS").key(key);
        let terminal_path = account.terminal_path.clone().filter(|path| !path.trim().is_empty());
        if let Some(path) = &terminal_path {
            paths::check_path(path, &place.key("terminal_path"))?;
        }
        let magic = account.magic.as_ref().filter(|magic| !magic.is_null()).map(|magic| {
            magic.as_str().map_or_else(|| magic.to_string(), |text| text.trim().to_owned())
        });
        self.accounts.push(AccountEntry {
            key: key.into(),
            account: account.account.0.clone(),
            magic,
            server: account.server.as_ref().and_then(|it| it.as_str()).map(str::to_owned),
            terminal_path,
            enabled: account.enabled.unwrap_or(false),
            lacks_enabled: account.enabled.is_none(),
            paper: account.paper,
        });
        if account.enabled.is_none() {
            self.warnings.push(ConfigWarning::new(
                format!("account {key} has no `enabled`, so it is not traded"),
                "set `\"enabled\": true` to trade it, or false to silence this",
            ));
        }
        if account.enabled == Some(true) && account.account.0.is_none() {
            self.warnings.push(ConfigWarning::new(
                format!("account {key} has no number, so only its name is locked"),
                "write its number as `account`, so that nothing else can trade it",
            ));
        }
        Ok(())
    }

    /// Returns a component of the fleet without anything that depends on its kind.
    fn component(&self, name: LockName, role: Role, program: Program) -> Component {
        Component {
            name,
            role,
            account_key: None,
            account: None,
            terminal: None,
            account_use: AccountUse::Trades,
            command: program.command,
            script: program.script,
            args_at: program.args_at,
            cwd: self.paths.root.into(),
            env: Vec::new(),
            depends_on: Vec::new(),
            ports: Vec::new(),
            settings: Arc::clone(&self.defaults),
            stop_signal: self.manager.defaults.0.rules().stop.signal.map(|name| name.0),
            own_record: false,
            enabled: true,
        }
    }

    /// Makes the program of a script.
    fn python(
        &self,
        paths: Paths<'_>,
        script: &RawText,
        args: Option<&[RawText]>,
        at: &KeyPath,
    ) -> Result<Program, ConfigIssue> {
        let script = paths.path(script, &at.key("script"))?;
        Ok(self.run(script, paths.words(args.unwrap_or_default(), &at.key("args"))?))
    }

    fn run(&self, script: Text, args: Vec<Text>) -> Program {
        let path = Some(script.path().to_path_buf());
        let command = [vec![self.interpreter.clone(), script], args].concat();
        Program { command, script: path, args_at: 2 }
    }

    /// Sets the working folder and the environment.
    fn place(
        &self,
        component: &mut Component,
        cwd: Option<&RawText>,
        env: &Entries<RawText>,
        at: &KeyPath,
    ) -> Result<(), ConfigIssue> {
        if let Some(cwd) = cwd {
            component.cwd = self.paths.file(cwd, &at.key("cwd"))?;
        }
        if component.env.is_empty() {
            let at = self.section.key("defaults").key("env");
            component.env = self.paths.env(&self.manager.defaults.0.env, &at)?;
        }
        for (name, value) in self.paths.env(env, &at.key("env"))? {
            component.env.retain(|(other, _)| !same_variable(other, &name));
            component.env.push((name, value));
        }
        Ok(())
    }

    /// Adds a component, unless another has its name.
    fn add(&mut self, component: Component, at: &KeyPath) -> Result<(), ConfigIssue> {
        if self.named(&component.name).is_some() {
            let message = format!("there is another component `{}`", component.name);
            return Err(ConfigIssue::of_key(at.clone(), message));
        }
        self.positions.insert(component.name.key(), self.components.len());
        self.components.push(component);
        Ok(())
    }

    /// Returns the component of this name, whatever its case.
    fn named(&self, name: &LockName) -> Option<&Component> {
        self.components.get(*self.positions.get(&name.key())?)
    }
}

//! From the config to the fleet: what follows from the accounts, changed by our own section.

mod links;
mod paths;
mod single;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use qc_lock_core::{Account, LockName, Terminal};
use qc_supervise::{Probe, RestartDelay, Settings};

use self::paths::Paths;
use crate::component::{AccountEntry, Component, Fleet, Role};
use crate::config::{
    AccountConfig, Brains, Config, Entries, HasRules, KeyPath, Manager, Meaning, Mistake, Port,
    SECTION, Server, Span, Timing, Variables, Watchdogs, Written, suggest,
};
use crate::order::order;
use crate::root;
use crate::text::Text;

/// Makes the fleet in the folder `root`.
pub(crate) fn fleet(
    root: &Path,
    config: &Config,
    variables: Variables<'_>,
) -> Result<Fleet, Mistake> {
    let manager = &config.manager.0;
    let section = KeyPath::default().key(SECTION);
    let paths = Paths { root, meaning: Meaning { variables, placeholders: &[] } };
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
        defaults: Settings::default(),
        accounts: Vec::new(),
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

    let Builder { interpreter, orchestrator, accounts, components, .. } = builder;
    // Whoever stops several at a time gives each the time that it needs.
    let longest = components.iter().map(|one| one.settings.stop_timeout).max();
    let stop_timeout = longest.unwrap_or_default();
    Ok(Fleet {
        logs: manager.logs.0.settings(&section.key("logs"), &|text, at| paths.file(text, at))?,
        notify: manager.notify.0.settings(&section.key("notify"), paths.meaning, |words, at| {
            paths.command(words, at)
        })?,
        metrics: manager.metrics.map(|address| address.0),
        timing: Timing { stop_timeout, ..manager.timing() },
        components: order(components).map_err(|cycle| {
            // What follows from the accounts waits in no circle, so the config has closed it.
            let said = manager.components.0.iter().find(|(name, one)| {
                one.0.depends_on.is_some() && cycle.iter().any(|it| it.eq_ignore_ascii_case(name))
            });
            let name = said.map_or("", |(name, _)| name);
            let at = section.key("components").key(name).key("depends_on");
            Mistake::new(at, format!("these wait for one another: {}", cycle.join(", ")))
        })?,
        root: root.into(),
        interpreter,
        interpreter_note,
        accounts,
        orchestrator,
    })
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
    defaults: Settings,
    accounts: Vec<AccountEntry>,
    components: Vec<Component>,
    /// Where each stands, by the key of its name.
    positions: HashMap<String, usize>,
}

impl Builder<'_> {
    fn set_defaults(&mut self) -> Result<(), Mistake> {
        let mut settings = Settings::default();
        if let Some(max) = self.manager.max_restarts {
            settings.restart.max_restarts = max;
        }
        if let Some(Span(cooldown)) = self.manager.restart_cooldown_seconds {
            settings.restart.delay = RestartDelay::Cooldown(cooldown);
        }
        if let Some(Span(timeout)) = self.manager.stop_timeout_seconds {
            settings.stop_timeout = timeout;
        }
        self.apply(&self.manager.defaults.0, &mut settings, &self.section.key("defaults"))?;
        self.defaults = settings;
        Ok(())
    }

    fn apply(
        &self,
        level: &impl HasRules,
        settings: &mut Settings,
        at: &KeyPath,
    ) -> Result<(), Mistake> {
        level.rules().apply(settings, at, &|text, at| self.paths.file(text, at))
    }

    fn add_account(&mut self, key: &str, account: &AccountConfig) -> Result<(), Mistake> {
        let place = KeyPath::default().key("ACCOUNTS").key(key);
        let number = account.account.0.to_string();
        let number: Account = number
            .parse()
            .map_err(|error| Mistake::new(place.key("account"), format!("{error}")))?;
        let magic = account.magic.as_ref().filter(|magic| !magic.is_null()).map(|magic| {
            magic.as_str().map_or_else(|| magic.to_string(), |text| text.trim().to_owned())
        });
        self.accounts.push(AccountEntry {
            key: key.into(),
            account: number,
            magic,
            terminal_path: account.terminal_path.clone().filter(|path| !path.trim().is_empty()),
            enabled: account.enabled,
        });
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
            command: program.command,
            script: program.script,
            args_at: program.args_at,
            cwd: self.paths.root.into(),
            env: Vec::new(),
            depends_on: Vec::new(),
            ports: Vec::new(),
            settings: self.defaults.clone(),
            enabled: true,
        }
    }

    fn add_server(&mut self, server: &Server) -> Result<(), Mistake> {
        let at = self.section.key("server");
        let name = lock_name(server.name.as_deref().unwrap_or("quantum_server"), &at.key("name"))?;
        let script = Written("quantum_server.py".into());
        let script = server.script.as_ref().unwrap_or(&script);
        let program = self.python(self.paths, script, server.args.as_deref(), &at)?;
        let mut component = self.component(name, Role::Server, program);
        component.enabled = server.enabled.unwrap_or(true);
        self.place(&mut component, server.cwd.as_ref(), &server.env, &at)?;
        // That the server settles is a rule of its kind; it stands above what is said of all.
        let settle = self.manager.server_settle_seconds;
        if settle.is_some() || !self.manager.defaults.0.rules().ready.has_probe() {
            component.settings.ready.probe = match self.manager.timing().server_settle {
                settle if settle.is_zero() => Probe::Started,
                settle => Probe::Delay(settle),
            };
        }
        self.apply(server, &mut component.settings, &at)?;
        let has_other = matches!(component.settings.ready.probe, Probe::Port(_));
        let default = (!has_other).then_some(Port(8000));
        component.ports = ports(server.port.unwrap_or(default));
        self.add(component, &at.key("name"))
    }

    fn add_watchdog(&mut self, position: usize, watchdogs: &Watchdogs) -> Result<(), Mistake> {
        let at = self.section.key("watchdogs");
        let AccountEntry { key, .. } = &self.accounts[position];
        let name = format!("WATCHDOG_{key}");
        let default = [Written("STOPLOSS_WATCHDOG_V2.py".into())];
        let (script, _, script_at) =
            chosen(key, &watchdogs.scripts, watchdogs.script.as_ref(), &default[0], &at);
        let mut args = vec!["--account", "{KEY}"];
        if self.limit.is_some() {
            args.extend(["--limit", "{LIMIT}"]);
        }
        let args: Vec<Written> = args.into_iter().map(|word| Written(word.into())).collect();
        let args = watchdogs.args.as_deref().unwrap_or(&args);
        let program = self.for_account(position, script, args, &script_at, &at)?;
        // It was added first.
        let server = self.components.first();
        let depends_on = server.filter(|one| one.enabled).map(|one| one.name.clone());
        let mut component = self.of_account(position, &name, Role::Watchdog, program)?;
        component.depends_on = depends_on.into_iter().collect();
        self.place(&mut component, watchdogs.cwd.as_ref(), &watchdogs.env, &at)?;
        self.apply(watchdogs, &mut component.settings, &at)?;
        self.add_for(position, component)
    }

    fn add_brain(&mut self, position: usize, brains: &Brains) -> Result<(), Mistake> {
        let at = self.section.key("brains");
        let AccountEntry { key, .. } = &self.accounts[position];
        // One account's script has a name of its own.
        let default = if key == "GL_3" && brains.script.is_none() {
            Written("BRAIN_GETLEVERAGED.py".into())
        } else {
            Written("BRAIN_{KEY}.py".into())
        };
        let (script, is_own, script_at) =
            chosen(key, &brains.scripts, brains.script.as_ref(), &default, &at);
        let args = brains.args.as_deref().unwrap_or_default();
        let program = self.for_account(position, script, args, &script_at, &at)?;
        let stem = program.script.as_ref().and_then(|script| script.file_stem()?.to_str());
        let name = stem
            .filter(|stem| is_own && stem.to_ascii_uppercase().starts_with("BRAIN_"))
            .map_or_else(|| format!("BRAIN_{key}"), str::to_owned);
        let watchdog = lock_name(&format!("WATCHDOG_{key}"), &script_at)?;
        let mut component = self.of_account(position, &name, Role::Brain, program)?;
        component.depends_on = vec![watchdog];
        self.place(&mut component, brains.cwd.as_ref(), &brains.env, &at)?;
        self.apply(brains, &mut component.settings, &at)?;
        self.add_for(position, component)
    }

    /// Makes the program of a script with names such as `{KEY}` in it.
    fn for_account(
        &self,
        position: usize,
        script: &Written,
        args: &[Written],
        script_at: &KeyPath,
        at: &KeyPath,
    ) -> Result<Program, Mistake> {
        let AccountEntry { key, account, .. } = &self.accounts[position];
        let names = [
            ("KEY", Some(key.as_str())),
            ("ACCOUNT", Some(account.as_str())),
            ("LIMIT", self.limit.as_deref()),
        ];
        let paths = self.paths.with(&names);
        let script = paths.path(script, script_at)?;
        Ok(self.run(script, paths.words(args, &at.key("args"))?))
    }

    fn of_account(
        &self,
        position: usize,
        name: &str,
        role: Role,
        program: Program,
    ) -> Result<Component, Mistake> {
        let entry = &self.accounts[position];
        let name = lock_name(name, &account_at(&entry.key)).map_err(Mistake::in_key)?;
        Ok(Component {
            account_key: Some(entry.key.clone()),
            account: Some(entry.account.clone()),
            terminal: entry.terminal_path.as_deref().map(|path| terminal(self.paths.root, path)),
            enabled: entry.enabled,
            ..self.component(name, role, program)
        })
    }

    /// Makes the program of a script.
    fn python(
        &self,
        paths: Paths<'_>,
        script: &Written,
        args: Option<&[Written]>,
        at: &KeyPath,
    ) -> Result<Program, Mistake> {
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
        cwd: Option<&Written>,
        env: &Entries<Written>,
        at: &KeyPath,
    ) -> Result<(), Mistake> {
        if let Some(cwd) = cwd {
            component.cwd = self.paths.file(cwd, &at.key("cwd"))?;
        }
        if component.env.is_empty() {
            let at = self.section.key("defaults").key("env");
            component.env = self.paths.env(&self.manager.defaults.0.env, &at)?;
        }
        for (name, value) in self.paths.env(env, &at.key("env"))? {
            component.env.retain(|(other, _)| *other != name);
            component.env.push((name, value));
        }
        Ok(())
    }

    /// Adds the component of an account, unless another has its name.
    fn add_for(&mut self, position: usize, component: Component) -> Result<(), Mistake> {
        let key = &self.accounts[position].key;
        match self.named(&component.name).and_then(|twin| Some((twin, twin.account_key.as_ref()?)))
        {
            Some((twin, other)) => {
                let message = format!("this account and `{other}` would both be {}", twin.name);
                Err(Mistake::of_key(account_at(key), message))
            }
            None => self.add(component, &account_at(key)),
        }
    }

    /// Adds a component, unless another has its name.
    fn add(&mut self, component: Component, at: &KeyPath) -> Result<(), Mistake> {
        if self.named(&component.name).is_some() {
            let message = format!("there is another component `{}`", component.name);
            return Err(Mistake::of_key(at.clone(), message));
        }
        self.positions.insert(component.name.key(), self.components.len());
        self.components.push(component);
        Ok(())
    }

    /// Returns the component of this name, whatever its case.
    fn named(&self, name: &LockName) -> Option<&Component> {
        self.components.get(*self.positions.get(&name.key())?)
    }

    /// Checks the keys of scripts for single accounts.
    fn check_keys(&self, scripts: &Entries<Written>, kind: &str) -> Result<(), Mistake> {
        let known: Vec<&str> = self.accounts.iter().map(|entry| entry.key.as_str()).collect();
        match scripts.0.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) => {
                let at = self.section.key(kind).key("scripts").key(key);
                let message = format!("there is no account `{key}`{}", suggest(key, &known));
                Err(Mistake::of_key(at, message))
            }
        }
    }
}

/// Returns a terminal whose path may start in the fleet's folder. What is not there is left as it
/// is written, for on Linux a path of Windows is no path.
fn terminal(root: &Path, written: &str) -> Terminal {
    let path = root.join(written);
    let folder = path.parent().filter(|folder| *folder != root);
    let is_there = path.exists() || folder.is_some_and(Path::exists);
    match path.to_str().filter(|_| is_there) {
        Some(path) => Terminal::new(path),
        None => Terminal::new(written),
    }
}

fn ports(port: Option<Port>) -> Vec<u16> {
    port.into_iter().map(|Port(port)| port).collect()
}

fn account_at(key: &str) -> KeyPath {
    KeyPath::default().key("ACCOUNTS").key(key)
}

fn lock_name(text: &str, at: &KeyPath) -> Result<LockName, Mistake> {
    text.parse().map_err(|error| Mistake::new(at.clone(), format!("{error}")))
}

/// Returns the script of an account, whether it is its own, and where that is said.
fn chosen<'a>(
    key: &str,
    scripts: &'a Entries<Written>,
    script: Option<&'a Written>,
    default: &'a Written,
    at: &KeyPath,
) -> (&'a Written, bool, KeyPath) {
    if let Some((_, script)) = scripts.0.iter().find(|(other, _)| other == key) {
        return (script, true, at.key("scripts").key(key));
    }
    let is_own = script.is_none_or(|it| it.0.contains("{KEY}") || it.0.contains("{ACCOUNT}"));
    (script.unwrap_or(default), is_own, at.key("script"))
}

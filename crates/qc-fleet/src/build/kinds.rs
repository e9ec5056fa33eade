//! The three kinds of components that follow from the accounts: the server, watchdogs, brains.

use std::path::Path;
use std::sync::Arc;

use qc_lock_core::{Account, Terminal};
use qc_supervise::Probe;

use super::texts::{lock_name, ports};
use super::{Builder, Program};
use crate::component::{AccountEntry, Component, Role};
use crate::config::{
    Brains, ConfigIssue, Entries, HasRules, KeyPath, Port, RawText, Server, Watchdogs, suggest,
};

impl Builder<'_> {
    pub(super) fn add_server(&mut self, server: &Server) -> Result<(), ConfigIssue> {
        let at = self.section.key("server");
        let name = lock_name(server.name.as_deref().unwrap_or("quantum_server"), &at.key("name"))?;
        let script = RawText("quantum_server.py".into());
        let script = server.script.as_ref().unwrap_or(&script);
        let program = self.python(self.paths, script, server.args.as_deref(), &at)?;
        let mut component = self.component(name, Role::Server, program);
        component.enabled = server.enabled.unwrap_or(true);
        self.place(&mut component, server.cwd.as_ref(), &server.env, &at)?;
        // That the server settles is a rule of its kind; it stands above what is said of all.
        let settle = self.manager.server_settle_seconds;
        if settle.is_some() || !self.manager.defaults.0.rules().ready.has_probe() {
            Arc::make_mut(&mut component.settings).ready.probe =
                match self.manager.timing().server_settle {
                    settle if settle.is_zero() => Probe::Started,
                    settle => Probe::Delay(settle),
                };
        }
        self.adjust(server, &mut component, &at)?;
        let has_other = matches!(component.settings.ready.probe, Probe::Port(_));
        let default = (!has_other).then_some(Port(8000));
        component.ports = ports(server.port.unwrap_or(default));
        self.add(component, &at.key("name"))
    }

    pub(super) fn add_watchdog(
        &mut self,
        position: usize,
        watchdogs: &Watchdogs,
    ) -> Result<(), ConfigIssue> {
        let at = self.section.key("watchdogs");
        let AccountEntry { key, .. } = &self.accounts[position];
        let name = format!("WATCHDOG_{key}");
        let default = [RawText("STOPLOSS_WATCHDOG_V2.py".into())];
        let (script, _, script_at) =
            chosen(key, &watchdogs.scripts, watchdogs.script.as_ref(), &default[0], &at);
        let mut args = vec!["--account", "{KEY}"];
        if self.limit.is_some() {
            args.extend(["--limit", "{LIMIT}"]);
        }
        let args: Vec<RawText> = args.into_iter().map(|word| RawText(word.into())).collect();
        let args = watchdogs.args.as_deref().unwrap_or(&args);
        let program = self.for_account(position, script, args, &script_at, &at)?;
        // It was added first.
        let server = self.components.first();
        let depends_on = server.filter(|one| one.enabled).map(|one| one.name.clone());
        let mut component = self.of_account(position, &name, Role::Watchdog, program)?;
        component.depends_on = depends_on.into_iter().collect();
        self.place(&mut component, watchdogs.cwd.as_ref(), &watchdogs.env, &at)?;
        self.adjust(watchdogs, &mut component, &at)?;
        self.add_for(position, component)
    }

    pub(super) fn add_brain(
        &mut self,
        position: usize,
        brains: &Brains,
    ) -> Result<(), ConfigIssue> {
        let at = self.section.key("brains");
        let AccountEntry { key, .. } = &self.accounts[position];
        // One account's script has a name of its own.
        let default = if key == "GL_3" && brains.script.is_none() {
            RawText("BRAIN_GETLEVERAGED.py".into())
        } else {
            RawText("BRAIN_{KEY}.py".into())
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
        self.adjust(brains, &mut component, &at)?;
        self.add_for(position, component)
    }

    /// Makes the program of a script with names such as `{KEY}` in it.
    fn for_account(
        &self,
        position: usize,
        script: &RawText,
        args: &[RawText],
        script_at: &KeyPath,
        at: &KeyPath,
    ) -> Result<Program, ConfigIssue> {
        let AccountEntry { key, account, .. } = &self.accounts[position];
        let names = [
            ("KEY", Some(key.as_str())),
            ("ACCOUNT", account.as_ref().map(Account::as_str)),
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
    ) -> Result<Component, ConfigIssue> {
        let entry = &self.accounts[position];
        let name = lock_name(name, &account_at(&entry.key)).map_err(ConfigIssue::in_key)?;
        Ok(Component {
            account_key: Some(entry.key.clone()),
            account: entry.account.clone(),
            terminal: entry.terminal_path.as_deref().map(|path| terminal(self.paths.root, path)),
            account_use: entry.account_use(),
            enabled: entry.enabled,
            ..self.component(name, role, program)
        })
    }

    /// Adds the component of an account, unless another has its name.
    fn add_for(&mut self, position: usize, component: Component) -> Result<(), ConfigIssue> {
        let key = &self.accounts[position].key;
        match self.named(&component.name).and_then(|twin| Some((twin, twin.account_key.as_ref()?)))
        {
            Some((twin, other)) => {
                let message = format!("this account and `{other}` would both be {}", twin.name);
                Err(ConfigIssue::of_key(account_at(key), message))
            }
            None => self.add(component, &account_at(key)),
        }
    }

    /// Checks the keys of scripts for single accounts.
    pub(super) fn check_keys(
        &self,
        scripts: &Entries<RawText>,
        kind: &str,
    ) -> Result<(), ConfigIssue> {
        let known: Vec<&str> = self.accounts.iter().map(|entry| entry.key.as_str()).collect();
        match scripts.0.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) => {
                let at = self.section.key(kind).key("scripts").key(key);
                let message = format!("there is no account `{key}`{}", suggest(key, &known));
                Err(ConfigIssue::of_key(at, message))
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

fn account_at(key: &str) -> KeyPath {
    KeyPath::default().key("ACCOUNTS").key(key)
}

/// Returns the script of an account, whether it is its own, and where that is said.
fn chosen<'a>(
    key: &str,
    scripts: &'a Entries<RawText>,
    script: Option<&'a RawText>,
    default: &'a RawText,
    at: &KeyPath,
) -> (&'a RawText, bool, KeyPath) {
    if let Some((_, script)) = scripts.0.iter().find(|(other, _)| other == key) {
        return (script, true, at.key("scripts").key(key));
    }
    let is_own = script.is_none_or(|it| it.0.contains("{KEY}") || it.0.contains("{ACCOUNT}"));
    (script.unwrap_or(default), is_own, at.key("script"))
}

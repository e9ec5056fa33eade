//! Single components by name: changes to those of the fleet, and those of their own.

use qc_lock_core::{AccountUse, Terminal};

use super::texts::{lock_name, ports};
use super::{Builder, Program};
use crate::component::{Component, Role};
use crate::config::{ConfigIssue, KeyPath, One, suggest};
use crate::matching::script_in;

impl Builder<'_> {
    /// Changes the component of this name, or adds one of its own.
    pub(super) fn add_or_change(&mut self, name: &str, one: &One) -> Result<(), ConfigIssue> {
        let at = self.section.key("components").key(name);
        let own = lock_name(name, &at).map_err(ConfigIssue::in_key)?;
        let position = self.positions.get(&own.key()).copied();
        let program = self.program(position, one, &at)?;
        let mut component = match (position, program) {
            (Some(position), program) => {
                let key =
                    [("account", one.account.is_some()), ("terminal", one.terminal.is_some())]
                        .into_iter()
                        .find(|(_, is_given)| *is_given);
                if one.shared_account {
                    let message =
                        format!("{name} trades its account and can't share it with another trader");
                    return Err(ConfigIssue::of_key(at.key("shared_account"), message));
                }
                if let Some((key, _)) = key {
                    let message = format!("the {key} of {name} follows from ACCOUNTS");
                    return Err(ConfigIssue::of_key(at.key(key), message));
                }
                if self.changed_before(name) {
                    let message = format!("there is another component `{name}`");
                    return Err(ConfigIssue::of_key(at, message));
                }
                let mut component = self.components[position].clone();
                if let Some(program) = program {
                    component.command = program.command;
                    component.script = program.script;
                    component.args_at = program.args_at;
                }
                component
            }
            (None, Some(program)) => {
                let mut component = self.component(own, Role::Other, program);
                self.give_account(&mut component, one, &at)?;
                component
            }
            (None, None) => {
                let known: Vec<&str> =
                    self.components.iter().map(|other| other.name.as_str()).collect();
                let message = format!(
                    "there is no component `{name}`{}; one of its own needs a `command` or `script`",
                    suggest(name, &known)
                );
                return Err(ConfigIssue::of_key(at, message));
            }
        };
        component.enabled &= one.enabled.unwrap_or(true);
        component.own_record = one.own_record;
        self.place(&mut component, one.cwd.as_ref(), &one.env, &at)?;
        if let Some(names) = &one.depends_on {
            let names = names.iter().enumerate();
            component.depends_on = names
                .map(|(index, name)| lock_name(name, &at.key("depends_on").index(index)))
                .collect::<Result<_, _>>()?;
        }
        self.adjust(one, &mut component, &at)?;
        if let Some(port) = one.port {
            component.ports = ports(port);
        }
        match position {
            Some(position) => self.components[position] = component,
            None => self.add(component, &at)?,
        }
        Ok(())
    }

    /// Whether the config spells this name in another way before.
    fn changed_before(&self, name: &str) -> bool {
        let names = self.manager.components.0.iter().map(|(other, _)| other.as_str());
        names.take_while(|other| *other != name).any(|other| other.eq_ignore_ascii_case(name))
    }

    fn program(
        &self,
        position: Option<usize>,
        one: &One,
        at: &KeyPath,
    ) -> Result<Option<Program>, ConfigIssue> {
        match (&one.command, &one.script) {
            (Some(_), Some(_)) => {
                let message = "a component has either a `command` or a `script`";
                Err(ConfigIssue::of_key(at.key("command"), message))
            }
            (Some(_), None) if one.args.is_some() => {
                let message = "the arguments of a `command` stand in it";
                Err(ConfigIssue::of_key(at.key("args"), message))
            }
            (Some(words), None) => {
                let command = self.paths.command(words, &at.key("command"))?;
                let (script, args_at) = script_in(&command)
                    .map_or((None, 1), |(script, args_at)| (Some(script), args_at));
                let script = script.map(|script| self.paths.root.join(script));
                Ok(Some(Program { command, script, args_at }))
            }
            (None, Some(script)) => {
                self.python(self.paths, script, one.args.as_deref(), at).map(Some)
            }
            (None, None) => {
                let Some(args) = &one.args else { return Ok(None) };
                let Some(position) = position else { return Ok(None) };
                let args = self.paths.words(args, &at.key("args"))?;
                let Component { command, script, args_at, .. } = &self.components[position];
                let command = [&command[..*args_at], &args].concat();
                Ok(Some(Program { command, script: script.clone(), args_at: *args_at }))
            }
        }
    }

    fn give_account(
        &self,
        component: &mut Component,
        one: &One,
        at: &KeyPath,
    ) -> Result<(), ConfigIssue> {
        if let Some(key) = &one.account {
            let Some(entry) = self.accounts.iter().find(|entry| entry.key == *key) else {
                let known: Vec<&str> =
                    self.accounts.iter().map(|entry| entry.key.as_str()).collect();
                let message = format!("there is no account `{key}`{}", suggest(key, &known));
                return Err(ConfigIssue::new(at.key("account"), message));
            };
            component.account_key = Some(key.clone());
            component.account = entry.account.clone();
            component.account_use = entry.account_use();
            component.enabled = entry.enabled;
        }
        if one.shared_account {
            component.account_use = AccountUse::Shares;
        }
        if let Some(terminal) = &one.terminal {
            let terminal = self.paths.file(terminal, &at.key("terminal"))?;
            component.terminal = Some(Terminal::new(&terminal.to_string_lossy()));
        }
        Ok(())
    }
}

//! The programs that must exist, and the ports that must be free.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_supervise::WhenUnguarded;

use super::accounts::{listed, traded};
use super::{Check, Facts, Subject};
use crate::matching::is_shell_of;
use crate::{Component, Fleet, Role};

pub(super) fn missing_scripts(components: &[Arc<Component>], facts: &Facts) -> Vec<Check> {
    let lacks_script = |one: &Component| one.named_script().is_some_and(|path| facts.lacks(path));
    components
        .iter()
        .filter(|one| lacks_script(one))
        .map(|one| {
            let script = one.script.as_deref().unwrap_or(Path::new("")).display();
            let text = format!("{} is skipped: its script {script} does not exist", one.name);
            let unguarded = components.iter().find(|other| {
                one.role == Role::Watchdog
                    && other.role == Role::Brain
                    && other.account_key == one.account_key
                    && !lacks_script(other)
            });
            match unguarded {
                None => {
                    let advice = "put the script there, or disable the account";
                    Check::warning(Subject::Scripts, text, advice)
                }
                Some(brain) if brain.settings.when_unguarded == WhenUnguarded::Keep => {
                    let text = format!("{text}, and {} trades without it", brain.name);
                    let advice =
                        "put the script there; the config allows that by `without_watchdog`";
                    Check::warning(Subject::Scripts, text, advice)
                }
                Some(brain) => {
                    let text = format!("{text}, and {} would trade without it", brain.name);
                    let advice = "put the script there, disable the account, or allow it by \
                                  `stop.without_watchdog`: \"keep\"";
                    Check::error(Subject::Scripts, text, advice)
                }
            }
        })
        .collect()
}

/// Finds components that would be one program: the same script, or program, with the same arguments,
/// also where a shell runs it.
pub(super) fn same_script(components: &[Arc<Component>]) -> Vec<Check> {
    let mut first: HashMap<(PathBuf, Vec<String>), &Component> = HashMap::new();
    let mut checks = Vec::new();
    let mut report = |one: &Component, other: &Component, script: &Path| {
        let (one, other, script) = (&one.name, &other.name, script.display());
        let text = format!("{one} and {other} run one script with the same arguments, {script}");
        let advice = "remove one of them, or give each arguments of its own";
        checks.push(Check::error(Subject::Scripts, text, advice));
    };
    for one in components {
        let Some(script) = one.script.clone() else { continue };
        let call = (script, one.args().iter().map(ToString::to_string).collect());
        match first.get(&call) {
            None => {
                first.insert(call, one);
            }
            Some(other) => report(other, one, &call.0),
        }
    }
    for shell in components.iter().filter(|one| one.script.is_none()) {
        let mut others = components.iter().filter(|other| is_shell_of(shell, other));
        if let Some((other, script)) = others.find_map(|it| Some((it, it.script.as_deref()?))) {
            report(other, shell, script);
        }
    }
    checks
}

pub(super) fn missing_terminals(
    fleet: &Fleet,
    components: &[Arc<Component>],
    facts: &Facts,
) -> Vec<Check> {
    traded(fleet, components)
        .filter_map(|entry| Some((&entry.key, entry.terminal_path.as_ref()?)))
        .filter(|(_, path)| facts.lacks(Path::new(path)))
        .map(|(key, path)| {
            let text = format!("the terminal {path} of {key} does not exist");
            let advice =
                "install it there, or correct `terminal_path`; the brain can't trade without";
            Check::warning(Subject::Terminals, text, advice)
        })
        .collect()
}

pub(super) fn same_port(components: &[Arc<Component>]) -> Vec<Check> {
    let mut ports: Vec<u16> = components.iter().flat_map(|one| one.ports.clone()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
        .into_iter()
        .filter_map(|port| {
            let names: Vec<&str> = components
                .iter()
                .filter(|one| one.ports.contains(&port))
                .map(|one| one.name.as_str())
                .collect();
            let text = format!("{} would listen at one port, {port}", listed(&names));
            let advice = "give each its own, or null to one that does not listen";
            (names.len() > 1).then(|| Check::error(Subject::Ports, text, advice))
        })
        .collect()
}

/// Finds ports at which something listens. One of a component that runs is its own, presumably.
pub(super) fn taken_ports(components: &[Arc<Component>], facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for one in components {
        if facts.snapshot.own().any(|instance| instance.component == one.name.as_str()) {
            continue;
        }
        for port in facts.ports.iter().filter(|busy| one.ports.contains(&busy.number)) {
            let text = format!("port {} of {} is taken by {}", port.number, one.name, port.user());
            let advice = "stop that program, or give the component another port in the config";
            checks.push(Check::error(Subject::Ports, text, advice));
        }
    }
    checks
}

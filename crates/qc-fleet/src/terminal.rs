//! The trading terminals: which run, and whose they are. Only looked at; nothing of qc ever
//! touches one.

use std::io;
use std::time::SystemTime;

use qc_call::{path_name, without_false_title};
use qc_lock_core::Terminal;
use qc_process::{ProcessInfo, is_terminal};

use crate::{Fleet, Role};

/// A terminal of the config, or one that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalEntry {
    /// Its folder, in the form in which two spellings are equal; `None` if it runs and can't be
    /// seen where.
    pub terminal: Option<Terminal>,
    /// The accounts of the config that use it, as key and number. More than one is a mistake.
    pub accounts: Vec<(String, String)>,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// When that was started.
    pub since: Option<SystemTime>,
    /// The memory it has in use, in bytes.
    pub memory_bytes: u64,
}

/// Lists the terminals of the config and all others that run.
///
/// # Errors
/// If the system's process list can't be read.
pub fn terminals(fleet: &Fleet) -> io::Result<Vec<TerminalEntry>> {
    let is_one = |args: &[String]| args.first().is_none_or(|program| is_terminal(program));
    Ok(assemble(fleet, &qc_process::list_wanted(&is_one)?.processes))
}

fn assemble(fleet: &Fleet, processes: &[ProcessInfo]) -> Vec<TerminalEntry> {
    let mut entries: Vec<TerminalEntry> = Vec::new();
    for component in fleet.components.iter().filter(|one| one.role == Role::Brain) {
        let Some(terminal) = &component.terminal else { continue };
        let position = entries.iter().position(|one| one.terminal.as_ref() == Some(terminal));
        let position = position.unwrap_or_else(|| {
            entries.push(TerminalEntry {
                terminal: Some(terminal.clone()),
                accounts: Vec::new(),
                pid: None,
                since: None,
                memory_bytes: 0,
            });
            entries.len() - 1
        });
        let number = component.account.as_ref().map(ToString::to_string).unwrap_or_default();
        let key = component.account_key.clone().unwrap_or_default();
        entries[position].accounts.push((key, number));
    }
    let configured = entries.len();
    for process in processes.iter().cloned().map(without_false_title) {
        let exe = process.exe.as_deref();
        let program = process.args.first();
        // Under Wine the program's file is Wine, and only the first word names the terminal.
        let names = [
            exe.filter(|exe| is_terminal(&path_name(exe))).map(|exe| exe.display().to_string()),
            program.filter(|program| is_terminal(program)).cloned(),
        ];
        let is_one = names.iter().any(Option::is_some) || is_terminal(&process.name);
        if !is_one {
            continue;
        }
        let places: Vec<Terminal> = names
            .iter()
            .flatten()
            .filter(|name| name.contains(['/', '\\']))
            .map(|name| Terminal::new(name))
            .collect();
        let known = entries[..configured]
            .iter()
            .position(|one| one.terminal.as_ref().is_some_and(|it| places.contains(it)));
        let mut entry = match known {
            Some(position) => entries[position].clone(),
            None => TerminalEntry {
                terminal: places.first().cloned(),
                accounts: Vec::new(),
                pid: None,
                since: None,
                memory_bytes: 0,
            },
        };
        let is_second = entry.pid.is_some();
        entry.pid = Some(process.identity.pid);
        entry.since = Some(process.since);
        entry.memory_bytes = process.memory_bytes;
        match known.filter(|_| !is_second) {
            Some(position) => entries[position] = entry,
            None => entries.push(entry),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::snapshot::tests::process;

    #[test]
    fn a_terminal_is_known_by_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join(crate::CONFIG_FILE);
        std::fs::write(
            &config,
            r#"{"ACCOUNTS": {
                "A": {"account": 1, "enabled": true, "terminal_path": "C:\\MT5 A\\terminal64.exe"},
                "B": {"account": 2, "enabled": true, "terminal_path": "C:\\MT5 B"},
                "C": {"account": 3, "enabled": true, "terminal_path": "c:/mt5 b/"}, "D": {"account": 4, "enabled": true}}}"#,
        )
        .unwrap();
        let fleet = Fleet::load(&config).unwrap();
        let run = |pid: u32, exe: &str, program: &str| ProcessInfo {
            exe: Some(exe.into()),
            args: vec![program.into()],
            ..process(Path::new("/"), pid, 1, "")
        };
        let processes = [
            run(10, r"C:\mt5 a\Terminal64.exe", "terminal64"),
            run(11, "/usr/lib/wine/wine64-preloader", r"C:\Other\terminal64.exe"),
            run(12, r"C:\Windows\notepad.exe", "notepad"),
            run(13, r"C:\mt5 a\Terminal64.exe", "terminal64"),
        ];
        let shown: Vec<String> = assemble(&fleet, &processes)
            .iter()
            .map(|one| {
                let terminal = one.terminal.as_ref().map_or("?", Terminal::as_str);
                let keys: Vec<&str> = one.accounts.iter().map(|(key, _)| key.as_str()).collect();
                format!("{terminal} {} {:?}", keys.join("+"), one.pid)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "c:/mt5 a A Some(10)",
                "c:/mt5 b B+C None",
                "c:/other  Some(11)",
                "c:/mt5 a A Some(13)",
            ]
        );
    }
}

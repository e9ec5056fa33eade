//! The list of trading terminals.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use qc_cli::{ColorChoice, Text, Tone, duration, memory, table};
use qc_fleet::{Mask, TerminalEntry, is_account, rfc3339};
use serde::Serialize;

use crate::cli::FilterArgs;

#[derive(Debug, Serialize)]
pub(crate) struct TerminalReport {
    version: u32,
    terminals: Vec<TerminalRow>,
}

#[derive(Debug, Serialize)]
struct TerminalRow {
    terminal: Option<String>,
    /// More than one account on one terminal is a mistake in the config.
    accounts: Vec<AccountOf>,
    running: bool,
    pid: Option<u32>,
    since: Option<String>,
    uptime_seconds: Option<u64>,
    memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct AccountOf {
    key: String,
    account: String,
}

impl TerminalReport {
    pub(crate) fn new(entries: &[TerminalEntry], filter: &FilterArgs) -> Self {
        let is_wanted = |entry: &&TerminalEntry| {
            let is_it = |(key, number): &(String, String)| {
                filter.account.iter().any(|one| is_account(one, Some(key), Some(number)))
            };
            filter.account.is_empty() || entry.accounts.iter().any(is_it)
        };
        let now = SystemTime::now();
        let row = |entry: &TerminalEntry| TerminalRow {
            terminal: entry.terminal.as_ref().map(|one| one.as_str().to_owned()),
            accounts: entry
                .accounts
                .iter()
                .map(|(key, account)| AccountOf { key: key.clone(), account: account.clone() })
                .collect(),
            running: entry.pid.is_some(),
            pid: entry.pid,
            since: entry.since.map(rfc3339),
            uptime_seconds: entry
                .since
                .map(|since| now.duration_since(since).unwrap_or_default().as_secs()),
            memory_bytes: entry.pid.map(|_| entry.memory_bytes),
        };
        Self { version: 1, terminals: entries.iter().filter(is_wanted).map(row).collect() }
    }

    pub(crate) fn mask(&mut self) {
        let accounts = self.terminals.iter().flat_map(|row| &row.accounts);
        let mask = Mask::new(accounts.map(|one| one.account.clone()));
        for row in &mut self.terminals {
            row.terminal = row.terminal.as_deref().map(|path| mask.command(path));
            for one in &mut row.accounts {
                one.account = mask.account(&one.account);
                one.key = mask.text(&one.key);
            }
        }
    }

    pub(crate) fn write_table(&self, color: ColorChoice, output: &mut dyn Write) -> io::Result<()> {
        if self.terminals.is_empty() {
            return writeln!(output, "No terminal is configured, and none runs.");
        }
        let known = |text: Option<String>| Text::from(text.unwrap_or_else(|| "-".into()));
        let join = |row: &TerminalRow, part: fn(&AccountOf) -> &str| {
            let parts: Vec<&str> = row.accounts.iter().map(part).collect();
            known(Some(parts.join(" ")).filter(|text| !text.is_empty()))
        };
        let cells = |row: &TerminalRow| {
            let state = match (row.running, row.accounts.len()) {
                (_, 2..) => Text::new("SHARED", Tone::Bad),
                (true, 0) => Text::new("not in the config", Tone::Warn),
                (true, _) => Text::new("running", Tone::Good),
                (false, _) => Text::new("not running", Tone::Warn),
            };
            vec![
                known(row.terminal.clone()),
                join(row, |one| &one.key),
                join(row, |one| &one.account),
                known(row.pid.map(|pid| pid.to_string())),
                state,
                known(row.uptime_seconds.map(Duration::from_secs).map(duration)),
                known(row.memory_bytes.map(memory)),
            ]
        };
        let header = ["TERMINAL", "KEY", "ACCOUNT", "PID", "STATE", "UPTIME", "MEMORY"];
        writeln!(output, "{}", table(&header, self.terminals.iter().map(cells).collect(), color))
    }
}

//! The columns of a list of components, for `qc-ps` and `qc-launch status`: what they show, and how
//! they sort.

use std::cmp::Ordering;
use std::time::Duration;

use clap::ValueEnum;
use qc_cli::{Text, Tone, duration, local_time, memory};
use qc_fleet::{Row, RowKind, State};

/// The blanks between two columns.
const GAP: usize = 2;

/// The characters that are kept free for the detail of a state.
const DETAIL: usize = 20;

/// One column of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Column {
    /// The name of the component, which is its lock's, too
    Component,
    /// The role
    Role,
    /// The key of its account
    Key,
    /// Its account
    Account,
    /// Its processes
    Pid,
    /// The state
    State,
    /// Its lock
    Lock,
    /// How long it has been running
    Uptime,
    /// When it was started
    Since,
    /// The processor time it uses, as the average over its life
    Cpu,
    /// The memory it has in use
    Memory,
    /// How often it was started again by itself
    Restarts,
    /// More about its state, such as why it was given up and when the next attempt is
    Detail,
    /// Its terminal
    Terminal,
    /// The folder of its script
    Folder,
    /// Its command line, without passwords and tokens
    Command,
}

impl Column {
    /// The columns where the user names none.
    pub const USUAL: [Self; 11] = [
        Self::Component,
        Self::Role,
        Self::Account,
        Self::Pid,
        Self::State,
        Self::Lock,
        Self::Uptime,
        Self::Cpu,
        Self::Memory,
        Self::Restarts,
        Self::Detail,
    ];

    /// The usual columns that are left out first where a terminal is too narrow for all.
    const SPARED: [Self; 5] = [Self::Memory, Self::Cpu, Self::Uptime, Self::Role, Self::Restarts];

    /// Leaves out of the usual columns what does not fit into `width` characters.
    pub fn fitting(mut columns: Vec<Self>, rows: &[&Row], width: usize) -> Vec<Self> {
        let widths: Vec<(Self, usize)> = columns
            .iter()
            .map(|&column| {
                let cells = rows.iter().map(|row| column.cell(row).width());
                let widest = cells.chain([column.as_str().len()]).max().unwrap_or(0);
                // It may take several lines.
                let width = if column == Self::Detail { widest.min(DETAIL) } else { widest };
                (column, width + GAP)
            })
            .collect();
        let width_of = |columns: &[Self]| -> usize {
            widths.iter().filter(|(one, _)| columns.contains(one)).map(|(_, width)| width).sum()
        };
        for spared in Self::SPARED {
            if width_of(&columns) <= width + GAP {
                break;
            }
            columns.retain(|column| *column != spared);
        }
        columns
    }

    /// Returns the word that `--columns` and the head of CSV use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Role => "role",
            Self::Key => "key",
            Self::Account => "account",
            Self::Pid => "pid",
            Self::State => "state",
            Self::Lock => "lock",
            Self::Uptime => "uptime",
            Self::Since => "since",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Restarts => "restarts",
            Self::Detail => "detail",
            Self::Terminal => "terminal",
            Self::Folder => "folder",
            Self::Command => "command",
        }
    }

    /// Returns what a table shows.
    pub fn cell(self, row: &Row) -> Text {
        let known = |text: Option<String>| text.unwrap_or_else(|| "-".into()).into();
        match self {
            Self::State => state(row.state),
            Self::Uptime => known(row.uptime_seconds.map(Duration::from_secs).map(duration)),
            Self::Since => known(row.since.as_deref().map(local_time)),
            Self::Cpu => known(row.cpu_percent.map(|percent| format!("{percent:.1}%"))),
            Self::Memory => known(row.memory_bytes.map(memory)),
            Self::Lock if row.lock.is_none() && row.kind == RowKind::Instance => "none".into(),
            Self::Detail => row.detail.clone().unwrap_or_default().into(),
            _ => known(Some(self.text(row)).filter(|text| !text.is_empty())),
        }
    }

    /// Returns what CSV holds: the plain value, empty where there is none.
    pub fn text(self, row: &Row) -> String {
        match self {
            Self::Component => row.component.clone(),
            Self::Role => row.role.as_str().into(),
            Self::Key => row.account_key.clone().unwrap_or_default(),
            Self::Account => row.account.clone().unwrap_or_default(),
            Self::Pid => {
                let pids: Vec<String> = row.pids.iter().map(ToString::to_string).collect();
                pids.join(" ")
            }
            Self::State => row.state.as_str().into(),
            Self::Lock => match &row.lock {
                Some(lock) if lock.name.eq_ignore_ascii_case(&row.component) => {
                    lock.state.as_str().into()
                }
                Some(lock) => format!("{} {}", lock.state.as_str(), lock.name),
                None => String::new(),
            },
            Self::Uptime => row.uptime_seconds.map(|it| it.to_string()).unwrap_or_default(),
            Self::Since => row.since.clone().unwrap_or_default(),
            Self::Cpu => row.cpu_percent.map(|it| format!("{it:.1}")).unwrap_or_default(),
            Self::Memory => row.memory_bytes.map(|it| it.to_string()).unwrap_or_default(),
            Self::Restarts => row.restarts.map(|it| it.to_string()).unwrap_or_default(),
            Self::Detail => row.detail.clone().unwrap_or_default(),
            Self::Terminal => row.terminal.clone().unwrap_or_default(),
            Self::Folder => row.folder.clone().unwrap_or_default(),
            Self::Command => row.command.clone(),
        }
    }

    fn compare(self, one: &Row, other: &Row) -> Ordering {
        match self {
            Self::Role => one.role.cmp(&other.role),
            Self::State => one.state.cmp(&other.state),
            Self::Pid => one.pids.cmp(&other.pids),
            Self::Uptime => one.uptime_seconds.cmp(&other.uptime_seconds),
            Self::Since => one.started.cmp(&other.started),
            Self::Cpu => {
                one.cpu_percent.unwrap_or(-1.0).total_cmp(&other.cpu_percent.unwrap_or(-1.0))
            }
            Self::Memory => one.memory_bytes.cmp(&other.memory_bytes),
            Self::Restarts => one.restarts.cmp(&other.restarts),
            Self::Component
            | Self::Key
            | Self::Account
            | Self::Lock
            | Self::Detail
            | Self::Terminal
            | Self::Folder
            | Self::Command => self.text(one).cmp(&self.text(other)),
        }
    }
}

/// Second copies stand out by capital letters as well, which need no colour.
fn state(state: State) -> Text {
    match state {
        State::Running | State::Finished => Text::new(state.as_str(), Tone::Good),
        State::Duplicate => Text::new("DUPLICATE", Tone::Bad),
        State::Rogue => Text::new("ROGUE", Tone::Bad),
        State::Unguarded | State::GaveUp | State::Blocked | State::Missing => {
            Text::new(state.as_str(), Tone::Bad)
        }
        State::Suspended => Text::new(state.as_str(), Tone::Bad),
        State::Orphan | State::Stale | State::Elsewhere | State::BackingOff | State::Stopped => {
            Text::new(state.as_str(), Tone::Warn)
        }
        State::Foreign | State::Starting | State::Waiting | State::Stopping | State::NotTraded => {
            Text::new(state.as_str(), Tone::Plain)
        }
    }
}

/// One thing to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    column: Column,
    is_descending: bool,
}

impl Order {
    /// Reads a column's name, with `-` before it to reverse the order.
    ///
    /// # Errors
    /// Names the columns.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (is_descending, word) = match text.strip_prefix('-') {
            Some(word) => (true, word),
            None => (false, text),
        };
        let column = Column::from_str(word, true).map_err(|_| {
            let words: Vec<&str> =
                Column::value_variants().iter().map(|one| one.as_str()).collect();
            format!("it is one of {}, with `-` before it to reverse", words.join(", "))
        })?;
        Ok(Self { column, is_descending })
    }
}

/// Compares two rows by all of `orders`, the first one first.
pub fn compare(one: &Row, other: &Row, orders: &[Order]) -> Ordering {
    let compare = |order: &Order| {
        let ordering = order.column.compare(one, other);
        if order.is_descending { ordering.reverse() } else { ordering }
    };
    orders.iter().map(compare).find(|it| it.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests;

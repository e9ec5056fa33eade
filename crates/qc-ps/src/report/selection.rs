//! The part of a row, a process and a finding that the list shows.

use std::time::Duration;

use qc_cli::{Text, Tone, duration, memory};
use qc_fleet::{FindingKind, Row, State, TreePart};
use qc_fleet_cli::Column;

/// Whether the row is a program of this fleet.
pub(super) fn is_own(row: &Row) -> bool {
    !matches!(row.state, State::Foreign | State::Elsewhere)
}

/// Whether the list, or a line below it, says as much as the finding.
pub(super) fn is_in_the_list(kind: FindingKind) -> bool {
    match kind {
        FindingKind::Stale
        | FindingKind::Unreadable
        | FindingKind::Stopped
        | FindingKind::BackingOff => true,
        FindingKind::Duplicate
        | FindingKind::Foreign
        | FindingKind::Moved
        | FindingKind::Rogue
        | FindingKind::LeftOver
        | FindingKind::Suspended
        | FindingKind::OtherAccount
        | FindingKind::Unguarded
        | FindingKind::GaveUp
        | FindingKind::Blocked
        | FindingKind::Missing
        | FindingKind::Silent
        | FindingKind::Orphan
        | FindingKind::Latched => false,
    }
}

/// Whether the remedy is to stop everything in this folder. The finding of a copy in another one
/// names how to stop that.
pub(super) fn is_to_be_stopped(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::Duplicate | FindingKind::Rogue)
}

/// One process of an instance in the table, below its instance.
pub(super) fn part_cell(column: Column, part: &TreePart) -> Text {
    match column {
        Column::Component => format!("  {} {}", part.kind.as_str(), part.name).into(),
        Column::Pid => part.pid.to_string().into(),
        Column::Uptime => duration(Duration::from_secs(part.uptime_seconds)).into(),
        Column::Since => qc_cli::local_time(&part.since).into(),
        Column::Cpu => format!("{:.1}%", part.cpu_percent).into(),
        Column::Memory => memory(part.memory_bytes).into(),
        Column::Command => Text::new(part.command.as_str(), Tone::Plain),
        Column::Role
        | Column::Key
        | Column::Account
        | Column::State
        | Column::Lock
        | Column::Restarts
        | Column::Detail
        | Column::Terminal
        | Column::Folder => "".into(),
    }
}

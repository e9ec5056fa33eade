//! The last lines of a component's log, for a command whose start has failed: the reason usually
//! stands there.

use qc_cli::{Place, visible};

use crate::logs::{Follower, LogFolder};

/// How many lines are shown.
const LINES: usize = 5;

/// The longest part of one line that is shown.
const WIDTH: usize = 300;

/// Returns the lines that end a failure's message, each after a line end. Nothing where there is no
/// log, or no config that says where logs are.
pub(crate) fn of(component: &str, place: &Place) -> String {
    let Ok(fleet) = place.fleet() else { return String::new() };
    let folder = LogFolder::new(fleet.logs.folder);
    let Ok(Some((_, bytes))) = Follower::start(&folder, component, LINES) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("\n    | {}", shown(line))).collect()
}

/// Returns the same of one that a copy in the background has named: its name, a tab, and why.
pub(crate) fn of_missing(line: &str, place: &Place) -> String {
    let (name, why) = line.split_once('\t').unwrap_or((line, ""));
    format!("\n  {name}: {why}{}", of(name, place))
}

fn shown(line: &str) -> String {
    let line = line.trim_end();
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", visible(&line[..end])),
        None => visible(line),
    }
}

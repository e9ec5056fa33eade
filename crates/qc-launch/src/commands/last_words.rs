//! The last lines of a component's log, for a command whose start has failed: the reason usually
//! stands there.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;

use qc_cli::{Location, visible};
use qc_logs::{Follower, LogFolder, LogName};

/// How many lines are shown.
const LINES: usize = 5;

/// The longest part of one line that is shown.
const WIDTH: usize = 300;

/// Reads the logs of what is started from one moment on.
pub(crate) struct LastWords {
    /// `None` without a config that says where logs are.
    folder: Option<LogFolder>,
    /// The logs of earlier starts.
    earlier: HashSet<LogName>,
    /// The log of the run that is waited for, by its component, where it had begun.
    of_run: HashMap<String, LogName>,
}

impl LastWords {
    /// Leaves out what has been written up to now: it is about other starts.
    pub(crate) fn from_now(location: &Location) -> Self {
        let folder = location.fleet().ok().map(|fleet| LogFolder::new(fleet.logs.folder));
        let files = folder.as_ref().and_then(|folder| folder.list().ok()).unwrap_or_default();
        // A start may take an empty file that was there.
        let written = files.iter().filter(|file| file.bytes > 0);
        let earlier = written.map(|file| file.name.without_segment()).collect();
        Self { folder, earlier, of_run: HashMap::new() }
    }

    /// Waits for the run of `component` that writes to `log`, and for no other.
    pub(crate) fn wait_for(&mut self, component: &str, log: &Path) {
        let name = log.file_name().and_then(OsStr::to_str).and_then(LogName::parse);
        self.of_run.extend(name.map(|name| (component.to_owned(), name.without_segment())));
    }

    /// Leaves out `log`, which an earlier run writes to: it may have been empty until now.
    pub(crate) fn leave_out(&mut self, log: &Path) {
        let name = log.file_name().and_then(OsStr::to_str).and_then(LogName::parse);
        self.earlier.extend(name.map(|name| name.without_segment()));
    }

    /// Returns the lines that end a failure's message, each after a line end. Nothing where nothing
    /// was started.
    pub(crate) fn of(&self, component: &str) -> String {
        let Some(folder) = &self.folder else { return String::new() };
        let is_new = |name: &LogName| match self.of_run.get(component) {
            Some(run) => name.without_segment() == *run,
            None => !self.earlier.contains(&name.without_segment()),
        };
        let Ok(Some((_, bytes))) = Follower::start_among(folder, component, LINES, is_new) else {
            return String::new();
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| format!("\n    | {}", shown(line))).collect()
    }

    /// Returns the same of one that a copy in the background has named: its name, a tab, and why.
    pub(crate) fn of_missing(&self, line: &str) -> String {
        let (name, why) = line.split_once('\t').unwrap_or((line, ""));
        format!("\n  {name}: {why}{}", self.of(name))
    }
}

fn shown(line: &str) -> String {
    let line = line.trim_end();
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", visible(&line[..end])),
        None => visible(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_a_run_that_was_empty_when_the_command_began_is_not_the_next_runs() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("BRAIN_A_20260102_030405.log");
        std::fs::write(&log, "asked to stop\n").unwrap();
        let mut words = LastWords {
            folder: Some(LogFolder::new(folder.path().to_path_buf())),
            earlier: HashSet::new(),
            of_run: HashMap::new(),
        };
        assert_eq!(words.of("BRAIN_A"), "\n    | asked to stop");
        words.leave_out(&log);
        assert_eq!(words.of("BRAIN_A"), "");
        words.wait_for("BRAIN_A", &log);
        assert_eq!(words.of("BRAIN_A"), "\n    | asked to stop", "it is that run");
    }
}

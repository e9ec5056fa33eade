//! The last lines of a component's log, for a command whose start has failed: the reason usually
//! stands there.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use qc_cli::{Location, visible};
use qc_fleet_cli::ReadFleet;
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
}

impl LastWords {
    /// Leaves out what has been written up to now: it is about other starts.
    pub(crate) fn from_now(location: &Location) -> Self {
        let folder = location.fleet().ok().map(|fleet| LogFolder::new(fleet.logs.folder));
        let files = folder.as_ref().and_then(|folder| folder.list().ok()).unwrap_or_default();
        // A start may take an empty file that was there.
        let written = files.iter().filter(|file| file.bytes > 0);
        let earlier = written.map(|file| file.name.without_segment()).collect();
        Self { folder, earlier }
    }

    /// Counts `log`, which a run that is waited for writes to, though it was written to before.
    pub(crate) fn count(&mut self, log: &Path) {
        if let Some(name) = name_of(log) {
            self.earlier.remove(&name);
        }
    }

    /// Leaves out `log`, which an earlier run writes to: it may have been empty until now.
    pub(crate) fn leave_out(&mut self, log: &Path) {
        self.earlier.extend(name_of(log));
    }

    /// Returns the lines that end a failure's message, each after a line end. Nothing where nothing
    /// was started. One that was started several times may have written nothing the last time.
    pub(crate) fn of(&self, component: &str) -> String {
        let Some(folder) = &self.folder else { return String::new() };
        let is_new = |name: &LogName| !self.earlier.contains(&name.without_segment());
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

fn name_of(log: &Path) -> Option<LogName> {
    let name = log.file_name().and_then(OsStr::to_str).and_then(LogName::parse);
    name.map(|name| name.without_segment())
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
        };
        assert_eq!(words.of("BRAIN_A"), "\n    | asked to stop");
        words.leave_out(&log);
        assert_eq!(words.of("BRAIN_A"), "");
        words.count(&log);
        assert_eq!(words.of("BRAIN_A"), "\n    | asked to stop", "it is that run");
    }

    #[test]
    fn a_run_that_has_written_nothing_yet_hides_no_words_of_the_one_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let log = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        log("BRAIN_A_20260102_030404.log", "earlier\n");
        let words = LastWords {
            folder: Some(LogFolder::new(folder.path().to_path_buf())),
            earlier: name_of(Path::new("BRAIN_A_20260102_030404.log")).into_iter().collect(),
        };
        log("BRAIN_A_20260102_030405.log", "no money\n");
        log("BRAIN_A_20260102_030406.log", "");
        assert_eq!(words.of("BRAIN_A"), "\n    | no money");
    }
}

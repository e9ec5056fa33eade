//! Watches that nothing runs twice: each component holds a file of its own while it runs, so the
//! kernel itself tells a second one apart; and writes down that it came.

use std::fs;
use std::path::{Path, PathBuf};

/// Reads what the components have written down.
pub(crate) struct Referee(PathBuf);

/// The observations.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) entered: usize,
    pub(crate) violations: Vec<String>,
}

impl Referee {
    /// Watches the fleet in `root`, whose scripts say `enter NAME`.
    pub(crate) fn watch(root: &Path) -> Self {
        fs::write(root.join("referee.log"), "").expect("cannot write");
        Self(root.join("referee.log"))
    }

    pub(crate) fn judge(self) -> Report {
        let mut report = Report::default();
        for line in fs::read_to_string(self.0).expect("cannot read").lines() {
            match line.split(' ').next() {
                Some("enter") => report.entered += 1,
                _ => report.violations.push(line.to_owned()),
            }
        }
        report
    }
}

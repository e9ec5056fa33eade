//! The programs of other fleets that do not concern this one: one line for all of them.

use std::collections::{BTreeSet, HashSet};

use qc_fleet::{Finding, Row, RowKind, State};

/// How many folders the line names.
const NAMED: usize = 2;

/// The programs of other fleets of which nothing is wrong.
#[derive(Debug, Default)]
pub(super) struct Others {
    pids: HashSet<u32>,
    count: usize,
    folders: BTreeSet<String>,
}

impl Others {
    /// Finds them among `rows`. Whatever a finding is about concerns this fleet.
    pub(super) fn among(rows: &[Row], findings: &[Finding]) -> Self {
        let concerning: HashSet<u32> = findings.iter().flat_map(|one| &one.pids).copied().collect();
        let is_other = |row: &&Row| {
            row.kind == RowKind::Instance
                && row.state == State::Foreign
                && !row.pids.iter().any(|pid| concerning.contains(pid))
        };
        let mut others = Self::default();
        for row in rows.iter().filter(is_other) {
            others.count += 1;
            others.pids.extend(&row.pids);
            others.folders.extend(row.folder.clone());
        }
        others
    }

    /// Whether `row` is one of them.
    pub(super) fn include(&self, row: &Row) -> bool {
        row.pids.iter().any(|pid| self.pids.contains(pid))
    }

    /// Says how many there are, and where; `None` if there are none.
    pub(super) fn text(&self) -> Option<String> {
        let programs = match self.count {
            0 => return None,
            1 => "1 program of another fleet runs".to_owned(),
            count => format!("{count} programs of other fleets run"),
        };
        let mut places: Vec<String> = self.folders.iter().take(NAMED).cloned().collect();
        let further = self.folders.len().saturating_sub(NAMED);
        if further > 0 {
            places.push(format!("{further} more"));
        }
        let places = match places.is_empty() {
            true => String::new(),
            false => format!(" in {}", places.join(", ")),
        };
        Some(format!("{programs}{places}; `qc-ps --all` lists what other fleets run."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_fleet::{FindingKind, Role};

    #[test]
    fn only_programs_of_other_fleets_without_a_finding_are_left_out() {
        let row = |pid: u32, state, folder: &str| Row {
            pids: vec![pid],
            folder: Some(folder.into()),
            ..Row::new("BRAIN_A", Role::Brain, state, RowKind::Instance)
        };
        let rows = [
            row(1, State::Running, "/fleet"),
            row(2, State::Foreign, "/a"),
            row(3, State::Foreign, "/b"),
            row(4, State::Foreign, "/c"),
            row(5, State::Foreign, "/d"),
            row(6, State::Rogue, "/fleet"),
        ];
        let finding = |pid| Finding {
            kind: FindingKind::Foreign,
            text: String::new(),
            components: Vec::new(),
            pids: vec![pid],
        };
        let left_out = |others: &Others| {
            let pids = rows.iter().filter(|row| others.include(row)).flat_map(|row| &row.pids);
            pids.copied().collect::<Vec<u32>>()
        };
        let end = "; `qc-ps --all` lists what other fleets run.";
        for (findings, pids, text) in [
            (vec![], &[2, 3, 4, 5][..], "4 programs of other fleets run in /a, /b, 2 more"),
            (
                vec![finding(2), finding(3), finding(6)],
                &[4, 5],
                "2 programs of other fleets run in /c, /d",
            ),
            (
                vec![finding(2), finding(3), finding(4)],
                &[5],
                "1 program of another fleet runs in /d",
            ),
        ] {
            let others = Others::among(&rows, &findings);
            assert_eq!(left_out(&others), pids);
            assert_eq!(others.text().unwrap(), format!("{text}{end}"));
        }
        assert_eq!(Others::among(&rows[..1], &[]).text(), None);
    }
}

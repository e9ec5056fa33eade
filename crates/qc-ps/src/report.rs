//! The list, in the shape of the JSON that `--json` prints, and its other forms.

mod masking;
mod others;
mod selection;

use std::collections::HashSet;
use std::io::{self, Write};

use qc_cli::{ColorChoice, Failure, SHUTDOWN_HINT, Text, table, visible};
use qc_fleet::{
    ComponentView, Finding, FindingKind, Fleet, FleetView, Launcher, Look, Mask, Row, RowKind,
    State,
};
use qc_fleet_cli::{Column, Order, compare};
use qc_lock_core::{Latch, LockEntry, openers_text, release_advice};
use serde::Serialize;

use self::masking::{accounts, mask_lock};
use self::others::Others;
use self::selection::{is_in_the_list, is_own, is_to_be_stopped, part_cell};
use crate::cli::Cli;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: u32,
    processes: Vec<Row>,
    /// All components that the config or the launcher names.
    components: Vec<ComponentView>,
    /// Locks of which no running process is known to be the holder.
    locks: Vec<LockEntry>,
    /// Rows of what does not run: components, and locks that no component has.
    #[serde(skip)]
    idle: Vec<Row>,
    /// What the list leaves out.
    #[serde(skip)]
    others: Others,
    /// Whether anything of this fleet runs, wanted or not.
    #[serde(skip)]
    is_running: bool,
    /// Whether the config is known and enables nothing.
    #[serde(skip)]
    is_nothing_enabled: bool,
    /// Whether the fleet has accounts that could be enabled.
    #[serde(skip)]
    has_accounts: bool,
    /// The sort keys.
    #[serde(skip)]
    orders: Vec<Order>,
    pub(crate) findings: Vec<Finding>,
    /// The launcher, and whether it answers.
    launcher: LauncherEntry,
    /// Why the config can't be read.
    config_error: Option<String>,
    /// The latch that forbids every start, if there is one.
    latch: Option<Latch>,
    /// Processes that the system does not let us read.
    unreadable: usize,
    /// Whether the system hides the processes of other users altogether.
    hides_others: bool,
    /// How far the list can be trusted, if it is not complete.
    #[serde(skip)]
    incomplete: Option<String>,
}

/// The state of the launcher.
#[derive(Debug, Serialize)]
struct LauncherEntry {
    state: &'static str,
    pid: Option<u32>,
    /// Why it can't be asked.
    detail: Option<String>,
}

impl LauncherEntry {
    fn of(launcher: &Launcher) -> Self {
        match launcher {
            Launcher::Absent => Self { state: "absent", pid: None, detail: None },
            Launcher::Answers(status) => {
                let state = if status.is_stopping { "stopping" } else { "running" };
                Self { state, pid: Some(status.pid), detail: None }
            }
            Launcher::Silent { pid, why } => {
                Self { state: "silent", pid: *pid, detail: Some(why.clone()) }
            }
        }
    }
}

impl Report {
    /// Makes the report of what was seen, as far as the user wants to see it.
    ///
    /// # Errors
    /// If a filter names nothing that there is.
    pub(crate) fn new(
        view: FleetView,
        look: &Look,
        fleet: &Fleet,
        trouble: Option<&Failure>,
        cli: &Cli,
    ) -> Result<Self, Failure> {
        let snapshot = &look.snapshot;
        let FleetView { mut rows, mut components, mut findings, is_anything_enabled } = view;
        cli.filter.check(&rows.iter().collect::<Vec<_>>(), fleet)?;
        rows.retain(|row| cli.filter.wants(row));
        let shown: HashSet<String> = rows.iter().map(|row| row.component.to_lowercase()).collect();
        let is_shown = |name: &String| shown.contains(&name.to_lowercase());
        components.retain(|one| is_shown(&one.name));
        findings.retain(|one| one.components.is_empty() || one.components.iter().any(is_shown));
        findings.retain(|one| !cli.allow_stopped || one.kind != FindingKind::Stopped);
        let (mut processes, mut idle): (Vec<Row>, Vec<Row>) =
            rows.into_iter().partition(|row| row.kind == RowKind::Instance);
        let loose = snapshot.loose_locks();
        let mut locks: Vec<LockEntry> =
            loose.filter(|lock| is_shown(&lock.name)).cloned().collect();

        let is_left_out = !cli.all && !cli.filter.state.contains(&State::Foreign);
        let mut latch = snapshot.latch.clone();
        if cli.mask {
            let mask = Mask::new(accounts(snapshot, fleet, &components));
            latch.iter_mut().for_each(|latch| latch.reason = mask.text(&latch.reason));
            processes.iter_mut().chain(&mut idle).for_each(|row| row.mask(&mask));
            components.iter_mut().for_each(|one| one.mask(&mask));
            locks.iter_mut().for_each(|lock| mask_lock(lock, &mask));
            findings.iter_mut().for_each(|finding| {
                finding.text = mask.text(&finding.text);
                finding.components.iter_mut().for_each(|name| *name = mask.text(name));
            });
        }
        // The own fleet first, where the user has not said otherwise.
        processes.sort_by_key(|row| row.state == State::Foreign);
        processes.sort_by(|one, other| compare(one, other, &cli.sort));
        let others = is_left_out.then(|| Others::among(&processes, &findings));
        Ok(Self {
            others: others.unwrap_or_default(),
            version: 1,
            processes,
            components,
            locks,
            idle,
            is_running: snapshot.own().next().is_some(),
            is_nothing_enabled: !is_anything_enabled && trouble.is_none(),
            has_accounts: fleet.has_accounts(),
            orders: cli.sort.clone(),
            findings,
            launcher: LauncherEntry::of(&look.launcher),
            config_error: trouble.map(|trouble| trouble.message().to_owned()),
            latch,
            unreadable: snapshot.unreadable,
            hides_others: snapshot.hides_others,
            incomplete: snapshot.unreadable_text(),
        })
    }

    /// The rows of the table: what runs, what should run, and the locks that neither has.
    pub(crate) fn rows(&self) -> Vec<&Row> {
        let mut rows = self.all_rows();
        rows.retain(|row| !self.others.include(row));
        rows
    }

    fn all_rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.processes.iter().chain(&self.idle).collect();
        rows.sort_by(|one, other| compare(one, other, &self.orders));
        rows
    }

    /// One line for each finding, for schedulers and scripts.
    pub(crate) fn write_findings(&self, output: &mut dyn Write) -> io::Result<()> {
        for finding in &self.findings {
            writeln!(output, "{}", visible(&finding.text))?;
        }
        if let Some(error) = &self.config_error {
            writeln!(output, "the config can't be read: {}", visible(error))?;
        } else if self.is_nothing_enabled {
            writeln!(output, "{}", self.nothing_enabled())?;
        }
        if self.findings.is_empty() && self.config_error.is_none() {
            let own = self.processes.iter().filter(|row| is_own(row)).count();
            writeln!(output, "OK: {own} running, each once and under its lock.")?;
        }
        Ok(())
    }

    pub(crate) fn write_legacy(&self, output: &mut dyn Write) -> io::Result<()> {
        for row in &self.processes {
            for pid in &row.pids {
                writeln!(output, "PID: {pid} | {}", visible(&row.command))?;
            }
        }
        Ok(())
    }

    pub(crate) fn write_csv(&self, columns: &[Column], output: &mut dyn Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(output);
        csv.write_record(columns.iter().map(|column| column.as_str()))?;
        for row in self.all_rows() {
            csv.write_record(columns.iter().map(|column| column.text(row)))?;
        }
        csv.flush()
    }

    /// The table and what there is to say about it; `marks` stand before the rows, where given.
    pub(crate) fn write_table(
        &self,
        columns: &[Column],
        marks: Option<&[Text]>,
        color: ColorChoice,
        output: &mut dyn Write,
    ) -> io::Result<()> {
        let mut header: Vec<String> =
            columns.iter().map(|column| column.as_str().to_uppercase()).collect();
        let mut rows: Vec<Vec<Text>> = Vec::new();
        for (position, row) in self.rows().into_iter().enumerate() {
            let mark = marks.map(|marks| marks.get(position).cloned().unwrap_or_else(|| "".into()));
            let cells = columns.iter().map(|column| column.cell(row));
            rows.push(mark.clone().into_iter().chain(cells).collect());
            for part in row.tree.iter().flatten() {
                let cells = columns.iter().map(|column| part_cell(*column, part));
                rows.push(mark.as_ref().map(|_| "".into()).into_iter().chain(cells).collect());
            }
        }
        if marks.is_some() {
            header.insert(0, String::new());
        }
        if !self.processes.iter().any(|row| row.state != State::Foreign) {
            let nothing = match self.is_running {
                false if self.findings.iter().any(|one| one.kind == FindingKind::Moved) => {
                    "Nothing of the fleet is running in this folder."
                }
                false => "Nothing of the fleet is running.",
                true => "Nothing of the fleet that runs fits the filters.",
            };
            writeln!(output, "{nothing}")?;
        }
        if self.is_nothing_enabled {
            writeln!(output, "{}", self.nothing_enabled())?;
        }
        if !rows.is_empty() {
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            writeln!(output, "{}", table(&header, rows, color))?;
        }
        self.write_remarks(output)
    }

    /// Said where the config wants nothing to run, so that an empty list is no riddle.
    fn nothing_enabled(&self) -> &'static str {
        match self.has_accounts {
            true => "No account is enabled in the config: nothing should run.",
            false => "The config has neither accounts nor enabled components: nothing should run.",
        }
    }

    fn write_remarks(&self, output: &mut dyn Write) -> io::Result<()> {
        if let Some(text) = self.others.text() {
            writeln!(output, "{}", visible(&text))?;
        }
        let told: Vec<&Finding> =
            self.findings.iter().filter(|one| !is_in_the_list(one.kind)).collect();
        if !told.is_empty() || self.config_error.is_some() {
            writeln!(output)?;
        }
        if let Some(error) = &self.config_error {
            writeln!(output, "! the config can't be read: {}", visible(error))?;
        }
        for finding in &told {
            writeln!(output, "! {}", visible(&finding.text))?;
        }
        if told.iter().any(|one| is_to_be_stopped(one.kind)) {
            writeln!(output, "{SHUTDOWN_HINT}")?;
        }
        let is_stale =
            |lock: &&LockEntry| State::of_lock(lock) == State::Stale && lock.open_in.is_empty();
        let stale = self.locks.iter().filter(is_stale).count();
        if stale > 0 {
            writeln!(
                output,
                "\n{stale} stale: free for the next start; `qc-lock clear-stale` tidies up."
            )?;
        }
        for lock in self.locks.iter().filter(|lock| !lock.open_in.is_empty()) {
            let (name, openers) = (visible(&lock.name), openers_text(&lock.open_in));
            let advice = release_advice(&lock.name, None, &lock.open_in);
            writeln!(output, "\n! lock {name} is kept open by {openers}; {advice}")?;
        }
        if let Some(text) = &self.incomplete {
            writeln!(output, "\n! {text}. Run elevated to see all.")?;
        }
        Ok(())
    }
}

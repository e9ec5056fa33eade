//! What is shown, in the shape of the JSON that `--json` prints, and its other forms.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::Duration;

use qc_cli::{ColorChoice, Failure, Text, Tone, duration, memory, table};
use qc_fleet::{Finding, FindingKind, Fleet, Mask, Snapshot, State};
use qc_lock_core::{Latch, LockEntry};
use serde::Serialize;

use crate::cli::Cli;
use crate::column::{Column, Order, compare};
use crate::row::{Part, Row};

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: u32,
    pub(crate) processes: Vec<Row>,
    /// Locks of which no running process is known to be the holder.
    locks: Vec<LockEntry>,
    /// The same, as rows of the list.
    #[serde(skip)]
    loose: Vec<Row>,
    /// Whether anything of this fleet runs, wanted or not.
    #[serde(skip)]
    is_running: bool,
    /// What the rows are sorted by.
    #[serde(skip)]
    orders: Vec<Order>,
    pub(crate) findings: Vec<Finding>,
    /// What forbids every start, if something does.
    latch: Option<Latch>,
    /// Processes that the system does not let us read.
    unreadable: usize,
    /// Whether the system hides the processes of other users altogether.
    hides_others: bool,
    /// How far the list can be trusted, if it is not complete.
    #[serde(skip)]
    incomplete: Option<String>,
}

impl Report {
    /// Makes the report of what was seen, as far as the user wants to see it.
    ///
    /// # Errors
    /// If a filter names nothing that there is.
    pub(crate) fn new(snapshot: &Snapshot, fleet: &Fleet, cli: &Cli) -> Result<Self, Failure> {
        let instances = snapshot.instances.iter().zip(snapshot.states());
        let mut processes: Vec<Row> =
            instances.map(|(one, state)| Row::of_instance(one, state, cli.tree)).collect();
        let mut loose: Vec<(Row, LockEntry)> =
            snapshot.loose_locks().map(|lock| (Row::of_lock(lock, fleet), lock.clone())).collect();
        let rows: Vec<&Row> = processes.iter().chain(loose.iter().map(|(row, _)| row)).collect();
        cli.filter.check(&rows, fleet)?;
        processes.retain(|row| cli.filter.wants(row));
        loose.retain(|(row, _)| cli.filter.wants(row));
        let (mut loose, mut locks): (Vec<Row>, Vec<LockEntry>) = loose.into_iter().unzip();

        let shown: HashSet<String> =
            processes.iter().chain(&loose).map(|row| row.component.to_lowercase()).collect();
        let is_shown = |name: &String| shown.contains(&name.to_lowercase());
        let mut findings = snapshot.findings(fleet);
        findings.retain(|one| one.components.is_empty() || one.components.iter().any(is_shown));

        let mut latch = snapshot.latch.clone();
        if cli.mask {
            let mask = Mask::new(accounts(snapshot, fleet));
            latch.iter_mut().for_each(|latch| latch.reason = mask.text(&latch.reason));
            processes.iter_mut().chain(&mut loose).for_each(|row| row.mask(&mask));
            locks.iter_mut().for_each(|lock| mask_lock(lock, &mask));
            findings.iter_mut().for_each(|finding| {
                finding.text = mask.text(&finding.text);
                finding.components.iter_mut().for_each(|name| *name = mask.text(name));
            });
        }
        processes.sort_by(|one, other| compare(one, other, &cli.sort));
        Ok(Self {
            version: 1,
            processes,
            locks,
            loose,
            is_running: snapshot.own().next().is_some(),
            orders: cli.sort.clone(),
            findings,
            latch,
            unreadable: snapshot.unreadable,
            hides_others: snapshot.hides_others,
            incomplete: snapshot.unreadable_text(),
        })
    }

    /// All rows of the list: what runs, and the locks that nobody on it holds.
    pub(crate) fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.processes.iter().chain(&self.loose).collect();
        rows.sort_by(|one, other| compare(one, other, &self.orders));
        rows
    }

    /// One line for each finding, for schedulers and scripts.
    pub(crate) fn write_findings(&self, output: &mut dyn Write) -> io::Result<()> {
        for finding in &self.findings {
            writeln!(output, "{}", qc_cli::visible(&finding.text))?;
        }
        if self.findings.is_empty() {
            let own = self.processes.iter().filter(|row| row.state != State::Foreign).count();
            writeln!(output, "OK: {own} running, each once and under its lock.")?;
        }
        Ok(())
    }

    pub(crate) fn write_legacy(&self, output: &mut dyn Write) -> io::Result<()> {
        for row in &self.processes {
            for pid in &row.pids {
                writeln!(output, "PID: {pid} | {}", qc_cli::visible(&row.command))?;
            }
        }
        Ok(())
    }

    pub(crate) fn write_csv(&self, columns: &[Column], output: &mut dyn Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(output);
        csv.write_record(columns.iter().map(|column| column.word()))?;
        for row in self.rows() {
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
            columns.iter().map(|column| column.word().to_uppercase()).collect();
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
                false => "Nothing of the fleet is running.",
                true => "Nothing of the fleet that runs fits the filters.",
            };
            writeln!(output, "{nothing}")?;
        }
        if !rows.is_empty() {
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            writeln!(output, "{}", table(&header, rows, color))?;
        }
        self.write_remarks(output)
    }

    fn write_remarks(&self, output: &mut dyn Write) -> io::Result<()> {
        // What stands in a line of its own below is not said twice.
        let told: Vec<&Finding> = self
            .findings
            .iter()
            .filter(|one| !matches!(one.kind, FindingKind::Stale | FindingKind::Unreadable))
            .collect();
        if !told.is_empty() {
            writeln!(output)?;
        }
        for finding in &told {
            writeln!(output, "! {}", qc_cli::visible(&finding.text))?;
        }
        if told.iter().any(|one| !matches!(one.kind, FindingKind::Orphan | FindingKind::Latched)) {
            writeln!(output, "{}", qc_cli::SHUTDOWN_HINT)?;
        }
        let stale = self.loose.iter().filter(|row| row.state == State::Stale).count();
        if stale > 0 {
            writeln!(
                output,
                "\n{stale} stale: free for the next start; `qc-lock clear-stale` tidies up."
            )?;
        }
        if let Some(text) = &self.incomplete {
            writeln!(output, "\n! {text}. Run elevated to see all.")?;
        }
        Ok(())
    }
}

/// One process of an instance in the table, below its instance.
fn part_cell(column: Column, part: &Part) -> Text {
    match column {
        Column::Component => format!("  {} {}", part.kind.word(), part.name).into(),
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
        | Column::Terminal
        | Column::Folder => "".into(),
    }
}

/// All account numbers that anybody has named.
pub(crate) fn accounts(snapshot: &Snapshot, fleet: &Fleet) -> Vec<String> {
    let configured = fleet.components.iter().filter_map(|one| one.account.as_ref());
    let running = snapshot.instances.iter().filter_map(|one| one.account.clone());
    let locked = snapshot.locks.iter().filter_map(|lock| lock.account.clone());
    configured.map(ToString::to_string).chain(running).chain(locked).collect()
}

fn mask_lock(lock: &mut LockEntry, mask: &Mask) {
    lock.name = mask.text(&lock.name);
    lock.account = lock.account.as_deref().map(|account| mask.account(account));
    lock.program = lock.program.as_deref().map(|program| mask.command(program));
    lock.resources.iter_mut().for_each(|one| *one = mask.command(one));
}

//! What is shown, in the shape of the JSON that `--json` prints.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local, SecondsFormat};
use qc_cli::{ColorChoice, Text, Tone, duration, memory, table};
use qc_fleet::{Finding, FindingKind, Instance, Place, Role, Snapshot, findings};
use qc_lock_core::{LockEntry, LockState};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: u32,
    processes: Vec<Row>,
    /// Locks of which no running process is known to be the holder.
    locks: Vec<LockEntry>,
    pub(crate) findings: Vec<Finding>,
    /// Processes that the system does not let us read.
    unreadable: usize,
}

#[derive(Debug, Serialize)]
struct Row {
    component: String,
    role: Role,
    account_key: Option<String>,
    account: Option<String>,
    pids: Vec<u32>,
    lock: Option<Lock>,
    state: State,
    since: Option<String>,
    uptime_seconds: u64,
    cpu_percent: f64,
    memory_bytes: u64,
    command: String,
}

#[derive(Debug, Serialize)]
struct Lock {
    name: String,
    state: LockState,
}

/// What to think of a running instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It runs and holds its lock.
    Running,
    /// Another copy runs beside it.
    Duplicate,
    /// It runs without its lock.
    Unlocked,
    /// Its script lies in another folder.
    Foreign,
}

impl State {
    fn word(self) -> (&'static str, Tone) {
        match self {
            Self::Running => ("running", Tone::Good),
            Self::Duplicate => ("DUPLICATE", Tone::Bad),
            Self::Unlocked => ("UNLOCKED", Tone::Warn),
            Self::Foreign => ("foreign", Tone::Plain),
        }
    }
}

impl Report {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let findings = findings(snapshot);
        Self {
            version: 1,
            processes: snapshot.instances.iter().map(|instance| row(instance, &findings)).collect(),
            locks: snapshot.loose_locks().cloned().collect(),
            findings,
            unreadable: snapshot.unreadable,
        }
    }

    /// One line for each finding, for schedulers and scripts.
    pub(crate) fn write_findings(&self, output: &mut dyn Write) -> io::Result<()> {
        for finding in &self.findings {
            writeln!(output, "{}", finding.text)?;
        }
        if self.findings.is_empty() {
            let own = self.processes.iter().filter(|row| row.state != State::Foreign).count();
            writeln!(output, "OK: {own} running, no duplicates, nothing unlocked.")?;
        }
        self.write_unreadable(output)
    }

    pub(crate) fn write_legacy(&self, output: &mut dyn Write) -> io::Result<()> {
        for row in &self.processes {
            for pid in &row.pids {
                writeln!(output, "PID: {pid} | {}", row.command)?;
            }
        }
        Ok(())
    }

    pub(crate) fn write_table(
        &self,
        snapshot: &Snapshot,
        color: ColorChoice,
        output: &mut dyn Write,
    ) -> io::Result<()> {
        let header =
            ["COMPONENT", "ROLE", "ACCOUNT", "PID", "STATE", "LOCK", "UPTIME", "CPU", "MEMORY"];
        let mut rows: Vec<Vec<Text>> = self.processes.iter().map(cells).collect();
        rows.extend(self.locks.iter().map(lock_cells));
        if snapshot.own().next().is_none() {
            writeln!(output, "Nothing of the fleet is running.")?;
        }
        if !rows.is_empty() {
            writeln!(output, "{}", table(&header, rows, color))?;
        }
        if !self.findings.is_empty() {
            writeln!(output)?;
            for finding in &self.findings {
                writeln!(output, "! {}", finding.text)?;
            }
            writeln!(output, "Run SAFE_SHUTDOWN.bat (qc-shutdown) to stop all processes safely.")?;
        }
        let stale = snapshot.loose_locks().filter(|lock| !lock.state.is_live()).count();
        if stale > 0 {
            writeln!(
                output,
                "\n{stale} stale: free for the next start; `qc-lock clear-stale` tidies up."
            )?;
        }
        self.write_unreadable(output)
    }

    fn write_unreadable(&self, output: &mut dyn Write) -> io::Result<()> {
        if self.unreadable > 0 {
            writeln!(
                output,
                "{} processes could not be read; run elevated to see them.",
                self.unreadable
            )?;
        }
        Ok(())
    }
}

fn row(instance: &Instance, findings: &[Finding]) -> Row {
    let since = instance
        .processes
        .iter()
        .map(|process| process.since)
        .min()
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let uptime = SystemTime::now().duration_since(since).unwrap_or_default();
    let cpu: Duration = instance.processes.iter().map(|process| process.cpu_time).sum();
    // The average over the process's life: exact, and needs no second look.
    let cpu_percent = 100.0 * cpu.as_secs_f64() / uptime.as_secs_f64().max(1.0);
    Row {
        component: instance.component.clone(),
        role: instance.role,
        account_key: instance.account_key.clone(),
        account: instance.account.clone(),
        pids: instance.pids(),
        lock: instance
            .lock
            .as_ref()
            .map(|lock| Lock { name: lock.name.clone(), state: lock.state }),
        state: state(instance, findings),
        since: Some(DateTime::<Local>::from(since).to_rfc3339_opts(SecondsFormat::Secs, false)),
        uptime_seconds: uptime.as_secs(),
        cpu_percent: (cpu_percent * 10.0).round() / 10.0,
        memory_bytes: instance.processes.iter().map(|process| process.memory_bytes).sum(),
        command: instance.command.clone(),
    }
}

fn state(instance: &Instance, findings: &[Finding]) -> State {
    let pids = instance.pids();
    let is_duplicate = |finding: &Finding| {
        finding.kind == FindingKind::Duplicate && finding.pids.iter().any(|pid| pids.contains(pid))
    };
    if instance.place == Place::Foreign {
        State::Foreign
    } else if findings.iter().any(is_duplicate) {
        State::Duplicate
    } else if instance.lock.is_none() {
        State::Unlocked
    } else {
        State::Running
    }
}

fn cells(row: &Row) -> Vec<Text> {
    let (word, tone) = row.state.word();
    let pids: Vec<String> = row.pids.iter().map(ToString::to_string).collect();
    vec![
        Text::from(&*row.component),
        Text::from(row.role.word()),
        Text::from(row.account.as_deref().unwrap_or("-")),
        Text::from(pids.join(" ")),
        Text::new(word, tone),
        match &row.lock {
            Some(lock) if lock.name.eq_ignore_ascii_case(&row.component) => {
                Text::from(lock.state.word())
            }
            Some(lock) => Text::from(format!("{} {}", lock.state.word(), lock.name)),
            None => Text::from("none"),
        },
        Text::from(duration(Duration::from_secs(row.uptime_seconds))),
        Text::from(format!("{:.1}%", row.cpu_percent)),
        Text::from(memory(row.memory_bytes)),
    ]
}

fn lock_cells(lock: &LockEntry) -> Vec<Text> {
    let dash = || Text::from("-");
    let (state, tone) = match lock.state {
        LockState::Held => ("other program", Tone::Warn),
        LockState::Legacy | LockState::Foreign => ("elsewhere", Tone::Warn),
        LockState::Stale | LockState::Corrupt => ("not running", Tone::Bad),
    };
    vec![
        Text::from(&*lock.name),
        dash(),
        Text::from(lock.account.as_deref().unwrap_or("-")),
        Text::from(lock.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string())),
        Text::new(state, tone),
        Text::from(lock.state.word()),
        dash(),
        dash(),
        dash(),
    ]
}

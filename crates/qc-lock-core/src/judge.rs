//! The judgement of a record's holder: pure decisions from a record and the system's facts.

use std::fmt;

use chrono::{DateTime, FixedOffset};
use qc_process::{Host, Liveness, visible};

use crate::host_name::is_old_name_of;
use crate::record::{OldRecord, ParsedRecord};
use crate::time::{local_time, parse_time};
use crate::{Opener, openers_text};

/// The state of the process behind a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is alive, or may be.
    Held,
    /// It is alive and uses the old module, which knows no guards.
    HeldByOld,
    /// It belongs to another machine or PID namespace, where it may be alive.
    Foreign,
    /// It has ended.
    Stale,
    /// The record names no process.
    Corrupt,
}

/// The system's facts about the process that has an old record's pid now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PidOwner {
    /// There is none.
    Absent,
    /// There is one, but it is unknown what it is.
    Hidden,
    /// There is this one.
    Seen {
        /// The file name of its program; `None` if that can't be read. The name that a process goes by
        /// is another thing: it can give itself any.
        program: Option<String>,
        /// The file names among its arguments.
        files: Vec<String>,
        /// When it was started, by the wall clock.
        since: DateTime<FixedOffset>,
    },
}

/// A start is read to the second, and the clock may have been set a little since.
const CLOCK_SLACK_SECONDS: i64 = 5;

/// Judges `reading`; `liveness` and `pid_owner` are asked only where their answer matters.
pub(crate) fn judge(
    reading: &ParsedRecord,
    here: &Host,
    liveness: impl FnOnce(&qc_process::Identity) -> Liveness,
    pid_owner: impl FnOnce(u32) -> PidOwner,
) -> Verdict {
    match reading {
        ParsedRecord::Corrupt(_) => Verdict::Corrupt,
        ParsedRecord::Hidden(_) => Verdict::Held,
        ParsedRecord::Record(record) if !record.is_local(here) => Verdict::Foreign,
        ParsedRecord::Record(record) => match liveness(&record.identity()) {
            Liveness::Dead => Verdict::Stale,
            Liveness::Alive | Liveness::Unknown => Verdict::Held,
        },
        ParsedRecord::Old(record) => {
            if !is_old_name_of(record.host.as_deref(), &here.name) {
                Verdict::Foreign
            } else if is_old_holder(record, &pid_owner(record.pid)) {
                Verdict::HeldByOld
            } else {
                Verdict::Stale
            }
        }
    }
}

/// Tells whether an old record's process is its holder. The record knows no start time: its holder is
/// a Python that was started before the record was written; one that runs the script of that name is
/// the holder whatever the clock says. Only a program that is no Python for certain is not.
fn is_old_holder(record: &OldRecord, pid_owner: &PidOwner) -> bool {
    match pid_owner {
        PidOwner::Absent => false,
        PidOwner::Hidden => true,
        PidOwner::Seen { program: Some(program), .. }
            if !may_be_python(program, record.name.as_deref()) =>
        {
            false
        }
        PidOwner::Seen { files, since, .. } => {
            let runs_it = record.name.as_deref().is_some_and(|name| runs_script_of(name, files));
            let written = record.timestamp.as_deref().and_then(parse_time);
            let slack = chrono::TimeDelta::seconds(CLOCK_SLACK_SECONDS);
            // Without a time it may be the holder.
            runs_it || written.is_none_or(|written| *since <= written + slack)
        }
    }
}

/// Whether the recorded process is here, is a Python, and runs the script that the lock is named after.
/// Such a record is never removed, wherever it says that it comes from.
pub(crate) fn is_of_a_script_that_runs_here(name: &str, pid_owner: &PidOwner) -> bool {
    match pid_owner {
        PidOwner::Seen { program: Some(program), files, .. } => {
            may_be_python(program, Some(name)) && runs_script_of(name, files)
        }
        PidOwner::Seen { program: None, .. } | PidOwner::Absent | PidOwner::Hidden => false,
    }
}

/// Whether a program can be a Python by its file name, or is the script `name` itself, compiled.
fn may_be_python(program: &str, name: Option<&str>) -> bool {
    let program = program.to_lowercase();
    let stem = program.split('.').next().unwrap_or_default();
    program.contains("py") || name.is_some_and(|name| stem == name.to_lowercase())
}

/// Whether the file names among the arguments of a Python say that it runs the script that the lock
/// `name` is named after: `BRAIN_A.py`, `-m BRAIN_A`, or for `WATCHDOG_A` a watchdog of `A`.
fn runs_script_of(name: &str, files: &[String]) -> bool {
    let name = name.to_lowercase();
    let files: Vec<String> = files.iter().map(|file| file.to_lowercase()).collect();
    let is_script = |file: &String| {
        let ending = file.strip_prefix(&name);
        ending.is_some_and(|ending| matches!(ending, "" | ".py" | ".pyw" | ".pyc"))
    };
    let guards = |key: &str| {
        files.iter().any(|file| file == key) && files.iter().any(|file| file.contains("watchdog"))
    };
    let key = name.strip_prefix("watchdog_").filter(|key| !key.is_empty());
    !name.is_empty() && (files.iter().any(is_script) || key.is_some_and(guards))
}

/// The holder of a lock, as far as its record tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// The pid of the process that does the work.
    pub pid: Option<u32>,
    /// The account it trades.
    pub account: Option<String>,
    /// When it took the lock, ISO 8601.
    pub since: Option<String>,
    /// The machine it runs on.
    pub host: Option<String>,
    /// The file name of its program or script.
    pub program: Option<String>,
    /// The lock it holds, where that has another name than the one asked for.
    pub name: Option<String>,
    /// Whether the lock's record is that of a process that has ended: another one has its guard open.
    pub has_ended: bool,
    /// Why nothing of this is known, where there is a record that can't be read.
    pub hidden: Option<String>,
    /// The folder whose lock it is, where that is another one on this machine: `None` inside if it is
    /// not known which.
    pub elsewhere: Option<Option<String>>,
    /// The processes that have the guard open, where no living process is known to hold the lock.
    pub open_in: Vec<Opener>,
}

impl Holder {
    pub(crate) fn of(reading: &ParsedRecord) -> Self {
        match reading {
            ParsedRecord::Record(record) => Self {
                pid: Some(record.pid),
                account: record.account.clone(),
                since: Some(record.timestamp.clone()),
                host: Some(record.host.clone()),
                program: record.program.clone(),
                name: Some(record.name.clone()),
                ..Self::default()
            },
            ParsedRecord::Old(record) => Self {
                pid: Some(record.pid),
                account: record.account.clone(),
                since: record.timestamp.clone(),
                host: record.host.clone(),
                name: record.name.clone(),
                ..Self::default()
            },
            ParsedRecord::Hidden(why) => Self { hidden: Some(why.clone()), ..Self::default() },
            ParsedRecord::Corrupt(_) => Self::default(),
        }
    }
}

impl Holder {
    fn write_openers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.open_in.is_empty() {
            write!(f, "; its guard is open in {}", openers_text(&self.open_in))?;
        }
        Ok(())
    }
}

impl fmt::Display for Holder {
    /// `PID 4711 (account 1234567, since 2026-11-02 21:04:05, host TRADER-PC)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(folder) = &self.elsewhere {
            let name = visible(self.name.as_deref().unwrap_or("unknown"));
            let folder = folder.as_deref().map_or("another folder".into(), visible);
            return match (self.pid, &self.name) {
                (Some(pid), _) => write!(f, "PID {pid} ({name} in {folder})"),
                (None, Some(_)) => {
                    write!(f, "what {name} in {folder}, which has ended, has left behind")?;
                    self.write_openers(f)
                }
                (None, None) => {
                    f.write_str("another program on this machine")?;
                    self.write_openers(f)
                }
            };
        }
        let Some(pid) = self.pid else {
            return match (&self.hidden, self.name.as_ref().filter(|_| self.has_ended)) {
                (Some(why), _) => {
                    write!(f, "a process whose record can't be read ({})", visible(why))
                }
                (None, Some(name)) => {
                    write!(f, "what {}, which has ended, has left behind", visible(name))?;
                    self.write_openers(f)
                }
                (None, None) => {
                    f.write_str("a process whose record is missing or can't be read")?;
                    self.write_openers(f)
                }
            };
        };
        let since = self.since.as_deref().map_or_else(|| "unknown".into(), local_time);
        let account = visible(self.account.as_deref().unwrap_or("none"));
        let host = visible(self.host.as_deref().unwrap_or("unknown"));
        write!(f, "PID {pid} (account {account}, since {since}, host {host})")
    }
}

#[cfg(test)]
mod tests;

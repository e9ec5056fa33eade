//! What a record says about its holder: pure decisions from a record and what the system knows.

use std::fmt;

use chrono::{DateTime, FixedOffset};
use qc_process::{Host, Liveness, visible};

use crate::record::{OldRecord, Reading, local_time, parse_time};

/// What is known of the process behind a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is alive, or nobody can say that it is not.
    Held,
    /// It is alive and uses the old module, which knows no guards.
    HeldByOld,
    /// It belongs to another machine or PID namespace, where it may be alive.
    Foreign,
    /// It has ended.
    Stale,
    /// The record names nobody.
    Corrupt,
}

/// What the system knows of the process that has an old record's pid now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Suspect {
    /// There is none.
    Absent,
    /// There is one, but nobody can say what it is.
    Hidden,
    /// There is this one.
    Seen {
        /// Whether it runs a Python.
        is_python: bool,
        /// The file names among its arguments.
        files: Vec<String>,
        /// When it was started, by the wall clock.
        since: DateTime<FixedOffset>,
    },
}

/// A start is read to the second, and the clock may have been set a little since.
const CLOCK_SLACK_SECONDS: i64 = 5;

/// Judges `reading`; `liveness` and `suspect` are asked only where their answer matters.
pub(crate) fn judge(
    reading: &Reading,
    here: &Host,
    liveness: impl FnOnce(&qc_process::Identity) -> Liveness,
    suspect: impl FnOnce(u32) -> Suspect,
) -> Verdict {
    match reading {
        Reading::Corrupt(_) => Verdict::Corrupt,
        Reading::Hidden(_) => Verdict::Held,
        Reading::Record(record) if !record.is_local(here) => Verdict::Foreign,
        Reading::Record(record) => match liveness(&record.identity()) {
            Liveness::Dead => Verdict::Stale,
            Liveness::Alive | Liveness::Unknown => Verdict::Held,
        },
        Reading::Old(record) => {
            if record.host.as_ref().is_some_and(|host| !host.eq_ignore_ascii_case(&here.name)) {
                Verdict::Foreign
            } else if is_old_holder(record, &suspect(record.pid)) {
                Verdict::HeldByOld
            } else {
                Verdict::Stale
            }
        }
    }
}

/// An old record knows no start time. Its holder is a Python that was started before the record
/// was written; one that runs the script of that name is the holder whatever the clock says.
fn is_old_holder(record: &OldRecord, suspect: &Suspect) -> bool {
    match suspect {
        Suspect::Absent => false,
        Suspect::Hidden => true,
        Suspect::Seen { is_python: false, .. } => false,
        Suspect::Seen { files, since, .. } => {
            let script = record.name.as_ref().map(|name| format!("{name}.py").to_lowercase());
            let runs_it =
                script.is_some_and(|script| files.iter().any(|file| file.to_lowercase() == script));
            let written = record.timestamp.as_deref().and_then(parse_time);
            let slack = chrono::TimeDelta::seconds(CLOCK_SLACK_SECONDS);
            // Without a time nobody can say that it is not the holder.
            runs_it || written.is_none_or(|written| *since <= written + slack)
        }
    }
}

/// Who holds a lock, as far as its record tells.
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
    /// Why nothing of this is known, where there is a record that can't be read.
    pub hidden: Option<String>,
}

impl Holder {
    pub(crate) fn of(reading: &Reading) -> Self {
        match reading {
            Reading::Record(record) => Self {
                pid: Some(record.pid),
                account: record.account.clone(),
                since: Some(record.timestamp.clone()),
                host: Some(record.host.clone()),
                program: record.program.clone(),
                name: Some(record.name.clone()),
                hidden: None,
            },
            Reading::Old(record) => Self {
                pid: Some(record.pid),
                account: record.account.clone(),
                since: record.timestamp.clone(),
                host: record.host.clone(),
                program: None,
                name: record.name.clone(),
                hidden: None,
            },
            Reading::Hidden(why) => Self { hidden: Some(why.clone()), ..Self::default() },
            Reading::Corrupt(_) => Self::default(),
        }
    }
}

impl fmt::Display for Holder {
    /// `PID 4711 (account 1234567, since 2026-11-02 21:04:05, host TRADER-PC)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pid) = self.pid else {
            return match &self.hidden {
                Some(why) => {
                    write!(f, "a process whose record can't be read ({})", visible(why))
                }
                None => f.write_str("a process whose record is missing or can't be read"),
            };
        };
        write!(f, "PID {pid}")?;
        let since = self.since.as_deref().map(local_time);
        let account = self.account.as_deref().unwrap_or("none");
        write!(
            f,
            " (account {}, since {}, host {})",
            visible(account),
            or_unknown(since.as_deref()),
            visible(or_unknown(self.host.as_deref()))
        )
    }
}

fn or_unknown(text: Option<&str>) -> &str {
    text.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::example;

    fn here() -> Host {
        Host {
            name: "TRADER-PC".into(),
            boot_id: "machine-1".into(),
            pid_namespace: None,
            user: "trader".into(),
        }
    }

    fn old(timestamp: &str) -> Reading {
        Reading::Old(OldRecord {
            pid: 7,
            name: Some("BRAIN_ATLAS".into()),
            account: None,
            timestamp: Some(timestamp.into()),
            host: Some("trader-pc".into()),
        })
    }

    fn python(since: &str, files: &[&str]) -> Suspect {
        let files = files.iter().map(|&file| file.into()).collect();
        Suspect::Seen {
            is_python: true,
            files,
            since: DateTime::parse_from_rfc3339(since).unwrap(),
        }
    }

    #[test]
    fn a_record_is_judged_by_identity() {
        for (liveness, verdict) in [
            (Liveness::Alive, Verdict::Held),
            (Liveness::Unknown, Verdict::Held),
            (Liveness::Dead, Verdict::Stale),
        ] {
            let judged =
                judge(&Reading::Record(example()), &here(), |_| liveness, |_| unreachable!());
            assert_eq!(judged, verdict, "{liveness:?}");
        }
    }

    #[test]
    fn a_record_that_we_may_not_read_is_held() {
        let hidden = Reading::Hidden("permission denied".into());
        assert_eq!(judge(&hidden, &here(), |_| unreachable!(), |_| unreachable!()), Verdict::Held);
    }

    #[test]
    fn a_record_from_elsewhere_is_never_stale() {
        let elsewhere =
            crate::Record { host: "other".into(), boot_id: "machine-2".into(), ..example() };
        let judged =
            judge(&Reading::Record(elsewhere), &here(), |_| Liveness::Dead, |_| unreachable!());
        assert_eq!(judged, Verdict::Foreign);
    }

    #[test]
    fn an_old_record_is_judged_by_pid_program_and_time() {
        let written = "2026-11-02T21:00:00+01:00";
        let cases = [
            (Suspect::Absent, Verdict::Stale),
            (Suspect::Hidden, Verdict::HeldByOld),
            (python("2026-11-02T20:59:59+01:00", &[]), Verdict::HeldByOld),
            (python("2026-11-02T21:00:30+01:00", &["other.py"]), Verdict::Stale),
            (python("2026-11-02T22:00:00+01:00", &["brain_atlas.PY"]), Verdict::HeldByOld),
        ];
        for (suspect, verdict) in cases {
            let judged = judge(&old(written), &here(), |_| unreachable!(), |_| suspect.clone());
            assert_eq!(judged, verdict, "{suspect:?}");
        }
        let editor = Suspect::Seen {
            is_python: false,
            files: vec!["BRAIN_ATLAS.py".into()],
            since: DateTime::parse_from_rfc3339("2026-11-02T20:00:00+01:00").unwrap(),
        };
        assert_eq!(judge(&old(written), &here(), |_| unreachable!(), |_| editor), Verdict::Stale);
    }

    #[test]
    fn an_old_record_from_another_host_is_foreign() {
        let Reading::Old(record) = old("2026-11-02T21:00:00") else { unreachable!() };
        let record = Reading::Old(OldRecord { host: Some("other".into()), ..record });
        assert_eq!(
            judge(&record, &here(), |_| unreachable!(), |_| Suspect::Absent),
            Verdict::Foreign
        );
    }

    #[test]
    fn a_holder_is_named_with_pid_account_time_and_host() {
        let text = Holder::of(&Reading::Record(example())).to_string();
        let since = local_time(&example().timestamp);
        let expected = format!("PID 4711 (account 1234567, since {since}, host TRADER-PC)");
        assert_eq!(text, expected);
    }
}

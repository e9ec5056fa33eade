//! Records: who holds a lock, for people and for old scripts. A record never decides whether a
//! lock is held.

use std::collections::BTreeMap;
use std::time::SystemTime;

use qc_process::{Host, Identity};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::time::parse_time;

/// The most bytes that are read of a record.
pub(crate) const LIMIT: u64 = 64 * 1024;

/// A record of this protocol. The first five keys are those of the old format, same names and types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The pid of the process that does the work.
    pub pid: u32,
    /// The lock's name.
    pub name: String,
    /// The account it trades.
    pub account: Option<String>,
    /// When the lock was taken, ISO 8601.
    pub timestamp: String,
    /// The machine it runs on.
    pub host: String,
    /// The version of this format, 1.
    pub version: u32,
    /// When the process started, see [`Identity::started`].
    pub started: u64,
    /// The boot it runs in, see [`Host::boot_id`].
    pub boot_id: String,
    /// The PID namespace it runs in, on Linux.
    #[serde(default)]
    pub pid_namespace: Option<u64>,
    /// All that the lock protects.
    pub resources: Vec<String>,
    /// The pid of the program that holds the lock for the process, if there is one.
    #[serde(default)]
    pub wrapper_pid: Option<u32>,
    /// The user it runs as.
    #[serde(default)]
    pub user: Option<String>,
    /// The file name of its program or script.
    #[serde(default)]
    pub program: Option<String>,
    /// The token by which a child takes over the lock that is held for it; gone once it has.
    #[serde(default)]
    pub token: Option<String>,
    /// Which file the guard of each resource is, on Unix: device and inode. The guard that a holder had
    /// is known by it, also where its process can't be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<BTreeMap<String, String>>,
    /// Which guards are held on the whole machine. `None` if no account and no terminal is asked for, or
    /// if the record was written by a version that knew none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Box<[String]>>,
}

/// A record of the old module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRecord {
    /// The holder's pid.
    pub pid: u32,
    /// The lock's name.
    pub name: Option<String>,
    /// The account it trades.
    pub account: Option<String>,
    /// When the lock was taken, in local time.
    pub timestamp: Option<String>,
    /// The machine it runs on.
    pub host: Option<String>,
}

/// The contents of a record file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedRecord {
    /// A record of this protocol.
    Record(Record),
    /// A record of the old module.
    Old(OldRecord),
    /// Nothing that names a holder; says why.
    Corrupt(String),
    /// Something that we may not read; says why.
    Hidden(String),
}

impl Record {
    /// Returns the identity of the process that does the work.
    pub fn identity(&self) -> Identity {
        Identity { pid: self.pid, started: self.started, boot_id: self.boot_id.clone() }
    }

    /// Returns since when the lock is held, if the record says so in a way that can be read.
    pub fn since(&self) -> Option<SystemTime> {
        parse_time(&self.timestamp).map(SystemTime::from)
    }

    /// Whether the record was written on this machine, in this PID namespace: otherwise its pid
    /// means nothing here, and it can't be known whether the holder lives.
    pub fn is_local(&self, here: &Host) -> bool {
        let same_machine =
            here.is_boot(&self.boot_id) || self.host.eq_ignore_ascii_case(&here.name);
        same_machine && self.pid_namespace == here.pid_namespace
    }

    /// Whether `guard` is the file that the holder had locked for `resource`, under this very kernel:
    /// whoever holds its lock now knows that the holder has closed it. Of a record that does not say
    /// which files it means is unknown.
    pub(crate) fn is_guard(&self, here: &Host, resource: &str, guard: Option<&str>) -> bool {
        let recorded = self.guards.as_ref().and_then(|guards| guards.get(resource));
        here.is_boot(&self.boot_id) && guard.is_some() && recorded.map(String::as_str) == guard
    }
}

impl ParsedRecord {
    /// Reads the bytes of a record file. Never fails: what makes no sense is [`ParsedRecord::Corrupt`].
    ///
    /// ```
    /// use qc_lock_core::ParsedRecord;
    ///
    /// let old = ParsedRecord::from_bytes(br#"{"pid": 4711, "name": "BRAIN_ATLAS"}"#);
    /// assert!(matches!(old, ParsedRecord::Old(record) if record.pid == 4711));
    /// assert!(matches!(ParsedRecord::from_bytes(b"{"), ParsedRecord::Corrupt(_)));
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Self {
        parse(bytes).unwrap_or_else(Self::Corrupt)
    }
}

fn parse(bytes: &[u8]) -> Result<ParsedRecord, String> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LIMIT {
        return Err(format!("it is larger than {} KiB", LIMIT / 1024));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty".into());
    }
    let object: Map<String, Value> = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is not a JSON object ({error})"))?;
    let pid = object.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
    let pid = pid.filter(|&pid| pid > 0).ok_or("it names no valid pid")?;
    if object.contains_key("version") {
        let record: Record = serde_json::from_value(Value::Object(object))
            .map_err(|error| format!("it is incomplete ({error})"))?;
        return Ok(ParsedRecord::Record(record));
    }
    let text = |key: &str| match object.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    Ok(ParsedRecord::Old(OldRecord {
        pid,
        name: text("name"),
        account: text("account"),
        timestamp: text("timestamp"),
        host: text("host").or_else(|| text("hostname")),
    }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Record {
        Record {
            pid: 4711,
            name: "BRAIN_ATLAS".into(),
            account: Some("1234567".into()),
            timestamp: "2026-11-02T21:04:05.000001+01:00".into(),
            host: "TRADER-PC".into(),
            version: 1,
            started: 134_000_000_000_000_000,
            boot_id: "machine-1".into(),
            pid_namespace: None,
            resources: vec!["account/1234567/brain".into(), "name/brain_atlas".into()],
            wrapper_pid: None,
            user: Some("trader".into()),
            program: Some("BRAIN_ATLAS.py".into()),
            token: None,
            guards: None,
            machine: None,
        }
    }

    #[test]
    fn a_record_survives_writing_and_reading() {
        let bytes = serde_json::to_vec(&example()).unwrap();
        assert_eq!(ParsedRecord::from_bytes(&bytes), ParsedRecord::Record(example()));
    }

    #[test]
    fn an_old_record_is_read() {
        let bytes = br#"{"pid": 7, "name": "B", "account": 12, "timestamp": "2026-11-02T21:04:05.1", "host": "x"}"#;
        let ParsedRecord::Old(record) = ParsedRecord::from_bytes(bytes) else {
            panic!("not an old record")
        };
        assert_eq!((record.pid, record.account.as_deref()), (7, Some("12")));
    }

    #[test]
    fn what_makes_no_sense_is_corrupt() {
        let long = format!(r#"{{"pid": 1, "name": "{}"}}"#, "x".repeat(70_000));
        let cases: [&[u8]; 12] = [
            b"",
            b" \n",
            b"{",
            br#"{"pid": 12"#,
            b"[]",
            b"\xff\xfe\x00",
            br#"{"pid": 0}"#,
            br#"{"pid": -1}"#,
            br#"{"pid": 1.5}"#,
            br#"{"pid": 1099511627776}"#,
            br#"{"pid": 5, "version": 1}"#,
            long.as_bytes(),
        ];
        for bytes in cases {
            assert!(
                matches!(ParsedRecord::from_bytes(bytes), ParsedRecord::Corrupt(_)),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn another_machine_or_namespace_is_not_local() {
        let here = Host {
            name: "trader-pc".into(),
            boot_id: "machine-1".into(),
            pid_namespace: None,
            user: "trader".into(),
        };
        assert!(example().is_local(&here));
        assert!(
            Record { boot_id: "machine-0".into(), ..example() }.is_local(&here),
            "an earlier boot"
        );
        assert!(Record { host: "renamed".into(), ..example() }.is_local(&here));
        assert!(
            !Record { host: "other".into(), boot_id: "machine-2".into(), ..example() }
                .is_local(&here)
        );
        assert!(!Record { pid_namespace: Some(1), ..example() }.is_local(&here));
        let unknown = Host { boot_id: "machine-unknown".into(), ..here };
        let elsewhere = Record { boot_id: "machine-unknown".into(), ..example() };
        assert!(elsewhere.is_local(&unknown), "the host is this one");
        assert!(!Record { host: "other".into(), ..elsewhere }.is_local(&unknown));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_reading_fail(bytes: Vec<u8>) {
            ParsedRecord::from_bytes(&bytes);
        }

        #[test]
        fn no_change_to_a_record_makes_reading_fail(position in 0..400_usize, byte: u8, cut in 0..400_usize) {
            let mut bytes = serde_json::to_vec(&example()).unwrap();
            bytes[position % 300] = byte;
            bytes.truncate(cut.max(1));
            ParsedRecord::from_bytes(&bytes);
        }

        #[test]
        fn only_a_pid_in_range_names_a_holder(pid: i128) {
            let reading = ParsedRecord::from_bytes(format!("{{\"pid\": {pid}}}").as_bytes());
            let in_range = (1..=i128::from(u32::MAX)).contains(&pid);
            proptest::prop_assert_eq!(matches!(reading, ParsedRecord::Old(_)), in_range);
        }
    }
}

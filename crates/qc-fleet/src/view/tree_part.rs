//! One process of an instance, as `qc-ps --tree` shows it.

use std::time::SystemTime;

use qc_process::ProcessInfo;
use serde::Serialize;

use super::row::{age, percent, rfc3339};
use crate::Instance;

/// One process of an instance.
#[derive(Debug, Clone, Serialize)]
pub struct TreePart {
    /// Its part there.
    pub kind: TreePartKind,
    /// The name of its program.
    pub name: String,
    /// Its pid.
    pub pid: u32,
    /// Since when it runs, RFC 3339.
    pub since: String,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// The processor time it uses, as the average over its life.
    pub cpu_percent: f64,
    /// The memory it has in use.
    pub memory_bytes: u64,
    /// Its command line, without secrets.
    pub command: String,
}

/// The part of a process in an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TreePartKind {
    /// Started the program and waits for it.
    Wrapper,
    /// Started the interpreter and waits for it.
    Stub,
    /// Does the work.
    Program,
    /// Was started by the program to work for it.
    Worker,
}

impl TreePartKind {
    /// Returns the word that tables and JSON use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wrapper => "wrapper",
            Self::Stub => "stub",
            Self::Program => "program",
            Self::Worker => "worker",
        }
    }
}

/// Returns the processes of `instance`.
pub(super) fn parts(instance: &Instance, now: SystemTime) -> Vec<TreePart> {
    let part = |(at, process): (usize, &ProcessInfo)| {
        let age = age(process.since, now);
        let own = at.checked_sub(instance.wrappers.len());
        TreePart {
            kind: match own {
                None => TreePartKind::Wrapper,
                Some(at) if at + 1 < instance.processes.len() => TreePartKind::Stub,
                Some(at) if at < instance.processes.len() => TreePartKind::Program,
                Some(_) => TreePartKind::Worker,
            },
            name: process.name.clone(),
            pid: process.identity.pid,
            since: rfc3339(process.since),
            uptime_seconds: age.as_secs(),
            cpu_percent: percent(process.cpu_time, age),
            memory_bytes: process.memory_bytes,
            command: instance.commands.get(at).cloned().unwrap_or_default(),
        }
    };
    let all = instance.wrappers.iter().chain(&instance.processes).chain(&instance.workers);
    all.enumerate().map(part).collect()
}

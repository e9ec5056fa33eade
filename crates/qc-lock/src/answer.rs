//! The answers as JSON. Their keys are a promise, and so is their order.

use qc_lock_core::{Entry, LockEntry, Opener};
use serde::Serialize;

/// The answer of `status`.
#[derive(Serialize)]
pub(crate) struct Status<'a> {
    pub(crate) version: u32,
    pub(crate) name: &'a str,
    pub(crate) lock: Option<&'a LockEntry>,
    pub(crate) open_in: &'a [Opener],
}

/// The answer of `list`.
#[derive(Serialize)]
pub(crate) struct List<'a> {
    pub(crate) version: u32,
    pub(crate) locks: &'a [LockEntry],
    pub(crate) kept_open: Vec<KeptOpen<'a>>,
}

/// A lock without a record that processes keep open.
#[derive(Serialize)]
pub(crate) struct KeptOpen<'a> {
    pub(crate) name: &'a str,
    pub(crate) open_in: &'a [Opener],
}

/// The answer of `clear-stale` and `clear-all`.
#[derive(Serialize)]
pub(crate) struct ClearedLocks<'a> {
    pub(crate) version: u32,
    pub(crate) cleared: &'a [LockEntry],
    pub(crate) kept: &'a [LockEntry],
}

/// The answer of `history`.
#[derive(Serialize)]
pub(crate) struct Entries<'a> {
    pub(crate) version: u32,
    pub(crate) entries: Vec<&'a Entry>,
    pub(crate) unreadable: usize,
}

/// The answer of `list --machine`.
#[derive(Serialize)]
pub(crate) struct OfMachine<'a> {
    pub(crate) version: u32,
    pub(crate) machine: Vec<Guard<'a>>,
    pub(crate) partly_hidden: bool,
    pub(crate) unusable: Vec<String>,
}

/// A guard of the machine that is held or kept open.
#[derive(Serialize)]
pub(crate) struct Guard<'a> {
    pub(crate) open_in: Vec<OpenIn<'a>>,
    pub(crate) name: Option<&'a str>,
    pub(crate) pid: Option<u32>,
    pub(crate) what: &'a str,
    pub(crate) folder: Option<&'a str>,
}

/// A process that keeps it open.
#[derive(Serialize)]
pub(crate) struct OpenIn<'a> {
    pub(crate) pid: u32,
    pub(crate) program: &'a str,
}

//! Locks that a process keeps open which is not their holder: left behind by the last run, or about
//! to be refused.

use std::time::Duration;

use qc_fleet::{Fate, LeftOver, judge_left_over};
use qc_process::Identity;
use qc_supervise::Id;

use super::Runtime;

/// How long a lock may be kept open by a program that is not known to be left over: it may be about
/// to be refused, or to become the lock's holder.
const OPEN_TIMEOUT: Duration = Duration::from_secs(1);

impl Runtime<'_> {
    /// Handles a held lock without a known living holder. What has it open
    /// and can't be ended blocks the component; returns whether it does.
    pub(super) fn is_kept_open(&mut self, id: Id, generation: u32) -> bool {
        let Some(component) = self.roster.get(id) else { return false };
        let openers = self.locks.openers(&component.request());
        if openers.is_empty() {
            return false;
        }
        let name = component.name.to_string();
        let last = self.last_pid(id);
        let pids = openers.iter().map(|one| (one.pid, name.clone())).collect();
        let spared = self.spared_of_left_over().unwrap_or_default();
        let held = self.locks.list().unwrap_or_default();
        let judged = judge_left_over(&self.fleet, &pids, &spared, &held).unwrap_or_default();
        // A session lasts as long as any process is in it, and each run begins one.
        let is_of_last = |one: &LeftOver| last.is_some() && one.process.session == last;
        let (left, others): (Vec<LeftOver>, Vec<LeftOver>) =
            judged.into_iter().partition(|one| one.fate == Fate::Ends && is_of_last(one));
        if !left.is_empty() {
            return self.end_left_over(id, generation, left);
        }
        let now = self.now();
        let Some(live) = self.live_mut(id) else { return false };
        let since = *live.lock_open_since.get_or_insert(now);
        if others.is_empty() || now < since + OPEN_TIMEOUT {
            return false;
        }
        let why = format!(
            "its lock is kept open by {}",
            others.iter().map(kept_by).collect::<Vec<_>>().join(", ")
        );
        let identities: Vec<Identity> =
            others.iter().map(|one| one.process.identity.clone()).collect();
        self.block(id, generation, &identities, &why)
    }
}

/// Says which program keeps a lock open, and why it is not ended.
fn kept_by(one: &LeftOver) -> String {
    match &one.fate {
        Fate::Ends => one.text(),
        Fate::Copy(of) => format!("{}, a copy of {of}", one.text()),
        Fate::Spared(what) => format!("{}, {what}, which is never stopped", one.text()),
    }
}

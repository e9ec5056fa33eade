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
        let judged = self.judged_openers(id);
        if judged.is_empty() {
            return false;
        }
        let last = self.last_pid(id);
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
        if now < since + OPEN_TIMEOUT {
            return false;
        }
        let (identities, why) = kept_open(&others);
        self.block(id, generation, &identities, &why)
    }

    /// Returns what has the lock of a component open, and says so; `None` if nothing has.
    pub(super) fn openers_left(&self, id: Id) -> Option<(Vec<Identity>, String)> {
        Some(self.judged_openers(id)).filter(|it| !it.is_empty()).map(|it| kept_open(&it))
    }

    fn judged_openers(&self, id: Id) -> Vec<LeftOver> {
        let Some(component) = self.roster.get(id) else { return Vec::new() };
        let name = component.name.to_string();
        let openers = self.locks.openers(&component.request());
        let pids = openers.iter().map(|one| (one.pid, name.clone())).collect();
        let spared = self.spared_of_left_over().unwrap_or_default();
        let held = self.locks.list().unwrap_or_default();
        judge_left_over(&self.fleet, &pids, &spared, &held).unwrap_or_default()
    }
}

/// Returns the processes that keep a lock open, and says so.
fn kept_open(left: &[LeftOver]) -> (Vec<Identity>, String) {
    let texts: Vec<String> = left.iter().map(kept_by).collect();
    let identities = left.iter().map(|one| one.process.identity.clone()).collect();
    (identities, format!("its lock is kept open by {}", texts.join(", ")))
}

/// Says which program keeps a lock open, and why it is not ended.
fn kept_by(one: &LeftOver) -> String {
    match &one.fate {
        Fate::Ends => one.text(),
        Fate::Copy(of) => format!("{}, a copy of {of}", one.text()),
        Fate::Spared(what) => format!("{}, {what}, which is never stopped", one.text()),
    }
}

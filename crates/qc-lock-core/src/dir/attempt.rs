//! One try to take a lock: what is free, what is held, and by whom.

use std::io;
use std::time::Duration;

use qc_process::{here, liveness, own_identity};

use super::{LockDir, latched};
use crate::guard::Guard;
use crate::judge::{Holder, PidOwner, Verdict, judge};
use crate::record::ParsedRecord;
use crate::store::RecordFile;
use crate::{LockError, Record, Request, Resource};

/// How long a record may take to appear after its guard was locked.
const SETTLE: Duration = Duration::from_millis(250);

/// How long Windows may take to free the guard of a process that has ended.
const LATE_RELEASE: Duration = Duration::from_secs(2);

/// One try to take a lock.
pub(super) enum Attempt {
    Taken(Vec<Guard>, Vec<RecordFile>),
    /// Held for certain.
    Held(LockError),
    /// Held, but by whom may show in a moment, or the lock may come free: look again until `patience`.
    Unclear(LockError, Duration),
}

impl LockDir {
    /// Tries once to take all guards, and judges the records that are there.
    pub(super) fn attempt(&self, request: &Request) -> Result<Attempt, LockError> {
        let resources = request.to_take();
        let mut guards = Vec::with_capacity(resources.len());
        for resource in &resources {
            match self.take_guard(resource) {
                Ok(Some(guard)) => guards.push(guard),
                Ok(None) => return self.explain(request, resource),
                Err(error) => return self.explain_denied(request, resource, error),
            }
        }
        for (resource, guard) in resources.iter().zip(&mut guards) {
            if resource.is_machine_wide() && !self.take_machine(resource, guard)? {
                return Ok(elsewhere(request, resource));
            }
        }
        // Looked at with the guards in hand; and once more when the record is there, for a latch
        // that is set in between.
        if let Some(latch) = self.latch_on(resources.iter().map(Resource::as_str)) {
            return Ok(Attempt::Held(latched(request.name.as_str(), latch)));
        }
        let mut left_over = Vec::new();
        for found in self.records_of(request, &resources)? {
            let theirs = found.resources();
            let is_theirs = |ours: &&Resource| theirs.iter().any(|one| one == ours.as_str());
            let Some(at) = resources.iter().position(|one| is_theirs(&one)) else { continue };
            match refusal(request, &resources[at], &guards[at], &found) {
                Some(refused) => return Ok(refused),
                None => left_over.push(found),
            }
        }
        Ok(Attempt::Taken(guards, left_over))
    }

    /// Reads the records that can be about what is asked for.
    fn records_of(
        &self,
        request: &Request,
        resources: &[Resource],
    ) -> Result<Vec<RecordFile>, LockError> {
        match resources {
            [_name] if self.is_listed_alone(request.name.as_str()) => {
                Ok(self.store.find(request.name.as_str()).into_iter().collect())
            }
            _ => self.records_about(resources),
        }
    }

    pub(crate) fn take_guard(&self, resource: &Resource) -> Result<Option<Guard>, LockError> {
        let path = self.store.guard(resource);
        Guard::take(&path).map_err(|source| LockError::Guard { path, source })
    }

    fn take_machine(&self, resource: &Resource, guard: &mut Guard) -> Result<bool, LockError> {
        guard
            .take_machine(&resource.guard_file())
            .map_err(|source| LockError::Guard { path: self.store.guard(resource), source })
    }

    /// Reads the records that can be about `resources`. One that is about a name bears the name, so
    /// that a lock on a name alone costs the same however many others there are.
    fn records_about(&self, resources: &[Resource]) -> Result<Vec<RecordFile>, LockError> {
        self.store.records_here(|name| resources.iter().any(|resource| resource.may_be_of(name)))
    }

    /// Whether a record of `name` can only be found under it as it is written: none was listed under
    /// that name in another case.
    fn is_listed_alone(&self, name: &str) -> bool {
        let is_other = |other: &String| other != name && other.eq_ignore_ascii_case(name);
        self.listed.as_ref().is_some_and(|listed| !listed.iter().any(is_other))
    }

    /// Names the holder of `resource` where we are denied its guard: whoever may not lock it may still
    /// see who has.
    fn explain_denied(
        &self,
        request: &Request,
        resource: &Resource,
        error: LockError,
    ) -> Result<Attempt, LockError> {
        let is_denied = matches!(&error, LockError::Guard { source, .. } if source.kind() == io::ErrorKind::PermissionDenied);
        match self.explain(request, resource) {
            Ok(held @ Attempt::Held(_)) if is_denied => Ok(held),
            _ => Err(error),
        }
    }

    /// Finds out who holds `resource`.
    fn explain(&self, request: &Request, resource: &Resource) -> Result<Attempt, LockError> {
        let records = self.records_about(std::slice::from_ref(resource))?;
        let listing = records
            .iter()
            .filter(|found| found.resources().iter().any(|one| one == resource.as_str()))
            .map(|found| (Holder::of(&found.reading), verdict(&found.reading)));
        // The dead may have left a record that lists it, too; the living count first.
        let is_dead = |(_, verdict): &(_, _)| matches!(verdict, Verdict::Stale | Verdict::Corrupt);
        let unknown = |name: Option<String>, patience| {
            let has_ended = name.is_some();
            let holder = Holder { name, has_ended, ..Holder::default() };
            Attempt::Unclear(held(request, resource, holder, false), patience)
        };
        Ok(match listing.min_by_key(is_dead) {
            Some((holder, verdict @ (Verdict::Held | Verdict::HeldByOld | Verdict::Foreign))) => {
                Attempt::Held(held(request, resource, holder, verdict == Verdict::Foreign))
            }
            // Still locked although the one who is named has ended: a new holder is writing its
            // record, the system is late, or a process that it started has inherited the lock.
            Some((dead, Verdict::Stale)) => unknown(dead.name, LATE_RELEASE),
            Some((_, Verdict::Corrupt)) | None => unknown(None, SETTLE),
        })
    }
}

/// Names who holds `resource` on this machine although no process does in this lock directory. One who has
/// just been killed still has it for a moment.
fn elsewhere(request: &Request, resource: &Resource) -> Attempt {
    Attempt::Unclear(held(request, resource, holder_elsewhere(resource), false), SETTLE)
}

/// Returns what is said of the holder of `resource` on this machine.
pub(super) fn holder_elsewhere(resource: &Resource) -> Holder {
    let guard = resource.guard_file();
    let holders = qc_process::machine_holders().unwrap_or_default();
    let living = holders.into_iter().find(|holder| holder.guard == guard);
    let pid = living.as_ref().map(|found| found.pid);
    // A child of an ended holder may have inherited the guard.
    let found = living.or_else(|| qc_process::machine_taker(&guard));
    Holder {
        pid,
        name: found.as_ref().map(|found| found.name.clone()),
        elsewhere: Some(found.and_then(|found| found.folder)),
        ..Holder::default()
    }
}

/// Returns why a record refuses a lock whose guards are all in hand; `None` if it is left over.
///
/// No speaker of this protocol holds any of it. What is there comes from the dead, from the old
/// module, from another machine, or from a process that lost its guards.
fn refusal(
    request: &Request,
    resource: &Resource,
    guard: &Guard,
    found: &RecordFile,
) -> Option<Attempt> {
    let held_by = |holder, foreign| held(request, resource, holder, foreign);
    let holder = || Holder::of(&found.reading);
    let is_ours = |record: &Record| record.identity() == *own_identity();
    match (verdict(&found.reading), &found.reading) {
        (Verdict::Held, ParsedRecord::Record(record)) if is_ours(record) => None,
        // A process that is ending frees its guards a moment before it is gone. One that has lost
        // them in another way is still there when that moment is over.
        (Verdict::Held, ParsedRecord::Record(_)) => {
            Some(Attempt::Unclear(held_by(holder(), false), SETTLE))
        }
        (Verdict::Held | Verdict::HeldByOld, _) => Some(Attempt::Held(held_by(holder(), false))),
        // One of another container on this machine can't be seen, but it had this very guard, and would
        // have it still.
        (Verdict::Foreign, ParsedRecord::Record(record))
            if record.is_guard(here(), resource.as_str(), guard.id().as_deref()) =>
        {
            None
        }
        (Verdict::Foreign, _) => Some(Attempt::Held(held_by(holder(), true))),
        // An old module may be writing it right now.
        (Verdict::Corrupt, _) if found.age() < SETTLE => {
            Some(Attempt::Unclear(held_by(Holder::default(), false), SETTLE * 2))
        }
        (Verdict::Stale | Verdict::Corrupt, _) => None,
    }
}

/// Judges a record by what this system knows.
pub(crate) fn verdict(reading: &ParsedRecord) -> Verdict {
    judge(reading, here(), liveness, pid_owner)
}

/// Looks at the process that has `pid` now.
pub(crate) fn pid_owner(pid: u32) -> PidOwner {
    let Ok(Some(process)) = qc_process::describe(pid) else {
        let absent = qc_process::identity_of(pid)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        return if absent { PidOwner::Absent } else { PidOwner::Hidden };
    };
    let file = |path: &String| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
    let program = process.exe.as_ref().map(|exe| file(&exe.to_string_lossy().into_owned()));
    PidOwner::Seen {
        program,
        files: process.args.iter().map(file).collect(),
        since: chrono::DateTime::<chrono::Local>::from(process.since).fixed_offset(),
    }
}

fn held(request: &Request, resource: &Resource, holder: Holder, foreign: bool) -> LockError {
    LockError::Held {
        name: request.name.clone(),
        resource: resource.clone(),
        holder: Box::new(holder),
        foreign,
    }
}

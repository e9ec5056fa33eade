//! A lock whose guards are taken: its record, and what it has reclaimed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use qc_process::{MachineGuard, here};

use super::LockDir;
use crate::guard::Guard;
use crate::judge::Holder;
use crate::lock::{Lock, Reclaimed};
use crate::record::ParsedRecord;
use crate::store::RecordFile;
use crate::time::now;
use crate::{LockError, Record, Request, Resource};

impl LockDir {
    /// Makes the lock of these guards; `left_over` are the records that stand in its way.
    pub(super) fn prepare(
        &self,
        request: &Request,
        guards: Vec<Guard>,
        left_over: Vec<RecordFile>,
    ) -> Result<Lock, LockError> {
        let here = here();
        let record = Record {
            // The holder is filled in once it is known.
            pid: 0,
            name: request.name.to_string(),
            account: request.account.as_ref().map(ToString::to_string),
            timestamp: now(),
            host: here.name.clone(),
            version: 1,
            started: 0,
            boot_id: here.boot_id.clone(),
            pid_namespace: here.pid_namespace,
            resources: request.resources().iter().map(ToString::to_string).collect(),
            wrapper_pid: None,
            user: Some(here.user.clone()),
            program: Some(request.program.as_deref().unwrap_or(self.program()).to_owned()),
            token: None,
            guards: ids_of(request, &guards),
            machine: machine_guards(request, &guards),
        };
        let mut reclaimed = Vec::new();
        for found in
            left_over.iter().filter(|found| found.name.eq_ignore_ascii_case(request.name.as_str()))
        {
            // The same lock in another case, whose file the new record may not replace.
            if found.name != record.name {
                self.store.remove(&found.path)?;
            }
            reclaimed.push(Reclaimed {
                holder: Holder::of(&found.reading),
                corrupt: corrupt(&found.reading),
            });
        }
        let lock = Lock::new(self.clone(), record, guards, reclaimed);
        Ok(if request.without_record { lock.without_record() } else { lock })
    }
}

/// Returns which file each guard is, where the system tells.
fn ids_of(request: &Request, guards: &[Guard]) -> Option<BTreeMap<String, String>> {
    let resources = request.to_take();
    let ids = resources.iter().zip(guards);
    ids.map(|(resource, guard)| Some((resource.to_string(), guard.id()?))).collect()
}

/// Returns which guards are held on the whole machine; `None` where none is asked for.
fn machine_guards(request: &Request, guards: &[Guard]) -> Option<Box<[String]>> {
    let wide: HashSet<String> = request
        .resources()
        .iter()
        .filter(|one| one.is_machine_wide())
        .map(Resource::guard_file)
        .collect();
    if wide.is_empty() {
        return None;
    }
    let is_held = |guard: &Guard| guard.machine().is_some_and(MachineGuard::holds);
    let taken = request.to_take().into_iter().zip(guards).filter(|(_, guard)| is_held(guard));
    let taken = taken.map(|(resource, _)| resource.guard_file());
    let handed_down = request.handed_down.iter().filter_map(|record| record.machine.as_deref());
    let all = taken.chain(handed_down.flatten().cloned());
    let held: BTreeSet<String> = all.filter(|guard| wide.contains(guard)).collect();
    Some(held.into_iter().collect())
}

fn corrupt(reading: &ParsedRecord) -> Option<String> {
    match reading {
        ParsedRecord::Corrupt(reason) => Some(reason.clone()),
        ParsedRecord::Record(_) | ParsedRecord::Old(_) | ParsedRecord::Hidden(_) => None,
    }
}

//! The lock directory, and how a lock in it is taken.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use qc_process::{Identity, here, identity_of, liveness, own_identity};

use crate::guard::Guard;
use crate::judge::{Holder, Suspect, Verdict, judge};
use crate::lock::{Lock, LockForChild, Reclaimed};
use crate::record::{self, Reading};
use crate::store::{Found, Store};
use crate::{Entry, Event, History, Latch, LockError, Record, Request, Resource, history};

/// How long a record may take to appear after its guard was locked.
const SETTLE: Duration = Duration::from_millis(250);

/// How long Windows may take to free the guard of a process that has ended.
const LATE_RELEASE: Duration = Duration::from_secs(2);

/// The first pause between two looks; each is twice the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A folder of locks.
#[derive(Debug, Clone)]
pub struct LockDir {
    pub(crate) store: Store,
    program: Option<String>,
    /// The names of the records, where they were listed for many locks together.
    listed: Option<Arc<[String]>>,
}

/// One try to take a lock.
enum Attempt {
    Taken(Vec<Guard>, Vec<Found>),
    /// Held for certain.
    Held(LockError),
    /// Held, but by whom may show in a moment, or the lock may come free: look again until `patience`.
    Unclear(LockError, Duration),
}

impl LockDir {
    /// Uses the folder `path`, which is made when the first lock is taken.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { store: Store::new(path.into()), program: None, listed: None }
    }

    /// Sets the name under which this program stands in records and in the history. Without it,
    /// that is its file name.
    pub fn by(self, program: impl Into<String>) -> Self {
        Self { program: Some(program.into()), ..self }
    }

    /// Returns the same folder for taking many locks right after one another: its records are listed
    /// now, and not once more for each lock on a name alone.
    ///
    /// A record that appears later is found by the lock's name all the same. One under that name in
    /// another case is not, where the file system tells the two apart: only the old module can write
    /// such a one while the lock is free.
    ///
    /// # Errors
    /// [`LockError::Directory`].
    pub fn listed(&self) -> Result<Self, LockError> {
        Ok(Self { listed: Some(self.store.names()?.into()), ..self.clone() })
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        self.store.dir()
    }

    /// Takes a lock, all it asks for or nothing.
    ///
    /// # Errors
    /// [`LockError::Held`] if somebody else holds it, [`LockError::Latched`] if every start is
    /// forbidden, or the error that kept it from being taken.
    /// In every case of doubt the lock is not taken.
    pub fn acquire(&self, request: &Request) -> Result<Lock, LockError> {
        loop {
            let mut lock = self.take(request)?;
            if lock.write_record(own_known_identity()?)? {
                lock.tell_acquired();
                return Ok(lock);
            }
            // A guard was deleted while the lock was being taken: it is not taken yet.
        }
    }

    /// Takes a lock for a child that is still to be started, and that will be named as its holder.
    ///
    /// # Errors
    /// As [`LockDir::acquire`].
    pub fn acquire_for_child(&self, request: &Request) -> Result<LockForChild, LockError> {
        self.take(request).map(LockForChild::new)
    }

    /// Takes the guards of a lock; nobody is named as its holder yet.
    pub(crate) fn take(&self, request: &Request) -> Result<Lock, LockError> {
        self.store.create()?;
        let began = Instant::now();
        let mut pause = PAUSE;
        loop {
            let (error, patience) = match self.attempt(request)? {
                Attempt::Taken(guards, left_over) => {
                    return self.prepare(request, guards, left_over);
                }
                Attempt::Held(error) => (error, Duration::ZERO),
                Attempt::Unclear(error, _) if request.at_once => return Err(error),
                Attempt::Unclear(error, patience) => (error, patience),
            };
            if began.elapsed() >= patience.max(request.wait) {
                self.tell_blocked(&error);
                return Err(error);
            }
            thread::sleep(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Returns what the history tells.
    ///
    /// # Errors
    /// [`LockError::History`].
    pub fn history(&self) -> Result<History, LockError> {
        let path = self.store.history();
        history::read(&path).map_err(|source| LockError::History { path, source })
    }

    /// Adds a line to the history.
    ///
    /// # Errors
    /// [`LockError::History`], or [`LockError::Directory`].
    pub fn append(&self, entry: &Entry) -> Result<(), LockError> {
        self.store.create()?;
        self.append_here(entry)
    }

    /// Adds several lines to the history, with one write.
    ///
    /// # Errors
    /// [`LockError::History`], or [`LockError::Directory`].
    pub fn append_all(&self, entries: &[Entry]) -> Result<(), LockError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.store.create()?;
        let path = self.store.history();
        history::append(&path, &self.store.history_guard(), entries)
            .map_err(|source| LockError::History { path, source })
    }

    /// Adds one line where the directories have just been made or used.
    pub(crate) fn append_here(&self, entry: &Entry) -> Result<(), LockError> {
        let path = self.store.history();
        history::append(&path, &self.store.history_guard(), std::slice::from_ref(entry))
            .map_err(|source| LockError::History { path, source })
    }

    /// Makes a history line that this program writes.
    pub fn entry(&self, event: Event, name: impl Into<String>) -> Entry {
        Entry::new(event, name, self.program())
    }

    fn program(&self) -> &str {
        self.program.as_deref().unwrap_or_else(|| own_program())
    }

    fn attempt(&self, request: &Request) -> Result<Attempt, LockError> {
        let resources = request.resources();
        let mut guards = Vec::with_capacity(resources.len());
        for resource in &resources {
            match self.take_guard(resource)? {
                Some(guard) => guards.push(guard),
                None => return self.explain(request, resource),
            }
        }
        // Looked at with the guards in hand; and once more when the record is there, for a latch
        // that is set in between.
        if let Some(latch) = self.latch() {
            return Ok(Attempt::Held(latched(request.name.as_str(), latch)));
        }
        // Nobody who speaks this protocol holds any of it. What is left over comes from the dead,
        // from the old module, from another machine, or from somebody who lost his guards.
        let records = match &resources[..] {
            [_name] if self.is_listed_alone(request.name.as_str()) => {
                self.store.find(request.name.as_str()).into_iter().collect()
            }
            _ => self.records_about(&resources)?,
        };
        let mut left_over = Vec::new();
        for found in records {
            let theirs = found.resources();
            let Some(resource) =
                resources.iter().find(|resource| theirs.iter().any(|one| one == resource.as_str()))
            else {
                continue;
            };
            let is_ours = matches!(&found.reading, Reading::Record(record) if record.identity() == *own_identity());
            match verdict(&found.reading) {
                Verdict::Held if is_ours => left_over.push(found),
                // A process that is ending frees its guards a moment before it is gone. One that
                // has lost them in another way is still there when that moment is over.
                Verdict::Held if matches!(found.reading, Reading::Record(_)) => {
                    return Ok(Attempt::Unclear(
                        held(request, resource, Holder::of(&found.reading), false),
                        SETTLE,
                    ));
                }
                Verdict::Held | Verdict::HeldByOld => {
                    return Ok(Attempt::Held(held(
                        request,
                        resource,
                        Holder::of(&found.reading),
                        false,
                    )));
                }
                Verdict::Foreign => {
                    return Ok(Attempt::Held(held(
                        request,
                        resource,
                        Holder::of(&found.reading),
                        true,
                    )));
                }
                // An old module may be writing it right now.
                Verdict::Corrupt if found.age < SETTLE => {
                    return Ok(Attempt::Unclear(
                        held(request, resource, Holder::default(), false),
                        SETTLE * 2,
                    ));
                }
                Verdict::Stale | Verdict::Corrupt => left_over.push(found),
            }
        }
        Ok(Attempt::Taken(guards, left_over))
    }

    pub(crate) fn take_guard(&self, resource: &Resource) -> Result<Option<Guard>, LockError> {
        let path = self.store.guard(resource);
        Guard::take(&path).map_err(|source| LockError::Guard { path, source })
    }

    /// Reads the records that can be about `resources`. One that is about a name bears the name, so
    /// that a lock on a name alone costs the same however many others there are.
    fn records_about(&self, resources: &[Resource]) -> Result<Vec<Found>, LockError> {
        self.store.records_here(|name| resources.iter().any(|resource| resource.may_be_of(name)))
    }

    /// Whether a record of `name` can only be found under it as it is written: none was listed under
    /// that name in another case.
    fn is_listed_alone(&self, name: &str) -> bool {
        let is_other = |other: &String| other != name && other.eq_ignore_ascii_case(name);
        self.listed.as_ref().is_some_and(|listed| !listed.iter().any(is_other))
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
        let unknown = |patience| {
            Attempt::Unclear(held(request, resource, Holder::default(), false), patience)
        };
        Ok(match listing.min_by_key(is_dead) {
            Some((holder, verdict @ (Verdict::Held | Verdict::HeldByOld | Verdict::Foreign))) => {
                Attempt::Held(held(request, resource, holder, verdict == Verdict::Foreign))
            }
            // Still locked although the one who is named has ended: a new holder is writing its
            // record, the system is late, or a process that it started has inherited the lock.
            Some((_, Verdict::Stale)) => unknown(LATE_RELEASE),
            Some((_, Verdict::Corrupt)) | None => unknown(SETTLE),
        })
    }

    fn prepare(
        &self,
        request: &Request,
        guards: Vec<Guard>,
        left_over: Vec<Found>,
    ) -> Result<Lock, LockError> {
        let here = here();
        let record = Record {
            // Who holds it is put in when that is known.
            pid: 0,
            name: request.name.to_string(),
            account: request.account.as_ref().map(ToString::to_string),
            timestamp: record::now(),
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
        Ok(Lock::new(self.clone(), record, guards, reclaimed))
    }

    pub(crate) fn tell_blocked(&self, error: &LockError) {
        let (name, account, detail) = match error {
            LockError::Held { name, holder, .. } => {
                (name.as_str(), holder.account.clone(), format!("held by {holder}"))
            }
            LockError::Latched { name, latch } => {
                (name.as_str(), None, format!("every start is forbidden: {latch}"))
            }
            LockError::Latch { .. }
            | LockError::Directory { .. }
            | LockError::Guard { .. }
            | LockError::Record { .. }
            | LockError::History { .. }
            | LockError::Identity { .. } => return,
        };
        let entry = self.entry(Event::Blocked, name).account(account);
        // The refusal itself is what counts, and it is returned.
        let _ = self.append(&entry.pid(Some(std::process::id())).detail(detail));
    }
}

/// Returns the identity of this process, once the system tells it.
fn own_known_identity() -> Result<&'static Identity, LockError> {
    if own_identity().started == 0 {
        identity_of(std::process::id()).map_err(|source| LockError::Identity { source })?;
    }
    Ok(own_identity())
}

/// Returns this program's file name without its ending.
fn own_program() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(|| {
        let exe = std::env::current_exe().ok();
        let stem = exe.as_deref().and_then(Path::file_stem);
        stem.map_or_else(|| "unknown".into(), |stem| stem.to_string_lossy().into_owned())
    })
}

/// Judges a record by what this system knows.
pub(crate) fn verdict(reading: &Reading) -> Verdict {
    judge(reading, here(), liveness, suspect)
}

fn suspect(pid: u32) -> Suspect {
    let Ok(Some(process)) = qc_process::describe(pid) else {
        let absent = qc_process::identity_of(pid)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        return if absent { Suspect::Absent } else { Suspect::Hidden };
    };
    let file = |path: &String| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
    let program = file(&process.name).to_lowercase();
    Suspect::Seen {
        is_python: program.starts_with("py"),
        files: process.args.iter().map(file).collect(),
        since: chrono::DateTime::<chrono::Local>::from(process.since).fixed_offset(),
    }
}

fn corrupt(reading: &Reading) -> Option<String> {
    match reading {
        Reading::Corrupt(reason) => Some(reason.clone()),
        Reading::Record(_) | Reading::Old(_) | Reading::Hidden(_) => None,
    }
}

pub(crate) fn latched(name: &str, latch: Latch) -> LockError {
    LockError::Latched { name: name.to_owned(), latch: Box::new(latch) }
}

fn held(request: &Request, resource: &Resource, holder: Holder, foreign: bool) -> LockError {
    LockError::Held {
        name: request.name.clone(),
        resource: resource.clone(),
        holder: Box::new(holder),
        foreign,
    }
}

#[cfg(test)]
mod tests;

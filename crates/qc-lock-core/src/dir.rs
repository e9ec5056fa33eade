//! The lock directory, and how a lock in it is taken.

mod attempt;
mod events;
mod prepared;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use qc_process::{Identity, MachineGuard, describe, identity_of, own_identity};

use self::attempt::{Attempt, holder_elsewhere};
use crate::guard::Guard;
use crate::judge::Holder;
use crate::lock::{Lock, LockForChild};
use crate::openers::openers_on_machine;
use crate::store::Store;
use crate::{Latch, LockError, LockName, Record, Request, Resource, TOKEN_VARIABLE};

pub(crate) use self::attempt::{pid_owner, verdict};

/// The first pause between two looks; each is twice the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How long is waited before that is said.
const LONG_WAIT: Duration = Duration::from_millis(500);

/// A folder of locks.
#[derive(Debug, Clone)]
pub struct LockDir {
    pub(crate) store: Store,
    program: Option<String>,
    /// Hears what is waited for.
    on_wait: Option<fn(&LockError, Duration)>,
    /// The names of the records, where they were listed for many locks together.
    listed: Option<Arc<[String]>>,
}

impl LockDir {
    /// Uses the folder `path`, which is made when the first lock is taken.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { store: Store::new(path.into()), program: None, on_wait: None, listed: None }
    }

    /// Sets the name under which this program stands in records and in the history. Without it,
    /// that is its file name.
    pub fn by(self, program: impl Into<String>) -> Self {
        Self { program: Some(program.into()), ..self }
    }

    /// Sets what is called, once, when a lock has been waited for half a second: with the refusal as it
    /// is so far, and for how long the lock is waited for in all.
    pub fn on_wait(self, on_wait: fn(&LockError, Duration)) -> Self {
        Self { on_wait: Some(on_wait), ..self }
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

    /// Returns the folder whose locks these are.
    pub(crate) fn root(&self) -> PathBuf {
        let path = std::path::absolute(self.path()).unwrap_or_else(|_| self.path().into());
        path.parent().map_or(path.clone(), Path::to_path_buf)
    }

    /// Returns the file that carries the lock of `name`, whether or not it is there.
    pub fn guard_of(&self, name: &LockName) -> PathBuf {
        self.store.guard(&Resource::name(name))
    }

    /// Takes a lock, all it asks for or nothing.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process holds it, [`LockError::Latched`] if every start is
    /// forbidden, or the error that kept it from being taken.
    /// In every case of doubt the lock is not taken.
    pub fn acquire(&self, request: &Request) -> Result<Lock, LockError> {
        loop {
            let mut lock = self.take(request)?;
            if lock.write_record(own_known_identity()?)? {
                lock.record_acquired();
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

    /// Takes the guards of a lock, which has no named holder yet.
    pub(crate) fn take(&self, request: &Request) -> Result<Lock, LockError> {
        self.store.create()?;
        let began = Instant::now();
        let mut pause = PAUSE;
        let mut on_wait = self.on_wait;
        loop {
            let (error, patience) = match self.attempt(request)? {
                Attempt::Taken(guards, left_over) => {
                    return self.prepare(request, guards, left_over);
                }
                Attempt::Held(error) => (error, Duration::ZERO),
                Attempt::Unclear(error, _) if request.at_once => return Err(error),
                Attempt::Unclear(error, patience) => (error, patience),
            };
            let patience = patience.max(request.wait);
            if began.elapsed() >= patience {
                let error = self.with_who_has_it_open(error);
                self.record_blocked(&error);
                return Err(error);
            }
            if let Some(on_wait) = on_wait.take_if(|_| began.elapsed() >= LONG_WAIT) {
                on_wait(&error, patience);
            }
            thread::sleep(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Adds which processes have the guard open, where no record says who holds the lock: it may be
    /// what an ended holder had started, and that has inherited the guard.
    fn with_who_has_it_open(&self, error: LockError) -> LockError {
        match error {
            LockError::Held { name, resource, holder, foreign }
                if holder.pid.is_none() && holder.hidden.is_none() =>
            {
                let holder = match holder.elsewhere {
                    None => self.with_openers_here(*holder, &name, &resource),
                    Some(_) => {
                        let open_in = openers_on_machine(&resource);
                        // After that, or it would name the last holder beside the processes of the next:
                        // one that has ended is named as long as a process has its guard.
                        match holder_elsewhere(&resource) {
                            living if living.pid.is_some() => living,
                            ended => Holder { open_in, ..ended },
                        }
                    }
                };
                LockError::Held { name, resource, holder: Box::new(holder), foreign }
            }
            other => other,
        }
    }

    /// Adds the same to a holder of a guard in this folder.
    fn with_openers_here(&self, holder: Holder, asked: &LockName, resource: &Resource) -> Holder {
        let open_in = self.openers_of_resource(resource);
        let is_of_another = holder.name.is_none() && *resource != Resource::name(asked);
        let name = match is_of_another {
            true => self.name_of_openers(resource, &open_in),
            false => holder.name.clone(),
        };
        Holder { open_in, name, ..holder }
    }

    /// Claims the lock that a wrapper holds for this process, or for its parent, if that `is_wrapper` by
    /// the name of its program: it started this process in its place. Returns the lock's record. The token
    /// stays good for what this process starts in its turn, see *A lock held for a child* in the protocol.
    pub fn handed_down(&self, is_wrapper: impl Fn(&str) -> bool) -> Option<Record> {
        let token = std::env::var(TOKEN_VARIABLE).ok()?;
        let name: LockName = token.split_once('/')?.0.parse().ok()?;
        let found = || self.record(&name).filter(|record| record.token.as_ref() == Some(&token));
        found()?;
        // Of two that a shell starts at once, one gets it.
        let _guard = self.claim_guard()?;
        let record = found()?;
        let own = own_identity();
        if record.identity() == *own {
            return Some(record);
        }
        let parent = describe(describe(own.pid).ok()??.parent?).ok()??;
        let is_its = parent.identity == record.identity() && is_wrapper(&parent.name);
        let claimed = Record { pid: own.pid, started: own.started, ..record };
        (is_its && self.store.write(&claimed).is_ok()).then_some(claimed)
    }

    /// Takes the guard of claims, which is held for a moment only.
    fn claim_guard(&self) -> Option<Guard> {
        let began = Instant::now();
        loop {
            match Guard::take(&self.store.guard_at("claim")) {
                Ok(None) if began.elapsed() < LONG_WAIT => thread::sleep(PAUSE),
                taken => return taken.ok()?,
            }
        }
    }

    /// Takes those of the machine's guards of `request` that are free, for its living `holder`, and names
    /// it. It lacks them if it was started under a version that knew none, or has closed what it had
    /// inherited; the caller keeps them until it has ended.
    pub fn cover(&self, request: &Request, holder: &Identity) -> Vec<MachineGuard> {
        let wide = request.resources().into_iter().filter(Resource::is_machine_wide);
        // One that can't be taken now changes nothing for the holder.
        let free = wide.filter_map(|one| MachineGuard::take(&one.guard_file()).ok().flatten());
        free.inspect(|guard| guard.name_holder(holder, request.name.as_str(), &self.root()))
            .collect()
    }

    fn program(&self) -> &str {
        self.program.as_deref().unwrap_or_else(|| own_program())
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

pub(crate) fn latched(name: &str, latch: Latch) -> LockError {
    LockError::Latched { name: name.to_owned(), latch: Box::new(latch) }
}

#[cfg(test)]
mod tests;

//! Where a drill takes place: a folder in the system's temporary place, and the locks in it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::Failure;
use qc_fleet::CONFIG_FILE;
use qc_lock_core::{LockDir, LockError, LockName, Request};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::child::DrillChild;
use super::no_sandbox;
use super::outcome::{Miss, failed};

/// The expected behaviour differs between Windows and Unix; each row states both.
pub(crate) const ON_WINDOWS: bool = cfg!(windows);

/// How long a folder may be in use by programs that have just ended, and by virus scanners.
const CLEARING: Duration = Duration::from_secs(5);

/// The ground of a drill.
#[derive(Debug)]
pub(crate) struct Sandbox {
    folder: TempDir,
    /// This program, which plays every part.
    pub(crate) program: PathBuf,
    parts: AtomicU32,
    interrupted: Arc<AtomicBool>,
}

impl Sandbox {
    /// Makes the folder. From here on Ctrl-C ends the drill after the row that is tried.
    pub(crate) fn new() -> Result<Self, Failure> {
        let place = std::path::absolute(std::env::temp_dir())?;
        let folder = tempfile::Builder::new()
            .prefix("qc drill ")
            .tempdir_in(&place)
            .map_err(|error| no_sandbox(&error, &place))?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&interrupted);
        qc_process::on_interrupt(move |_| heard.store(true, Ordering::Relaxed))?;
        let program = std::env::current_exe()?;
        Ok(Self { folder, program, parts: AtomicU32::new(0), interrupted })
    }

    /// Returns the folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder `name` in it, made anew.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, Miss> {
        let path = self.path().join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Returns the locks of a fleet of their own.
    pub(crate) fn locks(&self, name: &str) -> Result<LockDir, Miss> {
        Ok(locks_in(&self.folder(name)?))
    }

    /// Whether the user wants the drill to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Starts a child that plays `role`; returns when it is ready.
    pub(crate) fn part<const N: usize>(&self, role: [OsString; N]) -> Result<DrillChild, Miss> {
        self.part_of(&self.program, &[], role)
    }

    /// Does the same with another name of this program, and with words before those of the part.
    pub(crate) fn part_of<const N: usize>(
        &self,
        program: &Path,
        before: &[OsString],
        role: [OsString; N],
    ) -> Result<DrillChild, Miss> {
        let stay = self.stay()?;
        let mut words = before.to_vec();
        words.extend(["drill-part".into(), "--while".into(), stay.clone().into()]);
        words.extend(role);
        DrillChild::start(program, words, self.path(), stay)
    }

    /// Makes a file that children stay as long as.
    fn stay(&self) -> Result<PathBuf, Miss> {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let stay = self.path().join(format!("stay {number}"));
        fs::write(&stay, "")?;
        Ok(stay)
    }

    /// Starts a launcher for the fleet in `root`, whose components `run_child` parts under these
    /// names and write a file when they are asked to stop.
    pub(crate) fn launcher(&self, root: &Path, names: &[&str]) -> Result<DrillChild, Miss> {
        let stay = self.stay()?;
        let component = |name: &&str| {
            let words = [&*self.program, "drill-part".as_ref(), "--while".as_ref(), &*stay];
            let words = words.into_iter().chain(["clean-up".as_ref(), name.as_ref()]);
            let command: Vec<String> = words.map(|word| word.to_string_lossy().into()).collect();
            ((*name).to_owned(), json!({ "command": command, "ready": { "log": "ready" } }))
        };
        let components: Map<String, Value> = names.iter().map(component).collect();
        let config = json!({
            "ACCOUNTS": {},
            "PROCESS_MANAGER": { "server": { "enabled": false }, "components": components },
        });
        fs::write(root.join(CONFIG_FILE), config.to_string())?;
        DrillChild::launch(&self.program, vec!["up".into(), "--announce".into()], root, stay)
    }

    /// Starts a child that holds the lock `name`.
    pub(crate) fn holder(&self, locks: &LockDir, name: &LockName) -> Result<DrillChild, Miss> {
        self.part(["hold".into(), locks.path().into(), name.as_str().into()])
    }

    /// Removes the folder.
    pub(crate) fn clear(self: Arc<Self>) -> Result<(), Failure> {
        let path = self.path().to_path_buf();
        let deadline = Instant::now() + CLEARING;
        loop {
            match fs::remove_dir_all(&path) {
                Err(_) if !path.exists() => return Ok(()),
                Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
                result => return result.map_err(|error| no_sandbox(&error, &path)),
            }
        }
    }
}

/// Returns the locks of the fleet in `root`.
pub(crate) fn locks_in(root: &Path) -> LockDir {
    LockDir::new(root.join(".locks")).by("qc-launch")
}

/// Returns the name of a lock.
pub(crate) fn lock_name(name: &str) -> Result<LockName, Miss> {
    name.parse().or_else(|error| failed(format!("{error}")))
}

/// Sees that the lock is refused to this program.
pub(crate) fn refused(locks: &LockDir, name: &LockName) -> Result<(), Miss> {
    match locks.acquire(&Request::new(name.clone())) {
        Err(LockError::Held { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => failed(format!("a second holder got lock `{name}`")),
    }
}

/// Sees that the lock is free: this program takes it and gives it back.
pub(crate) fn free(locks: &LockDir, name: &LockName) -> Result<(), Miss> {
    Ok(locks.acquire(&Request::new(name.clone()))?.release()?)
}

//! Flags that several tools accept.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use qc_lock_core::{CONFIG_FILE, LOCK_FOLDER, LockDir, find_root};

use crate::exit::print_wait;
use crate::{Exit, Failure, shown, visible};

/// Where the fleet and its locks are.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LocationArgs {
    /// Folder with MASTER_CONFIG.json and the scripts
    ///
    /// Without it, the nearest folder with a MASTER_CONFIG.json, from the current one upward.
    #[arg(long, value_name = "DIR", env = "QC_ROOT", global = true, hide_env_values = true)]
    pub root: Option<PathBuf>,
    /// Config file to read instead of MASTER_CONFIG.json in the root
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Folder of the locks, instead of .locks in the root
    #[arg(long, value_name = "DIR", env = "QC_LOCK_DIR", global = true, hide_env_values = true)]
    pub lock_dir: Option<PathBuf>,
}

/// Where the fleet and its locks are, found.
#[derive(Debug, Clone)]
pub struct Location {
    /// The config file, if there is a fleet.
    config: Result<PathBuf, PathBuf>,
    /// The fleet's folder.
    root: Option<PathBuf>,
    /// The folder of the locks.
    lock_dir: Option<PathBuf>,
}

impl LocationArgs {
    /// Finds the fleet and its locks.
    ///
    /// # Errors
    /// If the folder that was named does not exist, or the current one can't be determined.
    pub fn resolve(&self) -> Result<Location, Failure> {
        let start = match &self.root {
            Some(root) => std::path::absolute(root)?,
            None => std::env::current_dir()?,
        };
        let config = match (&self.config, &self.root) {
            (Some(config), _) => Ok(std::path::absolute(config)?),
            (None, Some(_)) => Ok(start.join(CONFIG_FILE)),
            (None, None) => find_root(&start).map(|root| root.join(CONFIG_FILE)).ok_or(start),
        };
        let root = self.root.as_ref().map(std::path::absolute).transpose()?;
        let root = root.or_else(|| Some(config.as_ref().ok()?.parent()?.to_path_buf()));
        // A misspelt root must not become a second place with locks of its own.
        if let Some(root) = root.as_ref().filter(|root| !root.is_dir()) {
            let hint = "correct --root, --config or QC_ROOT, whichever names it";
            let message = format!("there is no folder {}", shown(root));
            return Err(Failure::new(Exit::Usage, message, hint));
        }
        let lock_dir = match &self.lock_dir {
            Some(dir) => Some(std::path::absolute(dir)?),
            None => root.as_ref().map(|root| root.join(LOCK_FOLDER)),
        };
        Ok(Location { config, root, lock_dir })
    }
}

impl Location {
    /// Returns the config file, which need not exist where it was named.
    ///
    /// # Errors
    /// If there is no fleet here: exit code 2.
    pub fn config(&self) -> Result<&Path, Failure> {
        let hint = "run the command in the fleet's folder, or name it with --root";
        self.config.as_deref().map_err(|start| no_fleet(start, hint))
    }

    /// Returns the fleet's folder, if one was named or found.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Returns the folder of the locks, if one was named or lies in the fleet's.
    pub fn lock_dir(&self) -> Option<&Path> {
        self.lock_dir.as_deref()
    }

    /// Returns where a new config is to be written.
    pub fn new_config(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|start| start.join(CONFIG_FILE))
    }

    /// Returns the folder of the locks.
    ///
    /// # Errors
    /// If neither a fleet nor a folder was named or found: exit code 2.
    pub fn locks(&self) -> Result<LockDir, Failure> {
        match (&self.lock_dir, &self.config) {
            (Some(dir), _) => Ok(LockDir::new(dir).by(own_name()).on_wait(print_wait)),
            (None, Err(start)) => {
                let hint = "run the command in the fleet's folder, or name it with --root, or the locks with --lock-dir";
                Err(no_fleet(start, hint))
            }
            (None, Ok(config)) => Err(Failure::new(
                Exit::Usage,
                format!("{} lies in no folder", shown(config)),
                "name the file",
            )),
        }
    }
}

fn no_fleet(start: &Path, hint: &str) -> Failure {
    let start = visible(&start.display().to_string());
    let message = format!("no {CONFIG_FILE} in {start} or a folder above it");
    Failure::new(Exit::Usage, message, hint)
}

/// Returns the name under which this tool was called.
fn own_name() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_stem().unwrap_or("qc".as_ref());
    name.to_string_lossy().into_owned()
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_need_a_fleet_or_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let args = LocationArgs { root: Some(dir.path().into()), ..LocationArgs::default() };
        let location = args.resolve().unwrap();
        assert_eq!(location.locks().unwrap().path(), dir.path().join(".locks"));

        let missing = LocationArgs { root: Some(dir.path().join("missing")), ..args };
        assert!(missing.resolve().unwrap_err().message().contains("there is no folder"));
    }
}

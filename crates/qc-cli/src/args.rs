//! Flags that several tools accept.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use qc_fleet::{CONFIG_FILE, ConfigError, Fleet, Variables, find_root};
use qc_lock_core::LockDir;

use crate::exit::print_wait;
use crate::{Exit, Failure, shown};

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
            None => root.as_ref().map(|root| root.join(".locks")),
        };
        Ok(Location { config, root, lock_dir })
    }
}

impl Location {
    /// Reads the fleet's config, to look at the fleet or to stop it: an environment variable that
    /// the config names and that is not set here is no reason to refuse.
    ///
    /// # Errors
    /// A [`ConfigError`] as a failure with exit code 2.
    pub fn fleet(&self) -> Result<Fleet, Failure> {
        self.fleet_with(&|name| {
            std::env::var_os(name).or_else(|| Some(format!("${{{name}}}").into()))
        })
    }

    /// Returns the fleet for a view, which a broken config does not blind: what is then known of it
    /// by its usual names, and why its config can't be read.
    ///
    /// # Errors
    /// If there is no fleet at all: exit code 2.
    pub fn fleet_to_show(&self) -> Result<(Fleet, Option<Failure>), Failure> {
        let trouble = match self.fleet() {
            Ok(fleet) => return Ok((fleet, None)),
            Err(trouble) => trouble,
        };
        let folder = self.root.as_deref().or_else(|| self.lock_dir.as_deref()?.parent());
        match folder.map(Fleet::without_config) {
            Some(Ok(fleet)) => Ok((fleet, Some(trouble))),
            Some(Err(_)) | None => Err(trouble),
        }
    }

    /// Reads the fleet's config, to start the fleet.
    ///
    /// # Errors
    /// A [`ConfigError`] as a failure with exit code 2, also for a variable that is not set.
    pub fn fleet_to_start(&self) -> Result<Fleet, Failure> {
        self.fleet_with(&|name| std::env::var_os(name))
    }

    fn fleet_with(&self, variables: Variables<'_>) -> Result<Fleet, Failure> {
        match &self.config {
            Ok(config) => {
                // A config that was named can lie elsewhere.
                let root = self.root.as_deref().or_else(|| config.parent());
                let root = root.ok_or_else(|| ConfigError::NoFolder { path: config.clone() })?;
                Ok(Fleet::load_for(root, config, variables)?)
            }
            Err(start) => Err(ConfigError::Missing { start: start.clone() }.into()),
        }
    }

    /// Returns the fleet's folder, if one was named or found.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
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
                let error = ConfigError::Missing { start: start.clone() };
                let hint = "run the command in the fleet's folder, or name it with --root, or the locks with --lock-dir";
                Err(Failure::from_error(Exit::Usage, &error, hint))
            }
            (None, Ok(config)) => Err(Failure::new(
                Exit::Usage,
                format!("{} lies in no folder", shown(config)),
                "name the file",
            )),
        }
    }
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
        assert!(location.fleet().is_err(), "there is no config");

        let missing = LocationArgs { root: Some(dir.path().join("missing")), ..args };
        assert!(missing.resolve().unwrap_err().message().contains("there is no folder"));
    }
}

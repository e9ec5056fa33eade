//! Flags that several tools accept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use qc_fleet::{CONFIG_FILE, ConfigError, Fleet, find_root};
use qc_lock_core::LockDir;

use crate::{Exit, Failure};

/// Where the fleet and its locks are.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PlaceArgs {
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
pub struct Place {
    /// The config file, if there is a fleet.
    config: Result<PathBuf, PathBuf>,
    /// The fleet's folder.
    root: Option<PathBuf>,
    /// The folder of the locks.
    lock_dir: Option<PathBuf>,
}

impl PlaceArgs {
    /// Finds the fleet and its locks.
    ///
    /// # Errors
    /// If the folder that was named does not exist, or the current one can't be determined.
    pub fn resolve(&self) -> Result<Place, Failure> {
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
            let message = format!("there is no folder {}", root.display());
            return Err(Failure::new(Exit::Usage, message, hint));
        }
        let lock_dir = match &self.lock_dir {
            Some(dir) => Some(std::path::absolute(dir)?),
            None => root.as_ref().map(|root| root.join(".locks")),
        };
        Ok(Place { config, root, lock_dir })
    }
}

impl Place {
    /// Reads the fleet's config.
    ///
    /// # Errors
    /// A [`ConfigError`] as a failure with exit code 2.
    pub fn fleet(&self) -> Result<Fleet, Failure> {
        match &self.config {
            // A config that was named can lie elsewhere.
            Ok(config) => Ok(match &self.root {
                Some(root) => Fleet::load_for(root, config)?,
                None => Fleet::load(config)?,
            }),
            Err(start) => Err(ConfigError::Missing { start: start.clone() }.into()),
        }
    }

    /// Returns the folder of the locks.
    ///
    /// # Errors
    /// If neither a fleet nor a folder was named or found: exit code 2.
    pub fn locks(&self) -> Result<LockDir, Failure> {
        match (&self.lock_dir, &self.config) {
            (Some(dir), _) => Ok(LockDir::new(dir).by(own_name())),
            (None, Err(start)) => {
                let error = ConfigError::Missing { start: start.clone() };
                let hint = "run the command in the fleet's folder, or name it with --root, or the locks with --lock-dir";
                Err(Failure::from_error(Exit::Usage, &error, hint))
            }
            (None, Ok(config)) => Err(Failure::new(
                Exit::Usage,
                format!("{} lies in no folder", config.display()),
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

/// The longest duration: deadlines and points in the past are computed from it.
const LONGEST: f64 = 36_500.0 * 86_400.0;

/// Reads a number with a unit: `500ms`, `30s`, `5m`, `24h`, `7d`; without a unit, seconds. At most
/// a hundred years.
///
/// # Errors
/// A sentence saying what is accepted.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is no duration such as 500ms, 30s, 5m or 24h");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..split].parse().map_err(|_| refused())?;
    let unit = match &text[split..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(refused()),
    };
    let seconds = Some(number * unit).filter(|seconds| *seconds <= LONGEST).ok_or_else(refused)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, milliseconds) in
            [("500ms", 500), ("30s", 30_000), ("10", 10_000), ("1.5m", 90_000), ("24h", 86_400_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "-1s", "1x", "1 s", "1e99d", ".", "36501d", "99999999999999999999"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn locks_need_a_fleet_or_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let args = PlaceArgs { root: Some(dir.path().into()), ..PlaceArgs::default() };
        let place = args.resolve().unwrap();
        assert_eq!(place.locks().unwrap().path(), dir.path().join(".locks"));
        assert!(place.fleet().is_err(), "there is no config");

        let missing = PlaceArgs { root: Some(dir.path().join("missing")), ..args };
        assert!(missing.resolve().unwrap_err().message().contains("there is no folder"));
    }
}

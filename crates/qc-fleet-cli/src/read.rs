//! Reading the fleet's config from where the command line says.

use qc_cli::{Exit, Failure, Location};
use qc_fleet::{ConfigError, Fleet, LookError, Variables};

/// A place where a fleet can be read.
pub trait ReadFleet {
    /// Reads the fleet's config, to look at the fleet or to stop it: an environment variable that
    /// the config names and that is not set here is no reason to refuse.
    ///
    /// # Errors
    /// A [`ConfigError`] as a failure with exit code 2.
    fn fleet(&self) -> Result<Fleet, Failure>;

    /// Returns the fleet for a view, which a broken config does not blind: what is then known of it
    /// by its usual names, and why its config can't be read.
    ///
    /// # Errors
    /// If there is no fleet at all: exit code 2.
    fn fleet_to_show(&self) -> Result<(Fleet, Option<Failure>), Failure>;

    /// Reads the fleet's config, to start the fleet.
    ///
    /// # Errors
    /// A [`ConfigError`] as a failure with exit code 2, also for a variable that is not set.
    fn fleet_to_start(&self) -> Result<Fleet, Failure>;
}

impl ReadFleet for Location {
    fn fleet(&self) -> Result<Fleet, Failure> {
        read(self, &|name| std::env::var_os(name).or_else(|| Some(format!("${{{name}}}").into())))
    }

    fn fleet_to_show(&self) -> Result<(Fleet, Option<Failure>), Failure> {
        let trouble = match self.fleet() {
            Ok(fleet) => return Ok((fleet, None)),
            Err(trouble) => trouble,
        };
        let folder = self.root().or_else(|| self.lock_dir()?.parent());
        match folder.map(Fleet::without_config) {
            Some(Ok(fleet)) => Ok((fleet, Some(trouble))),
            Some(Err(_)) | None => Err(trouble),
        }
    }

    fn fleet_to_start(&self) -> Result<Fleet, Failure> {
        read(self, &|name| std::env::var_os(name))
    }
}

fn read(location: &Location, variables: Variables<'_>) -> Result<Fleet, Failure> {
    let config = location.config()?;
    // A config that was named can lie elsewhere.
    let root = location.root().or_else(|| config.parent());
    let root = root.ok_or_else(|| ConfigError::NoFolder { path: config.into() });
    let fleet = root.and_then(|root| Fleet::load_for(root, config, variables));
    fleet.map_err(|error| Failure::from_error(Exit::Usage, &error, error.hint()))
}

/// Returns the failure of a look at what runs.
pub fn cannot_look(error: LookError) -> Failure {
    match error {
        LookError::Locks(error) => error.into(),
        LookError::Processes(error) => {
            let hint = "see whether /proc is there and may be read";
            Failure::from_error(Exit::Failed, &error, hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use qc_cli::LocationArgs;

    use super::*;

    #[test]
    fn a_folder_without_a_config_has_no_fleet_to_start() {
        let dir = tempfile::tempdir().unwrap();
        let args = LocationArgs { root: Some(dir.path().into()), ..LocationArgs::default() };
        let location = args.resolve().unwrap();
        assert!(location.fleet().is_err(), "there is no config");
        let (_, trouble) = location.fleet_to_show().unwrap();
        assert!(trouble.is_some(), "what is shown comes without a config");
    }
}

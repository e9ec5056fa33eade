//! Handing over to another tool, which does the work in this one's place.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::{Exit, Failure, LocationArgs, chain, shown};

/// Lets `tool` do the work of this program, which is called `own`: with the exit code of the tool.
///
/// # Errors
/// If it can't be run.
pub fn hand_over(own: &str, tool: &str, words: &[OsString]) -> Result<Exit, Failure> {
    let program = beside(own, tool).unwrap_or_else(|| tool.into());
    let ended = qc_process::hand_over(program.as_os_str(), words).map_err(|error| {
        let message = format!("cannot run `{}`: {}", shown(&program), chain(&error));
        let hint = format!("install {tool} beside {own}; it does this work");
        Failure::new(Exit::Failed, message, hint)
    })?;
    Ok(Exit::Code(ended.code()))
}

/// Returns the file of a tool that is installed beside this program and named like it.
fn beside(own: &str, tool: &str) -> Option<PathBuf> {
    let file = env::current_exe().ok()?;
    let name = file.file_name()?.to_str()?.strip_prefix(own)?;
    Some(file.with_file_name(format!("{tool}{name}"))).filter(|file| file.is_file())
}

impl LocationArgs {
    /// Returns the words that tell another tool the same.
    pub fn words(&self) -> Vec<OsString> {
        let places =
            [("--root", &self.root), ("--config", &self.config), ("--lock-dir", &self.lock_dir)];
        let words = places.into_iter().filter_map(|(flag, place)| Some((flag, place.as_ref()?)));
        words.flat_map(|(flag, place)| [flag.into(), place.into()]).collect()
    }
}

//! The real Python, where there is one.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use qc_process::PYTHON_ON_PATH;

use crate::cannot_test;

/// The environment variable that names the Python to test with.
const VARIABLE: &str = "QC_TEST_PYTHON";

/// Prints the interpreter itself: what is on PATH may be a script that looks for it each time.
const QUESTION: &str = "import sys; assert sys.version_info >= (3, 8); print(sys.executable)";

/// Returns the Python that `QC_TEST_PYTHON` names, else the one on PATH. If there is none, that is
/// said once, where everybody sees it.
///
/// # Panics
/// If the one that is named can't be used.
pub fn python() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find).as_deref()
}

fn find() -> Option<PathBuf> {
    let named = env::var_os(VARIABLE);
    match interpreter(named.as_deref().unwrap_or(OsStr::new(PYTHON_ON_PATH))) {
        Ok(path) => Some(path),
        Err(reason) if named.is_some() => panic!("{VARIABLE} names no Python: {reason}"),
        Err(reason) => {
            let reason = format!(
                "{PYTHON_ON_PATH} can't be used ({reason}); set {VARIABLE} to a Python 3.8 or later"
            );
            cannot_test("process_lock.py", &reason);
            None
        }
    }
}

fn interpreter(program: &OsStr) -> Result<PathBuf, String> {
    let mut command = Command::new(program);
    let asked = command.args(["-c", QUESTION]).stdin(Stdio::null()).output();
    let output = asked.map_err(|error| error.to_string())?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !path.is_empty() {
        Ok(path.into())
    } else {
        Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }
}

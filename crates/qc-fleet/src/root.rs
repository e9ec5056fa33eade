//! The fleet's folder.

use std::fs;
use std::path::{Path, PathBuf};

pub use qc_lock_core::{CONFIG_FILE, find_root};
use qc_process::{PYTHON_IN_ENVIRONMENT, PYTHON_ON_PATH};

/// Tells whether two paths name one folder: links, `..` and short names are resolved where the
/// folders exist.
pub fn same_folder(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => match (std::path::absolute(one), std::path::absolute(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        },
    }
}

/// Chooses the Python that runs the scripts, with a note for the user unless it is the fleet's own.
pub(crate) fn interpreter(root: &Path) -> (PathBuf, Option<String>) {
    for (number, environment) in [".venv312_gpu", ".venv"].into_iter().enumerate() {
        let python = root.join(environment).join(PYTHON_IN_ENVIRONMENT);
        if python.exists() {
            let note =
                (number > 0).then(|| format!("no .venv312_gpu here, using {}", python.display()));
            return (python, note);
        }
    }
    (
        PYTHON_ON_PATH.into(),
        Some(format!("no virtual environment here, using {PYTHON_ON_PATH} from PATH")),
    )
}

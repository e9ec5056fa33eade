//! The fleet's folder.

use std::fs;
use std::path::{Path, PathBuf};

use qc_process::{PYTHON_IN_ENVIRONMENT, PYTHON_ON_PATH};

/// The name of the trader's config file.
pub const CONFIG_FILE: &str = "MASTER_CONFIG.json";

/// Returns the nearest folder that holds the config, from `start` upward.
pub fn find_root(start: &Path) -> Option<PathBuf> {
    // A link that leads nowhere is a mistake here, and no reason to take the fleet above.
    let has_config = |dir: &&Path| fs::symlink_metadata(dir.join(CONFIG_FILE)).is_ok();
    start.ancestors().find(has_config).map(Path::to_path_buf)
}

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

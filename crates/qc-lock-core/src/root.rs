//! The folder of a fleet: where its config and its scripts are, and beside them its locks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::TOKEN_VARIABLE;

/// The name of the trader's config file.
pub const CONFIG_FILE: &str = "MASTER_CONFIG.json";

/// Returns the nearest folder that holds the config, from `start` upward.
pub fn find_root(start: &Path) -> Option<PathBuf> {
    // A link that leads nowhere is a mistake here, and no reason to take the fleet above.
    let has_config = |dir: &&Path| fs::symlink_metadata(dir.join(CONFIG_FILE)).is_ok();
    start.ancestors().find(has_config).map(Path::to_path_buf)
}

/// Whether the scripts of this fleet lock with the old module, which takes a lock held for its
/// script for one that another process holds.
pub fn has_old_module(root: &Path) -> bool {
    fs::read(root.join("process_lock.py"))
        .is_ok_and(|text| !String::from_utf8_lossy(&text).contains(TOKEN_VARIABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_module_is_known_by_its_silence_about_tokens() {
        let root = tempfile::tempdir().unwrap();
        assert!(!has_old_module(root.path()));
        fs::write(root.path().join("process_lock.py"), "class ProcessLock: pass").unwrap();
        assert!(has_old_module(root.path()));
        fs::write(root.path().join("process_lock.py"), "TOKEN = 'QC_LOCK_TOKEN'").unwrap();
        assert!(!has_old_module(root.path()));
    }
}

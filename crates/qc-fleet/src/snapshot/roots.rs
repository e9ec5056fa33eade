//! The folders of other fleets.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::matching::{Match, Place};
use crate::root::{find_root, same_folder};

/// The folders of other fleets, by those of their scripts.
pub(super) struct OtherRoots<'a> {
    own: &'a Path,
    by_folder: HashMap<PathBuf, PathBuf>,
}

impl<'a> OtherRoots<'a> {
    pub(super) fn new(own: &'a Path) -> Self {
        Self { own, by_folder: HashMap::new() }
    }

    /// The nearest folder with a config, as an orchestrator finds its own. Without one, or with the
    /// one of this fleet, the script's folder stands for itself.
    pub(super) fn root_of(&mut self, found: &Match) -> Option<PathBuf> {
        let folder = found.folder.as_ref().filter(|_| found.place == Place::Foreign)?;
        if let Some(root) = self.by_folder.get(folder) {
            return Some(root.clone());
        }
        let root = find_root(folder).filter(|root| !same_folder(root, self.own));
        let root = root.unwrap_or_else(|| folder.clone());
        let known = self.by_folder.values().find(|known| same_folder(known, &root)).cloned();
        let root = known.unwrap_or(root);
        self.by_folder.insert(folder.clone(), root.clone());
        Some(root)
    }
}

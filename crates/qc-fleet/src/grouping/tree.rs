//! The process tree.

use std::collections::{HashMap, HashSet};

use qc_process::ProcessInfo;

/// The process tree, as positions in the list of processes.
pub(crate) struct Tree {
    pub(super) parents: Vec<Option<usize>>,
}

impl Tree {
    pub(super) fn new(processes: &[ProcessInfo]) -> Self {
        let by_pid: HashMap<u32, usize> =
            processes.iter().enumerate().map(|(one, info)| (info.identity.pid, one)).collect();
        let parent = |child: &ProcessInfo| {
            let parent = *by_pid.get(&child.parent?)?;
            processes[parent].can_be_parent_of(child).then_some(parent)
        };
        Self { parents: processes.iter().map(parent).collect() }
    }

    /// Each is at least as old as the one before, but two of one moment could name each other.
    pub(super) fn ancestors(&self, of: usize) -> impl Iterator<Item = usize> {
        let mut seen = HashSet::from([of]);
        let chain = std::iter::successors(self.parents[of], |&one| self.parents[one]);
        chain.take_while(move |&one| seen.insert(one))
    }

    /// Returns the ancestor that has this pid.
    pub(super) fn ancestor(&self, of: usize, processes: &[ProcessInfo], pid: u32) -> Option<usize> {
        self.ancestors(of).find(|&one| processes[one].identity.pid == pid)
    }
}

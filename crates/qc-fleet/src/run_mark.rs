//! The marks of components: numbers by which what a component has started is known although it has closed
//! its files, left its session and overwritten its environment and its command line, as a daemon does.
//!
//! A mark follows from the folder of the locks and the component's name, so that each tool can tell whose
//! a process is, also after the end of the launcher and in a folder that was moved.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use qc_process::{Identity, inspect};

/// The upper bits of each mark: limits that people set are smaller.
const UPPER: u64 = 0x5143 << 48;

/// Returns the mark of a component of the fleet with these locks; `None` where the system has none.
pub fn run_mark(locks: &Path, component: &str) -> Option<u64> {
    Some(mark(&inspect::folder_id(locks)?, component))
}

/// Returns the processes that runs of these components have started, each with its component.
pub(crate) fn with_run_marks<'a>(
    locks: &Path,
    components: impl Iterator<Item = &'a str>,
) -> io::Result<HashMap<Identity, String>> {
    let Some(id) = inspect::folder_id(locks) else { return Ok(HashMap::new()) };
    let names: HashMap<u64, &str> = components.map(|name| (mark(&id, name), name)).collect();
    let found = inspect::with_marks()?.into_iter();
    Ok(found
        .filter_map(|(process, mark)| Some((process, (*names.get(&mark)?).to_owned())))
        .collect())
}

/// Each version of qc has to find the same number.
fn mark(folder: &str, component: &str) -> u64 {
    let bytes =
        folder.bytes().chain([0]).chain(component.bytes().map(|it| it.to_ascii_lowercase()));
    // FNV-1a, see <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    UPPER | (hash >> 48 ^ hash) & (u64::MAX >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_folders_and_components_apart_and_not_their_case() {
        let own = mark("64768:12", "BRAIN_A");
        assert_eq!(own, mark("64768:12", "brain_a"));
        assert_ne!(own, mark("64768:12", "BRAIN_B"));
        assert_ne!(own, mark("64768:1", "2BRAIN_A"));
        assert_eq!(own >> 48, 0x5143);
        assert_eq!(own, 0x5143_8545_88cc_1fae, "the number of all versions");
    }
}

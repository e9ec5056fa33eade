//! Which machine, which boot, which user.

use std::sync::OnceLock;

use crate::imp;

/// Where this process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The machine's name, compared without regard to case.
    pub name: String,
    /// Linux: the kernel's random boot id, new with every boot. Windows: the machine's GUID; there
    /// a start time already is an absolute time that no later boot repeats, while a computed
    /// "time of boot" moves with the clock and would make the living look dead.
    pub boot_id: String,
    /// The PID namespace on Linux; a pid means nothing in another one. `None` on Windows.
    pub pid_namespace: Option<u64>,
    /// The user this process runs as.
    pub user: String,
}

/// The end of a boot id that the system does not report.
const UNKNOWN: &str = "unknown";

/// Whether two boot ids are known and equal, or known and different; `None` if unknown.
pub(crate) fn same_boot(one: &str, other: &str) -> Option<bool> {
    let is_known = |id: &str| !id.is_empty() && !id.ends_with(UNKNOWN);
    (is_known(one) && is_known(other)).then_some(one == other)
}

impl Host {
    /// Whether `boot_id` is that of this very boot; an unknown one is not.
    pub fn is_boot(&self, boot_id: &str) -> bool {
        same_boot(boot_id, &self.boot_id) == Some(true)
    }
}

/// Returns where this process runs; found out once.
pub fn here() -> &'static Host {
    static HERE: OnceLock<Host> = OnceLock::new();
    HERE.get_or_init(|| Host {
        name: imp::host_name(),
        boot_id: imp::boot_id(),
        pid_namespace: imp::pid_namespace(),
        user: imp::user_name(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_empty() {
        let here = here();
        assert!(
            !here.name.is_empty() && !here.boot_id.is_empty() && !here.user.is_empty(),
            "{here:?}"
        );
    }
}

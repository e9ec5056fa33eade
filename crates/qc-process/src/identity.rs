//! The identity of a process: its pid, its start time, and the boot.

use std::io;
use std::sync::OnceLock;

use crate::host::same_boot;
use crate::{here, imp};

/// One process, for ever: pids are used again, but not with the same start time in the same boot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When the process was created, in the system's own count: clock ticks since boot on Linux,
    /// 100 ns ticks since 1601 on Windows. Only ever compared for equality.
    pub started: u64,
    /// The boot it was created in, see [`crate::Host::boot_id`].
    pub boot_id: String,
}

/// The state of the process with an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// This very process is running.
    Alive,
    /// It has ended; if its pid is in use, then by another process.
    Dead,
    /// The system does not let us see. Whoever decides must take it for alive.
    Unknown,
}

/// Returns the identity of the process that has `pid` now.
///
/// # Errors
/// `NotFound` if there is none or it has ended, `PermissionDenied` if it exists but can't be seen.
pub fn identity_of(pid: u32) -> io::Result<Identity> {
    let started = imp::start_time(pid)?;
    Ok(Identity { pid, started, boot_id: here().boot_id.clone() })
}

/// Returns the identity of this process; its start is 0 for as long as the system does not tell it.
pub fn own_identity() -> &'static Identity {
    static OWN: OnceLock<Identity> = OnceLock::new();
    static UNTOLD: OnceLock<Identity> = OnceLock::new();
    let pid = std::process::id();
    let identity = |started| Identity { pid, started, boot_id: here().boot_id.clone() };
    if let Some(own) = OWN.get() {
        return own;
    }
    match imp::start_time(pid) {
        Ok(started) => OWN.get_or_init(|| identity(started)),
        Err(_) => UNTOLD.get_or_init(|| identity(0)),
    }
}

/// Tells whether `identity` is still running on this machine.
pub fn liveness(identity: &Identity) -> Liveness {
    if same_boot(&identity.boot_id, &here().boot_id) == Some(false) {
        return Liveness::Dead;
    }
    match imp::start_time(identity.pid) {
        Ok(started) if started == identity.started => Liveness::Alive,
        Ok(_) => Liveness::Dead,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Liveness::Dead,
        Err(_) => Liveness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive() {
        assert_eq!(liveness(own_identity()), Liveness::Alive);
        assert_eq!(identity_of(std::process::id()).unwrap(), *own_identity());
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let reused = Identity { started: own_identity().started + 1, ..own_identity().clone() };
        assert_eq!(liveness(&reused), Liveness::Dead);
    }

    #[test]
    fn a_boot_that_nobody_can_tell_ends_nothing() {
        for unknown in ["unknown", "machine-unknown", ""] {
            let identity = Identity { boot_id: unknown.into(), ..own_identity().clone() };
            assert_eq!(liveness(&identity), Liveness::Alive, "{unknown}");
        }
    }

    #[test]
    fn an_earlier_boot_is_over() {
        let earlier = Identity { boot_id: "earlier".into(), ..own_identity().clone() };
        assert_eq!(liveness(&earlier), Liveness::Dead);
    }

    #[test]
    fn a_pid_that_cannot_exist_is_not_found() {
        for pid in [0, u32::MAX - 3] {
            assert_eq!(identity_of(pid).unwrap_err().kind(), io::ErrorKind::NotFound, "{pid}");
        }
    }
}

//! The control channel of the launcher that holds its lock.

use qc_control::{Client, ControlError};
use qc_lock_core::{LockDir, LockState};

/// Connects to the launcher whose lock is `orchestrator` in `locks`. Where that lock has a living
/// holder on this machine, no other program is talked to.
///
/// # Errors
/// [`ControlError::NotRunning`] if there is none, [`ControlError::Stranger`] if another program
/// answers.
pub fn connect_to_launcher(locks: &LockDir, orchestrator: &str) -> Result<Client, ControlError> {
    let launcher = holder(locks, orchestrator);
    let connected = Client::connect(locks.path(), launcher);
    if !matches!(connected, Err(ControlError::Stranger { .. })) {
        return connected;
    }
    // The lock may have changed hands between the two.
    match holder(locks, orchestrator) {
        now if now == launcher => connected,
        now => Client::connect(locks.path(), now),
    }
}

/// Returns the PID of the living holder of the launcher's lock. A directory that can't be read says
/// nothing of one; what needs it reports that.
fn holder(locks: &LockDir, orchestrator: &str) -> Option<u32> {
    let found = locks.list().ok()?.into_iter().find(|lock| {
        lock.name.eq_ignore_ascii_case(orchestrator)
            && matches!(lock.state, LockState::Held | LockState::Legacy)
    });
    found?.pid
}

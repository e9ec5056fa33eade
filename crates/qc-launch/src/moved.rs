//! The fleet of this folder that runs in another one: the folder was moved or copied while it ran.

use qc_cli::{Exit, Failure};
use qc_fleet::{Fleet, Snapshot, moved_fleets};
use qc_lock_core::LockDir;

/// Returns what a command says that needs the launcher of this folder; `None` if no fleet of this folder
/// is seen to run elsewhere.
pub(crate) fn refusal(fleet: &Fleet, locks: &LockDir) -> Option<Failure> {
    // A look that fails leaves it at what is known without it.
    let snapshot = Snapshot::take(fleet, locks.list().ok()?).ok()?;
    said_of(&snapshot, Exit::Failed)
}

/// Returns the same as a reason not to start.
pub(crate) fn held(fleet: &Fleet, locks: &LockDir, pid: u32) -> Option<Failure> {
    let snapshot = Snapshot::take(fleet, locks.list().ok()?).ok()?;
    snapshot.moved_with(pid)?;
    said_of(&snapshot, Exit::Held)
}

fn said_of(snapshot: &Snapshot, exit: Exit) -> Option<Failure> {
    let fleets = moved_fleets(&snapshot.instances);
    let first = fleets.first()?;
    let texts: Vec<String> = fleets.iter().map(|one| one.text()).collect();
    let message = format!("no qc-launch is running in this folder; {}", texts.join("; "));
    let hint = format!(
        "`qc-launch status --root \"{}\"` shows it there, `{}` stops it",
        first.folder.display(),
        first.stop_command()
    );
    Some(Failure::new(exit, message, hint))
}

//! Why no launcher answers in this folder although the fleet runs: it runs in another folder, to
//! which this one was moved or of which it is a copy, or its launcher has lost its lock.

use std::thread;
use std::time::Duration;

use qc_cli::{Exit, Failure};
use qc_fleet::{Fleet, Role, Snapshot, moved_fleets};
use qc_lock_core::LockDir;
use qc_process::{Liveness, liveness};

/// How long a launcher may take to its lock when it starts, and from it when it ends.
const MOMENT: Duration = Duration::from_millis(500);

/// Returns what a command says that needs the launcher of this folder; `None` if the fleet has no
/// launcher.
pub fn no_launcher(fleet: &Fleet, locks: &LockDir) -> Option<Failure> {
    // A look that fails leaves it at what is known without it.
    let snapshot = Snapshot::take(fleet, locks.list().ok()?).ok()?;
    said_of(&snapshot, Exit::Failed).or_else(|| without_lock(fleet, &snapshot, locks))
}

/// Returns what to say of a launcher that runs without its lock: its channel is where the lock is.
fn without_lock(fleet: &Fleet, snapshot: &Snapshot, locks: &LockDir) -> Option<Failure> {
    let launcher = snapshot.own().find(|one| one.role == Role::Orchestrator)?;
    let identity = &launcher.main()?.identity;
    thread::sleep(MOMENT);
    let lock = locks.status(&fleet.orchestrator).ok()?;
    if lock.is_some_and(|lock| lock.state.is_live()) || liveness(identity) == Liveness::Dead {
        return None;
    }
    let (name, pid) = (&launcher.component, identity.pid);
    let folder = locks.path().display();
    let message =
        format!("{name} (PID {pid}) runs without its lock in {folder}, so it can't be asked");
    let hint = "`qc-shutdown` stops the fleet in order; `qc-launch` starts it again with its locks";
    Some(Failure::new(Exit::Failed, message, hint))
}

/// Returns where the fleet runs instead as a reason not to start.
pub fn runs_elsewhere(fleet: &Fleet, locks: &LockDir, pid: u32) -> Option<Failure> {
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

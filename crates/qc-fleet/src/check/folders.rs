//! Where the locks and logs lie.

use std::path::PathBuf;
use std::sync::Arc;

use qc_lock_core::{FOLDER_ONLY, UNUSABLE_GUARD};
use qc_process::{LAUNCH_COMMAND, MachineReach, SHUTDOWN_COMMAND, VolumePlace};

use super::facts::OLD_LAUNCHER;
use super::{Check, Facts, Folder, Subject};
use crate::Component;

/// Less than this on a disk will soon be nothing.
const LITTLE: u64 = 100 << 20;

pub(super) fn lock_module(facts: &Facts) -> Vec<Check> {
    if !facts.has_old_module {
        return Vec::new();
    }
    let text = "process_lock.py here is the old module, so the scripts take their locks themselves";
    let advice = "replace it with the process_lock.py of this suite";
    vec![Check::warning(Subject::LockModule, text, advice)]
}

/// How far a lock on an account reaches, where that is not the whole machine.
fn reach(components: &[Arc<Component>], facts: &Facts) -> Option<Check> {
    if components.iter().all(|one| one.account.is_none()) {
        return None;
    }
    let (text, advice) = match facts.reach {
        MachineReach::Machine => return None,
        MachineReach::Nowhere => {
            (FOLDER_ONLY, "let it, or trade these accounts in no other folder")
        }
        MachineReach::Container => (
            "this is a container: a lock on an account reaches out of it only where it shares the \
             network or /dev/shm with the machine",
            "start it with `--network host` or `--ipc host`, or trade these accounts in it alone",
        ),
    };
    Some(Check::warning(Subject::Accounts, text, advice))
}

/// Where a lock on an account, or on a terminal, does not reach as far as it should.
pub(super) fn machine_guards(components: &[Arc<Component>], facts: &Facts) -> Vec<Check> {
    let warned = |path: &PathBuf| {
        let text = format!("{} {UNUSABLE_GUARD}", path.display());
        Check::warning(
            Subject::Accounts,
            text,
            "remove it, or let its owner or an administrator do so",
        )
    };
    let unusable = facts.unusable_guards.iter().map(warned);
    reach(components, facts).into_iter().chain(unusable).collect()
}

/// The old shutdown kills what runs, and the launcher starts it again; the old launcher starts
/// everything a second time.
pub(super) fn old_scripts(facts: &Facts) -> Vec<Check> {
    let warned = |name: &&'static str| {
        let text = format!("the old {name} is still here and works against these tools");
        let command = match *name {
            OLD_LAUNCHER => LAUNCH_COMMAND,
            _ => SHUTDOWN_COMMAND,
        };
        let advice = format!("move it aside, as the installer does; {command} takes its place");
        Check::warning(Subject::Scripts, text, advice)
    };
    facts.old_scripts.iter().map(warned).collect()
}

pub(super) fn lock_dir(facts: &Facts) -> Vec<Check> {
    let folder = &facts.lock_dir;
    let subject = Subject::LockDir;
    let shown = folder.path.display();
    let elsewhere = "name a folder on a disk of this machine with --lock-dir or QC_LOCK_DIR, the same \
                     for all tools";
    let mut checks = Vec::new();
    match folder.volume.as_ref().map(|volume| (volume.place, &volume.kind)) {
        Some((VolumePlace::Network, kind)) => {
            let text = format!("{shown} lies on a network ({kind}), where locks can't be trusted");
            checks.push(Check::error(subject, text, elsewhere));
        }
        Some((VolumePlace::Program, kind)) => {
            let text = format!("{shown} lies on {kind}, where locks may not be kept");
            checks.push(Check::warning(subject, text, elsewhere));
        }
        Some((VolumePlace::Local, _)) | None => {}
    }
    if let Some(service) = &folder.synced_by {
        let text =
            format!("{shown} is synchronised by {service}, which copies locks to other machines");
        checks.push(Check::warning(subject, text, elsewhere));
    }
    checks.extend(writable(folder, subject));
    checks
}

pub(super) fn logs(facts: &Facts) -> Vec<Check> {
    writable(&facts.logs, Subject::Logs)
}

fn writable(folder: &Folder, subject: Subject) -> Vec<Check> {
    let shown = folder.path.display();
    if let Some(reason) = &folder.unwritable {
        let text = format!("{shown} cannot be written to: {reason}");
        let advice = "see whether the folder may be written to and whether the disk is full";
        return vec![Check::error(subject, text, advice)];
    }
    match &folder.volume {
        Some(volume) if volume.free_bytes < LITTLE => {
            let text = format!("the disk of {shown} has {} MiB left", volume.free_bytes >> 20);
            vec![Check::warning(subject, text, "free some space")]
        }
        _ => Vec::new(),
    }
}

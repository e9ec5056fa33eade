//! The findings about a fleet: duplicates, missing components, stale locks and the like.

mod duplicates;
mod state;

use std::path::Path;

use qc_lock_core::{LockEntry, LockState, openers_text, release_advice, same_account};
use qc_process::visible;
use serde::Serialize;

use self::duplicates::duplicates;
pub use self::state::State;
use crate::stop::way_to_stop_in;
use crate::{Component, Fleet, Instance, MovedFleet, Place, Role, Snapshot, moved_fleets};

/// A remark on an instance of [`Place::Unknown`].
pub(crate) const FOLDER_UNKNOWN: &str = "its folder can't be told";

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// More than one copy runs of one component, for one account in one role, or on one terminal
    /// in one role.
    Duplicate,
    /// A copy in another folder trades an account of this fleet, where no lock of this one is seen.
    Foreign,
    /// The fleet of this folder runs in another one, where its folder was moved to.
    Moved,
    /// It runs without its lock, so nothing keeps a second copy from starting.
    Rogue,
    /// Its last run has ended and has left a program behind that goes on.
    LeftOver,
    /// It is alive, and the system has suspended it: it does nothing.
    Suspended,
    /// It runs under the lock of another account than the config's.
    OtherAccount,
    /// A brain runs, and the watchdog that should guard it does not.
    Unguarded,
    /// The launcher does not start it again.
    GaveUp,
    /// It has failed, and the launcher will start it again.
    BackingOff,
    /// Another copy keeps the launcher from starting it.
    Blocked,
    /// It should run, does not, and nothing asked for that.
    Missing,
    /// It should run by the config, and does not because it was asked to.
    Stopped,
    /// The launcher is alive and can't be asked.
    Silent,
    /// It runs under its lock, but the orchestrator that should look after it does not.
    Orphan,
    /// Its lock was left behind by a process that has ended.
    Stale,
    /// Every start is forbidden.
    Latched,
    /// Some processes can't be read, so there may be more of everything.
    Unreadable,
}

/// Says of a lock whose holder has ended that it was left behind, and what keeps it open.
pub fn dead_holder_text(lock: &LockEntry) -> String {
    let holder = lock.pid.map(|pid| format!(" PID {pid}")).unwrap_or_default();
    let name = &lock.name;
    match &lock.open_in[..] {
        [] => format!(
            "lock {name} was left behind: its holder{holder} has ended without giving it back"
        ),
        left => format!(
            "lock {name} is not free: its holder{holder} has ended, and {} keeps it open; {}",
            openers_text(left),
            release_advice(name, None, left)
        ),
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind.
    pub kind: FindingKind,
    /// The description.
    pub text: String,
    /// The components it is about; of all if none is named.
    pub components: Vec<String>,
    /// The processes it is about.
    pub pids: Vec<u32>,
}

impl Snapshot {
    /// Returns what to think of each instance, in their order.
    pub fn states(&self) -> Vec<State> {
        let mut doubled = vec![false; self.instances.len()];
        for group in duplicates(self) {
            group.members.iter().for_each(|&one| doubled[one] = true);
        }
        let states = self.instances.iter().zip(doubled).map(|(instance, doubled)| {
            if instance.place == Place::Foreign {
                State::Foreign
            } else if doubled {
                State::Duplicate
            } else if instance.looks_like.is_some() {
                State::Elsewhere
            } else if instance.lock.is_none() || instance.place == Place::Unknown {
                State::Rogue
            } else if instance.supervised == Some(false) && instance.role != Role::Orchestrator {
                State::Orphan
            } else {
                State::Running
            }
        });
        states.collect()
    }

    /// Returns everything that is wrong, the worst first. `has_crashed`: by the history, the last
    /// orchestrator has, whether or not its record is still there.
    pub fn findings(&self, fleet: &Fleet, has_crashed: bool) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            duplicates(self).iter().map(|group| group.finding(self)).collect();
        findings.extend(moved_fleets(&self.instances).iter().map(moved_fleet));
        let foreign = self.instances.iter();
        let foreign = foreign.filter(|one| one.place == Place::Foreign && !one.is_moved);
        findings.extend(foreign.filter_map(|one| foreign_copy(one, fleet)));
        findings.extend(holders_elsewhere(self, fleet));
        // A duplicate that has no lock is both.
        findings.extend(self.rogues().map(|one| {
            let (name, pids) = (&one.component, join(&one.pids()));
            let where_from = match one.place {
                Place::Unknown => format!(", and {FOLDER_UNKNOWN}"),
                Place::Fleet | Place::Foreign => String::new(),
            };
            let text = format!("{name} runs without its lock{where_from}: PID {pids}");
            about(FindingKind::Rogue, text, one)
        }));
        findings.extend(self.left_behind.iter().map(|one| Finding {
            kind: FindingKind::LeftOver,
            text: format!("{}; {}", one.behind(), one.way_out()),
            components: vec![one.component.clone()],
            pids: vec![one.process.identity.pid],
        }));
        findings.extend(self.own().filter_map(|one| {
            let (pid, hint) = (one.main()?.identity.pid, one.resume_hint()?);
            let text =
                format!("{} is suspended and does nothing: PID {pid}; {hint}", one.component);
            Some(about(FindingKind::Suspended, text, one))
        }));
        findings.extend(self.own().filter_map(|one| other_account(one, fleet)));
        // Without any orchestrator so far, no component counts as unsupervised.
        let orchestrator = |name: &str| name.eq_ignore_ascii_case(fleet.orchestrator.as_str());
        let is_orchestrated = has_crashed
            || self.own().any(|one| one.role == Role::Orchestrator)
            || self.locks.iter().any(|lock| orchestrator(&lock.name));
        if is_orchestrated {
            let orphans = self.instances.iter().zip(self.states());
            let orphans = orphans.filter(|(_, state)| *state == State::Orphan);
            findings.extend(orphans.map(|(one, _)| {
                let pids = join(&one.pids());
                let text = format!("{} is not supervised by a launcher: PID {pids}", one.component);
                about(FindingKind::Orphan, text, one)
            }));
        }
        findings.extend(self.latch.iter().map(|latch| Finding {
            kind: FindingKind::Latched,
            text: format!("every start is forbidden until `qc-launch unlatch`: {latch}"),
            components: Vec::new(),
            pids: Vec::new(),
        }));
        let stale = self.loose_locks().filter(|lock| lock.state == LockState::Stale);
        findings.extend(stale.map(|lock| {
            let pids: Vec<u32> =
                lock.pid.into_iter().chain(lock.open_in.iter().map(|one| one.pid)).collect();
            let text = dead_holder_text(lock);
            Finding { kind: FindingKind::Stale, text, components: vec![lock.name.clone()], pids }
        }));
        findings.extend(self.unreadable_text().map(|text| Finding {
            kind: FindingKind::Unreadable,
            text,
            components: Vec::new(),
            pids: Vec::new(),
        }));
        findings
    }

    /// Says how far the list can be trusted, if it is not complete.
    pub fn unreadable_text(&self) -> Option<String> {
        let seen = self.own().count();
        match (self.unreadable, self.hides_others) {
            (0, false) => None,
            (0, true) => Some(format!(
                "at least {seen} run; the processes of other users are hidden (hidepid)"
            )),
            (1, _) => Some(format!("at least {seen} run; 1 process could not be read")),
            (count, _) => Some(format!("at least {seen} run; {count} processes could not be read")),
        }
    }
}

/// A component that was started before its account was changed in the config trades the old one.
fn other_account(instance: &Instance, fleet: &Fleet) -> Option<Finding> {
    let lock = instance.lock.as_ref()?;
    let component = fleet.component(&lock.name)?;
    let (held, ours) = (lock.account.as_deref()?, component.account.as_ref()?);
    if same_account(ours.as_str(), held) {
        return None;
    }
    let (name, pids) = (&component.name, join(&instance.pids()));
    // No reload applies a config in which two components need one place.
    let needs_same = |other: &Component| {
        other.name != component.name
            && other.places().any(|one| component.places().any(|it| it == one))
    };
    let advice = match fleet.components.iter().any(|other| needs_same(other)) {
        true => "the config has an error; `qc-launch check` names it",
        false => "`qc-launch reload` applies the config",
    };
    let text =
        format!("{name} runs for account {held}, and the config says {ours}: PID {pids}; {advice}");
    Some(about(FindingKind::OtherAccount, text, instance))
}

/// A copy in another folder is a danger where it trades an account of this fleet. Where nothing
/// can say which account it trades, its name tells.
fn foreign_copy(instance: &Instance, fleet: &Fleet) -> Option<Finding> {
    let trades = matches!(instance.role, Role::Brain | Role::Watchdog);
    let places = instance.places();
    let same = fleet.components.iter().any(|ours| match (&instance.account, &ours.account) {
        (Some(_), Some(_)) => ours.places().any(|one| places.iter().any(|it| it == one.as_str())),
        _ => trades && ours.name.as_str().eq_ignore_ascii_case(&instance.component),
    });
    same.then(|| {
        let account = match &instance.account {
            Some(account) => format!("account {account}"),
            None => "account unknown".into(),
        };
        let folder = instance.folder.as_ref().map(|folder| format!(" {}", folder.display()));
        let pids = join(&instance.pids());
        let root = instance.other_root.as_deref().or(instance.folder.as_deref());
        let text = format!(
            "{} ({account}) runs from another folder{}: PID {pids}; {}",
            instance.component,
            folder.unwrap_or_default(),
            way_to_stop_in(root, &pids)
        );
        about(FindingKind::Foreign, text, instance)
    })
}

/// A fleet that runs in the folder that this one is a copy of.
fn moved_fleet(fleet: &MovedFleet<'_>) -> Finding {
    let text = format!("{}; `{}` stops it there", fleet.text(), fleet.stop_command());
    let components = fleet.instances.iter().map(|one| one.component.clone()).collect();
    let pids = fleet.instances.iter().flat_map(|one| one.pids()).collect();
    Finding { kind: FindingKind::Moved, text, components, pids }
}

/// Tells of those who hold an account or a terminal of this fleet for another folder, and look like no
/// component of any.
fn holders_elsewhere(snapshot: &Snapshot, fleet: &Fleet) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let unknown = snapshot
        .elsewhere
        .iter()
        .filter(|holder| !snapshot.instances.iter().any(|instance| instance.includes(holder.pid)));
    for holder in unknown {
        let needs = |one: &&std::sync::Arc<crate::Component>| {
            one.request().resources().iter().any(|place| place.guard_file() == holder.guard)
        };
        let Some(ours) = fleet.components.iter().find(needs) else { continue };
        if findings.iter().any(|finding| finding.pids == [holder.pid]) {
            continue;
        }
        let folder = holder.folder.as_deref().map(|folder| format!(" {}", visible(folder)));
        let (name, pid) = (visible(&holder.name), holder.pid);
        let text = format!(
            "{name} runs from another folder{} and holds what {} needs: PID {pid}; {}",
            folder.unwrap_or_default(),
            ours.name,
            way_to_stop_in(holder.folder.as_deref().map(Path::new), &pid.to_string())
        );
        let components = vec![ours.name.to_string()];
        findings.push(Finding { kind: FindingKind::Foreign, text, components, pids: vec![pid] });
    }
    findings
}

fn about(kind: FindingKind, text: String, instance: &Instance) -> Finding {
    Finding { kind, text, components: vec![instance.component.clone()], pids: instance.pids() }
}

fn join(pids: &[u32]) -> String {
    pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;

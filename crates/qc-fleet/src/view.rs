//! One view of the fleet: what the config says should run, what the launcher says it does, and what
//! was seen to run. `qc-ps` and `qc-launch status` both show it.

mod entry;
mod launcher;
mod look;
mod past;
mod row;
mod state_of;
mod tree_part;
mod watchdogs;

pub use self::entry::ComponentView;
pub use self::launcher::Launcher;
pub use self::look::{Look, LookError};
pub use self::past::{LastEnd, Past};
pub use self::row::{Row, RowKind, RowLock, rfc3339};
pub use self::tree_part::{TreePart, TreePartKind};

use std::collections::HashSet;

use qc_control::{ComponentStatus, Status};
use qc_lock_core::LockEntry;

use self::state_of::entries;
use self::watchdogs::unguarded;
use crate::{Finding, FindingKind, Fleet, Role, Snapshot, State};

/// The rows of the list, the state of each component, and everything that is wrong.
#[derive(Debug)]
pub struct FleetView {
    /// The running instances, then the components that should run and do not, then the remaining
    /// locks.
    pub rows: Vec<Row>,
    /// All components that the config or the launcher names, in the order of starting.
    pub components: Vec<ComponentView>,
    /// Everything that is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// Whether anything of this fleet should run.
    pub is_anything_enabled: bool,
}

impl FleetView {
    /// Merges what is known. With `with_tree`, the rows list the processes of each instance.
    pub fn new(fleet: &Fleet, look: &Look, with_tree: bool) -> Self {
        let Look { snapshot, launcher, past } = look;
        let status = launcher.status();
        let mut states = snapshot.states();
        let unguarded = unguarded(fleet, snapshot, status);
        for (position, state) in states.iter_mut().enumerate() {
            let instance = &snapshot.instances[position];
            let seen = supervised(status, &instance.component).filter(|one| {
                one.pid.is_some_and(|pid| instance.includes(pid)) && *state == State::Running
            });
            if let Some(one) = seen {
                *state = State::of_running(one.state);
            }
            let may_be_unguarded =
                matches!(state, State::Running | State::Orphan | State::Starting);
            if may_be_unguarded && unguarded.iter().any(|one| one.brain == position) {
                *state = State::Unguarded;
            }
            let may_be_suspended = state.is_of_launcher() || *state == State::Orphan;
            if instance.is_suspended && may_be_suspended {
                *state = State::Suspended;
            }
        }
        let components = entries(fleet, snapshot, &states, status, past);
        let rows = rows(fleet, snapshot, &states, &components, with_tree);
        let mut findings: Vec<Finding> =
            unguarded.iter().map(|one| one.finding(snapshot)).collect();
        findings.extend(launcher.finding());
        findings.extend(components.iter().filter_map(ComponentView::finding));
        findings.extend(snapshot.findings(fleet, past.has_crashed()));
        findings.sort_by_key(|one| one.kind.rank());
        Self {
            rows,
            is_anything_enabled: components.iter().any(|one| one.is_wanted),
            components,
            findings,
        }
    }
}

/// Returns what the launcher says of the component `name`.
fn supervised<'a>(status: Option<&'a Status>, name: &str) -> Option<&'a ComponentStatus> {
    status?.components.iter().find(|one| one.name.eq_ignore_ascii_case(name))
}

/// One row for each instance; one for each component without an instance of its own; one for each
/// lock that is neither's.
fn rows(
    fleet: &Fleet,
    snapshot: &Snapshot,
    states: &[State],
    components: &[ComponentView],
    with_tree: bool,
) -> Vec<Row> {
    let of = |name: &str| components.iter().find(|one| one.name.eq_ignore_ascii_case(name));
    let instances = snapshot.instances.iter().zip(states);
    let mut rows: Vec<Row> = instances
        .map(|(instance, &state)| {
            let row = Row::of_instance(instance, state, with_tree);
            let is_its_own = |one: &&ComponentView| one.is_shown_by(instance);
            match of(&instance.component).filter(is_its_own) {
                Some(component) => row.with_supervision(component),
                None => row,
            }
        })
        .collect();
    let loose: Vec<&LockEntry> = snapshot.loose_locks().collect();
    let mut taken: HashSet<&str> = HashSet::new();
    for component in components.iter().filter(|one| one.needs_row) {
        let lock = loose.iter().find(|lock| lock.name.eq_ignore_ascii_case(&component.name));
        taken.extend(lock.map(|lock| lock.name.as_str()));
        rows.push(Row::of_component(component, lock.copied(), fleet));
    }
    let left = loose.iter().filter(|lock| !taken.contains(lock.name.as_str()));
    rows.extend(left.map(|lock| Row::of_lock(lock, fleet)));
    rows
}

impl FindingKind {
    /// The place of the kind in a list of findings: what may cost money first.
    fn rank(self) -> u8 {
        match self {
            Self::Duplicate => 0,
            Self::Moved | Self::Foreign => 1,
            Self::Rogue | Self::LeftOver => 2,
            Self::OtherAccount | Self::Unguarded | Self::Suspended => 3,
            Self::GaveUp => 4,
            Self::Blocked => 5,
            Self::Missing => 6,
            Self::BackingOff => 7,
            Self::Silent => 8,
            Self::Orphan => 9,
            Self::Stopped => 10,
            Self::Latched => 11,
            Self::Stale => 12,
            Self::Unreadable => 13,
        }
    }
}

/// Whether a component of this role trades or guards an account.
fn is_of_account(role: Role) -> bool {
    matches!(role, Role::Brain | Role::Watchdog)
}

#[cfg(test)]
mod tests;

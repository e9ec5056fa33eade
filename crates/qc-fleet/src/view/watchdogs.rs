//! Which brains trade without their watchdog.

use qc_control::{StateWord, Status};
use qc_supervise::WhenUnguarded;

use super::supervised;
use crate::{Component, Finding, FindingKind, Fleet, Instance, Place, Role, Snapshot};

/// A brain that runs, and the watchdog that does not.
pub(super) struct Unguarded {
    /// The brain's position in the snapshot.
    pub(super) brain: usize,
    watchdog: String,
}

impl Unguarded {
    pub(super) fn finding(&self, snapshot: &Snapshot) -> Finding {
        let brain = &snapshot.instances[self.brain];
        let pids = brain.pids();
        let shown: Vec<String> = pids.iter().map(ToString::to_string).collect();
        let (name, watchdog) = (&brain.component, &self.watchdog);
        let shown = shown.join(", ");
        Finding {
            kind: FindingKind::Unguarded,
            text: format!("{name} is unguarded: {watchdog} does not run: PID {shown}"),
            components: vec![name.clone(), watchdog.clone()],
            pids,
        }
    }
}

/// Returns the brains of this fleet that run while the watchdog that should guard them does not.
pub(super) fn unguarded(
    fleet: &Fleet,
    snapshot: &Snapshot,
    status: Option<&Status>,
) -> Vec<Unguarded> {
    let brains = snapshot.instances.iter().enumerate();
    let brains = brains.filter(|(_, one)| {
        one.role == Role::Brain && one.place == Place::Fleet && one.looks_like.is_none()
    });
    let unguarded = brains.filter_map(|(brain, instance)| {
        let watchdog = expected_watchdog(fleet, status, instance)?;
        (!runs(snapshot, status, &watchdog)).then_some(Unguarded { brain, watchdog })
    });
    unguarded.collect()
}

/// Returns the name of the watchdog that the config expects for `brain`, or the launcher has, where
/// the config does not know the brain.
fn expected_watchdog(fleet: &Fleet, status: Option<&Status>, brain: &Instance) -> Option<String> {
    if let Some(component) = fleet.component(&brain.component) {
        let key = component.account_key.as_ref()?;
        let is_its = |one: &&Component| {
            one.role == Role::Watchdog
                && one.account_key.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(key))
        };
        let watchdog = fleet.components.iter().map(AsRef::as_ref).find(is_its)?;
        // A script that is missing is accepted by the config that lets the brain trade on.
        let is_waived = watchdog.missing_script().is_some()
            && component.settings.when_unguarded == WhenUnguarded::Keep;
        return (watchdog.enabled && !is_waived).then(|| watchdog.name.to_string());
    }
    let known = supervised(status, &brain.component)?;
    let mut others = status?.components.iter();
    let watchdog = others.find(|one| {
        one.role == Role::Watchdog.as_str() && one.account.is_some() && one.account == known.account
    });
    watchdog.map(|one| one.name.clone())
}

fn runs(snapshot: &Snapshot, status: Option<&Status>, watchdog: &str) -> bool {
    let is_it = |name: &str| name.eq_ignore_ascii_case(watchdog);
    let is_live = |one: &qc_control::ComponentStatus| {
        matches!(one.state, StateWord::Starting | StateWord::Running | StateWord::Stopping)
    };
    // One whose holder is not seen may guard from another machine; a holder that is another program
    // guards nothing.
    snapshot.own().any(|one| is_it(&one.component) && one.looks_like.is_none())
        || snapshot.loose_locks().any(|lock| is_it(&lock.name) && lock.state.is_live())
        || supervised(status, watchdog).is_some_and(is_live)
}

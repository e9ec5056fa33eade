//! The watcher's tokens: which process of which run has ended.

use std::collections::HashMap;

use qc_supervise::Id;

/// The bit by which the tokens of members differ from those of first processes: there are not so
/// many components.
const MEMBER: u64 = 1 << 63;

/// The tokens of the processes that belong to a run beside its first one.
#[derive(Default)]
pub(super) struct MemberTokens {
    runs: HashMap<u64, (Id, u32)>,
    /// How many members have been watched so far.
    count: u64,
}

impl MemberTokens {
    /// Returns a token that no other process has had.
    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        MEMBER | self.count
    }

    /// Records that a member of this run is watched by this token.
    pub(super) fn insert(&mut self, token: u64, id: Id, generation: u32) {
        self.runs.insert(token, (id, generation));
    }

    /// Forgets the token of an ended member; returns its run.
    pub(super) fn remove(&mut self, token: u64) -> Option<(Id, u32)> {
        self.runs.remove(&token)
    }
}

/// Returns the token of a run's first process.
pub(super) fn token(id: Id, generation: u32) -> u64 {
    u64::from(id.0) << 32 | u64::from(generation)
}

/// Returns the run of which this is the token of the first process.
pub(super) fn of_token(token: u64) -> (Id, u32) {
    let [high, low] = [token >> 32, token & u64::from(u32::MAX)];
    (Id(u32::try_from(high).unwrap_or(u32::MAX)), u32::try_from(low).unwrap_or(u32::MAX))
}

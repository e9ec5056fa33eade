//! Random numbers: some that a seed repeats, and accounts of their own.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A generator after Marsaglia's xorshift64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts with `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Returns a number that is probably unique on this machine, below `limit`.
pub(crate) fn unlikely(limit: u64) -> u64 {
    RandomState::new().build_hasher().finish() % limit
}

/// Returns an account that no other test and no fleet uses: an account is one for the whole machine.
pub fn random_account() -> String {
    format!("T-{:016x}", unlikely(u64::MAX))
}

/// Returns the account that only the calling thread has, and so only this test.
pub fn own_account() -> &'static str {
    thread_local!(static OWN: String = random_account());
    // Some hundred tests, each with a few bytes.
    OWN.with(|own| Box::leak(own.clone().into_boxed_str()))
}

/// Returns a key of an account that no other test has. `BRAIN_<key>` is looked at on the whole machine:
/// as long as nothing shows the account of such a brain, it is one of every fleet with that key.
pub fn own_key() -> String {
    format!("K{:010X}", unlikely(1 << 40))
}

/// Which port stands for which resource in the stress test.
pub mod stress_ports {
    /// How many folders there are; the accounts are the same in both.
    pub const FOLDERS: u64 = 2;
    /// How many names each folder has: the first one those from `BRAIN_0` on, the second one the next.
    pub const NAMES: u64 = 6;
    /// Accounts are `T-<random>-1` up to this.
    pub const ACCOUNTS: u64 = 4;
    /// How many ports there are.
    pub const COUNT: u16 = 20;

    /// Returns the port of a resource, from the first one.
    pub fn of(resource: &str) -> u16 {
        let number = |text: &str| text.parse::<u16>().expect("a number");
        match resource.split('/').collect::<Vec<_>>()[..] {
            ["name", name] => number(name.trim_start_matches("brain_")),
            ["account", account, "brain"] => {
                (FOLDERS * NAMES) as u16 + number(account.rsplit('-').next().unwrap_or_default())
            }
            _ => panic!("unknown resource {resource}"),
        }
    }
}

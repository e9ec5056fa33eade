//! Random numbers that a seed repeats, and accounts that do not repeat.

use std::hash::{BuildHasher, RandomState};

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

/// Returns an account that no other test and no fleet uses: accounts are locked on the whole machine.
pub fn random_account() -> String {
    format!("T-{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// Which port stands for which resource in the stress test.
pub mod stress_ports {
    /// Names are `BRAIN_0` up to below this.
    pub const NAMES: u64 = 6;
    /// Accounts are 1 up to this.
    pub const ACCOUNTS: u64 = 4;
    /// How many ports there are.
    pub const COUNT: u16 = 20;

    /// Returns the port of a resource, from the first one.
    pub fn of(resource: &str) -> u16 {
        let number = |text: &str| text.parse::<u16>().expect("a number");
        match resource.split('/').collect::<Vec<_>>()[..] {
            ["name", name] => number(name.trim_start_matches("brain_")),
            ["account", account, "brain"] => 10 + number(account),
            _ => panic!("unknown resource {resource}"),
        }
    }
}

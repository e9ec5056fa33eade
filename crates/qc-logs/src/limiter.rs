//! A limit for lines of one kind, so that a component that floods its log does not flood the
//! launcher's.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How many lines of one kind are written within [`SPAN`].
const MOST: u32 = 10;

const SPAN: Duration = Duration::from_secs(60);

/// Counts lines by kind.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    kinds: HashMap<K, Counted>,
}

#[derive(Debug)]
struct Counted {
    since: Instant,
    lines: u32,
    left_out: u32,
}

impl<K: Hash + Eq> Limiter<K> {
    pub(crate) fn new() -> Self {
        Self { kinds: HashMap::new() }
    }

    /// Counts a line; returns how many were left out before it, or `None` if it is to be left out, too.
    pub(crate) fn count(&mut self, kind: K, now: Instant) -> Option<u32> {
        let is_over = |one: &Counted| now.saturating_duration_since(one.since) >= SPAN;
        self.kinds.retain(|_, one| one.left_out > 0 || !is_over(one));
        let new = Counted { since: now, lines: 0, left_out: 0 };
        let one = self.kinds.entry(kind).or_insert(new);
        if is_over(one) {
            (one.since, one.lines) = (now, 0);
        }
        if one.lines >= MOST {
            one.left_out += 1;
            return None;
        }
        one.lines += 1;
        Some(std::mem::take(&mut one.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted_and_said_later() {
        let start = Instant::now();
        let mut limiter = Limiter::new();
        for _ in 0..MOST {
            assert_eq!(limiter.count("a", start), Some(0));
        }
        assert_eq!(limiter.count("a", start), None);
        assert_eq!(limiter.count("a", start + SPAN / 2), None);
        assert_eq!(limiter.count("b", start), Some(0), "each kind has its own");
        assert_eq!(limiter.count("a", start + SPAN), Some(2));
        assert_eq!(limiter.count("a", start + SPAN), Some(0));
    }
}

//! When to look at a growing file again: pure, from two looks to a time.

use std::time::{Duration, Instant};

/// The longest time between two looks at a file that is written to.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// The time to the first look at a file.
pub(crate) const FIRST: Duration = Duration::from_millis(250);

/// The shortest time between two looks. A component that prints 100 MB/s writes 10 MB meanwhile.
const SHORTEST: Duration = Duration::from_millis(100);

/// A look at a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Its size.
    pub(crate) found: u64,
    /// Its size after what was rotated away, if anything was.
    pub(crate) left: u64,
    /// When that was.
    pub(crate) at: Instant,
}

/// Returns how long a file that has grown like this may be left alone: half the time it needs to
/// reach the limit. Growth counts from what the look before has left.
pub(crate) fn next_look(before: Option<Look>, now: Look, limit: u64) -> Duration {
    let Some(before) = before else { return FIRST };
    // A file that another program has emptied meanwhile has grown by what it holds.
    let grown = now.found.checked_sub(before.left).unwrap_or(now.found);
    let room = limit.saturating_sub(now.left);
    if grown == 0 {
        return LONGEST;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let spans = room as f64 / grown as f64 / 2.0;
    let time = now.at.saturating_duration_since(before.at).as_secs_f64() * spans;
    Duration::try_from_secs_f64(time).unwrap_or(LONGEST).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_fast_is_looked_at_soon() {
        let start = Instant::now();
        let look =
            |found, left, millis| Look { found, left, at: start + Duration::from_millis(millis) };
        let limit = 1000;
        for (before, now, millis) in [
            (None, look(0, 0, 0), 250),
            (Some(look(0, 0, 0)), look(0, 0, 60_000), 60_000),
            (Some(look(0, 0, 0)), look(100, 100, 10_000), 45_000),
            (Some(look(0, 0, 0)), look(1, 1, 60_000), 60_000),
            (Some(look(0, 0, 0)), look(999, 999, 1000), 100),
            // Rotated: what was taken away had grown all the same.
            (Some(look(0, 0, 0)), look(1000, 0, 10_000), 5000),
            (Some(look(1000, 0, 0)), look(1000, 0, 1000), 500),
            (Some(look(0, 0, 0)), look(50_000, 0, 1000), 100),
            (Some(look(0, 0, 0)), look(50_000, 20_000, 1000), 100),
            // Emptied by another program.
            (Some(look(900, 900, 0)), look(100, 100, 1000), 4500),
            (Some(look(900, 900, 0)), look(0, 0, 60_000), 60_000),
        ] {
            assert_eq!(next_look(before, now, limit).as_millis(), millis, "{before:?} {now:?}");
        }
    }

    #[test]
    fn a_steady_writer_never_gets_far_beyond_the_limit() {
        // Bytes in a millisecond, from a line now and then to a disk's speed.
        for rate in [1_u64, 1000, 20_000, 110_000] {
            let limit = 1 << 20;
            let (mut size, mut now, mut before, mut wait) = (0, Instant::now(), None, FIRST);
            for _ in 0..1000 {
                now += wait;
                size += rate * u64::try_from(wait.as_millis()).unwrap_or(0) + rate;
                assert!(size <= limit + rate * 252, "{rate}: {size}");
                let left = if size >= limit { 0 } else { size };
                let look = Look { found: size, left, at: now };
                wait = next_look(before, look, limit);
                (before, size) = (Some(look), left);
            }
        }
    }
}

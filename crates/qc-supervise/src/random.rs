//! Random numbers that a seed repeats.

use std::time::Duration;

/// A generator after Sebastiano Vigna's SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a time from zero to `bound`, both included, all equally likely.
    pub(crate) fn up_to(&mut self, bound: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        // The upper half of the product maps the number onto the range.
        let scaled = (u128::from(mixed) * (u128::from(nanos) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fill_the_range_and_stay_in_it() {
        let bound = Duration::from_secs(8);
        let mut random = Random::new(1);
        let mut seen = [0; 8];
        for _ in 0..8000 {
            let time = random.up_to(bound);
            assert!(time <= bound);
            seen[usize::try_from(time.as_secs()).unwrap().min(7)] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
        assert_eq!(random.up_to(Duration::ZERO), Duration::ZERO);
        random.up_to(Duration::MAX);
    }
}

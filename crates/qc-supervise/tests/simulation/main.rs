//! Thousands of random histories of a fleet under a virtual clock: processes crash, hang, ignore
//! requests, start slowly or not at all; users start, stop, restart and reload; late news arrive.
//! After every step a referee compares what the supervisor does with what must never happen.
//!
//! A history is told by its seed. `QC_SIMULATION_SEED=N cargo test -p qc-supervise --test
//! simulation` plays one again and prints it; `QC_SIMULATION_COUNT` sets how many are played.

#![forbid(unsafe_code)]

mod fleet;
mod history;
mod referee;
mod world;

use history::{History, Lie};

/// How many histories are played.
const COUNT: u64 = 4000;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[test]
fn nothing_that_must_never_happen_happens() {
    let one = setting("QC_SIMULATION_SEED");
    let count = setting("QC_SIMULATION_COUNT").unwrap_or(COUNT);
    let seeds = one.map_or(0..count, |seed| seed..seed + 1);
    for seed in seeds {
        if let Err(violation) = History::new(seed, Lie::None, one.is_some()).play() {
            panic!(
                "seed {seed}: {violation}\n\
                 play it again with QC_SIMULATION_SEED={seed} cargo test -p qc-supervise --test simulation"
            );
        }
    }
}

#[test]
fn the_referee_sees_what_a_deceived_machine_does() {
    for (lie, expected) in [
        (Lie::LargerBudget, "beyond its budget"),
        (Lie::ShorterCooldown, "before its cooldown is over"),
        (Lie::NoGuards, "is stopped before its brain"),
        (Lie::NoGuards, "although its watchdog"),
        (Lie::StopUnheard, "although it was to stop"),
        (Lie::EndToldEarly, "but is Some"),
        (Lie::OldNews, "is believed to be"),
        (Lie::Impatient, "is killed"),
        (Lie::NoTicks, "does not come to an end"),
        (Lie::UnblockedEarly, "although another copy runs"),
        (Lie::NoProof, "although its watchdog"),
    ] {
        let violations = (0..500).filter_map(|seed| History::new(seed, lie, false).play().err());
        let seen = violations.filter(|violation| violation.contains(expected)).count();
        assert!(seen > 0, "{lie:?}: nobody saw `{expected}`");
    }
}

//! The fleets of the histories, drawn at random.

use std::sync::Arc;
use std::time::Duration;

use qc_supervise::{
    Heartbeat, HeartbeatSource, Probe, RestartDelay, RestartPolicy, RestartWhen, Settings, Spec,
    WhenUnguarded,
};

use crate::history::Lie;
use crate::world::{Nature, Random};

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn nature(random: &mut Random) -> Nature {
    let often = |random: &mut Random| [0, 0, 5, 50, 100][random.below(5) as usize];
    Nature {
        spawn: [Duration::ZERO, Duration::from_millis(300)][random.below(2) as usize],
        unstartable: [0, 0, 10, 60][random.below(4) as usize],
        unready: often(random),
        settling: seconds(random.below(20)),
        lifetime: [None, Some(seconds(2)), Some(seconds(60)), Some(seconds(4000))]
            [random.below(4) as usize],
        hangs: [0, 0, 10, 100][random.below(4) as usize],
        deaf: often(random),
        farewell: seconds(random.below(15)),
        tough: [0, 0, 50][random.below(3) as usize],
        blocked: [0, 0, 0, 10][random.below(4) as usize],
    }
}

pub(crate) fn settings(random: &mut Random) -> Settings {
    let restart = RestartPolicy {
        when: [
            RestartWhen::Always,
            RestartWhen::Always,
            RestartWhen::OnFailure,
            RestartWhen::Never,
        ][random.below(4) as usize],
        delay: match random.below(3) {
            0 => RestartDelay::Cooldown(seconds(random.below(90))),
            1 => RestartDelay::Cooldown(Duration::ZERO),
            _ => RestartDelay::Backoff { initial: seconds(random.below(3)), cap: seconds(60) },
        },
        max_restarts: [0, 1, 5, 20][random.below(4) as usize],
        window: [None, None, Some(seconds(120))][random.below(3) as usize],
        stable_after: seconds(1 + random.below(600)),
        never_after: vec![75],
    };
    let mut settings = Settings { restart, ..Settings::default() };
    settings.ready.probe =
        [Probe::Started, Probe::Delay(seconds(3)), Probe::Lock][random.below(3) as usize].clone();
    settings.ready.timeout = seconds(1 + random.below(30));
    if random.chance(30) {
        settings.heartbeat = Some(Heartbeat {
            source: HeartbeatSource::Output,
            within: seconds(1 + random.below(30)),
        });
    }
    settings.start_seconds = Duration::from_millis([0, 200, 1000, 4000][random.below(4) as usize]);
    settings.stop_timeout = seconds(random.below(12));
    if random.chance(25) {
        settings.when_unguarded = WhenUnguarded::Keep;
    }
    settings
}

pub(crate) fn spec(random: &mut Random) -> Spec {
    let mut spec = Spec::new(settings(random));
    spec.pause = Duration::from_millis([0, 0, 1000, 3000][random.below(4) as usize]);
    spec
}

/// The spec that the supervisor is made to believe.
pub(crate) fn told(mut spec: Spec, lie: Lie) -> Spec {
    let settings = Arc::make_mut(&mut spec.settings);
    match lie {
        Lie::LargerBudget => settings.restart.max_restarts += 1,
        Lie::ShorterCooldown => {
            if let RestartDelay::Cooldown(pause) = &mut settings.restart.delay {
                *pause /= 2;
            }
        }
        Lie::NoGuards => spec.guard = None,
        Lie::Impatient => settings.stop_timeout /= 2,
        Lie::NoProof => settings.start_seconds = Duration::ZERO,
        Lie::None
        | Lie::StopUnheard
        | Lie::EndToldEarly
        | Lie::OldNews
        | Lie::NoTicks
        | Lie::UnblockedEarly => {}
    }
    spec
}

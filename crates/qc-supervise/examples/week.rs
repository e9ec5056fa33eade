//! Ten thousand components for a virtual week: what an event costs.
//!
//! `cargo run --release -p qc-supervise --example week`; also `cargo xtask bench supervise`.

#![forbid(unsafe_code)]

#[path = "../tests/simulation/world.rs"]
#[expect(dead_code, reason = "shared with the simulation")]
mod world;

use std::time::{Duration, Instant};

use qc_supervise::{Event, Probe, Settings, Spec, Supervisor};

use world::{Nature, World, fleet};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn main() {
    let mut smallest = None;
    for accounts in [50, 500, 5_000] {
        let nature = Nature {
            spawn: Duration::from_millis(50),
            unstartable: 1,
            unready: 0,
            settling: Duration::from_secs(5),
            lifetime: Some(Duration::from_secs(86_400)),
            hangs: 1,
            deaf: 5,
            farewell: Duration::from_secs(5),
            tough: 0,
            blocked: 0,
        };
        let mut settings = Settings::default();
        settings.ready.probe = Probe::Lock;
        settings.restart.max_restarts = u32::MAX;
        settings.heartbeat = Some(qc_supervise::Heartbeat {
            source: qc_supervise::HeartbeatSource::Output,
            within: Duration::from_secs(4 * 3600),
        });
        let specs = fleet(accounts, &mut |_| Spec::new(settings.clone()));
        let components = specs.len();
        let mut supervisor = Supervisor::new(specs, 1);
        let mut world = World::new(vec![nature; components], 1);
        let began = Instant::now();
        let events = run(&mut supervisor, &mut world, Event::StartAll, WEEK);
        let took = began.elapsed();
        let cost = took.as_secs_f64() * 1e9 / events as f64;
        let smallest: f64 = *smallest.get_or_insert(cost);
        println!(
            "{components:>6} components, a virtual week: {events:>9} events in {:>5.2} s, \
             {cost:>6.0} ns each with the world around them, {:.1} x the smallest fleet's",
            took.as_secs_f64(),
            cost / smallest,
        );
    }
}

/// Lets the supervisor and the world run on until `end`; returns how many events there were.
fn run(supervisor: &mut Supervisor, world: &mut World, first: Event, end: Duration) -> u64 {
    let mut count = 0;
    let mut events = vec![first];
    loop {
        while let Some(event) = events.pop() {
            count += 1;
            for action in supervisor.handle(event, world.now) {
                events.extend(world.perform(&action));
            }
        }
        let due = supervisor.next_due();
        let fate = world.next();
        let at = due.into_iter().chain(fate).min().unwrap_or(end);
        if at >= end {
            return count;
        }
        if fate.is_some_and(|fate| fate <= at) {
            events.extend(world.step());
        } else {
            world.now = world.now.max(at);
            events.push(Event::Tick);
        }
    }
}

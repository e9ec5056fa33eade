//! Thousands of random histories of a fleet under a virtual clock: processes crash, hang, ignore
//! requests, start slowly or not at all; users start, stop, restart and reload; late news arrive.
//! After every step a referee compares what the supervisor does with what must never happen.
//!
//! A history is told by its seed. `QC_SIMULATION_SEED=N cargo test -p qc-supervise --test
//! simulation` plays one again and prints it; `QC_SIMULATION_COUNT` sets how many are played.

#![forbid(unsafe_code)]

mod referee;
mod world;

use std::sync::Arc;
use std::time::Duration;

use qc_supervise::{
    Change, Event, Exit, Heartbeat, HeartbeatSource, Id, Probe, RestartDelay, RestartPolicy,
    RestartWhen, Settings, Spec, Supervisor, WhenUnguarded,
};

use referee::Referee;
use world::{Nature, Random, World};

/// How many histories are played.
const COUNT: u64 = 4000;

/// How long a history is, until everything is stopped.
const SPAN: Duration = Duration::from_secs(3600);

/// How the supervisor is deceived, so that it does what must never happen: the referee has to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    /// It believes that more restarts are allowed.
    LargerBudget,
    /// It believes that the cooldown is shorter.
    ShorterCooldown,
    /// It does not know which watchdog guards which brain.
    NoGuards,
    /// It does not hear that something is to stop.
    StopUnheard,
    /// It hears of an end that has only been asked for.
    EndToldEarly,
    /// It takes news of an earlier generation for new.
    OldNews,
    /// It believes that less time is given for stopping.
    Impatient,
    /// It is never told that time has passed.
    NoTicks,
    /// It is told at once that a copy has ended.
    UnblockedEarly,
    /// It believes that a start has succeeded as soon as there is a process.
    NoProof,
}

struct History {
    random: Random,
    world: World,
    supervisor: Supervisor,
    referee: Referee,
    specs: Vec<Spec>,
    /// The events of processes, to be repeated late.
    told: Vec<Event>,
    lie: Lie,
    aloud: bool,
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn nature(random: &mut Random) -> Nature {
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

fn settings(random: &mut Random) -> Settings {
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

fn spec(random: &mut Random) -> Spec {
    let mut spec = Spec::new(settings(random));
    spec.pause = Duration::from_millis([0, 0, 1000, 3000][random.below(4) as usize]);
    spec
}

/// The spec that the supervisor is made to believe.
fn told(mut spec: Spec, lie: Lie) -> Spec {
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

impl History {
    fn new(seed: u64, lie: Lie, aloud: bool) -> Self {
        let mut random = Random::new(seed);
        let accounts = 1 + random.below(4) as u32;
        let specs = world::fleet(accounts, &mut |_| spec(&mut random));
        let natures = specs.iter().map(|_| nature(&mut random)).collect();
        let world = World::new(natures, seed + 1);
        let supervisor =
            Supervisor::new(specs.iter().map(|it| told(it.clone(), lie)).collect(), seed);
        let referee = Referee::new(&specs);
        Self { random, world, supervisor, referee, specs, told: Vec::new(), lie, aloud }
    }

    /// Plays it to its end; says what must never happen, if it did.
    fn play(mut self) -> Result<(), String> {
        for id in (0..self.specs.len() as u32).map(Id) {
            if self.random.chance(15) {
                self.world.leave_behind(id);
                self.handle(Event::Adopted(id))?;
            }
        }
        self.handle(Event::StartAll)?;
        let mut next_wish = self.random.time(SPAN);
        while self.world.now < SPAN {
            self.step(next_wish.min(SPAN))?;
            if self.world.now >= next_wish {
                self.wish()?;
                // Users repeat themselves, and change their minds.
                while self.random.chance(30) {
                    self.wish()?;
                }
                next_wish = self.world.now + self.random.time(SPAN / 8);
            }
        }
        let limit = self.random.chance(30).then(|| seconds(self.random.below(5)));
        self.handle(Event::StopAll { limit })?;
        if self.random.chance(30) {
            // The window is closed while a stop goes on.
            let closed = self.world.now + self.random.time(seconds(60));
            while !self.supervisor.is_over() && self.world.now < closed {
                self.step(closed)?;
            }
            let limit = limit.map_or(seconds(1), |limit| limit / 2);
            self.handle(Event::StopAll { limit: Some(limit) })?;
        }
        let patience = self.world.now + seconds(300);
        while !self.supervisor.is_over() && self.world.now < patience {
            self.step(patience)?;
        }
        self.referee.judge_end(&self.supervisor, &self.world)
    }

    /// Lets the next thing happen, or `until` come.
    fn step(&mut self, until: Duration) -> Result<(), String> {
        let fate = self.world.next().filter(|&at| at <= until);
        let due = self.supervisor.next_due().filter(|_| self.lie != Lie::NoTicks);
        if let Some(at) = fate.filter(|&at| due.is_none_or(|due| at <= due)) {
            // Events come before timers, as in the runtime.
            self.world.now = self.world.now.max(at);
            if let Some(event) = self.world.step() {
                self.told.push(event.clone());
                self.handle(event)?;
            }
            return self.tell_old_news();
        }
        match due.filter(|&at| at <= until) {
            Some(at) => {
                self.world.now = self.world.now.max(at);
                self.handle(Event::Tick)
            }
            None => {
                self.world.now = until;
                Ok(())
            }
        }
    }

    /// Tells once more of a process that is gone.
    fn tell_old_news(&mut self) -> Result<(), String> {
        let is_due = self.supervisor.next_due().is_some_and(|due| due <= self.world.now);
        if self.told.is_empty() || is_due || !self.random.chance(5) {
            return Ok(());
        }
        let index = self.random.below(self.told.len() as u64) as usize;
        let mut event = self.told[index].clone();
        let (id, generation) = match &mut event {
            Event::Started { id, generation }
            | Event::NotStarted { id, generation, .. }
            | Event::Unblocked { id, generation }
            | Event::Ready { id, generation }
            | Event::Exited { id, generation, .. } => (*id, generation),
            _ => return Ok(()),
        };
        match self.world.process(id) {
            Some(process) if process.generation == *generation => return Ok(()),
            Some(process) if self.lie == Lie::OldNews => *generation = process.generation,
            _ => {}
        }
        if self.aloud {
            println!("{:>12?}  (late) {event:?}", self.world.now);
        }
        for action in self.supervisor.handle(event, self.world.now) {
            if self.lie != Lie::OldNews {
                return Err(format!("late news led to {action:?}"));
            }
            self.act(&action)?;
        }
        self.referee.judge_beliefs(&mut self.supervisor, &self.world)
    }

    /// A user wants something.
    fn wish(&mut self) -> Result<(), String> {
        let any = Id(self.random.below(self.specs.len() as u64) as u32);
        match self.random.below(7) {
            0 => self.handle(Event::Start(any)),
            1 => self.handle(Event::Restart(any)),
            2 => self.handle(Event::Stop(vec![any])),
            3 => {
                let ids = (0..self.specs.len() as u32).map(Id);
                let chosen: Vec<Id> = ids.filter(|_| self.random.chance(50)).collect();
                self.handle(Event::Stop(chosen))
            }
            4 => self.handle(Event::StartAll),
            5 => self.handle(Event::Withhold(vec![any])),
            _ => self.reload(any),
        }
    }

    fn reload(&mut self, id: Id) -> Result<(), String> {
        let change = match self.random.below(4) {
            0 => {
                let added = spec(&mut self.random);
                self.world.add(nature(&mut self.random));
                self.specs.push(added.clone());
                self.referee.added(added.clone());
                Change::Add(told(added, self.lie))
            }
            // Only brains, which nothing needs: a config without a watchdog names none for it.
            1 if self.specs[id.0 as usize].guard.is_some() && !self.referee.is_gone(id) => {
                self.referee.removed(id);
                Change::Remove(id)
            }
            _ => {
                let mut changed = self.specs[id.0 as usize].clone();
                changed.settings = Arc::new(settings(&mut self.random));
                self.specs[id.0 as usize] = changed.clone();
                let restart = self.random.chance(50);
                let resting = self.supervisor.view(id).map(|view| view.state);
                let by_hand = resting == Some(qc_supervise::State::Stopped);
                self.referee.replaced(id, changed.clone(), restart && !by_hand);
                Change::Replace { id, spec: told(changed, self.lie), restart }
            }
        };
        self.handle(Event::Reload(vec![change]))
    }

    fn handle(&mut self, event: Event) -> Result<(), String> {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            if self.aloud {
                println!("{:>12?}  {event:?}", self.world.now);
            }
            self.referee.hear(&event, &self.world);
            let unheard = matches!(event, Event::Stop(_) | Event::StopAll { .. });
            if unheard && self.lie == Lie::StopUnheard {
                continue;
            }
            if let (Lie::UnblockedEarly, Event::NotStarted { id, generation, .. }) =
                (self.lie, &event)
            {
                events.push(Event::Unblocked { id: *id, generation: *generation });
            }
            for action in self.supervisor.handle(event, self.world.now) {
                events.extend(self.act(&action)?);
            }
        }
        self.referee.judge_beliefs(&mut self.supervisor, &self.world)
    }

    fn act(&mut self, action: &qc_supervise::Action) -> Result<Option<Event>, String> {
        if self.aloud {
            println!("{:>12}    -> {action:?}", "");
        }
        self.referee.judge(action, &self.world)?;
        let answer = self.world.perform(action);
        if let (Lie::EndToldEarly, qc_supervise::Action::Ask { id, .. }) = (self.lie, action)
            && let Some(process) = self.world.process(*id)
        {
            return Ok(Some(Event::Exited {
                id: *id,
                generation: process.generation,
                exit: Exit::Code(0),
            }));
        }
        Ok(answer)
    }
}

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

//! One history: it draws what happens, and tells it to the world, the referee and the supervisor.

use std::sync::Arc;
use std::time::Duration;

use qc_supervise::{Change, Event, Exit, Id, Spec, Supervisor};

use crate::fleet::{nature, seconds, settings, spec, told};
use crate::referee::Referee;
use crate::world::{self, Random, World};

/// How long a history is, until everything is stopped.
const SPAN: Duration = Duration::from_secs(3600);

/// How the supervisor is deceived, so that it does what must never happen: the referee has to see
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
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

/// A history, from its seed on.
pub(crate) struct History {
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

impl History {
    pub(crate) fn new(seed: u64, lie: Lie, aloud: bool) -> Self {
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
    pub(crate) fn play(mut self) -> Result<(), String> {
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

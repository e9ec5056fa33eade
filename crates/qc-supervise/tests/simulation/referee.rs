//! Watches what the supervisor asks for, knowing only what the user asked for and what really runs.

use std::collections::HashMap;
use std::time::Duration;

use qc_supervise::{
    Action, Event, Id, NotStarted, Probe, RestartDelay, Spec, State, Supervisor, SupervisorEvent,
    WhenUnguarded,
};

use crate::world::World;

/// The referee's knowledge of a component.
#[derive(Debug, Default)]
struct Dossier {
    spec: Option<Spec>,
    /// It was asked to stop, and not to start since.
    unwanted: bool,
    /// It runs on, and no start has been asked for since.
    withheld: bool,
    /// It was asked to start: the next start is no restart.
    by_hand: bool,
    /// The last start was no restart.
    first: bool,
    /// Its lock was busy: the next start is the same one, tried again.
    busy: bool,
    /// The generation that another copy kept from being started, if that was the last try.
    blocked: Option<(u32, Duration)>,
    /// The last generation that another copy kept from being started.
    last_blocked: Option<u32>,
    /// When it was started again by itself, since it last ran stably.
    restarts: Vec<Duration>,
    /// When its present process was asked to stop.
    asked: Option<Duration>,
    spared: bool,
    /// Its present process does not end although it was killed.
    survived: bool,
    gone: bool,
}

/// Knows the truth.
pub(crate) struct Referee {
    dossiers: Vec<Dossier>,
    /// Since when those that are ready are that.
    last_ready: HashMap<Id, Duration>,
    limit: Option<Duration>,
    all_unwanted: bool,
}

type Verdict = Result<(), String>;

impl Referee {
    pub(crate) fn new(specs: &[Spec]) -> Self {
        let dossiers = specs.iter().map(|spec| Dossier {
            spec: Some(spec.clone()),
            by_hand: true,
            ..Dossier::default()
        });
        Self {
            dossiers: dossiers.collect(),
            last_ready: HashMap::new(),
            limit: None,
            all_unwanted: false,
        }
    }

    fn spec(&self, id: Id) -> &Spec {
        self.dossiers[id.0 as usize].spec.as_ref().expect("known since it was added")
    }

    fn brains_of(&self, guard: Id) -> impl Iterator<Item = Id> {
        (0..self.dossiers.len()).map(|index| Id(index as u32)).filter(move |&id| {
            !self.dossiers[id.0 as usize].gone && self.spec(id).guard == Some(guard)
        })
    }

    /// Returns since when a component is ready, by its own probe.
    fn ready_since(&self, id: Id, world: &World) -> Option<Duration> {
        let process = world.process(id)?;
        match self.spec(id).settings.ready.probe {
            _ if process.adopted => process.ready,
            Probe::Started => process.started,
            Probe::Delay(delay) => {
                let over = process.started.map(|at| at + delay).filter(|&at| at <= world.now);
                process.ready.or(over)
            }
            _ => process.ready,
        }
    }

    /// Whether a component has stayed up for its `start_seconds`.
    fn is_proven(&self, id: Id, world: &World) -> bool {
        let Some(process) = world.process(id) else { return false };
        let dossier = &self.dossiers[id.0 as usize];
        let needed = self.spec(id).settings.start_seconds;
        let up = process.started.map(|started| world.now - started);
        process.adopted || dossier.spared || up.is_some_and(|up| up >= needed)
    }

    fn want(&mut self, id: Id) {
        let dossier = &mut self.dossiers[id.0 as usize];
        if !self.all_unwanted && !dossier.gone {
            dossier.unwanted = false;
            dossier.withheld = false;
            dossier.by_hand = true;
        }
    }

    fn unwant(&mut self, id: Id) {
        self.dossiers[id.0 as usize].unwanted = true;
    }

    /// Hears what happens before the supervisor does.
    pub(crate) fn hear(&mut self, event: &Event, world: &World) {
        for id in (0..self.dossiers.len() as u32).map(Id) {
            if let Some(since) = self.ready_since(id, world) {
                self.last_ready.entry(id).or_insert(since);
            }
        }
        match event {
            Event::StartAll => (0..self.dossiers.len()).for_each(|id| self.want(Id(id as u32))),
            Event::Start(id) | Event::Restart(id) => self.want(*id),
            Event::Stop(ids) => {
                for &id in ids {
                    let brains: Vec<Id> = self.brains_of(id).collect();
                    for brain in brains {
                        self.unwant(brain);
                    }
                    self.unwant(id);
                }
            }
            Event::Withhold(ids) => {
                ids.iter().for_each(|id| self.dossiers[id.0 as usize].withheld = true);
            }
            Event::StopAll { limit } => {
                self.all_unwanted = true;
                self.limit = *limit;
                (0..self.dossiers.len()).for_each(|id| self.unwant(Id(id as u32)));
            }
            Event::Started { id, .. } => {
                let dossier = &mut self.dossiers[id.0 as usize];
                dossier.busy = false;
                // Asked for by hand, it was looked for again, and the copy was not there any more.
                dossier.last_blocked = None;
            }
            Event::NotStarted { id, why, generation } => {
                let dossier = &mut self.dossiers[id.0 as usize];
                // A try that led to nothing is told again, or ends as a failure after a moment.
                dossier.busy =
                    matches!(why, NotStarted::Busy | NotStarted::InUse(_) | NotStarted::NotNow(_));
                let is_blocked = matches!(why, NotStarted::Blocked(_));
                // Tried by hand meanwhile, it was looked for again.
                dossier.last_blocked = is_blocked.then_some(*generation);
                dossier.blocked = is_blocked.then_some((*generation, world.now));
            }
            Event::Unblocked { id, generation } => {
                let dossier = &mut self.dossiers[id.0 as usize];
                if let Some((_, since)) =
                    dossier.blocked.take_if(|(blocked, _)| blocked == generation)
                {
                    // A first start that was blocked is still a first start.
                    dossier.by_hand |= dossier.first;
                    let stable = dossier.spec.as_ref().map(|it| it.settings.restart.stable_after);
                    if Some(world.now - since) >= stable {
                        dossier.restarts.clear();
                    }
                }
            }
            Event::Exited { id, .. } => {
                let ran = self.last_ready.remove(id).map(|since| world.now - since);
                let dossier = &mut self.dossiers[id.0 as usize];
                let stable = dossier.spec.as_ref().map(|it| it.settings.restart.stable_after);
                if dossier.asked.take().is_none() && ran.is_some() && ran >= stable {
                    dossier.restarts.clear();
                }
            }
            Event::Adopted(_)
            | Event::Ready { .. }
            | Event::Reload(_)
            | Event::Heartbeat { .. }
            | Event::Silent { .. }
            | Event::Tick => {}
        }
    }

    pub(crate) fn added(&mut self, spec: Spec) {
        self.dossiers.push(Dossier { spec: Some(spec), by_hand: true, ..Dossier::default() });
    }

    pub(crate) fn replaced(&mut self, id: Id, spec: Spec, restart: bool) {
        self.dossiers[id.0 as usize].spec = Some(spec);
        let dossier = &mut self.dossiers[id.0 as usize];
        // It may go on as it was, or be started anew.
        dossier.spared = true;
        if restart {
            dossier.by_hand = true;
            dossier.unwanted = self.all_unwanted;
            dossier.withheld = false;
        }
    }

    pub(crate) fn removed(&mut self, id: Id) {
        self.unwant(id);
        self.dossiers[id.0 as usize].gone = true;
    }

    pub(crate) fn is_gone(&self, id: Id) -> bool {
        self.dossiers[id.0 as usize].gone
    }

    /// Judges what the supervisor asks for, before it is done.
    pub(crate) fn judge(&mut self, action: &Action, world: &World) -> Verdict {
        match *action {
            Action::Spawn { id, .. } => self.judge_spawn(id, world),
            Action::Ask { id, .. } => self.judge_ask(id, world),
            Action::Kill(id) => self.judge_kill(id, world),
            Action::Say(id, SupervisorEvent::GaveUp(_)) => {
                self.dossiers[id.0 as usize].restarts.clear();
                Ok(())
            }
            Action::Say(id, SupervisorEvent::Survived) => {
                self.dossiers[id.0 as usize].survived = true;
                Ok(())
            }
            Action::Forget(id) if world.process(id).is_some() => {
                Err(format!("{id:?} is forgotten while its process lives"))
            }
            Action::Forget(_) | Action::Look { .. } | Action::Say(..) => Ok(()),
        }
    }

    fn judge_spawn(&mut self, id: Id, world: &World) -> Verdict {
        let spec = self.spec(id).clone();
        let policy = &spec.settings.restart;
        if let Some(process) = world.process(id) {
            return Err(format!("a second copy of {id:?} is started beside {process:?}"));
        }
        let is_blocked = |&generation: &u32| world.blocked.contains(&(id, generation));
        let by_hand = self.dossiers[id.0 as usize].by_hand;
        if self.dossiers[id.0 as usize].last_blocked.as_ref().is_some_and(is_blocked) && !by_hand {
            return Err(format!("{id:?} is started although another copy runs"));
        }
        let guard_is_ready = spec.guard.is_none_or(|guard| {
            self.last_ready.contains_key(&guard) && self.is_proven(guard, world)
        });
        let dossier = &mut self.dossiers[id.0 as usize];
        if dossier.unwanted || dossier.withheld {
            return Err(format!("{id:?} is started although it was to stop"));
        }
        let keeps = spec.settings.when_unguarded == WhenUnguarded::Keep;
        if let Some(guard) = spec.guard.filter(|_| !keeps && !guard_is_ready) {
            return Err(format!("{id:?} is started although its watchdog {guard:?} is not ready"));
        }
        self.last_ready.remove(&id);
        let dossier = &mut self.dossiers[id.0 as usize];
        dossier.asked = None;
        dossier.survived = false;
        if dossier.by_hand || !dossier.busy {
            dossier.first = dossier.by_hand;
        }
        if dossier.by_hand {
            dossier.by_hand = false;
            dossier.restarts.clear();
        } else if !dossier.busy {
            let last = dossier.restarts.last().copied();
            dossier.restarts.push(world.now);
            let count = dossier.restarts.len();
            if policy.window.is_none() && count > policy.max_restarts as usize && !dossier.spared {
                return Err(format!("restart {count} of {id:?} is beyond its budget"));
            }
            // A component with a watchdog may have waited for that one, too.
            if let (RestartDelay::Cooldown(pause), Some(last), None, false) =
                (policy.delay, last, spec.guard, dossier.spared)
                && world.now < last + pause
            {
                return Err(format!("{id:?} is restarted before its cooldown is over"));
            }
        }
        Ok(())
    }

    fn judge_ask(&mut self, id: Id, world: &World) -> Verdict {
        if world.process(id).is_none() {
            return Err(format!("{id:?} is asked to stop, and does not run"));
        }
        let first = self.dossiers[id.0 as usize].asked.is_none();
        if self.dossiers[id.0 as usize].unwanted && first {
            let generations = |brain: &Id| world.process(*brain).is_some();
            if let Some(brain) = self.brains_of(id).find(generations) {
                return Err(format!("watchdog {id:?} is stopped before its brain {brain:?}"));
            }
        }
        self.dossiers[id.0 as usize].asked.get_or_insert(world.now);
        Ok(())
    }

    fn judge_kill(&self, id: Id, world: &World) -> Verdict {
        let dossier = &self.dossiers[id.0 as usize];
        let timeout = self.spec(id).settings.stop_timeout;
        let timeout = timeout.min(self.limit.unwrap_or(Duration::MAX));
        match dossier.asked {
            Some(asked) if world.now < asked + timeout && !dossier.spared => {
                Err(format!("{id:?} is killed {:?} after it was asked", world.now - asked))
            }
            _ => Ok(()),
        }
    }

    /// Judges whether what the supervisor believes is what is, once it has nothing to do at once.
    pub(crate) fn judge_beliefs(&self, supervisor: &mut Supervisor, world: &World) -> Verdict {
        let due = supervisor.next_due();
        for index in 0..self.dossiers.len() {
            let id = Id(index as u32);
            let process = world.process(id);
            let Some(view) = supervisor.view(id) else {
                match process {
                    Some(_) => return Err(format!("{id:?} was forgotten and lives")),
                    None => continue,
                }
            };
            let generations =
                matches!(view.state, State::Starting | State::Running | State::Stopping);
            if generations != process.is_some()
                || process.is_some_and(|it| it.generation != view.generation)
            {
                return Err(format!("{id:?} is believed to be {view:?}, but is {process:?}"));
            }
            match view.state {
                State::Waiting(Some(other)) => {
                    match supervisor.view(other).map(|view| view.state) {
                        Some(
                            State::Waiting(_)
                            | State::BackingOff(_)
                            | State::Blocked(_)
                            | State::Starting
                            | State::Stopping,
                        ) => {}
                        Some(State::Running)
                            if !supervisor.view(other).is_some_and(|it| it.is_proven) => {}
                        other => return Err(format!("{id:?} waits for one that is {other:?}")),
                    }
                }
                State::Waiting(None) if due.is_none() => {
                    let spawning = (0..self.dossiers.len()).any(|other| {
                        supervisor
                            .view(Id(other as u32))
                            .is_some_and(|it| matches!(it.state, State::Starting | State::Stopping))
                    });
                    if !spawning {
                        return Err(format!("{id:?} waits for its turn, which never comes"));
                    }
                }
                State::BackingOff(until) if due.is_none_or(|due| due > until) => {
                    return Err(format!("{id:?} backs off until {until:?}, but {due:?} is due"));
                }
                State::Running => self.judge_guarded(id, supervisor)?,
                State::Blocked(_) if !world.blocked.contains(&(id, view.generation)) => {
                    return Err(format!("{id:?} is blocked by a copy that has ended"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// No brain trades on when its watchdog has been given up.
    fn judge_guarded(&self, id: Id, supervisor: &Supervisor) -> Verdict {
        let spec = self.spec(id);
        let Some(guard) = spec.guard else { return Ok(()) };
        let gave_up = matches!(
            supervisor.view(guard).map(|view| view.state),
            Some(State::GaveUp(_) | State::Finished(_))
        );
        // It may have its turn to stop before it.
        let keeps = spec.settings.when_unguarded == WhenUnguarded::Keep;
        if gave_up && !keeps && !self.dossiers[id.0 as usize].spared {
            return Err(format!("{id:?} runs although its watchdog {guard:?} was given up"));
        }
        Ok(())
    }

    /// Judges the end: everything was stopped.
    pub(crate) fn judge_end(&self, supervisor: &Supervisor, world: &World) -> Verdict {
        if !supervisor.is_over() {
            return Err("the machine does not come to an end".into());
        }
        for index in 0..self.dossiers.len() {
            let id = Id(index as u32);
            if let Some(process) = world.process(id) {
                let has_survived = |id: &Id| self.dossiers[id.0 as usize].survived;
                let generations = |id: &Id| world.process(*id).is_some() && has_survived(id);
                // A brain that is no longer wanted counts as long as it lives.
                let mut all = (0..self.dossiers.len() as u32).map(Id);
                let is_kept =
                    all.any(|brain| self.spec(brain).guard == Some(id) && generations(&brain));
                if !generations(&id) && !is_kept {
                    return Err(format!("{id:?} lives after the end: {process:?}"));
                }
                continue;
            }
            match supervisor.view(id).map(|view| view.state) {
                None | Some(State::Stopped | State::Finished(_) | State::GaveUp(_)) => {}
                other => return Err(format!("{id:?} ends as {other:?}")),
            }
        }
        Ok(())
    }
}

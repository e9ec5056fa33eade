//! Watches what the supervisor asks for, knowing only what the user asked for and what really runs.

mod actions;
mod beliefs;

use std::collections::HashMap;
use std::time::Duration;

use qc_supervise::{Event, Id, NotStarted, Probe, Spec};

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
}

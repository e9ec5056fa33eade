//! The requests of `qc-launch status`, `stop`, `start`, `restart` and `reload`.

use qc_control::{Answer, Refusal, Request, Status};
use qc_fleet_cli::ReadFleet;
use qc_lock_core::Latch;
use qc_supervise::{Event, Id, State};

use super::Runtime;
use super::clients::refusal;
use super::roster::runs_alike;

impl Runtime<'_> {
    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let mut refused = Vec::new();
        let done = match request {
            Request::Status | Request::Wait { .. } => Ok(Vec::new()),
            Request::Stop { names } if names.is_empty() => {
                self.stop_all(None);
                Ok(Vec::new())
            }
            Request::Stop { names } => self.ids(names).map(|ids| {
                self.report.info("asked", &format!("asked to stop {}", names.join(", ")));
                let text = self.stopped_with(&ids);
                text.iter().for_each(|line| self.report.info("asked", line));
                self.events.push_back(Event::Stop(ids));
                text
            }),
            Request::Withhold { names } => self.ids(names).map(|ids| {
                let text = format!("asked not to start {} again", names.join(", "));
                self.report.info("asked", &text);
                self.events.push_back(Event::Withhold(ids));
                Vec::new()
            }),
            Request::Start { names } => self.each(names, false, Event::Start),
            Request::Restart { names } => self.each(names, true, Event::Restart),
            Request::Reload => self.refuse_moved().and_then(|()| self.reload()).map(|reloaded| {
                refused = reloaded.refused;
                reloaded.text
            }),
        };
        match done {
            Ok(text) => {
                self.settle();
                Answer::Done(Status { refused, ..self.status(text) })
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    /// Lets the supervisor hear what was asked, so that the answer shows what follows.
    fn settle(&mut self) {
        let mut asked = std::mem::take(&mut self.events);
        while let Some(event) = asked.pop_front() {
            self.handle(event);
        }
        self.make_starts();
    }

    fn each(
        &mut self,
        names: &[String],
        is_restart: bool,
        event: impl Fn(Id) -> Event,
    ) -> Result<Vec<String>, Refusal> {
        if self.is_stopping() {
            return Err(refusal(
                "the fleet is being stopped",
                "wait until it has ended, and start it again",
                false,
            ));
        }
        self.refuse_moved().inspect_err(|refusal| self.report.warn("asked", &refusal.message))?;
        let mut ids = self.ids(names)?;
        let word = if is_restart { "restart" } else { "start" };
        self.report.info("asked", &format!("asked to {word} {}", names.join(", ")));
        self.refuse_lacking(&ids, is_restart)
            .inspect_err(|refusal| self.report.warn("asked", &refusal.message))?;
        if is_restart {
            self.refuse_blocked_restart(&ids)
                .inspect_err(|refusal| self.report.warn("asked", &refusal.message))?;
        }
        self.supervisor.sort_by_need(&mut ids);
        let mut text = self.outdated(&ids);
        if is_restart {
            text.extend(self.unguarded_by_restart(&ids));
        }
        text.iter().for_each(|line| self.report.warn("asked", line));
        ids.iter().for_each(|&id| self.unlatch(id));
        if is_restart {
            // Brains first: a watchdog that is restarted, too, waits until they have ended.
            ids.reverse();
        }
        self.events.extend(ids.into_iter().map(event));
        Ok(text)
    }

    /// Allows the starts of one that was stopped until the user starts it.
    fn unlatch(&mut self, id: Id) {
        let Some(component) = self.roster.get(id) else { return };
        match self.locks.unlatch_of(&component.request()) {
            Ok(removed) => {
                let name = &component.name;
                let text =
                    |it: &Latch| format!("{name} may start again; removed: {}", it.sentence());
                removed.iter().for_each(|latch| self.report.info("asked", &text(latch)));
            }
            // Its start is refused then, and says so.
            Err(error) => self.report.warn("asked", &qc_cli::describe(&error)),
        }
    }

    /// Says which brains are stopped although only their watchdogs were named.
    fn stopped_with(&self, ids: &[Id]) -> Vec<String> {
        let live = |id| {
            let state = self.supervisor.view(id).map(|view| view.state);
            let rests = |state: &State| {
                matches!(state, State::Stopped | State::Finished(_) | State::GaveUp(_))
            };
            state.is_some_and(|state| !rests(&state))
        };
        let with = self.guarded_by(ids).filter(|(id, ..)| live(*id));
        let text = |brain, guard| format!("{brain} is stopped first: {guard} is its watchdog");
        with.map(|(_, brain, guard)| text(brain, guard)).collect()
    }

    /// Says which brains run on without their watchdogs while only these are restarted: a second
    /// watchdog can't start before the first one has given its account back.
    fn unguarded_by_restart(&self, ids: &[Id]) -> Vec<String> {
        let with = self.guarded_by(ids).filter(|(id, ..)| self.running(*id).is_some());
        let text = |brain: String, guard: String| {
            format!(
                "{brain} runs on, and nothing guards it until {guard} has restarted; \
                 `qc-launch restart {guard} {brain}` stops it meanwhile"
            )
        };
        with.map(|(_, brain, guard)| text(brain, guard)).collect()
    }

    /// Returns the brains whose watchdogs are among these and that are not: their names and those of
    /// the watchdogs.
    fn guarded_by(&self, ids: &[Id]) -> impl Iterator<Item = (Id, String, String)> {
        let brains = self.roster.iter().filter(|(id, _)| !ids.contains(id));
        brains.filter_map(|(id, brain)| {
            let guard = self.roster.guard(id).filter(|guard| ids.contains(guard))?;
            Some((id, brain.name.to_string(), self.roster.name(guard)))
        })
    }

    /// Says which of these are started with settings that the config does not have any more.
    fn outdated(&self, ids: &[Id]) -> Vec<String> {
        let fleet = match self.location.fleet_to_start() {
            Ok(fleet) => fleet,
            Err(failure) => {
                return vec![format!(
                    "the config can't be read now, so the one that was read last is used: {}",
                    failure.message()
                )];
            }
        };
        let outdated = ids.iter().filter_map(|&id| self.roster.get(id)).filter_map(|one| {
            let now = fleet.component(one.name.as_str());
            let what = match now {
                None => "is not in the config any more",
                Some(now) if !now.enabled => "is not enabled in the config any more",
                Some(now) if !runs_alike(one, now) => "has changed in the config",
                Some(_) => return None,
            };
            let name = &one.name;
            Some(format!("{name} {what}; it is started as before until `qc-launch reload`"))
        });
        outdated.collect()
    }

    fn ids(&self, names: &[String]) -> Result<Vec<Id>, Refusal> {
        let id = |name: &String| {
            self.roster.id(name).ok_or_else(|| {
                let known: Vec<&str> =
                    self.roster.iter().map(|(_, component)| component.name.as_str()).collect();
                let hint = format!("the components are {}", known.join(", "));
                refusal(format!("there is no component `{name}`"), &hint, true)
            })
        };
        names.iter().map(id).collect()
    }
}

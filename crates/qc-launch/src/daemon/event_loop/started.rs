//! Components that run: just started, or taken over; and whether they are ready.

use std::io;
use std::time::{Duration, SystemTime};

use qc_fleet::Component;
use qc_start::{Adopted, HeartbeatMonitor};
use qc_supervise::{Event, Id};

use super::Runtime;
use super::live::Running;
use super::tokens::token;

/// How long after its start, and how often, a component is looked at whether it is ready: a tenth
/// of the time that it has taken so far, within these bounds.
const SOONEST_LOOK: Duration = Duration::from_millis(20);
const LATEST_LOOK: Duration = Duration::from_millis(250);

impl Runtime<'_> {
    /// A component's process runs, and holds its lock since then, if that is known.
    pub(super) fn note_start(&mut self, id: Id, generation: u32, held_since: Option<SystemTime>) {
        let now = self.now();
        let Some(live) = self.live_mut(id) else { return };
        let Some(running) = &mut live.running else { return };
        running.began = now;
        let (pid, has_check) = (running.pid(), running.check.is_some());
        running.next_look = has_check.then_some(now + SOONEST_LOOK);
        live.has_run = true;
        live.left_over_rounds = 0;
        live.lock_open_since = None;
        if has_check {
            self.todo.checks.push(id);
        }
        self.record_start(id, pid, held_since);
        self.events.push_back(Event::Started { id, generation });
    }

    /// Takes over a process that an earlier launcher has left.
    pub(super) fn adopt(&mut self, adopted: Adopted) -> io::Result<()> {
        let Some(id) = self.roster.id(&adopted.name) else { return Ok(()) };
        // The generation that the supervisor gives to what it adopts.
        let generation = 1;
        self.watcher.watch(&adopted.process, token(id, generation))?;
        let log = self.report.folder().latest(&adopted.name);
        let component = self.roster.get(id);
        let heartbeat =
            component.and_then(|component| HeartbeatMonitor::new(component, log.as_deref()));
        let identity = adopted.process.identity().clone();
        let request = component.map(Component::request);
        let machine_guards = request.map(|request| self.locks.cover(&request, &identity));
        self.record_adopted(id, identity.pid, log.as_deref());
        let running = Running {
            process: Some(Box::new(adopted.process)),
            identity: Some(identity),
            log,
            heartbeat: heartbeat.map(Box::new),
            _machine_guards: machine_guards.unwrap_or_default(),
            is_adopted_wrapper: adopted.is_wrapper,
            ..Running::new(generation, self.now())
        };
        self.roster.put(id, Some(running));
        if let Some(live) = self.live_mut(id) {
            live.has_run = true;
        }
        self.events.push_back(Event::Adopted(id));
        Ok(())
    }

    /// Looks at those that are starting whether they are ready.
    pub(super) fn look(&mut self) {
        let now = self.now();
        let (locks, roster, events) = (self.locks, &mut self.roster, &mut self.events);
        self.todo.checks.retain(|&id| {
            let Some(entry) = roster.entry_mut(id) else { return false };
            let Some(one) = &mut entry.live.running else { return false };
            let Some(check) = &mut one.check else { return false };
            if one.next_look.is_some_and(|next| now < next) {
                return true;
            }
            if check.is_ready(&entry.component, locks) {
                events.push_back(Event::Ready { id, generation: one.generation });
                one.check = None;
                one.next_look = None;
                return false;
            }
            let pause = ((now - one.began) / 10).clamp(SOONEST_LOOK, LATEST_LOOK);
            one.next_look = Some(now + pause);
            true
        });
    }
}

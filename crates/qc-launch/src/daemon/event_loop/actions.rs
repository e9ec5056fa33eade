//! The actions of the supervisor, carried out.

use qc_process::Ask;
use qc_start::HeartbeatMonitor;
use qc_supervise::{Action, Event};

use super::Runtime;

impl Runtime<'_> {
    /// Passes an event to the supervisor, and does what follows.
    pub(super) fn handle(&mut self, event: Event) {
        let mut asked = (Vec::new(), Vec::new());
        for action in self.supervisor.handle(event, self.began.elapsed()) {
            match action {
                Action::Spawn { id, generation } => self.todo.starts.push((id, generation)),
                Action::Ask { id, firmly: false } => asked.0.push(id),
                Action::Ask { id, firmly: true } => asked.1.push(id),
                Action::Kill(id) => self.kill(id),
                Action::Look { id, generation } => {
                    let heartbeat =
                        self.running_mut(id).and_then(|running| running.heartbeat.as_deref_mut());
                    // A heartbeat that can't be checked must not count as a hang.
                    let beats = heartbeat.is_none_or(HeartbeatMonitor::has_beaten);
                    self.events.push_back(if beats {
                        Event::Heartbeat { id, generation }
                    } else {
                        Event::Silent { id, generation }
                    });
                }
                Action::Say(id, note) => self.record(id, &note),
                Action::Forget(id) => {
                    let name = self.roster.name(id);
                    self.report.metrics().forget(&name);
                    self.left_overs.removed(id, &name);
                    self.roster.forget(id);
                }
            }
        }
        self.ask(&asked.0, Ask::Gently);
        self.ask(&asked.1, Ask::Firmly);
    }
}

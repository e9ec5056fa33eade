//! What a crashed component leaves behind: the copies that it has made of itself, such as the
//! workers of Python's `multiprocessing`. They work for nobody, and keep its lock where locks are
//! inherited: it could not be started again until somebody has looked for them.

use std::io;
use std::thread;
use std::time::Duration;

use qc_fleet::{Instance, Stopped, perform};
use qc_process::LOCKS_ARE_INHERITED;
use qc_supervise::Id;

use super::{Message, Runtime};

/// How long each gets to end by itself.
const TIMEOUT: Duration = Duration::from_secs(1);

impl Runtime<'_> {
    /// Ends what is left over of a component that has crashed, on another thread.
    pub(super) fn end_left_over(&mut self, id: Id) {
        let (Some(&pid), Some(component)) = (self.pids.get(&id), self.roster.get(id)) else {
            return;
        };
        if !LOCKS_ARE_INHERITED || !self.crashed.contains(&id) || !self.ending.insert(id) {
            return;
        }
        let name = component.name.clone();
        let is_left_over = |one: &Instance| {
            // Each component begins a session of its own. What has left it wants to live on.
            let is_copy = |one: &qc_process::ProcessInfo| one.is_fork && one.session == Some(pid);
            one.component.eq_ignore_ascii_case(name.as_str()) && one.processes.iter().all(is_copy)
        };
        let stop = || -> io::Result<()> {
            let mut plan = self.plan(is_left_over)?;
            for target in plan.stages.iter_mut().flat_map(|stage| &mut stage.targets) {
                target.timeout = TIMEOUT;
            }
            let post = self.post();
            let stop = move || post.send(Message::LeftOverEnded(id, perform(&plan, &mut |_| ())));
            thread::Builder::new().name("left over".into()).spawn(stop).map(drop)
        };
        if let Err(error) = stop() {
            self.left_over_ended(id, &Err(error));
        }
    }

    pub(super) fn left_over_ended(&mut self, id: Id, stopped: &io::Result<Vec<Stopped>>) {
        self.ending.remove(&id);
        match stopped {
            Ok(stopped) => stopped.iter().for_each(|one| self.tell_stray(one, "left behind")),
            Err(error) => {
                let text = format!(
                    "cannot see whether {} has left something behind: {error}",
                    self.roster.name(id)
                );
                self.report.warn("stopping", &text);
            }
        }
    }
}

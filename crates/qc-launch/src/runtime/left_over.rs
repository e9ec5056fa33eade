//! What components leave behind when they crash or are stopped, such as workers of Python's
//! `multiprocessing`: it is looked for after each such end, and ended.

use std::io;
use std::mem;
use std::thread;
use std::time::Duration;

use qc_fleet::{StopPlan, Stopped, perform};
use qc_process::{Identity, LOCKS_ARE_INHERITED, ProcessInfo, left_by, may_have_left};
use qc_supervise::Id;

use super::{Message, Running, Runtime};

/// How long each gets to end by itself.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What was found, each with the component that it belonged to.
pub(crate) type Found = Vec<(Id, ProcessInfo)>;

/// Processes that have ended, of which something may be left.
#[derive(Debug, Default)]
pub(super) struct LeftOver {
    /// Those that are still to be looked at.
    waiting: Vec<(Id, Identity)>,
    /// Those that another thread is at.
    in_hand: Vec<(Id, Identity)>,
}

impl Runtime<'_> {
    /// Notes that something may be left of a component whose process has just ended.
    pub(super) fn note_left_over(&mut self, id: Id, running: &Running) {
        let child = running.child.as_ref().map(|child| child.identity());
        let own = running.identity.iter().chain(child).filter(|one| may_have_left(one));
        self.left_over.waiting.extend(own.map(|one| (id, one.clone())));
        // Behind a virtual environment's stub another one did the work.
        if !LOCKS_ARE_INHERITED
            && let Some(component) = self.roster.get(id)
            && let Some(record) = self.locks.record(&component.name)
        {
            self.left_over.waiting.push((id, record.identity()));
        }
    }

    /// Looks for it, on another thread.
    pub(super) fn look_for_left_over(&mut self) {
        let left = &mut self.left_over;
        if left.waiting.is_empty() || !left.in_hand.is_empty() || self.machine.is_stopping() {
            return;
        }
        left.in_hand = mem::take(&mut left.waiting);
        let (ended, post) = (left.in_hand.clone(), self.post());
        let look = move || post.send(Message::LeftOver(look_for(&ended)));
        if let Err(error) = thread::Builder::new().name("left over".into()).spawn(look) {
            self.left_over_found(Err(error));
        }
    }

    /// Ends what was found, on another thread.
    pub(super) fn left_over_found(&mut self, found: io::Result<Found>) {
        let plan = match found {
            Ok(found) => self.plan_of_left_over(found),
            Err(error) => return self.left_over_ended(&Err(error)),
        };
        if plan.is_empty() {
            return self.left_over_ended(&Ok(Vec::new()));
        }
        let post = self.post();
        let stop = move || post.send(Message::LeftOverEnded(perform(&plan, &mut |_| ())));
        if let Err(error) = thread::Builder::new().name("left over".into()).spawn(stop) {
            self.left_over_ended(&Err(error));
        }
    }

    pub(super) fn left_over_ended(&mut self, stopped: &io::Result<Vec<Stopped>>) {
        self.left_over.in_hand.clear();
        match stopped {
            Ok(stopped) => stopped.iter().for_each(|one| self.tell_stray(one, "left behind")),
            Err(error) => {
                let text = format!("cannot see what ended components have left behind: {error}");
                self.report.warn("stopping", &text);
            }
        }
    }

    /// Does all of it now: nothing else is to be done any more.
    pub(super) fn end_left_over(&mut self) {
        let mut ended = mem::take(&mut self.left_over.waiting);
        ended.append(&mut self.left_over.in_hand);
        let stopped =
            look_for(&ended).and_then(|found| perform(&self.plan_of_left_over(found), &mut |_| ()));
        self.left_over_ended(&stopped);
    }

    fn plan_of_left_over(&self, found: Found) -> StopPlan {
        let of = |(id, process)| Some((self.roster.get(id)?, process));
        if found.is_empty() {
            return StopPlan::default();
        }
        let mut plan = StopPlan::of_left_over(&self.fleet, found.into_iter().filter_map(of));
        for target in plan.stages.iter_mut().flat_map(|stage| &mut stage.targets) {
            target.timeout = TIMEOUT;
        }
        plan
    }
}

fn look_for(ended: &[(Id, Identity)]) -> io::Result<Found> {
    let identities: Vec<Identity> = ended.iter().map(|(_, one)| one.clone()).collect();
    let left = left_by(&identities)?;
    Ok(left.into_iter().map(|(position, one)| (ended[position].0, one)).collect())
}

//! Ends the process that a component has left listening at its port, such as a worker of a web
//! server whose master was killed. Until then the server can't come back.

use std::io;
use std::thread;
use std::time::Duration;

use qc_fleet::{Role, Stage, StopPlan, Stopped, Target, perform, shown_program};
use qc_process::{ProcessInfo, describe};
use qc_supervise::Id;

use super::Runtime;
use super::post::Message;

/// How long each gets to end by itself.
const TIMEOUT: Duration = Duration::from_secs(1);

impl Runtime<'_> {
    /// Ends the process that listens at the port of a component, and those like it, if the
    /// component's last run has left them behind.
    pub(super) fn end_listener(&mut self, id: Id, listener: Option<u32>) {
        let (Some(last), Some(listener)) = (self.last_pid(id), listener) else { return };
        if self.live(id).is_none_or(|live| live.is_freeing_port) {
            return;
        }
        // A process that can't be seen is left alone.
        let Ok(Some(found)) = describe(listener) else { return };
        if !is_left_behind(&found, last) {
            return;
        }
        let processes = qc_process::list().map(|listing| listing.processes).unwrap_or_default();
        let is_alike = |one: &&ProcessInfo| is_left_behind(one, last) && call(one) == call(&found);
        let targets: Vec<Target> =
            processes.iter().filter(is_alike).filter_map(|one| self.target(id, one)).collect();
        let role = Role::Other;
        let plan = StopPlan { stages: vec![Stage { role, targets }], ..StopPlan::default() };
        let post = self.post();
        let stop = move || post.send(Message::ListenerEnded(id, perform(&plan, &mut |_| ())));
        self.set_freeing_port(id, true);
        if let Err(error) = thread::Builder::new().name("listener".into()).spawn(stop) {
            self.listener_ended(id, &Err(error));
        }
    }

    pub(super) fn listener_ended(&mut self, id: Id, stopped: &io::Result<Vec<Stopped>>) {
        self.set_freeing_port(id, false);
        match stopped {
            Ok(stopped) => stopped.iter().for_each(|one| self.log_unmanaged(one, "left behind")),
            Err(error) => {
                let name = self.roster.name(id);
                let text = format!("cannot end what {name} has left listening: {error}");
                self.report.warn("stopping", &text);
            }
        }
    }

    fn set_freeing_port(&mut self, id: Id, is_freeing_port: bool) {
        if let Some(live) = self.live_mut(id) {
            live.is_freeing_port = is_freeing_port;
        }
    }

    fn target(&self, id: Id, process: &ProcessInfo) -> Option<Target> {
        let component = self.roster.get(id)?;
        Some(Target {
            component: component.name.to_string(),
            role: Role::Other,
            account_key: component.account_key.clone(),
            account: component.account.as_ref().map(ToString::to_string),
            elsewhere: None,
            is_unmanaged: true,
            is_worker: false,
            helper: Some(shown_program(process)),
            identity: process.identity.clone(),
            timeout: TIMEOUT,
            signal: component.stop_signal,
            cannot_be_told: None,
            wrappers: Vec::new(),
        })
    }
}

/// Whether the process `last`, which has ended, has started this one: each component begins a
/// session of its own. Where there are none, the pid of the parent tells, unless another process
/// has it now.
fn is_left_behind(process: &ProcessInfo, last: u32) -> bool {
    match process.session {
        Some(session) => session == last,
        None => process.parent == Some(last) && matches!(describe(last), Ok(None)),
    }
}

/// Returns what a process was called with, without its numbers: workers of one program differ in
/// those.
fn call(process: &ProcessInfo) -> Vec<String> {
    let without = |word: &String| word.chars().filter(|it| !it.is_ascii_digit()).collect();
    process.args.iter().map(without).collect()
}

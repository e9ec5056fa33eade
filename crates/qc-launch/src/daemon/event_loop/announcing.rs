//! The outcome of the start, announced once to the command that has started this program.

use std::io::{self, Write};

use qc_control::{MISSING, SETTLED};
use qc_supervise::{Id, State};

use super::Runtime;

impl Runtime<'_> {
    /// Says once, to the one who started this program, how the start went.
    pub(super) fn announce_once(&mut self) {
        if !self.announce {
            return;
        }
        if self.roster.iter().all(|(id, _)| self.is_decided(id)) {
            self.announce = false;
            // Earlier lines come first.
            self.report.flush();
            announce(&self.missing());
        }
    }

    /// Whether it is known how the first start of a component went.
    fn is_decided(&self, id: Id) -> bool {
        let Some(view) = self.supervisor.view(id) else { return true };
        match view.state {
            State::Running if view.is_proven => true,
            State::Stopped
            | State::Finished(_)
            | State::Blocked(_)
            | State::GaveUp(_)
            | State::BackingOff(_) => true,
            // It has failed once, and is being started again.
            State::Running | State::Starting => view.restarts > 0,
            // It comes only after that one, which may take long.
            State::Waiting(Some(other)) => self.is_decided(other) && !self.is_up(other),
            State::Waiting(None) | State::Stopping => false,
        }
    }

    /// Whether it runs, and has stayed up for its `start_seconds`.
    fn is_up(&self, id: Id) -> bool {
        self.supervisor.view(id).is_some_and(|view| view.state == State::Running && view.is_proven)
    }

    /// Returns those that should run and do not, and why.
    fn missing(&self) -> Vec<(String, String)> {
        let missing = self.roster.iter().filter_map(|(id, component)| {
            let why = match self.supervisor.view(id)?.state {
                State::GaveUp(reason) => self.reason(id, &reason),
                State::Blocked(why) => format!("it is blocked: {why}"),
                State::Stopped => "it was stopped".into(),
                State::Waiting(Some(other)) => format!("it waits for {}", self.roster.name(other)),
                State::BackingOff(_) | State::Starting | State::Running if !self.is_up(id) => {
                    let failure = self.live(id)?.failure.as_deref().unwrap_or("failed");
                    format!("it {failure}, and is started again")
                }
                _ => return None,
            };
            Some((component.name.to_string(), why))
        });
        missing.collect()
    }
}

/// Says how the start went, to the one who started this copy.
fn announce(missing: &[(String, String)]) {
    let mut output = io::stdout().lock();
    for (name, why) in missing {
        // The reader may have gone; ignore.
        let _ = writeln!(output, "{MISSING}{name}\t{why}");
    }
    let _ = writeln!(output, "{SETTLED}");
    let _ = output.flush();
}

//! How the processes of a stage are stopped, and when each of their steps is due.

use std::time::Duration;

use qc_supervise::Escalation;

use super::Target;

/// How long after the deadline one is killed that its orchestrator was told to stop.
const MARGIN: Duration = Duration::from_millis(500);

/// How those of a stage are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Asked at once, asked firmly after three quarters of their time, then killed.
    Escalate,
    /// Killed at once: asking an orchestrator would make it stop more than is meant.
    KillNow,
    /// Their orchestrator was told to stop them: asked only after three quarters of their time,
    /// then killed. Given up as soon as that orchestrator has ended.
    AfterOrchestrator,
    /// An orchestrator that stops its own fleet, stage by stage, before it ends.
    WholeFleet,
}

impl StopMode {
    /// Returns when `target` is asked and killed. `stages` is the time that an orchestrator needs
    /// for its fleet.
    pub(super) fn escalation(self, target: &Target, is_told: bool, stages: Duration) -> Escalation {
        match self {
            // It is for the process that it works for to end it.
            Self::Escalate if target.is_worker => Escalation::late(target.timeout),
            Self::KillNow => Escalation::kill(),
            Self::AfterOrchestrator => {
                let asked = Escalation::late(target.timeout).asked;
                Escalation { asked, ..self.of_released(target, stages) }
            }
            // An orchestrator that was told is not asked again before its time is over.
            Self::WholeFleet if is_told => {
                let killed = stages + target.timeout;
                Escalation { asked: None, asked_firmly: Some(killed), killed }
            }
            Self::Escalate | Self::WholeFleet => self.of_released(target, stages),
        }
    }

    /// Does the same for a worker once no process is left that could end it.
    pub(super) fn of_released(self, target: &Target, stages: Duration) -> Escalation {
        match self {
            Self::Escalate | Self::KillNow => Escalation::over(target.timeout),
            Self::WholeFleet => Escalation::over(stages + target.timeout),
            Self::AfterOrchestrator => {
                let killed = target.timeout + MARGIN;
                Escalation { asked_firmly: None, killed, ..Escalation::over(target.timeout) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use crate::stop::guarded::tests::target;

    #[test]
    fn every_mode_has_its_times() {
        use StopMode::{AfterOrchestrator, Escalate, KillNow, WholeFleet};

        // With 8 s for itself, and 20 s that its fleet needs.
        let cases = [
            ("a component", Escalate, false, false, (Some(0), Some(6000), 8000)),
            ("a worker", Escalate, true, false, (Some(6000), None, 8000)),
            ("at once", KillNow, false, false, (None, None, 0)),
            ("a worker at once", KillNow, true, false, (None, None, 0)),
            ("left to its launcher", AfterOrchestrator, false, true, (Some(6000), None, 8500)),
            ("a launcher", WholeFleet, false, false, (Some(0), Some(21000), 28000)),
            ("a launcher that knows", WholeFleet, false, true, (None, Some(28000), 28000)),
        ];
        let stages = Duration::from_secs(20);
        for (what, mode, is_worker, is_told, (asked, asked_firmly, killed)) in cases {
            let target = target(Role::Other, None, None, None);
            let target = Target { is_worker, timeout: Duration::from_secs(8), ..target };
            let expected = Escalation {
                asked: asked.map(Duration::from_millis),
                asked_firmly: asked_firmly.map(Duration::from_millis),
                killed: Duration::from_millis(killed),
            };
            assert_eq!(mode.escalation(&target, is_told, stages), expected, "{what}");
            if mode == AfterOrchestrator {
                let asked = Some(Duration::ZERO);
                let released = Escalation { asked, ..expected };
                assert_eq!(mode.of_released(&target, stages), released, "{what}, alone");
            }
        }
    }
}

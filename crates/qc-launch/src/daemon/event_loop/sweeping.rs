//! The sweeps: what still runs of components once they have been stopped, or removed from the
//! config.

use std::collections::HashMap;
use std::io;

use qc_fleet::{LeftOver, Progress, StopMode, StopPlan, perform};
use qc_process::Identity;

use super::Runtime;
use super::left_over::LeftOverEnd;
use super::unmanaged::NOT_OURS;

/// How often what is left over at the end is stopped.
const SWEEPS: u32 = 3;

impl Runtime<'_> {
    /// Stops what else runs of the components; returns whether nothing is left.
    pub(super) fn sweep(&mut self) -> io::Result<bool> {
        for _ in 0..SWEEPS {
            let plan = self.plan(|_| true)?;
            if plan.is_empty() {
                return Ok(true);
            }
            perform(&plan, &mut |progress| {
                if let Progress::Done(stopped) = progress {
                    self.log_unmanaged(stopped, NOT_OURS);
                    self.write();
                }
            })?;
        }
        Ok(false)
    }

    /// Begins to end what the components that a reload has removed have left behind.
    pub(super) fn sweep_removed(&mut self) {
        let removed = std::mem::take(&mut self.left_overs.removed);
        if removed.is_empty() {
            return;
        }
        let is_meant = |name: &str| removed.contains_key(&name.to_lowercase());
        let former: Vec<String> = removed.keys().cloned().collect();
        let found = self
            .spared_of_left_over()
            .and_then(|spared| self.found_left_over(is_meant, &former, &spared));
        match found {
            Ok(found) => {
                for one in found.into_iter().filter(LeftOver::ends_with_fleet) {
                    let name = &one.component;
                    let text =
                        format!("{name} has left {} behind, which is asked to stop", one.text());
                    self.report.warn("stopping", &text);
                    let id = removed[&name.to_lowercase()];
                    let names = [(one.process.identity.clone(), one.text())].into();
                    self.stop_left_over(
                        LeftOverEnd { id, generation: 0, names },
                        vec![one.target(&self.fleet)],
                        StopMode::Escalate,
                    );
                }
            }
            Err(error) => {
                let text = format!("cannot see what removed components have left behind: {error}");
                self.report.warn("stopping", &text);
            }
        }
    }

    /// Ends what all components have left behind, when everything else has been stopped; returns
    /// whether nothing is left.
    pub(super) fn sweep_left_over(&mut self) -> bool {
        self.end_all_left_over().unwrap_or_else(|error| {
            let text = format!("cannot end what components have left behind: {error}");
            self.report.warn("stopping", &text);
            false
        })
    }

    fn end_all_left_over(&mut self) -> io::Result<bool> {
        let spared = self.spared_of_left_over()?;
        let is_meant = |name: &str| self.roster.id(name).is_some();
        let mut left = self.found_left_over(is_meant, &[], &spared)?;
        left.retain(|one| {
            one.ends_with_fleet() && !self.left_overs.is_in_own_session(&one.process)
        });
        let names: HashMap<Identity, String> =
            left.iter().map(|one| (one.process.identity.clone(), one.text())).collect();
        let plan = StopPlan::default().with_left_over(&self.fleet, &left, None);
        let stopped = perform(&plan, &mut |_| ())?;
        stopped.iter().for_each(|one| self.record_left_over(one, &names));
        Ok(!stopped.iter().any(|one| one.outcome.is_alive()))
    }
}

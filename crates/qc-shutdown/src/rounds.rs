//! Performing the plan, and looking again: stage by stage, and once more before saying that nothing
//! is left.

use std::collections::HashSet;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::Failure;
use qc_fleet::{Progress, Role, STOP_ORDER, Snapshot, StopMode, StopPlan, Stopped, Stopping};
use qc_lock_core::LockDir;

use crate::display::Display;
use crate::orchestrator::Told;
use crate::planner::Planner;
use crate::starters::{Loop, Starters, may_start_again};
use crate::{orchestrator, records};

/// How often to look again for processes that were started while others were being stopped.
const LOOKS: u32 = 10;

/// When to look once more before saying that nothing is left: between a shell and the Python that it
/// starts again is a moment in which there is neither.
pub(crate) const SECOND_LOOK: Duration = Duration::from_millis(200);

/// The result of stopping.
pub(crate) struct Done {
    pub(crate) results: Vec<Stopped>,
    pub(crate) loops: Vec<Loop>,
    pub(crate) told: Told,
    pub(crate) interrupted: bool,
}

/// Looks, stops what is found, and knows what was seen.
struct Rounds<'a> {
    planner: &'a Planner<'a>,
    snapshots: &'a mut Vec<Snapshot>,
    starters: Starters,
    locks: &'a LockDir,
    /// The plan of the last look.
    latest: StopPlan,
    /// The reported left-over programs.
    told_left: HashSet<String>,
}

/// Performs the plan, and stops what is found to be running after each stage: something may have
/// been started while the others were being stopped.
pub(crate) fn stop_everything(
    planner: &Planner<'_>,
    locks: &LockDir,
    plan: &StopPlan,
    snapshots: &mut Vec<Snapshot>,
    display: &mut Display<'_>,
) -> Result<Done, Failure> {
    let mut show = |progress: Progress<'_>| display.show(&progress);
    let witness = records::Witness::new(locks, plan);
    let mut stopping = Stopping::new(&mut show)?;
    stopping.set_witness(|target, is_last| witness.outcome(target, is_last));
    // An interrupt before the next step ends this program, which has asked nothing to stop yet.
    stopping.add(plan.targets());
    qc_process::on_interrupt({
        let interrupt = stopping.interrupter();
        move |_| interrupt()
    })?;
    let starters = Starters::new(plan);
    let told_left = plan.left_over.iter().map(|(_, text)| text.clone()).collect();
    let latest = StopPlan::default();
    let mut rounds = Rounds { planner, snapshots, starters, locks, latest, told_left };
    let mut told = Told::default();
    orchestrator::stop(
        &mut stopping,
        plan,
        locks.path(),
        &mut warn,
        &mut told,
        &mut |stopping, told| {
            rounds.look(stopping, told);
            // The orchestrators are told of the rest afterwards, and end with that.
            rounds.stop_all_of(stopping, told, &[Role::Brain]);
        },
    );
    if plan.targets().any(|one| one.role == Role::Orchestrator) {
        // It may have started something just before it ended.
        rounds.look(&mut stopping, &mut told);
    }
    for role in STOP_ORDER {
        rounds.stop_up_to(&mut stopping, &mut told, role);
    }
    rounds.make_sure(&mut stopping, &mut told);
    let interrupted = stopping.is_interrupted();
    let results = stopping.finish();
    records::record(locks, &results, &witness);
    Ok(Done { results, loops: rounds.starters.into_loops(), told, interrupted })
}

impl Rounds<'_> {
    /// Stops those of all roles up to this one, and what comes up meanwhile.
    fn stop_up_to(&mut self, stopping: &mut Stopping<'_>, told: &mut Told, last: Role) {
        let turn = STOP_ORDER.iter().position(|&role| role == last).unwrap_or_default();
        self.stop_all_of(stopping, told, &STOP_ORDER[..=turn]);
    }

    /// Stops those of these roles, and what comes up meanwhile.
    fn stop_all_of(&mut self, stopping: &mut Stopping<'_>, told: &mut Told, roles: &[Role]) {
        let last = roles.last().copied();
        for _ in 0..LOOKS {
            if stopping.is_interrupted() || !roles.iter().any(|&role| stopping.has(role)) {
                break;
            }
            for &role in roles {
                self.send_changes(stopping, told, Some(role));
                let is_orchestrator = role == Role::Orchestrator;
                stopping.stop(
                    role,
                    if is_orchestrator { StopMode::WholeFleet } else { StopMode::Escalate },
                );
            }
            self.look(stopping, told);
            // No watchdog ends before a brain that comes again.
            let is_after_brains = last == Some(Role::Brain) && !stopping.has(Role::Brain);
            if is_after_brains && self.may_come_again(stopping) {
                wait(stopping, SECOND_LOOK);
                self.look(stopping, told);
            }
        }
    }

    fn send_changes(&self, stopping: &mut Stopping<'_>, told: &mut Told, turn: Option<Role>) {
        let lock_dir = self.locks.path();
        orchestrator::send_changes(stopping, &self.latest, lock_dir, turn, &mut warn, told);
    }

    fn may_come_again(&self, stopping: &Stopping<'_>) -> bool {
        let is_guarded = stopping.has(Role::Watchdog);
        is_guarded
            && (self.starters.have_started() || self.snapshots.first().is_some_and(may_start_again))
    }

    /// Looks once more, until nothing comes up.
    fn make_sure(&mut self, stopping: &mut Stopping<'_>, told: &mut Told) {
        for _ in 0..LOOKS {
            wait(stopping, SECOND_LOOK);
            if stopping.is_interrupted() || !self.look(stopping, told) {
                return;
            }
            for role in STOP_ORDER {
                self.stop_up_to(stopping, told, role);
            }
        }
    }

    /// Takes in hand what runs now and is new; returns whether there is anything to stop. What does
    /// not run is not to be started by an orchestrator that runs on.
    fn look(&mut self, stopping: &mut Stopping<'_>, told: &mut Told) -> bool {
        match self.planner.plan_now() {
            Ok((snapshot, mut again)) => {
                for target in self.starters.sort(&mut again) {
                    stopping.leave(&target, self.starters.reason(&target));
                }
                self.snapshots.push(snapshot);
                for (_, text) in &again.left_over {
                    if self.told_left.insert(text.clone()) {
                        warn(&format!("{text}, which is stopped, too"));
                    }
                }
                let has_come = stopping.add(again.targets()) > 0;
                self.latest = again;
                self.send_changes(stopping, told, None);
                has_come
            }
            Err(error) => {
                warn(error.message());
                false
            }
        }
    }
}

pub(crate) fn warn(warning: &str) {
    // stderr is closed; ignore.
    let _ = writeln!(io::stderr(), "WARNING: {warning}");
}

/// Waits, unless it is interrupted.
fn wait(stopping: &Stopping<'_>, time: Duration) {
    const STEP: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + time;
    while !stopping.is_interrupted() && Instant::now() < deadline {
        thread::sleep(STEP.min(deadline.saturating_duration_since(Instant::now())));
    }
}

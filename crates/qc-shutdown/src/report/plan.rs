//! The plan in words: what is stopped in which order, what runs on, and what accounts are left with.

use std::io::{self, Write};

use qc_cli::visible;
use qc_fleet::{Exposure, Fleet, Role, Snapshot, StopPlan, Target};

use super::heading;
use crate::planner::Planner;

/// Writes the plan, for a dry run and for the prompt.
pub(crate) fn write_plan(
    plan: &StopPlan,
    Planner { fleet, scope, deaf, .. }: &Planner<'_>,
    snapshot: &Snapshot,
    config_error: Option<&str>,
    latch: Option<&str>,
    output: &mut dyn Write,
) -> io::Result<()> {
    if let Some(error) = config_error {
        writeln!(output, "WARNING: THE CONFIG CAN'T BE READ: {error}")?;
        writeln!(
            output,
            "WARNING: known is only what holds a lock or runs a script of a usual name in this folder."
        )?;
        writeln!(
            output,
            "WARNING: other components may run on unseen; what each account is left with is not known.\n"
        )?;
    }
    if let Some(reason) = latch {
        writeln!(output, "Every start will be forbidden until `qc-launch unlatch`: {reason}")?;
    }
    let moved = scope.moved(snapshot);
    for one in &moved {
        writeln!(output, "WARNING: {}.", visible(&one.text()))?;
        writeln!(
            output,
            "WARNING: nothing of that is touched; `{}` stops it.",
            visible(&one.stop_command())
        )?;
    }
    if let Some(text) = snapshot.unreadable_text() {
        writeln!(output, "WARNING: {text}")?;
    }
    for (_, text) in &plan.left_over {
        writeln!(output, "WARNING: {text}, which is stopped, too.")?;
    }
    if let Some(launcher) = deaf {
        let (name, pid) = (&launcher.component, launcher.identity.pid);
        writeln!(
            output,
            "WARNING: {name} (PID {pid}) runs on without its lock and can't be told: latches keep it from starting these again."
        )?;
    }
    for target in &plan.spared {
        writeln!(
            output,
            "WARNING: {} (PID {}) runs on, because this command was started from it.",
            target.component, target.identity.pid
        )?;
    }
    for kept in plan.untouchable.iter().chain(&plan.kept) {
        let (name, pid) = (&kept.target.component, kept.target.identity.pid);
        writeln!(output, "WARNING: {name} (PID {pid}) runs on: {}.", kept.reason)?;
    }
    if plan.is_empty() {
        for one in plan.told.chunk_by(is_one_line) {
            let run_on = plan.run_on().map(|one| one.component.as_str());
            let mut names: Vec<&str> = run_on.chain(withheld(plan, fleet)).collect();
            names.dedup();
            if !names.is_empty() {
                let names = names.join(", ");
                match one[0].cannot_be_told {
                    Some(_) => {
                        let line = name_and_pids(one);
                        writeln!(output, "{line} runs on and can't be told not to start {names}.")?;
                    }
                    None => {
                        let line = line(one);
                        writeln!(output, "{line} runs on and is asked not to start {names}.")?;
                    }
                }
            }
        }
        let nothing = match snapshot.own().next() {
            None if !moved.is_empty() => "Nothing of the fleet is running in this folder.",
            None => "Nothing of the fleet is running.",
            Some(_) if plan.run_on().next().is_some() => {
                "Nothing else that is to be stopped is running."
            }
            Some(_) => "Nothing that is to be stopped is running.",
        };
        return writeln!(output, "{nothing}");
    }
    writeln!(output, "To be stopped, in this order:")?;
    for (number, stage) in plan.stages.iter().enumerate() {
        let is_told = stage.targets.iter().all(|one| one.cannot_be_told.is_none());
        let is_told_first = number > 0 && stage.role == Role::Orchestrator && is_told;
        let remark = if is_told_first { ", told first to start nothing again" } else { "" };
        writeln!(output, "  {}. {}{remark}", number + 1, heading(stage.role))?;
        for of_one in stage.targets.chunk_by(is_one_line) {
            writeln!(output, "       {}", line(of_one))?;
        }
    }
    for of_one in plan.told.chunk_by(is_one_line) {
        let spared = "it is not stopped, because this command was started from it";
        if of_one[0].cannot_be_told.is_some() {
            let line = name_and_pids(of_one);
            write!(output, "  {line} can't be told and may start these again")?;
            match of_one.iter().any(|one| plan.spares(one)) {
                true => writeln!(output, ";\n  {spared}.")?,
                false => writeln!(output, ".")?,
            }
            continue;
        }
        writeln!(
            output,
            "  {} runs on: it is asked to stop these and not to start them again;",
            line(of_one)
        )?;
        let otherwise = match of_one.iter().any(|one| plan.spares(one)) {
            true => spared,
            false => {
                "if it does not answer it is stopped, and what it supervises runs on without it"
            }
        };
        writeln!(output, "  {otherwise}.")?;
    }
    writeln!(output)?;
    if concerns_accounts(plan, fleet) {
        writeln!(output, "WARNING: open trades are NOT closed, and terminals are not touched.")?;
        write_exposure(&plan.exposure, output)?;
        writeln!(output)?;
    }
    Ok(())
}

/// Whether what is stopped may trade: a fleet of other programs alone has no trades.
pub(super) fn concerns_accounts(plan: &StopPlan, fleet: &Fleet) -> bool {
    let trades = |one: &Target| {
        one.account.is_some()
            || one.elsewhere.is_some()
            || matches!(one.role, Role::Brain | Role::Watchdog)
    };
    fleet.has_accounts() || plan.targets().any(trades)
}

/// Returns what is withheld of what can run: an orchestrator has nothing that is not enabled, unless
/// the config has changed since it was read.
pub(super) fn withheld<'a>(plan: &'a StopPlan, fleet: &'a Fleet) -> impl Iterator<Item = &'a str> {
    let is_enabled = |name: &&String| fleet.component(name).is_some_and(|one| one.enabled);
    plan.withheld.iter().filter(is_enabled).map(String::as_str)
}

fn is_one_line(one: &Target, other: &Target) -> bool {
    let key = |one: &Target| {
        (one.component.clone(), one.elsewhere.clone(), one.is_worker, one.wrappers.clone())
    };
    key(one) == key(other)
}

/// `BRAIN_ATLAS (PID 12, 13, account 1234567)`
fn line(of_one: &[Target]) -> String {
    let pids: Vec<String> = of_one.iter().map(|one| one.identity.pid.to_string()).collect();
    let first = &of_one[0];
    if let Some(reason) = first.cannot_be_told {
        return format!("{}: killed, because {}", name_and_pids(of_one), reason.why_killed());
    }
    if first.is_worker {
        let (name, pids) = (&first.component, pids.join(", "));
        return format!("what {name} started, where it runs on then (PID {pids})");
    }
    let account = first.account.as_ref();
    let account = account.map(|account| format!(", account {account}")).unwrap_or_default();
    let wrappers: Vec<String> = first.wrappers.iter().map(ToString::to_string).collect();
    let through = match wrappers.is_empty() {
        true => String::new(),
        false => format!(", started by PID {}, which ends with it", wrappers.join(", ")),
    };
    let elsewhere = first.elsewhere.as_ref();
    let elsewhere =
        elsewhere.map(|folder| format!(", in {}", folder.display())).unwrap_or_default();
    format!("{} (PID {}{account}{elsewhere}{through})", first.component, pids.join(", "))
}

/// `MASTER_LAUNCH (PID 12, 13)`
fn name_and_pids(of_one: &[Target]) -> String {
    let pids: Vec<String> = of_one.iter().map(|one| one.identity.pid.to_string()).collect();
    format!("{} (PID {})", of_one[0].component, pids.join(", "))
}

/// Positions can't be seen from here: what is said is what guards them, whether there are any or not.
fn write_exposure(exposure: &Exposure, output: &mut dyn Write) -> io::Result<()> {
    let lose = &exposure.lose_watchdog;
    match lose.len() {
        0 => {}
        1 => writeln!(output, "WARNING: 1 account loses its stop-loss watchdog: {}.", lose[0])?,
        count => writeln!(
            output,
            "WARNING: {count} accounts lose their stop-loss watchdogs: {}.",
            lose.join(", ")
        )?,
    }
    if !lose.is_empty() {
        writeln!(
            output,
            "WARNING: positions that are open there are then guarded by nothing (qc cannot see whether there are any)."
        )?;
    }
    let unguarded = &exposure.trade_unguarded;
    if !unguarded.is_empty() {
        writeln!(
            output,
            "WARNING: brains run on WITHOUT a stop-loss watchdog: {}.",
            unguarded.join(", ")
        )?;
    }
    if !exposure.stay_guarded.is_empty() {
        let guarded = exposure.stay_guarded.join(", ");
        writeln!(output, "Watchdogs that run on: {guarded}.")?;
    }
    Ok(())
}

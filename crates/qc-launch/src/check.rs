//! `qc-launch check`: the checklist before a start. A start goes through the same one.

use std::io::Write;
use std::mem;
use std::sync::Arc;

use qc_cli::{ColorChoice, Exit, Failure, Place, Text, Tone, print_json, table};
use qc_fleet::check::{BusyPort, Check, Facts, Verdict, busy_ports, check, running, worst};
use qc_fleet::{Component, Fleet, Snapshot, share_terminals};
use qc_lock_core::LockDir;
use serde::Serialize;

use crate::cli::CheckArgs;
use crate::look::Look;
use crate::preflight::wanted;

/// The output of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    root: String,
    verdict: Verdict,
    checks: &'a [Check],
}

pub(crate) fn run(
    args: &CheckArgs,
    place: &Place,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let fleet = place.fleet_to_start()?;
    let locks = place.locks()?;
    let mut components = wanted(&fleet, &args.accounts)?;
    if args.allow_shared_terminal {
        share_terminals(&mut components);
    }
    let ports = busy_ports(&components);
    let snapshot = Look::take(&fleet, &locks)?.snapshot.with_left_behind(&fleet, &locks)?;
    let facts = gather(&fleet, &components, ports, snapshot, &locks);
    let mut checks = running(&fleet, &components, &facts.snapshot, true);
    checks.extend(check(&fleet, &components, &facts));
    let verdict = worst(&checks);
    if args.json {
        let root = fleet.root.display().to_string();
        print_json(output, &Report { version: 1, root, verdict, checks: &checks })?;
    } else {
        write_list(&checks, args.color, output)?;
    }
    Ok(if verdict == Verdict::Error { Exit::Usage } else { Exit::Done })
}

/// Refuses a start of `components` that can't go well, whatever runs; returns what to warn of, and the
/// look at what runs.
pub(crate) fn before_start(
    fleet: &Fleet,
    components: &[Arc<Component>],
    locks: &LockDir,
) -> Result<(Vec<String>, Look), Failure> {
    let ports = busy_ports(components);
    let mut look = Look::take(fleet, locks)?;
    let facts = gather(fleet, components, ports, mem::take(&mut look.snapshot), locks);
    let checks = check(fleet, components, &facts);
    look.snapshot = facts.snapshot;
    let errors: Vec<&Check> = checks.iter().filter(|check| check.refuses_start()).collect();
    match &errors[..] {
        [] => {
            let warnings = checks.iter().filter(|check| check.verdict != Verdict::Ok);
            let warnings = warnings.map(|it| format!("{}; {}", it.text, it.advice)).collect();
            Ok((warnings, look))
        }
        [one] => Err(Failure::new(Exit::Usage, &one.text, &one.advice)),
        several => {
            let lines: String = several.iter().map(|one| format!("\n  {}", one.text)).collect();
            let message = format!("{} things are in the way of a start:{lines}", several.len());
            Err(Failure::new(Exit::Usage, message, "`qc-launch check` says what to do about each"))
        }
    }
}

/// Refuses a dry run while every start is forbidden, as the lock refuses the start.
pub(crate) fn refuse_latched(locks: &LockDir) -> Result<(), Failure> {
    match locks.latch() {
        None => Ok(()),
        Some(latch) => {
            let hint = "run `qc-launch unlatch` when starts are to be allowed again";
            Err(Failure::new(Exit::Held, format!("every start is forbidden: {latch}"), hint))
        }
    }
}

fn gather(
    fleet: &Fleet,
    components: &[Arc<Component>],
    ports: Vec<BusyPort>,
    snapshot: Snapshot,
    locks: &LockDir,
) -> Facts {
    let variables = |name: &str| std::env::var_os(name);
    Facts::gather(fleet, components, ports, snapshot, locks.path(), &variables)
}

fn write_list(checks: &[Check], color: ColorChoice, output: &mut dyn Write) -> Result<(), Failure> {
    let tone = |verdict| match verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warning => Tone::Warn,
        Verdict::Error => Tone::Bad,
    };
    let row = |check: &Check| {
        let verdict = Text::new(check.verdict.word(), tone(check.verdict));
        vec![verdict, check.subject.word().into(), (&*check.text).into(), (&*check.advice).into()]
    };
    let header = ["", "CHECK", "FOUND", "WHAT TO DO"];
    writeln!(output, "{}", table(&header, checks.iter().map(row).collect(), color))?;
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let counted = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    };
    let errors = counted(count(Verdict::Error), "error");
    writeln!(output, "\n{errors}, {}.", counted(count(Verdict::Warning), "warning"))?;
    Ok(())
}

//! `qc-launch check`: the checklist before a start. A start goes through the same one.

use std::io::Write;

use qc_cli::{ColorChoice, Exit, Failure, Location, Text, Tone, print_json, table};
use qc_fleet::check::{Check, Verdict, busy_ports, check, running, worst};
use qc_fleet::share_terminals;
use qc_fleet_cli::ReadFleet;
use qc_start::Look;
use serde::Serialize;

use crate::cli::CheckArgs;
use crate::daemon::preflight::{gather, wanted};

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
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let fleet = location.fleet_to_start()?;
    let locks = location.locks()?;
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

fn write_list(checks: &[Check], color: ColorChoice, output: &mut dyn Write) -> Result<(), Failure> {
    let tone = |verdict| match verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warning => Tone::Warn,
        Verdict::Error => Tone::Bad,
    };
    let row = |check: &Check| {
        let verdict = Text::new(check.verdict.as_str(), tone(check.verdict));
        vec![verdict, check.subject.as_str().into(), (&*check.text).into(), (&*check.advice).into()]
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

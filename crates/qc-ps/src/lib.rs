//! `qc-ps`: what runs of the fleet, which locks it holds, what is wrong.

#![forbid(unsafe_code)]

mod cli;
mod report;

use std::io::Write;

use cli::{Cli, Format};
use qc_cli::{Exit, Failure, parse, print_json, run_tool};
use qc_fleet::Snapshot;
use report::Report;

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc-ps", |output| run(&parse()?, output))
}

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let place = cli.place.resolve()?;
    let fleet = place.fleet()?;
    let snapshot = Snapshot::take(&fleet, place.locks()?.list()?)?;
    let report = Report::new(&snapshot);
    match cli.format {
        _ if cli.json => print_json(output, &report)?,
        _ if cli.check => report.write_findings(output)?,
        Format::Table => report.write_table(&snapshot, cli.color, output)?,
        Format::Legacy => report.write_legacy(output)?,
    }
    let found = cli.check && !report.findings.is_empty();
    Ok(if found { Exit::Found } else { Exit::Done })
}

//! `qc-ps`: what runs of the fleet, which locks it holds, what is wrong.

#![forbid(unsafe_code)]

mod cli;
mod filter;
mod report;
mod terminals;
mod watch;

use std::io::Write;

use cli::{Cli, Format};
use qc_cli::{Exit, Failure, Location, parse, print_json, run_tool, terminal_width};
use qc_fleet::{FleetView, Look};
use qc_fleet_cli::{Column, ReadFleet, cannot_look};
use report::Report;
use terminals::TerminalReport;
use watch::{Marks, watch};

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc-ps", |output| run(&parse()?, output))
}

/// Returns the command line that the program takes, for completions and man pages.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let location = cli.location.resolve()?;
    if cli.format != Format::Table && (cli.tree || cli.terminals || cli.watch.is_some()) {
        let message = "--tree, --terminals and --watch have no other format than a table or JSON";
        return Err(Failure::new(Exit::Usage, message, "leave --format out, or use --json"));
    }
    if cli.terminals {
        return show_terminals(&location, cli, output);
    }
    if let Some(pause) = cli.watch {
        return watch(pause, &mut |marks, text| look_again(&location, cli, marks, text));
    }
    let (report, trouble) = look(&location, cli)?;
    let columns = columns(cli, &report);
    // Standard output writes line by line otherwise.
    let mut text = Vec::new();
    match cli.format {
        _ if cli.json => print_json(&mut text, &report)?,
        _ if cli.check => report.write_findings(&mut text)?,
        Format::Table => report.write_table(&columns, None, cli.color, &mut text)?,
        Format::Csv => report.write_csv(&columns, &mut text)?,
        Format::Legacy => report.write_legacy(&mut text)?,
    }
    output.write_all(&text)?;
    if let Some(trouble) = trouble {
        return Err(shown_all_the_same(&trouble));
    }
    let found = cli.check && !report.findings.is_empty();
    Ok(if found { Exit::Found } else { Exit::Done })
}

/// The failure of a view whose config can't be read.
fn shown_all_the_same(trouble: &Failure) -> Failure {
    let hint = "correct the file; shown is what locks, launcher and processes say";
    Failure::new(trouble.exit(), trouble.message(), hint)
}

fn columns(cli: &Cli, report: &Report) -> Vec<Column> {
    if !cli.columns.is_empty() {
        return cli.columns.clone();
    }
    let mut columns: Vec<Column> = Column::USUAL.into();
    if cli.format == Format::Table
        && let Some(width) = terminal_width()
    {
        // The mark before a row takes a column, too.
        let marks = if cli.watch.is_some() { 3 } else { 0 };
        columns = Column::fitting(columns, &report.rows(), width.saturating_sub(marks));
    }
    columns.extend(cli.tree.then_some(Column::Command));
    columns
}

/// Looks once. A config that can't be read is returned beside what is known without it.
fn look(location: &Location, cli: &Cli) -> Result<(Report, Option<Failure>), Failure> {
    let (fleet, trouble) = location.fleet_to_show()?;
    let look = Look::take(&fleet, &location.locks()?).map_err(cannot_look)?;
    let view = FleetView::new(&fleet, &look, cli.tree);
    let report = Report::new(view, &look, &fleet, trouble.as_ref(), cli)?;
    Ok((report, trouble))
}

fn look_again(
    location: &Location,
    cli: &Cli,
    marks: &mut Marks,
    text: &mut Vec<u8>,
) -> Result<(), Failure> {
    let (report, _) = look(location, cli)?;
    let (marks, gone) = marks.compare(&report.rows());
    report.write_table(&columns(cli, &report), Some(&marks), cli.color, text)?;
    for gone in gone {
        writeln!(text, "- {} is gone", qc_cli::visible(&gone))?;
    }
    Ok(())
}

fn show_terminals(location: &Location, cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let (fleet, trouble) = location.fleet_to_show()?;
    if trouble.is_none() {
        cli.filter.check(&[], &fleet)?;
    }
    let mut report = TerminalReport::new(&qc_fleet::terminals(&fleet)?, &cli.filter);
    if cli.mask {
        report.mask();
    }
    if cli.json {
        print_json(output, &report)?;
    } else {
        report.write_table(cli.color, output)?;
    }
    trouble.map_or(Ok(Exit::Done), |trouble| Err(shown_all_the_same(&trouble)))
}

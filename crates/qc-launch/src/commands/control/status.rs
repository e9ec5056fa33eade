//! `qc-launch status`: the view of `qc-ps`, from the launcher's side.

use std::io::{IsTerminal, Write};

use qc_cli::{
    ColorChoice, Exit, Failure, Location, Text, print_json, table, terminal_width, visible,
    warn_text,
};
use qc_control::{Client, Request, Status};
use qc_fleet::{ComponentView, FindingKind, Fleet, FleetView, Look, Row};
use qc_fleet_cli::{Column, ReadFleet, cannot_look};
use qc_lock_core::LockDir;
use serde::Serialize;

use crate::cli::StatusArgs;
use crate::commands::control::{connect, failure, next};

/// How often the launcher is asked again because something changed during the look.
const ATTEMPTS: u32 = 3;

/// The output of `status --json`.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    pid: u32,
    is_stopping: bool,
    /// The folder in which the launcher was started, if that was moved or renamed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<&'a str>,
    components: &'a [ComponentView],
}

/// Shows every component, once or whenever something changes.
pub(crate) fn status(
    args: &StatusArgs,
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let locks = location.locks()?;
    let mut client = connect(location, &locks)?;
    let mut status = client.ask(&Request::Status).map_err(failure)?;
    let mut before = String::new();
    // The launcher answers all the same, so this is no failure.
    if let (_, Some(trouble)) = location.fleet_to_show()? {
        warn_text(&format!("the config can't be read: {}", trouble.message()));
    }
    loop {
        let (fleet, _) = location.fleet_to_show()?;
        let view;
        (status, view) = look(&mut client, status, &fleet, &locks)?;
        let mut text = Vec::new();
        show(&status, &view, args.json, args.color, &mut text)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if text != before {
            // A terminal shows one state; a file or a pipe gets one after the other.
            if args.watch && !args.json && std::io::stdout().is_terminal() {
                write!(output, "\x1b[H\x1b[2J")?;
            }
            write!(output, "{text}")?;
            output.flush()?;
        }
        if !args.watch {
            return Ok(Exit::Done);
        }
        before = text;
        status = next(&mut client, &status)?;
    }
}

/// Looks at this machine while the launcher's answer stays the same.
fn look(
    client: &mut Client,
    mut status: Status,
    fleet: &Fleet,
    locks: &LockDir,
) -> Result<(Status, FleetView), Failure> {
    let mut attempt = 1;
    loop {
        let look = Look::with_status(fleet, locks, status.clone()).map_err(cannot_look)?;
        let after = client.ask(&Request::Status).map_err(failure)?;
        if after.tag == status.tag || attempt == ATTEMPTS {
            return Ok((status, FleetView::new(fleet, &look, false)));
        }
        status = after;
        attempt += 1;
    }
}

fn show(
    status: &Status,
    view: &FleetView,
    json: bool,
    color: ColorChoice,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    if json {
        let (version, pid) = (qc_control::VERSION, status.pid);
        let (is_stopping, components) = (status.is_stopping, &view.components[..]);
        let moved_from = status.moved_from.as_deref();
        return print_json(output, &Report { version, pid, is_stopping, moved_from, components });
    }
    let names: Vec<&str> = view.components.iter().map(|one| one.name.as_str()).collect();
    let is_component =
        |row: &&Row| names.iter().any(|name| name.eq_ignore_ascii_case(&row.component));
    let mut rows: Vec<&Row> = view.rows.iter().filter(is_component).collect();
    // In the order of starting, which the launcher keeps.
    rows.sort_by_key(|row| names.iter().position(|name| name.eq_ignore_ascii_case(&row.component)));
    let columns = match terminal_width() {
        Some(width) => Column::fitting(Column::USUAL.into(), &rows, width),
        None => Column::USUAL.into(),
    };
    let header: Vec<String> = columns.iter().map(|column| column.as_str().to_uppercase()).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let cells = |row: &&Row| columns.iter().map(|column| column.cell(row)).collect::<Vec<Text>>();
    writeln!(output, "{}", table(&header, rows.iter().map(cells).collect(), color))?;
    let moved = view.findings.iter().filter(|one| one.kind == FindingKind::Moved);
    for finding in moved {
        writeln!(output, "! {}", visible(&finding.text))?;
    }
    if status.is_stopping {
        writeln!(output, "The fleet is being stopped.")?;
    }
    Ok(())
}
